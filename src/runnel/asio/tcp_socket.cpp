// The parts of the sockets that need no template: calls handed on to the socket layer, and Asio's option
// numbers translated to the layer's names (socket(7), tcp(7)).
#include "runnel/asio/tcp_socket.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstring>
#include <optional>

namespace runnel::tcp {

namespace {

error_code code_of(const Status& status) {
    return status ? error_code{} : to_error_code(status.error());
}

template <class T>
T take(const Result<T>& result, error_code& ec) {
    ec = result ? error_code{} : to_error_code(result.error());
    return result ? *result : T{};
}

struct OptionName {
    int level;
    int name;
    SocketOption option;
};

constexpr OptionName kOptions[] = {
    {SOL_SOCKET, SO_REUSEADDR, SocketOption::reuse_address},
    {SOL_SOCKET, SO_REUSEPORT, SocketOption::reuse_port},
    {SOL_SOCKET, SO_KEEPALIVE, SocketOption::keepalive},
    {SOL_SOCKET, SO_OOBINLINE, SocketOption::oob_inline},
    {SOL_SOCKET, SO_SNDBUF, SocketOption::send_buffer},
    {SOL_SOCKET, SO_RCVBUF, SocketOption::receive_buffer},
    {SOL_SOCKET, SO_ERROR, SocketOption::error},
    {SOL_SOCKET, SO_ACCEPTCONN, SocketOption::accepting},
    {SOL_SOCKET, SO_TYPE, SocketOption::type},
    {IPPROTO_TCP, TCP_NODELAY, SocketOption::no_delay},
    {IPPROTO_TCP, TCP_CORK, SocketOption::cork},
    {IPPROTO_TCP, TCP_QUICKACK, SocketOption::quick_ack},
    {IPPROTO_TCP, TCP_MAXSEG, SocketOption::max_segment},
    {IPPROTO_TCP, TCP_KEEPIDLE, SocketOption::keepalive_idle},
    {IPPROTO_TCP, TCP_KEEPINTVL, SocketOption::keepalive_interval},
    {IPPROTO_TCP, TCP_KEEPCNT, SocketOption::keepalive_count},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, SocketOption::user_timeout},
    {IPPROTO_IP, IP_TOS, SocketOption::traffic_class},
    {IPPROTO_IP, IP_TTL, SocketOption::hop_limit},
    {IPPROTO_IPV6, IPV6_TCLASS, SocketOption::traffic_class},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, SocketOption::hop_limit},
    {IPPROTO_IPV6, IPV6_V6ONLY, SocketOption::v6_only},
};

std::optional<SocketOption> find_option(int level, int name) {
    for (const OptionName& known : kOptions) {
        if (known.level == level && known.name == name) {
            return known.option;
        }
    }
    return std::nullopt;
}

bool is_linger(int level, int name) {
    return level == SOL_SOCKET && name == SO_LINGER;
}

}  // namespace

socket_handle::socket_handle(Driver& driver)
    : executor_(driver.get_executor()), record_(std::make_unique<SocketRecord>()) {
    driver.add_member(*record_);
}

socket_handle::~socket_handle() {
    if (record_ == nullptr || record_->driver == nullptr) {
        return;
    }
    error_code ignored;
    close(ignored);
    expires_never();
    record_->driver->remove_member(*record_);
}

socket_handle& socket_handle::operator=(socket_handle&& other) noexcept {
    if (this != &other) {
        socket_handle old(std::move(*this));
        executor_ = other.executor_;
        record_ = std::move(other.record_);
        open_ = std::exchange(other.open_, false);
    }
    return *this;
}

error_code socket_handle::unusable() const {
    const bool usable = open_ && record_->driver != nullptr;
    return usable ? error_code{} : error_code(boost::asio::error::bad_descriptor);
}

void socket_handle::open(Family family, error_code& ec) {
    if (open_) {
        ec = boost::asio::error::already_open;
        return;
    }
    if (record_->driver == nullptr) {
        ec = unusable();
        return;
    }
    const SocketId id = take(layer().open(family, SocketType::stream), ec);
    if (!ec) {
        assign(id);
    }
}

void socket_handle::assign(SocketId id) {
    record_->id = id;
    record_->driver->bind_record(*record_);
    open_ = true;
}

