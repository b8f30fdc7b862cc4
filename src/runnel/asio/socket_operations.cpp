// Each operation's one attempt. A call that answers would_block leaves the operation where it is; any other
// answer is the operation's result (RFC 9293 §3.9.1's calls as Asio's users expect them).
#include "runnel/asio/socket_operations.hpp"

#include <algorithm>

#include "runnel/asio/error.hpp"

namespace runnel {

namespace {

/// Bytes one read may bring: a reader that is slower than the link must not starve its neighbours.
constexpr std::size_t kReadLimit = 1u << 20;

}  // namespace

bool ReadOperation::perform(SocketLayer& layer, SocketId socket, Instant now) {
    if (buffers_.empty()) {
        return true;  // as recv(2) of nothing: done, and no statement about the stream
    }
    for (const std::span<std::byte> buffer : buffers_.spans()) {
        const Result<std::size_t> got = layer.receive(socket, buffer, {}, now);
        if (!got) {
            if (bytes_ != 0) {
                return true;  // an error keeps until the next read
            }
            if (got.error() == Errc::would_block) {
                return false;
            }
            error = to_error_code(got.error());
            return true;
        }
        bytes_ += *got;
        if (*got == 0 && bytes_ == 0) {
            error = boost::asio::error::eof;
        }
        if (*got < buffer.size() || bytes_ >= kReadLimit) {
            return true;
        }
    }
    return true;
}

bool ReadSlicesOperation::perform(SocketLayer& layer, SocketId socket, Instant now) {
    Result<SliceList> got = layer.receive_slices(socket, limit_, now);
    if (!got) {
        if (got.error() == Errc::would_block) {
            return false;
        }
        error = to_error_code(got.error());
        return true;
    }
    slices_ = std::move(*got);
    if (slices_.empty() && limit_ != 0) {
        error = boost::asio::error::eof;
    }
    return true;
}

bool WriteOperation::perform(SocketLayer& layer, SocketId socket, Instant now) {
    for (const std::span<const std::byte> buffer : buffers_.spans()) {
        const Result<std::size_t> taken = layer.send(socket, buffer, {}, now);
        if (!taken) {
            if (bytes_ != 0) {
                return true;
            }
            if (taken.error() == Errc::would_block) {
                return false;
            }
            error = to_error_code(taken.error());
            return true;
        }
        bytes_ += *taken;
        if (*taken < buffer.size()) {
            return true;
        }
    }
    return true;
}

bool WriteSlicesOperation::perform(SocketLayer& layer, SocketId socket, Instant now) {
    while (!slices_.empty()) {
        const Result<std::size_t> taken = layer.send_slices(
            socket, std::span<const Slice>(slices_.data(), slices_.size()), {}, now);
        if (!taken) {
            if (taken.error() == Errc::would_block) {
                return false;
            }
            error = to_error_code(taken.error());
            return true;
        }
        if (*taken == 0) {
            return false;
        }
        bytes_ += *taken;
        drop_front(*taken);
    }
    return true;
}

void WriteSlicesOperation::drop_front(std::size_t count) {
    std::size_t whole = 0;
    while (whole < slices_.size() && count >= slices_[whole].size()) {
        count -= slices_[whole].size();
        ++whole;
    }
    slices_.erase(slices_.begin(), slices_.begin() + static_cast<std::ptrdiff_t>(whole));
    if (count != 0 && !slices_.empty()) {
        slices_.front().remove_prefix(count);
    }
}

bool ConnectOperation::perform(SocketLayer& layer, SocketId socket, Instant /*now*/) {
    if (started_) {
        error = started_;
        return true;
    }
    constexpr std::uint8_t kEnded =
        tcp::Readiness::kWritable | tcp::Readiness::kError | tcp::Readiness::kHangUp;
    if ((layer.readiness(socket).bits & kEnded) == 0) {
        return false;
    }
    const Result<std::int64_t> pending = layer.get_option(socket, SocketOption::error);
    // SO_ERROR holds an Errc's number in this layer.
    const auto code = pending ? static_cast<Errc>(*pending) : pending.error();
    error = to_error_code(code);
    return true;
}

bool WaitOperation::perform(SocketLayer& layer, SocketId socket, Instant /*now*/) {
    return (layer.readiness(socket).bits & bits_) != 0;
}

}  // namespace runnel
