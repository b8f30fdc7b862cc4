// The socket surface over a host: the non-blocking calls people know, errno results, options and
// readiness; no file descriptors, no threads. asio, drill and posix all stand on this one place.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "runnel/base/slab.hpp"
#include "runnel/host/host.hpp"
#include "runnel/socket/poll_events.hpp"
#include "runnel/socket/tcp_info.hpp"
#include "runnel/tcp/signature/md5_signature.hpp"

namespace runnel {

struct SocketTag;
using SocketId = Handle<SocketTag>;

enum class SocketType : std::uint8_t { stream, datagram };

enum class ShutdownHow : std::uint8_t { receive, send, both };

struct MessageFlags {
    bool peek = false;           ///< MSG_PEEK
    bool urgent = false;         ///< MSG_OOB
    bool more = false;           ///< MSG_MORE
    bool end_of_record = false;  ///< MSG_EOR: the octets share no segment with later ones
    bool discard = false;        ///< MSG_TRUNC of a stream: octets are counted, not copied
    bool wait_all =
        false;  ///< MSG_WAITALL: `Received::missing` counts up to all that was asked for
    bool zerocopy = false;  ///< MSG_ZEROCOPY, of a socket that has SocketOption::zerocopy on
    /// SO_TIMESTAMPING as a control message: Timestamping::kRecord bits for this call alone.
    std::optional<std::uint32_t> timestamping = {};
};

/// What a receive has given.
struct Received {
    std::size_t count = 0;
    /// Octets that a blocking call would still wait for, calling again with the rest of its buffer (SO_RCVLOWAT,
    /// MSG_WAITALL); 0 when it would return now.
    std::size_t missing = 0;
    /// TCP_CM_INQ, where TCP_INQ is on: octets left to be read; 1 when the end of the stream is.
    std::optional<std::uint32_t> in_queue;
};

/// close(2) that waits for what was sent to be acknowledged (SO_LINGER with a time).
struct LingeringClose {
    tcp::ConnectionHandle connection;
    Instant deadline;  ///< the caller returns at this time whatever has come of it
};

/// The answer of getsockopt: an errno and how many octets were written.
struct OptionReply {
    int error = 0;
    std::size_t size = 0;
};

/// Bounds of SO_SNDBUF and SO_RCVBUF, bytes; values outside are moved to them, as Linux does.
inline constexpr std::int64_t kMinSendBuffer = 2304;     // SOCK_MIN_SNDBUF, halved
inline constexpr std::int64_t kMinReceiveBuffer = 1152;  // SOCK_MIN_RCVBUF, halved
inline constexpr std::int64_t kMaxSocketBuffer = 256 << 20;

/// Options by the names of setsockopt. Units as in Linux: seconds for keep-alive, milliseconds for the
/// user timeout, bytes for buffers (as set; Linux shows twice the value).
enum class SocketOption : std::uint8_t {
    reuse_address,       ///< SO_REUSEADDR
    reuse_port,          ///< SO_REUSEPORT: not built, refused with option_not_supported
    keepalive,           ///< SO_KEEPALIVE
    oob_inline,          ///< SO_OOBINLINE
    linger,              ///< SO_LINGER: -1 off, else seconds
    send_buffer,         ///< SO_SNDBUF
    receive_buffer,      ///< SO_RCVBUF
    no_delay,            ///< TCP_NODELAY
    cork,                ///< TCP_CORK
    quick_ack,           ///< TCP_QUICKACK
    max_segment,         ///< TCP_MAXSEG
    keepalive_idle,      ///< TCP_KEEPIDLE
    keepalive_interval,  ///< TCP_KEEPINTVL
    keepalive_count,     ///< TCP_KEEPCNT
    user_timeout,        ///< TCP_USER_TIMEOUT
    error_reports,       ///< take_report has something to tell; on unless switched off
    traffic_class,       ///< IP_TOS / IPV6_TCLASS
    hop_limit,           ///< IP_TTL / IPV6_UNICAST_HOPS
    v6_only,             ///< IPV6_V6ONLY
    error,               ///< SO_ERROR, read only, cleared by reading
    accepting,           ///< SO_ACCEPTCONN, read only
    type,                ///< SO_TYPE, read only
    fin_timeout,         ///< TCP_LINGER2: seconds, -1: none; above 120 it is 120
    notsent_lowat,       ///< TCP_NOTSENT_LOWAT, bytes; 0: off
    window_clamp,        ///< TCP_WINDOW_CLAMP, bytes, 1,152 at least; 0 only without a connection
    receive_lowat,       ///< SO_RCVLOWAT, bytes
    report_inq,          ///< TCP_INQ
    receive_errors,      ///< IP_RECVERR, IPV6_RECVERR
    zerocopy,            ///< SO_ZEROCOPY
    timestamping,        ///< SO_TIMESTAMPING, bits of tcp::Timestamping
    priority,            ///< SO_PRIORITY: kept, not used
    mark,                ///< SO_MARK: kept, not used
    domain,              ///< SO_DOMAIN (AF_INET 2, AF_INET6 10), read only
    protocol,            ///< SO_PROTOCOL (6, 17), read only
    mtu,                 ///< IP_MTU of a connection, read only
    syn_count,           ///< TCP_SYNCNT, 1..127
    defer_accept,        ///< TCP_DEFER_ACCEPT: seconds, moved up to whole timeouts of a SYN,ACK
    fast_open,  ///< TCP_FASTOPEN of a listener: connections before their handshake's end; 0: off
    fast_open_connect,  ///< TCP_FASTOPEN_CONNECT: connect waits for the first data, if there is a cookie
    fast_open_no_cookie,  ///< TCP_FASTOPEN_NO_COOKIE
};

/// A socket whose readiness may have changed, with its readiness now.
struct ReadyEvent {
    SocketId socket;
    tcp::Readiness readiness;
};

/// The calls of one host's users. A call on an id that is not open fails with bad_descriptor; the other
/// errors are Linux's. Readiness is told once for each change (edge): after an event read, write or accept
/// until would_block.
class SocketLayer {
public:
    /// `max_sockets` bounds the sockets open at once. The host must outlive the layer; connections still
    /// open when the layer goes stay with the host.
    explicit SocketLayer(Host& host, std::uint32_t max_sockets = 1u << 20);
    SocketLayer(const SocketLayer&) = delete;
    SocketLayer& operator=(const SocketLayer&) = delete;