void socket_handle::bind(const endpoint& local, error_code& ec) {
    ec = unusable();
    if (!ec) {
        ec = code_of(layer().bind(record_->id, local.value(), driver().now()));
    }
}

void socket_handle::cancel() {
    if (record_->driver != nullptr) {
        record_->end_all(boost::asio::error::operation_aborted);
    }
}

void socket_handle::close(error_code& ec) {
    ec = {};
    if (unusable()) {
        open_ = false;
        return;
    }
    cancel();
    expires_never();
    open_ = false;
    record_->driver->unbind_record(*record_);
    ec = code_of(layer().close(record_->id, driver().now()));
    record_->id = {};
    record_->driver->poke();
}

endpoint socket_handle::local_endpoint(error_code& ec) const {
    ec = unusable();
    return ec ? endpoint{} : endpoint(take(layer().local_endpoint(record_->id), ec));
}

void socket_handle::set_option(SocketOption option, std::int64_t value, error_code& ec) {
    ec = unusable();
    if (!ec) {
        ec = code_of(layer().set_option(record_->id, option, value, driver().now()));
        record_->driver->poke();  // TCP_NODELAY or TCP_CORK may let something go
    }
}

Result<std::int64_t> socket_handle::get_option(SocketOption option) const {
    if (unusable()) {
        return fail(Errc::bad_descriptor);
    }
    return layer().get_option(record_->id, option);
}

void socket_handle::set_raw_option(int level, int name, const void* data, std::size_t size,
                                   error_code& ec) {
    if (is_linger(level, name) && size == sizeof(::linger)) {
        ::linger value{};
        std::memcpy(&value, data, size);
        return set_option(SocketOption::linger, value.l_onoff != 0 ? value.l_linger : -1, ec);
    }
    const std::optional<SocketOption> option = find_option(level, name);
    if (!option) {
        ec = boost::asio::error::no_protocol_option;
        return;
    }
    if (size != sizeof(int)) {
        ec = boost::asio::error::invalid_argument;
        return;
    }
    int value = 0;
    std::memcpy(&value, data, size);
    set_option(*option, value, ec);
}

void socket_handle::get_raw_option(int level, int name, void* data, std::size_t size,
                                   error_code& ec) const {
    if (is_linger(level, name) && size == sizeof(::linger)) {
        const auto seconds = static_cast<int>(take(get_option(SocketOption::linger), ec));
        const ::linger value{.l_onoff = seconds >= 0 ? 1 : 0,
                             .l_linger = seconds >= 0 ? seconds : 0};
        std::memcpy(data, &value, size);
        return;
    }
    const std::optional<SocketOption> option = find_option(level, name);
    if (!option) {
        ec = boost::asio::error::no_protocol_option;
        return;
    }
    if (size != sizeof(int)) {
        ec = boost::asio::error::invalid_argument;
        return;
    }
    const auto value = static_cast<int>(take(get_option(*option), ec));
    std::memcpy(data, &value, size);
}

void socket_handle::expires_after(Duration limit) {
    expires_never();
    if (record_->driver != nullptr) {
        Driver& owner = *record_->driver;
        record_->deadline = owner.now() + limit;
        record_->timer =
            owner.start_timer(*record_, record_->deadline, record_->timer_registration);
    }
}

void socket_handle::expires_never() {
    if (record_->driver != nullptr) {
        record_->driver->stop_timer(record_->timer, record_->timer_registration);
    }
    record_->deadline = Instant::never();
    record_->expired = false;
}

// --- socket ---------------------------------------------------------------------------------------------

error_code socket::start_connect(const endpoint& remote) {
    error_code ec;
    if (!open_) {
        open(remote.family(), ec);
    }
    if (ec) {
        return ec;
    }
    const Status started = layer().connect(record_->id, remote.value(), driver().now());
    record_->driver->poke();
    if (!started && started.error() != Errc::in_progress) {
        return to_error_code(started.error());
    }
    return {};
}

