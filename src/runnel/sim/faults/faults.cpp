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

Conversation& FaultState::conversation(const FourTuple& tuple) {
    for (Conversation& one : conversations) {
        if (one.tuple == tuple) {
            return one;
        }
    }
    if (conversations.size() == kMaxConversations) {
        conversations.erase(conversations.begin());
    }
    Conversation& fresh = conversations.emplace_back();
    fresh.tuple = tuple;
    fresh.used = true;
    return fresh;
}

}  // namespace runnel::sim
