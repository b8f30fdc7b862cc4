// The reference TCP's own transmission control block (RFC 9293 §3.3.1), and what goes into and comes out of
// an event. Nothing here is shared with the engine but the wire formats: a second opinion must be able to
// disagree. Slow and obvious: 64-bit numbers, std::map, copies.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/wire/tcp_segment.hpp"

namespace runnel::model {

/// A sequence number without a wrap: the wire's 32 bits are its lowest.
using Number = std::int64_t;

/// Where a space of numbers begins: high enough that nothing near it is negative.
constexpr Number first_number(std::uint32_t wire) {
    return (Number{1} << 40) + wire;
}
constexpr std::uint32_t wire_number(Number n) {
    return static_cast<std::uint32_t>(static_cast<std::uint64_t>(n));
}
/// Of all numbers with these 32 bits the one nearest to `near`; of two equally near the lower.
constexpr Number unwrap_number(std::uint32_t wire, Number near) {
    constexpr Number kRound = Number{1} << 32;
    const Number same_round = near - near % kRound + wire;
    Number best = same_round - kRound;
    for (const Number candidate : {same_round, same_round + kRound}) {
        const Number far_best = near > best ? near - best : best - near;
        const Number far_this = near > candidate ? near - candidate : candidate - near;
        if (far_this < far_best) {
            best = candidate;
        }
    }
    return best;
}

/// RFC 9293 §3.3.2.
enum class State : std::uint8_t {
    closed,
    listen,
    syn_sent,
    syn_received,
    established,
    fin_wait_1,
    fin_wait_2,
    close_wait,
    closing,
    last_ack,
    time_wait,
};
[[nodiscard]] std::string_view name_of(State state);

/// What the user is told (§3.10): signals of arriving segments, and answers to calls.
enum class Signal : std::uint8_t {
    none,
    reset,          ///< "connection reset"
    refused,        ///< "connection refused"
    ok,             ///< the call was carried out
    waits,          ///< the call is queued: RECEIVE without data
    closing,        ///< "connection closing": for RECEIVE the end of the stream
    no_connection,  ///< "connection does not exist"
    exists,         ///< "connection already exists"
};
[[nodiscard]] std::string_view name_of(Signal signal);

/// Timers that run, a bit each.
struct Timers {
    static constexpr unsigned kRetransmission = 1, kPersist = 2, kDelayedAck = 4, kKeepalive = 8,
                              kFinWait2 = 16, kTimeWait = 32;
};
[[nodiscard]] std::string names_of_timers(unsigned timers);

/// The TCB.
struct Block {
    State state = State::closed;
    bool passive = false;    ///< it came from a passive OPEN
    bool listening = false;  ///< a passive OPEN stands for its socket

    // Send Sequence Variables
    Number iss = 0, una = 0, nxt = 0, wnd = 0, max_wnd = 0, wl1 = 0, wl2 = 0;
    std::string unsent;  ///< what the user has SENT and has not been transmitted
    bool fin_wanted = false, fin_sent = false;
    std::int64_t mss = 536;  ///< Eff.snd.MSS: octets of text in a full segment (§3.7.1)
    unsigned send_scale = 0;

    // Receive Sequence Variables
    Number irs = 0, rcv_nxt = 0;
    Number edge = 0;                     ///< RCV.NXT + RCV.WND as the peer knows it
    std::int64_t segment_size = 536;     ///< what the peer calls a full segment, as far as we know
    std::map<Number, std::string> held;  ///< text beyond a gap, by the number of its first octet
    std::optional<Number> fin_at;  ///< the number of the peer's FIN, once one was in the window
    bool fin_received = false;
    std::optional<Number> urgent;  ///< RCV.UP: the octet after the urgent data

    // RFC 7323
    bool timestamps = false;
    std::uint32_t ts_recent = 0;
    Number last_ack_sent = 0;

    // The user
    std::string unread;      ///< delivered, and not yet RECEIVEd
    bool user_gone = false;  ///< CLOSEd both ways: nobody will ever read
    bool keepalive = false;
    /// The ISS that the host's generator (RFC 6528) gives to the next connection that begins here.
    std::uint32_t next_iss = 0;

    bool operator==(const Block&) const = default;
};

/// A segment that arrives: SEG.SEQ and so on stand in the header, as on the wire.
struct Segment {
    TcpHeader header;
    std::string_view text;
};

/// A segment that leaves.
struct Reply {
    std::uint16_t flags = 0;  ///< TcpFlags, without PSH
    std::uint32_t seq = 0;
    std::uint32_t ack = 0;  ///< 0 without ACK
    std::size_t length = 0;
    std::optional<std::uint32_t> echo;  ///< TSecr where timestamps are on

    bool operator==(const Reply&) const = default;
};

/// One thing that a conforming TCP may do.
struct Outcome {
    Block next;
    std::vector<Reply> replies;
    std::string delivered;  ///< handed to the user by this event
    unsigned timers = 0;
    Signal signal = Signal::none;
    bool urgent = false;  ///< the user is told that urgent data is coming
    std::string clauses;  ///< which SHOULD, MAY or practice was used; empty for the RFC's own words

    [[nodiscard]] bool same_as(const Outcome& other) const {
        return next == other.next && replies == other.replies && delivered == other.delivered &&
               timers == other.timers && signal == other.signal && urgent == other.urgent;
    }
};

/// All that is allowed; the first is what the RFC says where no option is taken.
using Outcomes = std::vector<Outcome>;

}  // namespace runnel::model
