// The TCP of one host: all connections, embryos, TIME-WAIT entries and listeners, and the doors to them:
// segments in, segments out, time, and the user's calls of RFC 9293 §3.9.1. It does no I/O.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "runnel/base/buffer.hpp"
#include "runnel/base/result.hpp"
#include "runnel/base/siphash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/observe/flight_recorder.hpp"
#include "runnel/tcp/config.hpp"
#include "runnel/tcp/status.hpp"
#include "runnel/wire/frame.hpp"
#include "runnel/wire/tcp_segment.hpp"

namespace runnel::tcp {

/// A segment as the host hands it in: checksum verified, header parsed.
struct ArrivingSegment {
    FourTuple tuple;  ///< local = its destination
    TcpHeader header;
    SliceList payload;
    std::uint32_t payload_size = 0;
    std::uint16_t gso_size = 0;  ///< of an inbound super-segment, else 0
    std::uint8_t traffic_class = 0;
    bool to_unicast = true;  ///< a segment to a broadcast or multicast address is never answered
    std::uint32_t path_mtu =
        1500;  ///< of the way back, bytes of IP packet; used where it opens something
};

/// A segment to be emitted. The host writes header and IP and hands it to its link.
struct OutgoingSegment {
    FourTuple tuple;
    TcpHeader header;
    SliceList payload;
    std::uint32_t payload_size = 0;
    std::uint16_t gso_size = 0;  ///< 0: one segment
    std::uint8_t traffic_class = 0;
    std::uint8_t hop_limit = 64;
    bool keep_cwr = false;  ///< AccECN: all pieces of a super-segment have its CWR bit
    Decision reason{};
};

/// Bits of readiness of a connection or listener; several may be set.
struct Readiness {
    static constexpr std::uint8_t kReadable =
        1;  ///< data, or end of stream, or a connection to accept
    static constexpr std::uint8_t kWritable = 2;    ///< room in the send buffer, or sending is over
    static constexpr std::uint8_t kUrgent = 4;      ///< urgent data to come or at hand (POLLPRI)
    static constexpr std::uint8_t kPeerClosed = 8;  ///< the peer's FIN has arrived (POLLRDHUP)
    static constexpr std::uint8_t kHangUp = 16;     ///< both directions are over (POLLHUP)
    static constexpr std::uint8_t kError = 32;      ///< an error waits to be taken (POLLERR)
    static constexpr std::uint8_t kReport = 64;     ///< an ErrorReport waits; nothing has ended
    static constexpr std::uint8_t kUrgentHere = 128;  ///< the urgent octet has arrived, unread
    std::uint8_t bits = 0;
};

/// Something changed for the user of a connection or listener: look at its readiness.
struct UserEvent {
    bool is_listener = false;
    std::uint64_t handle = 0;  ///< packed ConnectionHandle or ListenerHandle
};

/// Bits of SO_TIMESTAMPING (SOF_TIMESTAMPING_…, the same values).
struct Timestamping {
    static constexpr std::uint32_t kTxHardware = 1U << 0, kTxSoftware = 1U << 1,
                                   kSoftware = 1U << 4, kOptId = 1U << 7, kTxSched = 1U << 8,
                                   kTxAck = 1U << 9, kTxCompletion = 1U << 18, kOptIdTcp = 1U << 16;
    /// What a control message of one SEND replaces.
    static constexpr std::uint32_t kRecord =
        kTxHardware | kTxSoftware | kTxSched | kTxAck | kTxCompletion;
    static constexpr std::uint32_t kAll = (1U << 19) - 1;
};

/// An entry of a connection's error queue (MSG_ERRQUEUE; struct sock_extended_err of Linux).
struct QueuedError {
    enum class Origin : std::uint8_t {  // SO_EE_ORIGIN_…
        icmp = 2,
        timestamping = 4,
        zerocopy = 5,
    };
    enum class Stamp : std::uint8_t { sent = 0, scheduled = 1, acknowledged = 2 };  // SCM_TSTAMP_…
    static constexpr std::uint8_t kCopied = 1;  // SO_EE_CODE_ZEROCOPY_COPIED

