// What can be told of a connection from outside: the snapshot behind `ss`, `tcp_info` and `why`
// (STATUS call, RFC 9293 §3.9.1.5).
#pragma once

#include <cstdint>

#include "runnel/base/result.hpp"
#include "runnel/base/slab.hpp"
#include "runnel/base/time.hpp"
#include "runnel/observe/decision.hpp"
#include "runnel/tcp/ecn/ecn.hpp"
#include "runnel/tcp/state.hpp"
#include "runnel/wire/address.hpp"

namespace runnel::tcp {

struct ConnectionTag;
struct ListenerTag;
using ConnectionHandle = Handle<ConnectionTag>;
using ListenerHandle = Handle<ListenerTag>;

/// The timers of a connection; at most one is shown as "the" timer, the earliest.
enum class Timer : std::uint8_t {
    retransmit,   ///< SYN, SYN-ACK, data or FIN unacknowledged (RFC 6298)
    persist,      ///< zero window with data waiting (§3.8.6.1)
    delayed_ack,  ///< an ACK is owed (§3.8.6.3)
    keepalive,    ///< §3.8.4
    fin_wait_2,   ///< an orphan waits for the peer's FIN
    loss_probe,   ///< the tail of what was sent may be lost (RFC 8985 §7)
    reorder,      ///< what was overtaken is lost when this is over (RFC 8985 §6.2)
    pacing,       ///< the next segment may leave
    memory,       ///< the pool had no room for what the user writes: look again
    time_wait,    ///< 2MSL (own table)
    count_,
};

constexpr const char* to_string(Timer timer) {
    switch (timer) {
        case Timer::retransmit: return "retransmit";
        case Timer::persist: return "persist";
        case Timer::delayed_ack: return "delayed-ack";
        case Timer::keepalive: return "keepalive";
        case Timer::fin_wait_2: return "fin-wait-2";
        case Timer::loss_probe: return "loss-probe";
        case Timer::reorder: return "reorder";
        case Timer::pacing: return "pacing";
        case Timer::memory: return "memory";
        case Timer::time_wait: return "time-wait";
        case Timer::count_: break;
    }
    return "none";
}

/// What holds the sender back right now.
enum class Limit : std::uint8_t {
    none,
    application,
    congestion_window,
    receive_window,
    send_buffer,
    nagle,
    cork
};

/// What the sender's time is spent on (Linux's chrono of TCP_INFO).
enum class BusyKind : std::uint8_t {
    idle,
    busy,    ///< data is unacknowledged or waits
    window,  ///< the peer's window holds it back
    buffer,  ///< all is sent, and the writer has found the buffer full
};

/// How long a sender had something to send, and what held it back of that time.
struct BusyTimes {
    Duration busy;            ///< with data unacknowledged or waiting (busy_time), in all kinds
    Duration window_limited;  ///< of it: the peer's window held data back (rwnd_limited)
    Duration
        buffer_limited;  ///< of it: all was sent, the writer had found no room (sndbuf_limited)

