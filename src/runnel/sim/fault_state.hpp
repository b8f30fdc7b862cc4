// A fault in a run: what it remembers, and the door through which packets of a link go past it. Each kind
// stands in a file of faults/; the table in faults/faults.cpp says which function is whose.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "runnel/base/random.hpp"
#include "runnel/sim/packet.hpp"

namespace runnel::sim {

/// What a fault remembers of one direction of a connection.
struct Conversation {
    FourTuple tuple;       ///< as the sender sees it
    bool numbers = false;  ///< `highest` is set
    bool acked = false;    ///< `last_ack` is set
    bool sack = false;     ///< its SYN permitted SACK
    SeqNum first;          ///< the first data octet, once the SYN has passed
    SeqNum highest;        ///< the end of the furthest segment seen
    SeqNum last_ack;       ///< the last acknowledgement seen
    bool syn_seen = false;
};

/// A packet that a fault keeps back until a deadline or a successor frees it.
struct HeldPacket {
    Packet* packet = nullptr;
    std::uint64_t token = 0;
    std::uint8_t way = 0;
};

struct FaultState {
    FaultState(const Fault& fault) : spec(&fault), random(fault.seed) {}

    const Fault* spec;
    Random random;
    bool active = false;
    std::uint64_t times = 0;    ///< how often it has happened
    std::array<bool, 2> bad{};  ///< drop_bursts: the state of each direction
    std::uint64_t next_token = 1;
    std::vector<Conversation> conversations;
    std::vector<HeldPacket> held;

    [[nodiscard]] bool chance() { return random.chance(spec->intensity, 1'000'000); }
    /// 1..most, 0 for a `most` below 1.
    [[nodiscard]] Duration up_to(std::int64_t most) {
        return most < 1 ? Duration{}
                        : Duration{static_cast<std::int64_t>(
                              random.below(static_cast<std::uint64_t>(most)) + 1)};
    }
    /// The conversation of a TCP packet's sender; the oldest makes room when there are kMaxConversations.
    [[nodiscard]] Conversation& conversation(const FourTuple& tuple);
    /// The same if there is one.
    [[nodiscard]] Conversation* find_conversation(const FourTuple& tuple);
    static constexpr std::size_t kMaxConversations = 64;
};

enum class Verdict : std::uint8_t {
    pass,
    drop,
    held,  ///< the fault keeps the packet; it comes back by `release`
};

/// An additional packet that a fault puts on the link.
struct Extra {
    Packet* packet = nullptr;
    Duration later = {};
    bool backwards = false;  ///< the other way of the link
};

/// A packet in front of one fault.
struct Passage {
    Packet* packet;
    unsigned way;  ///< 0 from the link's a to b
    Instant now;
    PacketPool& pool;
    std::vector<Extra>& extras;
    std::uint32_t mtu = 1500;  ///< of the link
    Duration later = {};       ///< added to the packet's flight; grows
    Duration release_in = {};  ///< with Verdict::held: when to ask again
};

/// A segment that may be rewritten: whole, undamaged, with no option or flag that would be lost on the way.
[[nodiscard]] bool is_plain(const Packet& packet);
/// The name of the other direction.
[[nodiscard]] inline FourTuple reversed(const FourTuple& tuple) {
    return {tuple.remote, tuple.local};
}
/// Octets from `from` to `to`, negative when `to` lies before: the two are near each other.
[[nodiscard]] inline std::int32_t distance(SeqNum from, SeqNum to) {
    return static_cast<std::int32_t>(to.value - from.value);
}
/// Learns from a passing segment: its sender's furthest octet, last acknowledgement, SYN.
Conversation& follow(FaultState& fault, const Packet& packet);
/// The next token, for a packet to be held under.
void hold(FaultState& fault, Passage& passage, Duration wait);

/// Shows the packet to the fault. Counts in `times` when it did something.
[[nodiscard]] Verdict pass_fault(FaultState& fault, Passage& passage);
/// The held packet with that token, or nullptr when a successor has freed it meanwhile.
[[nodiscard]] Packet* release_held(FaultState& fault, std::uint64_t token);

/// Whether the kind acts on single packets of a link (else on the link, a host or a flow as a whole).
[[nodiscard]] bool acts_on_packets(FaultKind kind);

}  // namespace runnel::sim
