// The transmission control block (RFC 9293 §3.3.1): all that is known of one connection, as parts with
// their own rules. Events (arrival, output, timeouts, calls) are free functions over it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>

#include "runnel/base/time.hpp"
#include "runnel/tcp/congestion/controller.hpp"
#include "runnel/tcp/ecn/ecn.hpp"
#include "runnel/tcp/open/fast_open.hpp"
#include "runnel/tcp/path/mtu_search.hpp"
#include "runnel/tcp/receive/ack_policy.hpp"
#include "runnel/tcp/receive/reassembler.hpp"
#include "runnel/tcp/receive/receive_buffer.hpp"
#include "runnel/tcp/receive/window_tuner.hpp"
#include "runnel/tcp/recovery/pacer.hpp"
#include "runnel/tcp/recovery/rack.hpp"
#include "runnel/tcp/recovery/rate_sampler.hpp"
#include "runnel/tcp/recovery/recovery.hpp"
#include "runnel/tcp/recovery/rtt_estimator.hpp"
#include "runnel/tcp/send/retransmission_queue.hpp"
#include "runnel/tcp/send/send_buffer.hpp"
#include "runnel/tcp/send/send_notices.hpp"
#include "runnel/tcp/seq64.hpp"
#include "runnel/tcp/signature/md5_signature.hpp"
#include "runnel/tcp/stack.hpp"
#include "runnel/tcp/state.hpp"
#include "runnel/tcp/telemetry.hpp"
#include "runnel/tcp/timers/timer_table.hpp"

namespace runnel::tcp {

/// Send Sequence Variables. SND.NXT never moves back.
struct SendSequenceSpace {
    Seq64 iss;
    Seq64 una;
    Seq64 nxt;
    std::uint64_t wnd = 0;      ///< octets, scaled
    std::uint64_t max_wnd = 0;  ///< the greatest window the peer has offered (Max(SND.WND))
    Seq64 wl1;
    Seq64 wl2;
    Seq64 up;         ///< the octet after the urgent data
    Seq64 small_end;  ///< end of the last segment below the MSS (Minshall's Nagle)

    [[nodiscard]] Seq64 right_edge() const { return una + wnd; }
};

/// Receive Sequence Variables. The right edge promised to the peer never retreats (§3.8.6, SHLD-14).
struct ReceiveSequenceSpace {
    Seq64 irs;
    Seq64 nxt;
    Seq64 right_edge;     ///< RCV.NXT + RCV.WND as last advertised
    Seq64 last_ack_sent;  ///< RFC 7323 §4.3
    Seq64 urgent;         ///< the urgent octet itself, when `urgent_mark` is not none

    [[nodiscard]] std::uint64_t wnd() const { return distance(nxt, right_edge); }
};

enum class UrgentMark : std::uint8_t {
    none,
    announced,  ///< the peer has urgent data that has not arrived yet
    waiting,    ///< the urgent octet has arrived and not been read
    taken,      ///< read out of band; still to be skipped in the stream
};

/// What the SYNs agreed on.
struct NegotiatedOptions {
    std::uint16_t peer_mss = 536;    ///< MUST-15: 536 over IPv4, 1220 over IPv6 without the option
    std::uint16_t local_mss = 1460;  ///< the one we announced (MUST-14)
    std::uint8_t send_scale = 0;     ///< Snd.Wind.Shift
    std::uint8_t receive_scale = 0;  ///< Rcv.Wind.Shift
    bool window_scale = false;
    bool sack = false;
    bool timestamps = false;
    std::uint32_t ts_recent = 0;  ///< RFC 7323 §4.3
    std::uint32_t ts_offset = 0;  ///< added to our clock (RFC 7323 §5.4)
    Instant ts_recent_at;
};

struct Counters {
    std::uint64_t bytes_acked = 0, bytes_received = 0, bytes_retransmitted = 0;
    /// On the wire: a super-segment counts all its segments.
    std::uint32_t segments_sent = 0, segments_received = 0, retransmissions = 0;
};

struct Tcb {
    FourTuple tuple;
    std::uint64_t handle = 0;              ///< packed ConnectionHandle
    std::unique_ptr<SendNotices> notices;  ///< only of who asked for them
    std::unique_ptr<Md5Key> md5;           ///< every segment is signed with it, and must be
    std::uint64_t last_event = 0;          ///< newest record in the flight recorder
    State state = State::closed;

