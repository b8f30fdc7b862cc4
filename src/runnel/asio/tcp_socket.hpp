// Runnel's TCP sockets in Asio's dialect: `runnel::tcp::socket` and `runnel::tcp::acceptor` are asynchronous
// streams as Asio's composed operations, Beast, asio::ssl::stream and coroutines expect them. Handlers never
// run inside the call that starts an operation.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/detail/throw_error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/socket_base.hpp>
#include <chrono>
#include <memory>
#include <utility>

#include "runnel/asio/driver.hpp"
#include "runnel/asio/error.hpp"
#include "runnel/asio/tcp_endpoint.hpp"

namespace runnel::tcp {

using boost::system::error_code;

/// What sockets and acceptors share. Move-only; the destructor closes.
class socket_handle {
public:
    using executor_type = Driver::Executor;
    using native_handle_type = SocketId;
    using endpoint_type = endpoint;
    using shutdown_type = boost::asio::socket_base::shutdown_type;
    using wait_type = boost::asio::socket_base::wait_type;

    explicit socket_handle(Driver& driver);
    socket_handle(socket_handle&&) noexcept = default;
    socket_handle& operator=(socket_handle&& other) noexcept;
    ~socket_handle();

    [[nodiscard]] executor_type get_executor() const noexcept { return executor_; }
    [[nodiscard]] Driver& driver() const { return *record_->driver; }
    [[nodiscard]] bool is_open() const noexcept { return open_; }
    [[nodiscard]] SocketId native_handle() const { return record_->id; }

    void open(Family family, error_code& ec);
    void open(Family family) {
        checked([&](error_code& ec) { open(family, ec); });
    }
    /// Takes over a socket of the layer's.
    void assign(SocketId id);
    void bind(const endpoint& local, error_code& ec);
    void bind(const endpoint& local) {
        checked([&](error_code& ec) { bind(local, ec); });
    }
    /// Ends every pending operation with operation_aborted.
    void cancel();
    void cancel(error_code& ec) {
        ec = {};
        cancel();
    }
    /// Closes both directions and ends pending operations; the connection ends in the background.
    void close(error_code& ec);
    void close() {
        checked([&](error_code& ec) { close(ec); });
    }
    [[nodiscard]] endpoint local_endpoint(error_code& ec) const;
    [[nodiscard]] endpoint local_endpoint() const {
        return checked([&](error_code& ec) { return local_endpoint(ec); });
    }

    /// Asio's option types (tcp::no_delay, socket_base::keep_alive, linger …) work as they are.
    template <class Option>
    void set_option(const Option& option, error_code& ec) {
        const endpoint_protocol protocol{};
        set_raw_option(option.level(protocol), option.name(protocol), option.data(protocol),
                       option.size(protocol), ec);
    }
    template <class Option>
    void set_option(const Option& option) {
        checked([&](error_code& ec) { set_option(option, ec); });
    }
    template <class Option>
    void get_option(Option& option, error_code& ec) const {
        const endpoint_protocol protocol{};
        get_raw_option(option.level(protocol), option.name(protocol), option.data(protocol),
                       option.size(protocol), ec);
    }
    /// The same by Runnel's own names and units.
    void set_option(SocketOption option, std::int64_t value, error_code& ec);
    [[nodiscard]] Result<std::int64_t> get_option(SocketOption option) const;

    // --- the limit of time for all pending operations and those begun from now on -----------------------
    /// After `limit` they end with asio::error::timed_out, and every later one at once. The socket stays
    /// open. It is a timer of the host: in virtual time it fires in virtual time.
    void expires_after(Duration limit);
    void expires_after(std::chrono::nanoseconds limit) {
        expires_after(nanoseconds(limit.count()));
    }
    void expires_never();

protected:
    /// Asio's options ask their argument for the address family only.
    struct endpoint_protocol {
        [[nodiscard]] int family() const { return 0; }
    };

    template <class F>
    static std::invoke_result_t<F, error_code&> checked(F&& call) {
        error_code ec;
        if constexpr (std::is_void_v<std::invoke_result_t<F, error_code&>>) {
            call(ec);
            boost::asio::detail::throw_error(ec);
        } else {
            auto result = call(ec);
            boost::asio::detail::throw_error(ec);
            return result;
        }
    }
    void set_raw_option(int level, int name, const void* data, std::size_t size, error_code& ec);
    void get_raw_option(int level, int name, void* data, std::size_t size, error_code& ec) const;
    /// An error that hinders every operation: not open, or the driver has gone.
    [[nodiscard]] error_code unusable() const;

    /// Starts an operation, or posts bad_descriptor.
    template <class Op, class Handler, class... Args>
    void begin(Handler&& handler, WaitFor kind, Args&&... args) {
        using Made = HandledOperation<Op, std::decay_t<Handler>>;
        auto& made = Made::make(std::move(handler), executor_, std::forward<Args>(args)...);
        if (const error_code ec = unusable()) {
            made.error = ec;
            if (record_->driver != nullptr) {
                record_->driver->complete(made);
            } else {
                made.finish(false);  // there is no thread left to call anything on
            }
            return;
        }
        record_->driver->start(made);
        record_->begin(made, kind);
    }

    [[nodiscard]] SocketLayer& layer() const { return record_->driver->sockets(); }

    executor_type executor_;
    std::unique_ptr<SocketRecord> record_;
    bool open_ = false;
};

class socket : public socket_handle {
public:
    using lowest_layer_type = socket;

