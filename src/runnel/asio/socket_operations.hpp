// The operations of stream sockets and listeners: each tries its non-blocking call on the socket layer and
// says whether it is done. What a handler will be told stands in `result()`.
#pragma once

#include <array>
#include <boost/asio/buffer.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <tuple>

#include "runnel/asio/operation.hpp"
#include "runnel/socket/socket_layer.hpp"

namespace runnel {

/// What an operation waits for, and so in which of a socket's queues it stands.
enum class WaitFor : std::uint8_t { readable, writable, urgent };
inline constexpr std::size_t kWaitKinds = 3;

class SocketOperation : public Operation {
public:
    /// Tries to carry it out; true when it is done, with or without an error.
    virtual bool perform(SocketLayer& layer, SocketId socket, Instant now) = 0;

protected:
    ~SocketOperation() = default;
};

/// Buffers of one read or write. More than these take part in a later one: "some" is allowed to be less.
template <class Byte>
class BufferList {
public:
    static constexpr std::size_t kCapacity = 16;
    using Span = std::span<Byte>;

    template <class Sequence>
    static BufferList from(const Sequence& buffers) {
        BufferList list;
        auto end = boost::asio::buffer_sequence_end(buffers);
        for (auto it = boost::asio::buffer_sequence_begin(buffers); it != end; ++it) {
            const auto buffer = make_buffer(*it);
            if (buffer.size() == 0) {
                continue;
            }
            if (list.used_ == kCapacity) {
                break;
            }
            list.spans_[list.used_++] = Span(static_cast<Byte*>(buffer.data()), buffer.size());
        }
        return list;
    }
    [[nodiscard]] std::span<const Span> spans() const { return {spans_.data(), used_}; }
    [[nodiscard]] bool empty() const { return used_ == 0; }

private:
    template <class Buffer>
    static auto make_buffer(const Buffer& buffer) {
        if constexpr (std::is_const_v<Byte>) {
            return boost::asio::const_buffer(buffer);
        } else {
            return boost::asio::mutable_buffer(buffer);
        }
    }

    std::array<Span, kCapacity> spans_;
    std::size_t used_ = 0;
};
using ReadBuffers = BufferList<std::byte>;
using WriteBuffers = BufferList<const std::byte>;

/// Reads into buffers; asio::error::eof at the end of the stream.
class ReadOperation : public SocketOperation {
public:
    explicit ReadOperation(const ReadBuffers& buffers) : buffers_(buffers) {}
    bool perform(SocketLayer& layer, SocketId socket, Instant now) override;
    std::tuple<boost::system::error_code, std::size_t> result() { return {error, bytes_}; }

protected:
    ~ReadOperation() = default;

private:
    ReadBuffers buffers_;
    std::size_t bytes_ = 0;
};

/// Takes received slices out without copying them; asio::error::eof at the end of the stream.
class ReadSlicesOperation : public SocketOperation {
public:
    explicit ReadSlicesOperation(std::size_t limit) : limit_(limit) {}
    bool perform(SocketLayer& layer, SocketId socket, Instant now) override;
    std::tuple<boost::system::error_code, SliceList> result() { return {error, slices_}; }

protected:
    ~ReadSlicesOperation() = default;

private:
    std::size_t limit_;
    SliceList slices_;
};

/// Copies buffers into the send buffer.
class WriteOperation : public SocketOperation {
public:
    explicit WriteOperation(const WriteBuffers& buffers) : buffers_(buffers) {}
    bool perform(SocketLayer& layer, SocketId socket, Instant now) override;
    std::tuple<boost::system::error_code, std::size_t> result() { return {error, bytes_}; }

protected:
    ~WriteOperation() = default;

private:
    WriteBuffers buffers_;
    std::size_t bytes_ = 0;
};

/// Puts all of a slice list into the send buffer without copying it.
class WriteSlicesOperation : public SocketOperation {
public:
    explicit WriteSlicesOperation(SliceList slices) : slices_(std::move(slices)) {}
    bool perform(SocketLayer& layer, SocketId socket, Instant now) override;
    std::tuple<boost::system::error_code, std::size_t> result() { return {error, bytes_}; }

protected:
    ~WriteSlicesOperation() = default;

private:
    void drop_front(std::size_t count);

    SliceList slices_;
    std::size_t bytes_ = 0;
};

/// The handshake that `SocketLayer::connect` has started, or refused at once with `started`.
class ConnectOperation : public SocketOperation {
public:
    explicit ConnectOperation(boost::system::error_code started) : started_(started) {}
    bool perform(SocketLayer& layer, SocketId socket, Instant now) override;
    std::tuple<boost::system::error_code> result() { return {error}; }

protected:
    ~ConnectOperation() = default;

private:
    boost::system::error_code started_;
};

/// Any of some readiness bits.
class WaitOperation : public SocketOperation {
public:
    explicit WaitOperation(std::uint8_t bits) : bits_(bits) {}
    bool perform(SocketLayer& layer, SocketId socket, Instant now) override;
    std::tuple<boost::system::error_code> result() { return {error}; }

protected:
    ~WaitOperation() = default;

private:
    std::uint8_t bits_;
};

}  // namespace runnel