    // --- opening and closing ---------------------------------------------------------------------------
    Result<SocketId> open(Family family, SocketType type);
    /// Once only (argument_invalid). Port 0: a free one. address_not_available: not an address of this
    /// host; address_in_use unless both sockets have reuse_address and the other doesn't listen.
    Status bind(SocketId socket, const Endpoint& local, Instant now);
    /// A second call changes the backlog. Without bind an ephemeral port is taken.
    Status listen(SocketId socket, std::uint32_t backlog, Instant now = {});
    /// The new socket has the listener's options and one event pending.
    Result<SocketId> accept(SocketId listener, Instant now);
    /// Starts the handshake: in_progress is the usual answer; readiness kWritable says that it has ended,
    /// SocketOption::error how. As in connect(2): connection_already_in_progress meanwhile; the first call
    /// after the end tells its outcome, once; then already_connected, or after a failure a new attempt.
    Status connect(SocketId socket, const Endpoint& remote, Instant now);
    /// not_connected unless there is a connection. Receiving shut on a listener ends its listening.
    Status shutdown(SocketId socket, ShutdownHow how, Instant now);
    /// Frees the id whatever the connection does afterwards (it ends in the background).
    Status close(SocketId socket, Instant now);
    /// The same for a caller who blocks: with SO_LINGER of some seconds and something unacknowledged, what to
    /// wait for (`lingers`); none when close(2) would return at once. The id is free in either case.
    Result<std::optional<LingeringClose>> close_and_linger(SocketId socket, Instant now);
    /// Whether such a close still waits.
    [[nodiscard]] bool lingers(const LingeringClose& close, Instant now) const;
    /// RST and gone.
    Status abort(SocketId socket, Instant now);

