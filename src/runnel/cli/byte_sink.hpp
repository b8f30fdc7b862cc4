// Where received bytes go: a descriptor, or nowhere. Writing to a pipe waits without holding up the host,
// which lives on the same thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <span>

#include "runnel/base/bytes.hpp"
#include "runnel/link/file_descriptor.hpp"

namespace runnel {

class ByteSink {
public:
    virtual ~ByteSink() = default;
    /// Takes all of the pieces; throws CommandError when it can't.
    virtual boost::asio::awaitable<void> write(std::span<const Bytes> pieces) = 0;
};

/// Throws everything away.
class NullSink final : public ByteSink {
public:
    boost::asio::awaitable<void> write(std::span<const Bytes> pieces) override;
};

/// Writes to a descriptor that stays the caller's. A pipe or socket is non-blocking meanwhile, and as it was
/// afterwards; files and terminals are written to directly.
class DescriptorSink final : public ByteSink {
public:
    DescriptorSink(boost::asio::io_context& io, int fd);
    ~DescriptorSink() override;
    DescriptorSink(const DescriptorSink&) = delete;
    DescriptorSink& operator=(const DescriptorSink&) = delete;
    boost::asio::awaitable<void> write(std::span<const Bytes> pieces) override;

private:
    int fd_;
    int flags_ = -1;  ///< to be restored; -1: unchanged
    boost::asio::posix::stream_descriptor waiter_;
};

/// Reads from a descriptor that stays the caller's, without changing its flags: waits until it is readable.
class DescriptorSource {
public:
    DescriptorSource(boost::asio::io_context& io, int fd);
    ~DescriptorSource();
    DescriptorSource(const DescriptorSource&) = delete;
    DescriptorSource& operator=(const DescriptorSource&) = delete;

    /// At most `into.size()` bytes, 0 at the end; throws CommandError when reading fails.
    boost::asio::awaitable<std::size_t> read(MutableBytes into);
    /// Ends a `read` that waits, with operation_aborted.
    void cancel();

private:
    int fd_;
    bool can_wait_ = false;  ///< files are always ready, and epoll refuses them
    boost::asio::posix::stream_descriptor waiter_;
};

}  // namespace runnel
