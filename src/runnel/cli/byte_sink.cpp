// Descriptors of the command line: stdin and stdout are shared with other processes, so their flags are
// changed only where writing would block the host otherwise, and put back.
#include "runnel/cli/byte_sink.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>

#include "runnel/cli/exit_code.hpp"

namespace runnel {

namespace net = boost::asio;

namespace {

constexpr std::size_t kPiecesOfWrite = 32;

bool can_block(int fd) {
    struct stat info{};
    return ::fstat(fd, &info) == 0 && (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode));
}

}  // namespace

net::awaitable<void> NullSink::write(std::span<const Bytes> /*pieces*/) {
    co_return;
}

DescriptorSink::DescriptorSink(net::io_context& io, int fd) : fd_(fd), waiter_(io) {
    if (!can_block(fd)) {
        return;
    }
    flags_ = ::fcntl(fd, F_GETFL);
    if (flags_ < 0 || (flags_ & O_NONBLOCK) != 0 ||
        ::fcntl(fd, F_SETFL, flags_ | O_NONBLOCK) != 0) {
        flags_ = -1;
    }
    const int duplicate = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
    boost::system::error_code error;
    waiter_.assign(duplicate, error);
    if (error && duplicate >= 0) {
        ::close(duplicate);
    }
}

DescriptorSink::~DescriptorSink() {
    if (flags_ >= 0) {
        (void)::fcntl(fd_, F_SETFL, flags_);
    }
}

net::awaitable<void> DescriptorSink::write(std::span<const Bytes> pieces) {
    std::array<iovec, kPiecesOfWrite> vector;
    std::size_t first = 0;   // piece that is not yet wholly written
    std::size_t offset = 0;  // bytes of it that are
    while (first < pieces.size()) {
        std::size_t used = 0;
        for (std::size_t i = first; i < pieces.size() && used < vector.size(); ++i, ++used) {
            const Bytes rest = pieces[i].subspan(i == first ? offset : 0);
            // iovec has no const; writev only reads.
            vector[used] = {const_cast<std::byte*>(rest.data()), rest.size()};
        }
        const ssize_t written = ::writev(fd_, vector.data(), static_cast<int>(used));
        if (written < 0 && errno == EAGAIN && waiter_.is_open()) {
            co_await waiter_.async_wait(net::posix::descriptor_base::wait_write,
                                        net::use_awaitable);
        } else if (written < 0 && errno != EINTR) {
            throw CommandError(kExitFailed, fmt::format("can't write: {}", std::strerror(errno)));
        }
        offset += written > 0 ? static_cast<std::size_t>(written) : 0;
        while (first < pieces.size() && offset >= pieces[first].size()) {
            offset -= pieces[first].size();
            ++first;
        }
    }
}

DescriptorSource::DescriptorSource(net::io_context& io, int fd) : fd_(fd), waiter_(io) {
    const int duplicate = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
    boost::system::error_code error;
    waiter_.assign(duplicate, error);
    can_wait_ = !error;
    struct stat info{};
    if (::fstat(fd, &info) == 0 && (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode))) {
        can_wait_ = false;
    }
    if (error && duplicate >= 0) {
        ::close(duplicate);
    }
}

DescriptorSource::~DescriptorSource() = default;

void DescriptorSource::cancel() {
    boost::system::error_code ignored;
    waiter_.cancel(ignored);
}

net::awaitable<std::size_t> DescriptorSource::read(MutableBytes into) {
    while (true) {
        if (can_wait_) {
            boost::system::error_code error;
            co_await waiter_.async_wait(net::posix::descriptor_base::wait_read,
                                        net::redirect_error(net::use_awaitable, error));
            if (error == net::error::operation_not_supported) {
                can_wait_ = false;  // /dev/null and its kin: always ready, and epoll refuses them
            } else if (error) {
                throw boost::system::system_error(error);
            }
        }
        const ssize_t got = ::read(fd_, into.data(), into.size());
        if (got >= 0) {
            co_return static_cast<std::size_t>(got);
        }
        if (errno != EINTR && errno != EAGAIN) {
            throw CommandError(kExitFailed, fmt::format("can't read: {}", std::strerror(errno)));
        }
    }
}

}  // namespace runnel
