// A file is read straight into chunks of the host's pool, whose slices then stand in the send buffer and go
// to the device: one copy by read(2), one by writev(2).
#include "runnel/cli/file_sender.hpp"

#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>

#include "runnel/asio/host_timer.hpp"
#include "runnel/cli/exit_code.hpp"

namespace runnel {

namespace net = boost::asio;

namespace {

constexpr std::uint32_t kPiece = 64 * 1024;
/// Slices of one write: enough that waking up for the next costs little, few enough to stay in the cache.
constexpr std::size_t kSlicesOfWrite = 4;
/// A write that took more than this part of the idle limit makes the next one small.
constexpr std::int64_t kSlowPart = 32;
constexpr std::uint32_t kSlowPiece = 4096;
constexpr Duration kNoMemoryDelay = milliseconds(1);

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
    bool slow = false;
    while (sent < size && !ended) {
        SliceList slices;
        std::uint64_t next = sent;
        // A write is progress only once all of it has been taken: a slow reader gets small ones.
        const std::size_t most_slices = slow ? 1 : kSlicesOfWrite;
        const std::uint32_t most_bytes = slow ? kSlowPiece : kPiece;
        while (next < size && slices.size() < most_slices) {
            const auto want = std::min<std::uint64_t>(size - next, most_bytes);
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
        socket.expires_after(idle);
        if (slices.empty() && !ended) {
            host_timer pause(socket.driver());
            pause.expires_after(kNoMemoryDelay);
            co_await pause.async_wait(net::use_awaitable);
            continue;
        }
        const Instant begin = socket.driver().now();
        co_await socket.async_write_slices(std::move(slices), net::use_awaitable);
        slow = (socket.driver().now() - begin).ns > idle.ns / kSlowPart;
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