    // --- data --------------------------------------------------------------------------------------------
    /// Bytes taken. broken_pipe when sending is over or never began, would_block without room.
    Result<std::size_t> send(SocketId socket, Bytes bytes, MessageFlags flags, Instant now);
    Result<std::size_t> send_slices(SocketId socket, std::span<const Slice> slices,
                                    MessageFlags flags, Instant now);
    /// 0 at the end of the stream.
    Result<std::size_t> receive(SocketId socket, MutableBytes into, MessageFlags flags,
                                Instant now);
    Result<SliceList> receive_slices(SocketId socket, std::size_t limit, Instant now);
    /// sendmsg, writev: the pieces one after the other, as one SEND; of a stream.
    Result<std::size_t> send_pieces(SocketId socket, std::span<const Bytes> pieces,
                                    MessageFlags flags, Instant now);
    /// recvmsg, readv: the pieces are filled one after the other; of a stream. Never waits: would_block where
    /// there is nothing. With `discard` only the sizes of the pieces count.
    Result<Received> receive_pieces(SocketId socket, std::span<const MutableBytes> pieces,
                                    MessageFlags flags, Instant now);
    /// MSG_ERRQUEUE: the oldest entry, or would_block.
    Result<tcp::QueuedError> take_queued_error(SocketId socket);
    /// A stream ignores `remote`.
    Result<std::size_t> send_to(SocketId socket, Bytes bytes, const Endpoint& remote, Instant now);
    /// A datagram; `from` is set to its sender. What does not fit in `into` is cut off.
    Result<std::size_t> receive_from(SocketId socket, MutableBytes into, Endpoint& from,
                                     Instant now);
    /// sendto with MSG_FASTOPEN: connects, and sends what fits with the SYN where the server's cookie is known (the
    /// count of it); else in_progress, nothing is queued, and the SYN asks for a cookie. Later as `send`, with
    /// connection_already_in_progress or already_connected as connect(2) has them. not_supported where
    /// tcp_fastopen lacks 1.
    Result<std::size_t> send_fast_open(SocketId socket, Bytes bytes, const Endpoint& remote,
                                       MessageFlags flags, Instant now);
    /// Bytes to be read at once (FIONREAD) and SIOCATMARK; both of streams only.
    [[nodiscard]] Result<std::size_t> available(SocketId socket) const;
    [[nodiscard]] Result<bool> at_mark(SocketId socket) const;

    // --- options and names ---------------------------------------------------------------------------------
    Status set_option(SocketId socket, SocketOption option, std::int64_t value, Instant now);
    /// TCP_FASTOPEN_KEY of a listener: 16 octets, or 32 with the key before.
    Status set_fast_open_keys(SocketId socket, Bytes keys);
    /// Reading `error` clears it; its value is an Errc.
    Result<std::int64_t> get_option(SocketId socket, SocketOption option);
    /// TCP_CONGESTION: argument_invalid for a name that is not known (Linux says ENOENT), of streams only.
    Status set_congestion(SocketId socket, std::string_view name, Instant now);
    [[nodiscard]] Result<std::string_view> congestion(SocketId socket) const;
    /// TCP_MD5SIG (RFC 2385): segments to and from the peers that the key covers are signed; a key without octets
    /// takes that of the same peer back (argument_invalid when there is none). no_buffer_space: too many.
    Status set_md5_key(SocketId socket, const tcp::Md5Key& key, Instant now);
    /// setsockopt(2) and getsockopt(2) with Linux's numbers and octets; an errno, 0 when all is well. What this
    /// layer doesn't have is ENOPROTOOPT, as an option that Linux doesn't know.
    int set_linux_option(SocketId socket, int level, int name, Bytes value, Instant now);
    OptionReply get_linux_option(SocketId socket, int level, int name, MutableBytes into,
                                 Instant now);
    [[nodiscard]] Result<Endpoint> local_endpoint(SocketId socket) const;
    [[nodiscard]] Result<Endpoint> remote_endpoint(SocketId socket) const;
    /// What a stream's user is told while the connection goes on (readiness kReport): a soft ICMP error, or
    /// tries without an answer. Cleared by this call; reason none when there is nothing.
    Result<tcp::ErrorReport> take_report(SocketId socket);
    /// A socket without a connection shows CLOSED or LISTEN and zeros.
    [[nodiscard]] Result<tcp::ConnectionStatus> tcp_info(SocketId socket) const;

