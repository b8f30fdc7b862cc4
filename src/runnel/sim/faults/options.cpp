// Middleboxes that overwrite what they do not like: options of SYNs with NOPs, the ECN field with zeros.
#include "runnel/sim/faults/faults.hpp"

namespace runnel::sim::faults {

namespace {
constexpr std::uint8_t kEnd = 0, kNop = 1, kMss = 2, kWindowScale = 3, kSackPermitted = 4,
                       kTimestamps = 8;

bool unwanted(const Fault& fault, std::uint8_t kind) {
    if (fault.kind == FaultKind::strip_window_scale) {
        return kind == kWindowScale;
    }
    return (kind == kMss && (fault.a & 1) != 0) || (kind == kSackPermitted && (fault.a & 2) != 0) ||
           (kind == kTimestamps && (fault.a & 4) != 0);
}

/// True when there was something to overwrite.
bool overwrite(const Fault& fault, MutableBytes options) {
    bool any = false;
    std::size_t at = 0;
    while (at + 1 < options.size()) {
        const auto kind = std::to_integer<std::uint8_t>(options[at]);
        const auto length = std::to_integer<std::size_t>(options[at + 1]);
        if (kind == kNop) {
            ++at;
            continue;
        }
        if (kind == kEnd || length < 2 || at + length > options.size()) {
            break;
        }
        if (unwanted(fault, kind)) {
            for (std::size_t i = 0; i < length; ++i) {
                options[at + i] = std::byte{kNop};
            }
            any = true;
        }
        at += length;
    }
    return any;
}
}  // namespace

Verdict strip_options(FaultState& fault, Passage& passage) {
    Packet& packet = *passage.packet;
    const bool candidate = packet.is_tcp && !packet.damaged && packet.tcp.flags.syn() &&
                           (!packet.tcp.flags.ack() || fault.spec->b == 1);
    if (candidate && fault.chance()) {
        const MutableBytes options =
            MutableBytes(packet.bytes)
                .subspan(packet.network_header + 20U, packet.tcp.header_length - 20U);
        if (overwrite(*fault.spec, options)) {
            ++fault.times;
            seal(packet);
        }
    }
    return Verdict::pass;
}

Verdict mark_ecn(FaultState& fault, Passage& passage) {
    Packet& packet = *passage.packet;
    const bool capable = (packet.traffic_class & 3) == 1 || (packet.traffic_class & 3) == 2;
    if (!packet.damaged && capable && fault.chance()) {
        ++fault.times;
        (void)mark_congestion(packet);
    }
    return Verdict::pass;
}

Verdict bleach_ecn(FaultState& fault, Passage& passage) {
    Packet& packet = *passage.packet;
    if (!packet.damaged && (packet.traffic_class & 3) != 0 && fault.chance()) {
        ++fault.times;
        set_ecn(packet, 0);
    }
    return Verdict::pass;
}

}  // namespace runnel::sim::faults