    SendSequenceSpace snd;
    ReceiveSequenceSpace rcv;
    NegotiatedOptions options;

    SendBuffer send;
    RetransmissionQueue retransmission;
    ReceiveBuffer receive;
    Reassembler reassembler;
    WindowTuner window;
    AckPolicy ack;
    RttEstimator rtt;
    Controller controller;
    Recovery recovery;
    Rack rack;
    RateSampler rate;
    Pacer pacer;
    WindowUse window_use;
    TimerTable timers;
    ConnectionOptions user;
    Counters counters;
    Telemetry telemetry;
    std::unique_ptr<MtuSearch> mtu_search;  ///< once the path's MTU is in question
    std::unique_ptr<FastOpen> fast_open;    ///< until the handshake is over, and rarely
    std::unique_ptr<Ecn> ecn;               ///< only where it was asked for or agreed on

    std::uint32_t path_mtu = 1500;
    std::uint16_t acked_packet = 0;  ///< the largest IP packet that has got through
    std::uint32_t send_room = 0;     ///< octets that the send buffer has grown to; 0: not yet
    std::uint32_t receive_limit =
        65'535;     ///< what the window may offer now; grows while the reader keeps up
    Seq64 fin_seq;  ///< the number of the peer's FIN once it is known to come
    Instant opened_at;
    Instant last_data_sent;
    Instant last_received;       ///< for keep-alive: anything acceptable from the peer
    Errc error = Errc::ok;       ///< pending for the user, taken once
    Errc soft_error = Errc::ok;  ///< what a soft ICMP error said; reported if R2 is reached
    ErrorReport::Reason report = ErrorReport::Reason::none;  ///< waits for the user
    Instant
        last_invalid_ack;  ///< last ACK in answer to an unacceptable segment (tcp_invalid_ratelimit)
    SackBlock duplicate{};       ///< D-SACK to report (RFC 2883), with `duplicate_pending`
    Decision last_hold{};        ///< the reason for not sending last written down
    std::uint64_t listener = 0;  ///< packed ListenerHandle until accepted, 0 otherwise
    UrgentMark urgent_mark = UrgentMark::none;
    std::byte urgent_octet{};
    std::uint8_t probes_out = 0;  ///< zero-window or keep-alive probes without an answer
    std::uint8_t syn_transmissions = 0;
    FastOpenFailure fast_open_failure = FastOpenFailure::none;

    bool passive : 1 = false;  ///< came from a listener
    bool embryo : 1 = false;   ///< in SYN-RECEIVED under a listener, unknown to any user
    bool orphan : 1 = false;   ///< the user has closed it
    bool detached : 1 =
        false;  ///< no longer on the wire (CLOSED or TIME-WAIT table); the user may still read
    bool fin_queued : 1 = false;  ///< CLOSE or shutdown: a FIN follows the data
    bool fin_sent : 1 = false;
    bool fin_received : 1 = false;      ///< in sequence: the stream from the peer is over
    bool fin_known : 1 = false;         ///< `fin_seq` is set (it may lie beyond a gap)
    bool receive_shutdown : 1 = false;  ///< the user wants no more data
    bool urgent_to_send : 1 = false;    ///< snd.up is valid and not yet acknowledged
    bool push_hold : 1 = false;         ///< MSG_MORE: the tail waits for company
    bool override_hold : 1 = false;     ///< SWS/cork override timer fired: send what there is
    bool probe_due : 1 = false;         ///< the persist timer fired
    bool keepalive_due : 1 = false;
    bool duplicate_pending : 1 = false;
    bool writer_waits : 1 = false;    ///< the user found no room; wake it when there is
    bool reset_due : 1 = false;       ///< a RST with our numbers is to be sent, then all is over
    bool ready_queued : 1 = false;    ///< it stands in the stack's round
    bool event_queued : 1 = false;    ///< its user has an event to take
    bool fast_open_used : 1 = false;  ///< our SYN had the option, or data
    bool syn_data_acked : 1 = false;  ///< the data that came or went with the SYN was taken
    bool ack_deferred : 1 = false;    ///< TCP_DEFER_ACCEPT: the bare ACK of the handshake has come

    Tcb(const TcpConfig& config) : controller(config) {}
    Tcb(const Tcb&) = delete;
    Tcb& operator=(const Tcb&) = delete;