    /// TCP_INFO as Linux's getsockopt answers it.
    [[nodiscard]] Result<TcpInfo> linux_tcp_info(SocketId socket, Instant now) const;

    // --- readiness -----------------------------------------------------------------------------------------
    [[nodiscard]] tcp::Readiness readiness(SocketId socket) const;
    /// The same as poll(2) tells it: all bits of PollEvents that hold now.
    [[nodiscard]] std::uint32_t poll_events(SocketId socket) const;
    /// Sockets with news since the last call, each once; `out` is cleared first. Level is read at the call.
    void take_ready(std::vector<ReadyEvent>& out);

    Host& host() { return host_; }
    [[nodiscard]] std::uint32_t open_sockets() const { return sockets_.size(); }

private:
    enum class Phase : std::uint8_t { fresh, bound, listening, connection, datagram };
    struct Socket {
        Family family;
        SocketType type;
        Phase phase = Phase::fresh;
        bool reuse_address : 1 = false;
        bool v6_only : 1 = false;
        bool bound_by_user : 1 = false;     ///< the port outlives a failed connect
        bool connect_reported : 1 = false;  ///< connect() has told the end of the handshake
        bool handshake_over : 1 = false;    ///< no more would_block for data
        bool options_changed : 1 = false;   ///< since listen(): told to each accepted connection
        bool send_shut : 1 = false;         ///< datagrams: shutdown
        bool receive_shut : 1 = false;
        bool listed : 1 = false;        ///< stands in `ready_` or in the list being made
        bool writer_waits : 1 = false;  ///< datagrams: told would_block
        Endpoint local = {};
        std::uint64_t handle = 0;     ///< packed handle of connection, listener or UDP binding
        std::uint64_t handle_v4 = 0;  ///< the second UDP binding of a dual-stack socket
        /// What the user has set while there is no connection to carry it; nullptr: nothing.
        std::unique_ptr<tcp::ConnectionOptions> options = nullptr;
    };
    static_assert(sizeof(Socket) <= 48, "of which there is one a connection");

    [[nodiscard]] Socket* find(SocketId id) { return sockets_.find(id); }
    [[nodiscard]] static tcp::ConnectionHandle connection_of(const Socket& socket);
    [[nodiscard]] static tcp::ListenerHandle listener_of(const Socket& socket);
    [[nodiscard]] tcp::State state_of(const Socket& socket) const;
    /// The connection that data may move on; Linux's error for `sending` or receiving where there is none.
    Result<tcp::ConnectionHandle> data_connection(Socket& socket, bool sending) const;

    // Addresses (socket_address.cpp).
    [[nodiscard]] static Status check_family(const Socket& socket, const IpAddress& address);
    [[nodiscard]] static bool dual_stack(const Socket& socket, const IpAddress& local);
    [[nodiscard]] static bool overlap(const Socket& a, const IpAddress& a_address, const Socket& b);
    [[nodiscard]] bool bind_conflict(SocketId id, const Socket& socket, const Endpoint& local,
                                     bool against_listeners_only) const;
    [[nodiscard]] std::optional<std::uint16_t> pick_port(SocketId id, const Socket& socket,
                                                         const IpAddress& address, Instant now);
    Status bind_stream(SocketId id, Socket& socket, const Endpoint& local, Instant now);
    void take_port(SocketId id, Socket& socket, const Endpoint& local);
    void release_port(SocketId id, Socket& socket);