    Origin origin = Origin::icmp;
    Errc error = Errc::ok;   ///< of an ICMP message
    std::uint8_t code = 0;   ///< zerocopy: kCopied where the octets were copied all the same
    std::uint32_t info = 0;  ///< timestamping: the Stamp; zerocopy: first SEND of the range
    std::uint32_t data = 0;  ///< timestamping: the key; zerocopy: last SEND of the range
    Instant time;            ///< of a timestamp
};

/// TCP_QUICKACK, which changes how the connection acknowledges now; what comes may change it again.
enum class AckMode : std::uint8_t {
    unchanged,
    quick,    ///< at once, and what is owed too
    delayed,  ///< as in an interactive exchange; of one who opens the handshake's too
};

/// What a connection's user may set (socket options). Unset: the host's configuration.
struct ConnectionOptions {
    bool no_delay = false;        ///< TCP_NODELAY: no Nagle (MUST-17)
    bool cork = false;            ///< TCP_CORK
    bool keepalive = false;       ///< SO_KEEPALIVE (MUST-25)
    bool urgent_inline = false;   ///< SO_OOBINLINE
    bool mute_reports = false;    ///< no ErrorReport (SHLD-20)
    bool linger_on = false;       ///< SO_LINGER
    bool report_inq = false;      ///< TCP_INQ
    bool receive_errors = false;  ///< IP_RECVERR: soft errors end a call, not the connection
    bool zerocopy = false;        ///< SO_ZEROCOPY: MSG_ZEROCOPY means something
    Duration linger = {};
    Duration fin_timeout =
        {};  ///< TCP_LINGER2; 0: the host's, negative: no FIN-WAIT-2 without a user
    std::optional<CongestionControl> congestion_control = {};  ///< TCP_CONGESTION
    std::uint32_t notsent_lowat = 0;  ///< TCP_NOTSENT_LOWAT: writable with less unsent; 0: off
    std::uint32_t window_clamp = 0;   ///< TCP_WINDOW_CLAMP, bytes; 0: none
    std::uint32_t receive_lowat = 0;  ///< SO_RCVLOWAT: readable from so many octets on; 0: 1
    std::uint32_t timestamping = 0;   ///< SO_TIMESTAMPING, bits of Timestamping
    std::uint32_t priority = 0;       ///< SO_PRIORITY and SO_MARK: kept, and used by nobody yet
    std::uint32_t mark = 0;
    Duration keepalive_time = {};  ///< TCP_KEEPIDLE, 0: the host's
    Duration keepalive_interval = {};
    std::uint32_t keepalive_probes = 0;
    Duration user_timeout = {};         ///< TCP_USER_TIMEOUT
    std::uint32_t send_buffer = 0;      ///< SO_SNDBUF, bytes; 0: the host's
    std::uint32_t receive_buffer = 0;   ///< SO_RCVBUF
    std::uint16_t maximum_segment = 0;  ///< TCP_MAXSEG, 0: by the path
    std::uint8_t traffic_class = 0;     ///< IP_TOS / IPV6_TCLASS, without ECN bits (MUST-48)
    std::uint8_t hop_limit = 0;         ///< 0: the host's
    std::uint8_t syn_count = 0;  ///< TCP_SYNCNT: tries of SYN or SYN,ACK again; 0: the host's
    AckMode ack_mode = AckMode::unchanged;
    std::uint8_t defer_accept = 0;      ///< TCP_DEFER_ACCEPT, in timeouts of a SYN,ACK; 0: off
    bool fast_open = false;             ///< an active OPEN asks for a Fast Open cookie, or shows it
    bool fast_open_no_cookie = false;   ///< TCP_FASTOPEN_NO_COOKIE
    std::uint16_t fast_open_queue = 0;  ///< TCP_FASTOPEN of a listener: connections at a time

    auto operator<=>(const ConnectionOptions&) const = default;
};

/// What a connection's user is told while it goes on: ERROR_REPORT of RFC 9293 §3.9.1.8 (MUST-47). The third
/// reason of that clause, urgent data, is Readiness::kUrgent.
struct ErrorReport {
    enum class Reason : std::uint8_t {
        none,
        icmp,             ///< a soft ICMP error (SHLD-25)
        retransmissions,  ///< R1 tries without an acknowledgement (SHLD-9)
    };
    Reason reason = Reason::none;
    Errc error = Errc::ok;  ///< what ICMP said last; timed_out when it said nothing
};

struct SendFlags {
    bool more = false;           ///< MSG_MORE: don't push yet
    bool urgent = false;         ///< MSG_OOB: the last octet is urgent
    bool end_of_record = false;  ///< MSG_EOR: no segment holds octets of this SEND and a later one
    bool zerocopy = false;       ///< MSG_ZEROCOPY, of a connection that has it switched on
    bool by_reference = false;   ///< the octets were lent, not copied
    /// Replaces Timestamping::kRecord of the connection's for this SEND.
    std::optional<std::uint32_t> timestamping = {};
};
struct ReceiveFlags {
    bool peek = false;     ///< MSG_PEEK
    bool urgent = false;   ///< MSG_OOB
    bool discard = false;  ///< MSG_TRUNC: the octets count and are not copied
};

/// An ICMP error that quotes one of our segments.
struct IcmpReport {
    FourTuple tuple;    ///< local = quoted source
    SeqNum quoted_seq;  ///< validated against snd.una..snd.nxt (RFC 5927 §4)
    bool hard = false;  ///< protocol or port unreachable, administratively prohibited
    bool packet_too_big = false;
    bool local = false;  ///< the word of our own network layer, beyond which nothing gets
    std::uint32_t mtu = 0;
    Errc error = Errc::host_unreachable;
};

struct Md5Key;
class StackState;  // stack_state.hpp: the tables; kept out of this header so that it stays light

class Stack {
public:
    Stack(BufferPool& pool, FlightRecorder& recorder, const TcpConfig& config,
          const SipKey& secret);
    ~Stack();
    Stack(const Stack&) = delete;
    Stack& operator=(const Stack&) = delete;