    void account(BusyKind what, Duration time) {
        if (what == BusyKind::idle) {
            return;
        }
        busy += time;
        if (what == BusyKind::window) {
            window_limited += time;
        } else if (what == BusyKind::buffer) {
            buffer_limited += time;
        }
    }
};

/// What came in the way of Fast Open (Linux's tcpi_fastopen_client_fail).
enum class FastOpenFailure : std::uint8_t {
    none,
    no_cookie,      ///< none was known: the SYN asked for one
    not_acked,      ///< the SYN,ACK did not acknowledge the data
    retransmitted,  ///< the SYN had to go out again
};

/// One connection (or embryo, TIME-WAIT entry, listener) at one instant. Bytes unless said otherwise.
struct ConnectionStatus {
    FourTuple tuple;
    State state = State::closed;
    std::uint64_t handle = 0;  ///< packed ConnectionHandle; 0 for listeners, embryos, TIME-WAIT
    std::uint64_t receive_queue = 0;  ///< to be read; for a listener connections to be accepted
    std::uint64_t send_queue = 0;     ///< not yet acknowledged; for a listener the backlog
    Timer timer = Timer::count_;      ///< the earliest, count_ for none
    Instant timer_deadline = Instant::never();
    std::uint16_t timers = 0;        ///< all that are armed: bit n is the Timer with value n
    std::uint32_t iss = 0, irs = 0;  ///< wire values
    std::uint32_t snd_una = 0, snd_nxt = 0, rcv_nxt = 0;
    std::uint64_t snd_wnd = 0, rcv_wnd = 0;
    std::uint8_t snd_wscale = 0, rcv_wscale = 0;
    bool has_window_scale = false, has_sack = false, has_timestamps = false;
    std::uint32_t snd_mss = 0, rcv_mss = 0, advertised_mss = 0;
    std::uint32_t path_mtu = 0;
    std::uint32_t cwnd_segments = 0, ssthresh_segments = 0;  ///< ssthresh 0x7fffffff: not yet known
    std::uint32_t segments_out = 0, segments_sacked = 0, segments_lost = 0,
                  segments_retransmitted_out = 0;
    Duration rtt = {}, rtt_variance = {}, rtt_min = {}, rto = {};
    std::uint32_t backoff = 0, retransmits = 0, probes = 0;
    std::uint64_t bytes_sent = 0, bytes_acked = 0, bytes_received = 0, bytes_retransmitted = 0;
    std::uint64_t segments_sent = 0, segments_received = 0, total_retransmissions = 0;
    Instant last_data_sent, last_data_received, last_ack_received;
    const char* congestion_control = "";
    const char* recovery_state = "open";  ///< open, disorder, cwr, recovery, loss
    std::uint64_t pacing_rate = 0;        ///< octets a second; 0: not paced
    std::uint64_t delivery_rate = 0;      ///< octets a second, the last sample; 0: none
    bool delivery_app_limited = false;    ///< that sample is a lower bound
    Duration reordering_window = {};      ///< RACK waits so long for what was overtaken
    std::uint32_t timeouts_total = 0, probes_sent = 0,
                  undone = 0;      ///< RTOs, tail-loss probes, undos
    std::uint32_t recoveries = 0;  ///< fast recoveries entered
    std::uint32_t lost_total = 0;  ///< segments deemed lost in all
    bool has_ecn = false, has_accecn = false;
    std::uint32_t delivered_marked = 0;  ///< segments that arrived marked CE at the peer
    std::uint32_t received_marked = 0;   ///< and here
    bool ecn_seen = false;               ///< what the peer sends is ECN-capable
    bool accecn_option_seen = false;
    EcnOctets octets_received, octets_delivered;  ///< by mark, as AccECN counts them
    Limit limited_by = Limit::none;
    bool orphan = false;
    std::uint64_t last_event = 0;  ///< number of its newest record in the flight recorder
    /// What it would do next, or why it sends nothing (the reason of plan_next_segment).
    Decision plan{};
    std::uint64_t unsent = 0;                           ///< of `send_queue`, not sent even once
    std::uint64_t out_of_order = 0;                     ///< received beyond a gap
    std::uint32_t send_buffer = 0, receive_buffer = 0;  ///< how much the queues may hold now
    Duration receive_rtt = {};        ///< the round trip as the receiver sees it; 0: not measured
    std::uint32_t receive_space = 0;  ///< most octets read in one; 0: not measured
    std::uint64_t pinned = 0;         ///< memory that received data keeps, whole chunks
    std::uint32_t embryos = 0;        ///< of a listener: connections in SYN-RECEIVED
    bool peer_closed = false;         ///< the peer's FIN has come, everything before it too
    bool sending_over = false;        ///< the user has closed: a FIN follows the data
    bool passive = false;             ///< came from a listener
    bool syn_acked = false;           ///< our SYN has been acknowledged
    bool fin_acked = false;           ///< our FIN has been acknowledged
    bool syn_data = false;            ///< data went with the SYN and was taken (RFC 7413)
    FastOpenFailure fast_open_failure = FastOpenFailure::none;
    std::uint32_t syn_transmissions = 0;
    std::uint32_t reno_sacked = 0;  ///< without SACK: duplicate ACKs, each a segment that arrived
    bool interactive = false;       ///< ACKs wait for data to ride on (Linux's pingpong)
    Duration ack_delay = {};        ///< of delayed ACKs now; 0 before the first data
    std::uint32_t data_segments_sent = 0, data_segments_received = 0;
    std::uint32_t delivered = 0, duplicates_reported = 0, reorderings = 0, reordering = 0;
    std::uint32_t out_of_order_received = 0;
    BusyTimes spent;  ///< `busy_kind` counts on from `busy_since`
    BusyKind busy_kind = BusyKind::idle;
    Instant busy_since;
};

/// How far a walk over everything has come (Stack::snapshot_page).
struct SnapshotCursor {
    enum class Table : std::uint8_t { listeners, connections, time_wait, none };
    Table table = Table::listeners;
    std::uint32_t index = 0;

    void pass(bool over, Table next) {
        if (over) {
            table = next;
            index = 0;
        }
    }
};

/// A connection that has left the wire: into TIME-WAIT, closed, or reset. The last ones are remembered, so
/// that their records in the flight recorder keep a name.
struct EndedConnection {
    FourTuple tuple;
    std::uint64_t handle = 0;
    std::uint64_t last_event = 0;  ///< number of its newest record
    Errc error = Errc::ok;         ///< what its user has been or will be told
};
inline constexpr std::size_t kEndedConnections = 1024;

/// How full the tables are.
struct TableSizes {
    std::uint32_t connections = 0, max_connections = 0;
    std::uint32_t orphans = 0, max_orphans = 0;  ///< of the connections, without a user
    std::uint32_t time_wait = 0, max_time_wait = 0;
    std::uint32_t listeners = 0, max_listeners = 0;
    std::uint32_t ready = 0;  ///< connections in the round of those who may have something to send
    std::uint32_t awake = 0;  ///< connections not packed for being quiet (sleep_after)
};

}  // namespace runnel::tcp
