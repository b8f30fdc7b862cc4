#include "runnel/sim/faults/faults.hpp"

#include <array>

namespace runnel::sim {

namespace {
using Act = Verdict (*)(FaultState&, Passage&);

constexpr Act act_of(FaultKind kind) {
    using namespace faults;
    switch (kind) {
        case FaultKind::drop: return drop;
        case FaultKind::drop_bursts: return drop_bursts;
        case FaultKind::drop_syn:
        case FaultKind::drop_fin:
        case FaultKind::drop_ack:
        case FaultKind::drop_first:
        case FaultKind::drop_last:
        case FaultKind::drop_retransmission: return drop_aimed;
        case FaultKind::duplicate: return duplicate;
        case FaultKind::reorder: return reorder;
        case FaultKind::delay_step: return delay_step;
        case FaultKind::corrupt_bit:
        case FaultKind::corrupt_burst: return corrupt;
        case FaultKind::truncate: return truncate;
        case FaultKind::partition: return partition;
        case FaultKind::icmp_forged: return icmp_forged;
        case FaultKind::strip_options:
        case FaultKind::strip_window_scale: return strip_options;
        case FaultKind::rewrite_sequence: return rewrite_sequence;
        case FaultKind::split_segments: return split_segments;
        case FaultKind::merge_segments: return merge_segments;
        case FaultKind::thin_acks: return thin_acks;
        case FaultKind::mark_ecn: return mark_ecn;
        case FaultKind::bleach_ecn: return bleach_ecn;
        case FaultKind::optimistic_acks: return optimistic_acks;
        case FaultKind::divided_acks: return divided_acks;
        case FaultKind::shrunk_windows: return shrunk_windows;
        case FaultKind::lying_sack: return lying_sack;
        case FaultKind::blind_segments:
        case FaultKind::off_path_segments:
        case FaultKind::on_path_segments: return forged_segments;
        default: return nullptr;
    }
}

constexpr std::array<Act, kFaultKinds> make_table() {
    std::array<Act, kFaultKinds> table{};
    for (std::size_t i = 0; i < kFaultKinds; ++i) {
        table[i] = act_of(static_cast<FaultKind>(i));
    }
    return table;
}
constexpr std::array<Act, kFaultKinds> kActs = make_table();
}  // namespace

bool acts_on_packets(FaultKind kind) {
    return kActs[static_cast<std::size_t>(kind)] != nullptr;
}

Verdict pass_fault(FaultState& fault, Passage& passage) {
    return kActs[static_cast<std::size_t>(fault.spec->kind)](fault, passage);
}

Packet* release_held(FaultState& fault, std::uint64_t token) {
    for (std::size_t i = 0; i < fault.held.size(); ++i) {
        if (fault.held[i].token == token) {
            Packet* packet = fault.held[i].packet;
            fault.held.erase(fault.held.begin() + static_cast<std::ptrdiff_t>(i));
            return packet;
        }
    }
    return nullptr;
}

Conversation* FaultState::find_conversation(const FourTuple& tuple) {
    for (Conversation& one : conversations) {
        if (same(one.tuple, tuple)) {
            return &one;
        }
    }
    return nullptr;
}

Conversation& FaultState::conversation(const FourTuple& tuple) {
    if (Conversation* known = find_conversation(tuple)) {
        return *known;
    }
    if (conversations.size() == kMaxConversations) {
        conversations.erase(conversations.begin());
    }
    Conversation& fresh = conversations.emplace_back();
    fresh.tuple = tuple;
    return fresh;
}

bool is_plain(const Packet& packet) {
    return packet.is_tcp && !packet.damaged && !packet.tcp.flags.urg() &&
           tcp_options_size(packet.tcp.options) + 20 == packet.tcp.header_length;
}

Conversation& follow(FaultState& fault, const Packet& packet) {
    Conversation& talk = fault.conversation(packet.tuple);
    const SeqNum end = packet.tcp.seq + packet.sequence_length();
    if (packet.tcp.flags.syn()) {
        talk.numbers = false;
        talk.sack = packet.tcp.options.sack_permitted;
    }
    if (!talk.numbers || distance(talk.highest, end) > 0) {
        talk.highest = end;
    }
    talk.numbers = true;
    if (packet.tcp.flags.ack()) {
        talk.last_ack = packet.tcp.ack;
        talk.acked = true;
    }
    return talk;
}

void hold(FaultState& fault, Passage& passage, Duration wait) {
    passage.release_in = wait;
    fault.held.push_back(
        {passage.packet, fault.next_token++, static_cast<std::uint8_t>(passage.way)});
}

}  // namespace runnel::sim