    // --- the network's side -------------------------------------------------------------------------
    /// SEGMENT ARRIVES (§3.10.7). Takes the payload's slices. True when it acknowledges something new: what we
    /// send gets through (RFC 4861 §7.3.1).
    bool on_segment(ArrivingSegment&& segment, Instant now);
    /// True when the error was about a live connection and inside its window; the host then may believe
    /// its MTU for the path.
    bool on_icmp(const IcmpReport& report, Instant now);
    /// The next segment to send, one connection after the other in turn; false when nobody has any.
    bool poll_transmit(Instant now, OutgoingSegment& out);
    /// When `on_timeout` must be called next.
    [[nodiscard]] Instant next_timeout() const;
    void on_timeout(Instant now);
    /// Remote addresses from which R1 tries have brought no answer since the last call, for IP to look at the
    /// way there anew (RFC 9293 §3.8.3 (b)); swaps with `out`, which is cleared first. At most kMaxSuspects.
    void take_suspects(std::vector<IpAddress>& out);
    static constexpr std::size_t kMaxSuspects = 256;

    // --- the user's side: §3.9.1 --------------------------------------------------------------------
    /// Active OPEN. `local.port` 0: an ephemeral port by RFC 6056. The connection is at once in SYN-SENT.
    /// `path_mtu` as routed. address_in_use, address_not_available (no port left), too_many_open.
    Result<ConnectionHandle> connect(Endpoint local, Endpoint remote, std::uint32_t path_mtu,
                                     const ConnectionOptions& options, Instant now);
    /// Passive OPEN. An unspecified address takes segments to any (`dual_stack`: of either family).
    Result<ListenerHandle> listen(Endpoint local, bool dual_stack, std::uint32_t backlog,
                                  const ConnectionOptions& options);
    /// An ephemeral port that is free for binding `address`, or none.
    std::optional<std::uint16_t> free_port(const IpAddress& address, Instant now);
    /// Whether a listener, a connection or TIME-WAIT has this local endpoint: bind's question (Linux), not
    /// that of `listen`, which only another listener hinders (RFC 9293 §3.9.1.1, MUST-42).
    [[nodiscard]] bool local_in_use(const Endpoint& local, bool dual_stack) const;
    /// The oldest connection whose handshake is complete; would_block when there is none.
    Result<ConnectionHandle> accept(ListenerHandle listener, Instant now);
    void set_backlog(ListenerHandle listener, std::uint32_t backlog);
    /// Options for those that come from now on; what concerns the listener itself at once.
    void set_options(ListenerHandle listener, const ConnectionOptions& options);
    /// Keys of this listener's Fast Open cookies in place of the host's (TCP_FASTOPEN_KEY).
    void set_fast_open_keys(ListenerHandle listener, const FastOpenKeys& keys);
    /// Whether an active OPEN with option `fast_open` would wait for data to send with its SYN: a cookie is
    /// known, or needed by nobody. `local` is the address that it would have, no port counts.
    [[nodiscard]] bool fast_open_ready(const FourTuple& tuple, const ConnectionOptions& options,
                                       Instant now) const;
    void close_listener(ListenerHandle listener, Instant now);