    using socket_handle::socket_handle;
    socket(socket&&) noexcept = default;
    socket& operator=(socket&&) noexcept = default;

    lowest_layer_type& lowest_layer() { return *this; }
    [[nodiscard]] const lowest_layer_type& lowest_layer() const { return *this; }

    /// Connects, having opened the socket for the endpoint's family if it isn't open. `void(error_code)`
    template <class Token>
    auto async_connect(const endpoint& remote, Token&& token) {
        return boost::asio::async_initiate<Token, void(error_code)>(
            [this, remote](auto handler) {
                const error_code started = start_connect(remote);
                this->begin<ConnectOperation>(std::move(handler), WaitFor::writable, started);
            },
            token);
    }
    /// `void(error_code, std::size_t)`; asio::error::eof at the end of the stream.
    template <class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
            [this, list = ReadBuffers::from(buffers)](auto handler) {
                this->begin<ReadOperation>(std::move(handler), WaitFor::readable, list);
            },
            token);
    }
    /// `void(error_code, std::size_t)`: how many bytes the send buffer took.
    template <class Buffers, class Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
            [this, list = WriteBuffers::from(buffers)](auto handler) {
                this->begin<WriteOperation>(std::move(handler), WaitFor::writable, list);
            },
            token);
    }
    /// Without a copy: up to `limit` received bytes as counted slices. `void(error_code, SliceList)`
    template <class Token>
    auto async_read_slices(std::size_t limit, Token&& token) {
        return boost::asio::async_initiate<Token, void(error_code, SliceList)>(
            [this, limit](auto handler) {
                this->begin<ReadSlicesOperation>(std::move(handler), WaitFor::readable, limit);
            },
            token);
    }
    /// Without a copy: all of `slices` (of the driver's pool) into the send buffer.
    /// `void(error_code, std::size_t)`
    template <class Token>
    auto async_write_slices(SliceList slices, Token&& token) {
        return boost::asio::async_initiate<Token, void(error_code, std::size_t)>(
            [this, slices = std::move(slices)](auto handler) mutable {
                this->begin<WriteSlicesOperation>(std::move(handler), WaitFor::writable,
                                                  std::move(slices));
            },
            token);
    }
    /// Until the socket is readable, writable, or has urgent data or an error. `void(error_code)`
    template <class Token>
    auto async_wait(wait_type what, Token&& token) {
        return boost::asio::async_initiate<Token, void(error_code)>(
            [this, what](auto handler) {
                const auto [kind, bits] = wait_bits(what);
                this->begin<WaitOperation>(std::move(handler), kind, bits);
            },
            token);
    }

    /// At once or not at all: asio::error::would_block when there is nothing, or no room.
    template <class Buffers>
    std::size_t read_some(const Buffers& buffers, error_code& ec) {
        return read_now(ReadBuffers::from(buffers), ec);
    }
    template <class Buffers>
    std::size_t write_some(const Buffers& buffers, error_code& ec) {
        return write_now(WriteBuffers::from(buffers), ec);
    }
    [[nodiscard]] std::size_t available(error_code& ec) const;

    void shutdown(shutdown_type how, error_code& ec);
    void shutdown(shutdown_type how) {
        checked([&](error_code& ec) { shutdown(how, ec); });
    }
    /// RST and gone.
    void abort();
    [[nodiscard]] endpoint remote_endpoint(error_code& ec) const;
    [[nodiscard]] endpoint remote_endpoint() const {
        return checked([&](error_code& ec) { return remote_endpoint(ec); });
    }
    /// What Linux calls TCP_INFO, and more.
    [[nodiscard]] Result<ConnectionStatus> info() const;
    /// What `wait_error` has come for when the connection goes on: a soft ICMP error, or tries without an
    /// answer (SocketOption::error_reports switches it off). Cleared by this call; reason none without one.
    Result<runnel::tcp::ErrorReport> take_report();

private:
    error_code start_connect(const endpoint& remote);
    std::size_t read_now(const ReadBuffers& buffers, error_code& ec);
    std::size_t write_now(const WriteBuffers& buffers, error_code& ec);
    static std::pair<WaitFor, std::uint8_t> wait_bits(wait_type what);
};

/// Takes a connection off a listener's queue.
class AcceptOperation : public SocketOperation {
public:
    explicit AcceptOperation(Driver* driver) : driver_(driver) {}
    bool perform(SocketLayer& layer, SocketId listener, Instant now) override;
    std::tuple<error_code, socket> result();

protected:
    ~AcceptOperation() = default;

private:
    Driver* driver_;
    SocketId accepted_;
};

class acceptor : public socket_handle {
public:
    static constexpr int max_listen_connections = 4096;

    using socket_handle::socket_handle;
    /// Opened, bound and listening. An unspecified IPv6 address takes IPv4 too.
    acceptor(Driver& driver, const endpoint& local, int backlog = max_listen_connections);
    acceptor(acceptor&&) noexcept = default;
    acceptor& operator=(acceptor&&) noexcept = default;

    void listen(int backlog, error_code& ec);
    void listen(int backlog = max_listen_connections) {
        checked([&](error_code& ec) { listen(backlog, ec); });
    }
    /// `void(error_code, socket)`
    template <class Token>
    auto async_accept(Token&& token) {
        return boost::asio::async_initiate<Token, void(error_code, socket)>(
            [this](auto handler) {
                this->begin<AcceptOperation>(std::move(handler), WaitFor::readable,
                                             record_->driver);
            },
            token);
    }
};

}  // namespace runnel::tcp
