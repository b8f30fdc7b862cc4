// What the checkers remember of one connection of one host: what its packets have said and what the peer's
// packets that reached it have said, learnt from the packets alone.
#pragma once

#include <cstdint>
#include <vector>

#include "runnel/sim/packet.hpp"
#include "runnel/tcp/recovery/recovery.hpp"
#include "runnel/tcp/seq64.hpp"
#include "runnel/tcp/state.hpp"

namespace runnel::sim::check {

struct SentRange {
    tcp::Seq64 begin;
    tcp::Seq64 end;
};

/// Where CUBIC's curve began, as its window showed.
struct CubicShadow {
    std::uint32_t window = 0;  ///< at the last look; 0: none
    std::uint32_t threshold = 0;
    std::uint32_t peak = 0;   ///< before the reduction; 0: not known
    std::uint32_t from = 0;   ///< after it
    Instant since;            ///< when the reduction was over, on the host's clock
    tcp::Seq64 point;         ///< until which it repairs
    std::uint32_t prior = 0;  ///< the controller's word for the window before
    std::uint32_t undone = 0;
    std::uint32_t out = 0;  ///< segments, at the last look
    bool repairing = false;
};

/// What is on its way, from the wire alone: each range with the time it was sent last, and what the peer has told of.
struct FlightShadow {
    struct Range {
        tcp::Seq64 begin, end;
        Instant sent;        ///< last, on the host's clock
        bool again = false;  ///< more than once
    };
    std::vector<Range> ranges;    ///< disjoint, ascending
    std::vector<SentRange> told;  ///< by SACK blocks, disjoint, ascending
    Instant delivered;            ///< when the newest of what has arrived was sent
    tcp::Seq64 exempt;            ///< below, a timeout or a smaller path may have made losses
    bool unknown = false;         ///< too much to remember, or damage may have told something
};

/// What a sender stood at before the packet at hand, and where it reduced last.
struct ReactionShadow {
    std::uint32_t window = 0, threshold = 0;  ///< 0: not yet seen
    std::uint32_t undone = 0;                 ///< reductions taken back
    std::uint32_t marked = 0;                 ///< AccECN: segments that it knew to be marked
    tcp::RecoveryState state = tcp::RecoveryState::open;
    tcp::Seq64 point;    ///< the end of what had been sent when the threshold fell last
    tcp::Seq64 claimed;  ///< the same, as the sender has it
};

/// What timestamps and numbers stood at before the packet at hand.
struct PawsShadow {
    bool agreed = false;  ///< on timestamps, by both SYNs
    bool refused =
        false;  ///< an ACK may have been lost on the spot, so that the wire has not seen it
    std::uint32_t recent = 0;
    Instant since;       ///< when the recent one came, or was heard again
    tcp::Seq64 nxt;      ///< RCV.NXT
    tcp::Seq64 highest;  ///< the end of what waits behind a gap; 0: nothing
};

struct Shadow {
    std::uint64_t handle = 0;  ///< packed ConnectionHandle; 0: none yet
    FourTuple tuple;
    bool known = false;    ///< the fields below are set
    bool touched = false;  ///< it stands in the list of those to look at when the host has settled
    tcp::State state = tcp::State::closed;  ///< as the records say
    bool state_known = false;

    // What it has sent.
    tcp::Seq64 iss;
    tcp::Seq64 highest;  ///< after the last number ever sent
    bool fin_sent = false;
    tcp::Seq64 fin;  ///< its number
    bool ack_sent = false;
    tcp::Seq64 acked;  ///< the greatest acknowledgement it has sent
    tcp::Seq64 edge;   ///< the greatest right edge it has promised
    bool scale_sent = false;
    std::uint8_t own_scale = 0;
    /// Numbers above `peer_acked` that were sent more than once, disjoint and ascending.
    std::vector<SentRange> repeated;
    bool repeated_unknown = false;  ///< too many to remember
    bool new_data = false;          ///< since the host settled last

    bool ecn_asked = false;    ///< a SYN of its own has said something about ECN
    bool ecn_unknown = false;  ///< the SYNs have left no trace, or damage may have marked something

    // What has reached it.
    bool ecn_heard = false;   ///< and one of the peer's
    std::uint64_t marks = 0;  ///< segments with text that came marked CE
    bool scale_seen = false;
    std::uint8_t peer_scale = 0;
    bool syn_seen = false;
    tcp::Seq64 peer_acked;  ///< the greatest acknowledgement of something that was sent
    tcp::Seq64 peer_edge;   ///< the greatest right edge the peer has offered
    bool owes_ack = false;
    Instant owes_since;      ///< on the host's clock
    std::uint64_t held = 0;  ///< octets in its buffers

    // At the last look.
    tcp::Seq64 una;
    Duration smoothed = {}, variation = {};
    std::uint64_t reassembling = 0;  ///< octets that wait behind a gap
    std::uint32_t mss = 0;           ///< the least since something new was acknowledged
    CubicShadow cubic;
    FlightShadow flight;
    ReactionShadow reaction;
    PawsShadow paws;
};

}  // namespace runnel::sim::check