    /// SEND: bytes taken into the send buffer (may be fewer); would_block when it is full; broken_pipe
    /// after shutdown; the connection's error once.
    Result<std::size_t> send(ConnectionHandle handle, Bytes bytes, SendFlags flags, Instant now);
    /// SEND without copying: takes whole slices as long as there is room; the count of bytes taken.
    Result<std::size_t> send_slices(ConnectionHandle handle, std::span<const Slice> slices,
                                    SendFlags flags, Instant now);
    /// RECEIVE: 0 at the end of the stream; would_block when there is nothing yet.
    Result<std::size_t> receive(ConnectionHandle handle, MutableBytes into, ReceiveFlags flags,
                                Instant now);
    /// RECEIVE without copying: moves up to `limit` bytes of slices out; an empty list at the end of stream.
    Result<SliceList> receive_slices(ConnectionHandle handle, std::size_t limit, Instant now);
    /// Bytes that `receive` would give now; and whether the urgent mark lies at the next octet.
    [[nodiscard]] std::size_t readable(ConnectionHandle handle) const;
    [[nodiscard]] bool at_urgent_mark(ConnectionHandle handle) const;

    /// Half-close: no more sends; FIN after what is queued.
    Status shutdown_send(ConnectionHandle handle, Instant now);
    /// No more receives: what comes later is acknowledged and thrown away.
    Status shutdown_receive(ConnectionHandle handle, Instant now);
    /// CLOSE of both directions and of the handle, which is invalid afterwards. With unread data: RST
    /// (RFC 2525 §2.17, RFC 1122 §4.2.2.13); with linger 0: ABORT.
    void close(ConnectionHandle handle, Instant now);
    /// ABORT: RST at once; the handle is invalid afterwards.
    void abort(ConnectionHandle handle, Instant now);

    /// TCP_MD5SIG (RFC 2385): from now on every segment to and from the peer, whom the key must cover, is
    /// signed; nullptr: none is any more.
    Status set_md5_key(ConnectionHandle handle, const Md5Key* key, Instant now);
    /// The keys of those who connect here; replaces those there were. At most kMaxMd5Keys.
    Status set_md5_keys(ListenerHandle listener, std::span<const Md5Key> keys);
    static constexpr std::size_t kMaxMd5Keys = 1024;
    Status set_options(ConnectionHandle handle, const ConnectionOptions& options, Instant now);
    [[nodiscard]] const ConnectionOptions* options(ConnectionHandle handle) const;
    [[nodiscard]] Readiness readiness(ConnectionHandle handle) const;
    [[nodiscard]] Readiness readiness(ListenerHandle listener) const;
    /// The pending error, cleared by this call (SO_ERROR); Errc::ok when there is none.
    Errc take_error(ConnectionHandle handle);
    /// The oldest entry of the error queue, taken out of it.
    std::optional<QueuedError> take_queued_error(ConnectionHandle handle);
    [[nodiscard]] bool has_queued_error(ConnectionHandle handle) const;
    /// The report that waits, cleared by this call; reason none when there is none.
    ErrorReport take_report(ConnectionHandle handle);
    [[nodiscard]] std::optional<ConnectionStatus> status(ConnectionHandle handle) const;
    [[nodiscard]] std::optional<FourTuple> tuple(ConnectionHandle handle) const;
    [[nodiscard]] std::optional<Endpoint> local(ListenerHandle listener) const;
    /// Connections waiting to be accepted, and how many may.
    struct ListenerQueues {
        std::uint32_t waiting = 0;
        std::uint32_t backlog = 0;
    };
    [[nodiscard]] std::optional<ListenerQueues> queues(ListenerHandle listener) const;
    /// Everything there is: listeners, embryos, connections, TIME-WAIT, in a stable order.
    void snapshot(std::vector<ConnectionStatus>& out, Instant now) const;
    /// The same in pieces, unsorted: appends what stands in the next `places` places of the tables and moves
    /// the cursor on; false when all has been seen. What comes, goes or moves to TIME-WAIT between two
    /// pieces may be missed or, under another state, appear twice.
    bool snapshot_page(SnapshotCursor& cursor, std::uint32_t places,
                       std::vector<ConnectionStatus>& out) const;
    /// The connection that ended `back` ends ago (0: the last one), or nullptr when it is not remembered.
    [[nodiscard]] const EndedConnection* ended(std::size_t back) const;
    [[nodiscard]] TableSizes sizes() const;

    /// Events since the last call, each handle at most once; swaps with `out`, which is cleared first.
    void take_events(std::vector<UserEvent>& out);

    [[nodiscard]] const TcpConfig& config() const;
    /// As sysctl on a running host: what is asked for from now on has the new values; what has been copied or armed
    /// (a listener's backlog, a timer) stays.
    void configure(const TcpConfig& config);

private:
    friend class Inspection;  // inspection.hpp
    std::unique_ptr<StackState> state_;
};

}  // namespace runnel::tcp
