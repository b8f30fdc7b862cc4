// A file is read straight into chunks of the host's pool, whose slices then stand in the send buffer and go
// to the device: one copy by read(2), one by writev(2).
#include "runnel/cli/file_sender.hpp"

#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <memory>

#include "runnel/asio/host_timer.hpp"
#include "runnel/cli/exit_code.hpp"

namespace runnel {

namespace net = boost::asio;

namespace {

constexpr std::uint32_t kPiece = 64 * 1024;
/// Slices of one write: enough that waking up for the next costs little, few enough to stay in the cache.
constexpr std::size_t kSlicesOfWrite = 4;
constexpr Duration kNoMemoryDelay = milliseconds(1);

/// Cancels what a socket does once the peer has acknowledged nothing for so long. A write by itself says too
/// little: it ends only when all of it has been taken, and a slow reader that takes some is no idle one.
class StallGuard {
public:
    StallGuard(tcp::socket& socket, Duration idle) : state_(std::make_shared<State>(socket, idle)) {
        socket.expires_never();
        watch(state_);
    }
    ~StallGuard() {
        state_->socket = nullptr;
        state_->timer.cancel();
    }
    StallGuard(const StallGuard&) = delete;
    StallGuard& operator=(const StallGuard&) = delete;
    [[nodiscard]] bool stalled() const { return state_->stalled; }

private:
    struct State {
        State(tcp::socket& watched, Duration limit)
            : socket(&watched), idle(limit), timer(watched.driver()), acked(acked_of(watched)) {}
        tcp::socket* socket;
        Duration idle;
        host_timer timer;
        std::uint64_t acked;
        bool stalled = false;
    };

    static std::uint64_t acked_of(const tcp::socket& socket) {
        const auto info = socket.info();
        return info ? info->bytes_acked : 0;
    }
    static void watch(const std::shared_ptr<State>& state) {
        state->timer.expires_after(state->idle);
        state->timer.async_wait([state](boost::system::error_code error) {
            if (error || state->socket == nullptr) {
                return;
            }
            const std::uint64_t acked = acked_of(*state->socket);
            if (acked == state->acked) {
                state->stalled = true;
                state->socket->cancel();
                return;
            }
            state->acked = acked;
            watch(state);
        });
    }
    std::shared_ptr<State> state_;
};

/// A slice of at most `size` bytes of the file; empty at its end, none when the pool has no chunk.
std::optional<Slice> read_slice(BufferPool& pool, int fd, std::uint64_t offset, std::size_t size) {
    ChunkRef chunk = pool.allocate(size);
    if (!chunk) {
        return std::nullopt;
    }
    ssize_t got = 0;
    do {
        got = ::pread(fd, chunk.data(), size, static_cast<off_t>(offset));
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        throw CommandError(kExitFailed, std::string("can't read a file: ") + std::strerror(errno));
    }
    return Slice(std::move(chunk), 0, static_cast<std::uint32_t>(got));
}

}  // namespace

net::awaitable<std::uint64_t> send_file(tcp::socket& socket, int fd, std::uint64_t offset,
                                        std::uint64_t size, Duration idle) {
    BufferPool& pool = socket.driver().host().pool();
    std::uint64_t sent = 0;
    bool ended = false;
    const StallGuard guard(socket, idle);
    while (sent < size && !ended) {
        SliceList slices;
        std::uint64_t next = sent;
        while (next < size && slices.size() < kSlicesOfWrite) {
            const auto want = std::min<std::uint64_t>(size - next, kPiece);
            std::optional<Slice> slice = read_slice(pool, fd, offset + next, want);
            if (!slice) {
                break;
            }
            if (slice->empty()) {
                ended = true;
                break;
            }
            next += slice->size();
            slices.push_back(std::move(*slice));
        }
        if (slices.empty() && !ended) {
            host_timer pause(socket.driver());
            pause.expires_after(kNoMemoryDelay);
            co_await pause.async_wait(net::use_awaitable);
            continue;
        }
        auto [error, count] = co_await socket.async_write_slices(std::move(slices),
                                                                 net::as_tuple(net::use_awaitable));
        (void)count;
        if (error) {
            throw boost::system::system_error(
                guard.stalled() ? boost::system::error_code(net::error::timed_out) : error);
        }
        sent = next;
    }
    co_return sent;
}

net::awaitable<boost::system::error_code> send_forever(tcp::socket& socket, Bytes pattern) {
    const Slice slice = socket.driver().host().pool().copy(pattern);
    if (slice.empty()) {
        co_return boost::asio::error::no_buffer_space;
    }
    while (true) {
        SliceList slices(kSlicesOfWrite, slice);
        auto [error, count] = co_await socket.async_write_slices(std::move(slices),
                                                                 net::as_tuple(net::use_awaitable));
        (void)count;
        if (error) {
            co_return error;
        }
    }
}

}  // namespace runnel