    // Streams (socket_stream.cpp).
    Status start_connect(SocketId id, Socket& socket, const Endpoint& remote, Instant now);
    Status connect_outcome(SocketId id, Socket& socket, Instant now);
    void disconnect(SocketId id, Socket& socket, Instant now);
    void end(SocketId id, Socket& socket, bool reset, Instant now);

    // Datagrams (socket_datagram.cpp).
    Status bind_datagram(SocketId id, Socket& socket, const Endpoint& local);
    Status bind_datagram_if_needed(SocketId id, Socket& socket);
    Status connect_datagram(SocketId id, Socket& socket, const Endpoint& remote);
    Result<std::size_t> send_datagram(SocketId id, Socket& socket, Bytes bytes,
                                      std::optional<Endpoint> remote);
    Result<std::size_t> receive_datagram(Socket& socket, MutableBytes into, Endpoint& from);
    void close_datagram(Socket& socket);
    void remember_datagram(SocketId id, std::uint64_t handle);
    [[nodiscard]] tcp::Readiness datagram_readiness(const Socket& socket) const;

    // Options of opening (socket_fast_open.cpp).
    [[nodiscard]] static bool is_opening_option(SocketOption option);
    Status set_opening_option(Socket& socket, SocketOption option, std::int64_t value, Instant now);
    [[nodiscard]] std::int64_t opening_option(const Socket& socket, SocketOption option) const;
    [[nodiscard]] bool fast_open_client() const;
    [[nodiscard]] bool waits_for_data(const Socket& socket) const;
    void use_fast_open_keys(SocketId id, const Socket& socket);

    // Options (socket_options.cpp).
    Status set_socket_level(Socket& socket, SocketOption option, std::int64_t value);
    static Status set_switch(tcp::ConnectionOptions& options, SocketOption option, bool on);
    static Status set_value(tcp::ConnectionOptions& options, SocketOption option,
                            std::int64_t value);
    static Status set_linux_value(tcp::ConnectionOptions& options, SocketOption option,
                                  std::int64_t value, Phase phase);
    Status change_options(Socket& socket, const tcp::ConnectionOptions& changed, Instant now);
    void use_md5_keys(SocketId id, const Socket& socket, Instant now);
    int set_linux_linger(SocketId id, Bytes value, Instant now);
    int set_linux_md5(SocketId id, bool extended, Bytes value, Instant now);
    [[nodiscard]] const tcp::ConnectionOptions& options_of(const Socket& socket) const;
    [[nodiscard]] std::int64_t connection_level(const Socket& socket, SocketOption option) const;

    void remember(std::vector<std::uint64_t>& table, std::uint64_t handle, SocketId id);
    void list_ready(SocketId id);

    Host& host_;
    Slab<Socket, SocketTag> sockets_;
    /// Stream sockets that took a port with bind or listen; accepted and merely connected ones are
    /// looked up in the stack.
    std::multimap<std::uint16_t, SocketId> bound_;
    std::vector<SocketId>
        ready_;  ///< to be told at the next take_ready, whatever the rooms below say
    std::vector<SocketId> udp_writers_;  ///< waiting for room in the host's queue of datagrams
    std::vector<tcp::UserEvent> events_;
    std::vector<UdpHandle> udp_events_;
    std::vector<std::uint64_t> socket_of_connection_;  ///< by connection index: packed SocketId
    std::vector<std::uint64_t> socket_of_listener_;
    std::vector<std::uint64_t> socket_of_datagram_;
    std::map<std::uint64_t, std::vector<tcp::Md5Key>> md5_keys_;  ///< by packed SocketId
    std::map<std::uint64_t, tcp::FastOpenKeys> fast_open_keys_;   ///< by packed SocketId
};

}  // namespace runnel