std::size_t socket::read_now(const ReadBuffers& buffers, error_code& ec) {
    struct Now final : ReadOperation {
        using ReadOperation::ReadOperation;
        void finish(bool) override {}
    };
    ec = unusable();
    if (ec) {
        return 0;
    }
    Now operation(buffers);
    const bool done = operation.perform(layer(), record_->id, driver().now());
    record_->driver->poke();
    const auto [error, bytes] = operation.result();
    ec = done ? error : error_code(boost::asio::error::would_block);
    return bytes;
}

std::size_t socket::write_now(const WriteBuffers& buffers, error_code& ec) {
    struct Now final : WriteOperation {
        using WriteOperation::WriteOperation;
        void finish(bool) override {}
    };
    ec = unusable();
    if (ec) {
        return 0;
    }
    Now operation(buffers);
    const bool done = operation.perform(layer(), record_->id, driver().now());
    record_->driver->poke();
    const auto [error, bytes] = operation.result();
    ec = done ? error : error_code(boost::asio::error::would_block);
    return bytes;
}

std::pair<WaitFor, std::uint8_t> socket::wait_bits(wait_type what) {
    constexpr std::uint8_t kOver = Readiness::kHangUp | Readiness::kError;
    switch (what) {
        case boost::asio::socket_base::wait_read:
            return {WaitFor::readable, Readiness::kReadable | Readiness::kPeerClosed | kOver};
        case boost::asio::socket_base::wait_write:
            return {WaitFor::writable, Readiness::kWritable | kOver};
        case boost::asio::socket_base::wait_error: break;
    }
    // RFC 9293 §3.9.1.8, MUST-47: all that is reported while the connection goes on.
    return {WaitFor::urgent, Readiness::kUrgent | Readiness::kReport | kOver};
}

std::size_t socket::available(error_code& ec) const {
    ec = unusable();
    return ec ? 0 : take(layer().available(record_->id), ec);
}

void socket::shutdown(shutdown_type how, error_code& ec) {
    ec = unusable();
    if (ec) {
        return;
    }
    ShutdownHow direction = ShutdownHow::both;
    if (how == boost::asio::socket_base::shutdown_receive) {
        direction = ShutdownHow::receive;
    } else if (how == boost::asio::socket_base::shutdown_send) {
        direction = ShutdownHow::send;
    }
    ec = code_of(layer().shutdown(record_->id, direction, driver().now()));
    record_->driver->poke();
}

void socket::abort() {
    if (unusable()) {
        return;
    }
    cancel();
    expires_never();
    open_ = false;
    record_->driver->unbind_record(*record_);
    (void)layer().abort(record_->id, driver().now());
    record_->id = {};
    record_->driver->poke();
}

endpoint socket::remote_endpoint(error_code& ec) const {
    ec = unusable();
    return ec ? endpoint{} : endpoint(take(layer().remote_endpoint(record_->id), ec));
}

Result<ConnectionStatus> socket::info() const {
    if (unusable()) {
        return fail(Errc::bad_descriptor);
    }
    return layer().tcp_info(record_->id);
}

Result<tcp::ErrorReport> socket::take_report() {
    if (unusable()) {
        return fail(Errc::bad_descriptor);
    }
    return layer().take_report(record_->id);
}

// --- acceptor -------------------------------------------------------------------------------------------

bool AcceptOperation::perform(SocketLayer& layer, SocketId listener, Instant now) {
    const Result<SocketId> got = layer.accept(listener, now);
    if (!got) {
        if (got.error() == Errc::would_block) {
            return false;
        }
        error = to_error_code(got.error());
        return true;
    }
    accepted_ = *got;
    return true;
}

std::tuple<error_code, socket> AcceptOperation::result() {
    socket accepted(*driver_);
    if (!accepted_.is_none()) {
        accepted.assign(accepted_);
    }
    return {error, std::move(accepted)};
}

acceptor::acceptor(Driver& driver, const endpoint& local, int backlog) : socket_handle(driver) {
    open(local.family());
    error_code ignored;
    socket_handle::set_option(SocketOption::reuse_address, 1, ignored);
    bind(local);
    listen(backlog);
}

void acceptor::listen(int backlog, error_code& ec) {
    ec = unusable();
    if (ec) {
        return;
    }
    const auto places = static_cast<std::uint32_t>(std::max(backlog, 1));
    ec = code_of(layer().listen(record_->id, places));
}

}  // namespace runnel::tcp