    /// Effective send MSS (RFC 9293 §3.7.1, MUST-16): payload octets of a segment with the usual options.
    [[nodiscard]] std::uint32_t send_mss(const TcpConfig& config) const;
    /// What is left of the D-SACK that is owed (RFC 2883 §4): octets that have been delivered, or are held. Those held may
    /// have been let go of since for want of memory, and nobody may be told that we have them.
    [[nodiscard]] std::optional<SackBlock> duplicate_to_tell() const;
    /// Octets of options on every segment now: timestamps, SACK blocks while there are any, counters of AccECN when
    /// they are due.
    [[nodiscard]] std::uint32_t option_bytes() const;
    /// Data (without SYN and FIN) that waits for its first transmission.
    [[nodiscard]] std::uint64_t unsent() const { return distance(data_nxt(), send.end()); }
    /// SND.NXT as a position in the data: the SYN and FIN hold no data.
    [[nodiscard]] Seq64 data_nxt() const { return std::clamp(snd.nxt, send.begin(), send.end()); }
    /// Greatest octets the send buffer holds now, and those the window may ever offer.
    [[nodiscard]] std::uint32_t send_limit(const TcpConfig& config) const {
        if (user.send_buffer != 0 || !config.send_buffer_autotuning) {
            return user.send_buffer != 0 ? user.send_buffer : config.send_buffer;
        }
        return std::min(std::max(send_room, config.initial_send_buffer), config.send_buffer);
    }
    [[nodiscard]] std::uint32_t receive_limit_max(const TcpConfig& config) const {
        return user.receive_buffer != 0 ? user.receive_buffer : config.receive_buffer;
    }
    /// Room enough that a writer is worth waking: a third of the buffer.
    [[nodiscard]] bool has_send_room(const TcpConfig& config) const {
        return send.size() <= std::uint64_t{send_limit(config)} * 2 / 3 &&
               (user.notsent_lowat == 0 || 2 * unsent() < user.notsent_lowat);
    }
    /// The sequence number our FIN has or will have.
    [[nodiscard]] Seq64 own_fin() const { return send.end(); }
    [[nodiscard]] bool fin_acked() const { return fin_sent && snd.una > own_fin(); }
    /// The room that memory and the reader leave now.
    [[nodiscard]] std::uint64_t window_free() const;
    /// The receive window, before it is rounded for the wire: that room, and what was promised.
    [[nodiscard]] std::uint64_t window_to_offer() const;
    /// The retransmission timeout with its backoff.
    [[nodiscard]] Duration rto(const TcpConfig& config) const;
    /// What a controller may know.
    [[nodiscard]] PathView path_view(const TcpConfig& config, Instant now) const;
    /// The rate at which to send follows the window and the round trip.
    void update_pacing(const TcpConfig& config);
    /// Segments in the network as recovery sees it.
    [[nodiscard]] std::uint32_t in_flight() const;
    /// SACK blocks that a segment has room for beside its other options (RFC 2018 §3).
    [[nodiscard]] std::size_t most_sack_blocks() const {
        if (md5 != nullptr) {
            return options.timestamps ? 0 : 2;
        }
        // Two counters of AccECN take the place of a block.
        const std::size_t most = options.timestamps ? 3 : 4;
        return ecn != nullptr && ecn->must_send_option() ? most - 1 : most;
    }
    /// Gives back what is empty and kept for the next burst (DESIGN §4, lean when idle).
    void release_idle_storage() {
        send.release_idle_storage();
        receive.release_idle_storage();
        retransmission.release_idle_storage();
    }
    /// TSval now.
    [[nodiscard]] std::uint32_t timestamp(Instant now) const {
        return static_cast<std::uint32_t>(now.millis()) + options.ts_offset;
    }
    /// How long ago, in whole milliseconds, we sent the TSval that comes back as `echo`; nothing for one that is older
    /// than ten minutes, or has never been sent.
    [[nodiscard]] std::optional<Duration> time_since_echo(std::uint32_t echo, Instant now) const {
        const auto elapsed = static_cast<std::int32_t>(timestamp(now) - echo);
        const bool sane = elapsed >= 0 && elapsed < 600'000;
        return sane ? std::optional(milliseconds(elapsed)) : std::nullopt;
    }
};

}  // namespace runnel::tcp
