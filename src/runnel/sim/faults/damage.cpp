// Packets that arrive damaged. One bit, or a burst of at most 15 bits, is what the internet checksum is
// bound to catch (a ones' complement sum of 16-bit words sees every burst shorter than a word), and a
// missing end is what the lengths tell; so nothing of this may ever reach a user.
#include <algorithm>

#include "runnel/sim/faults/faults.hpp"

namespace runnel::sim::faults {

namespace {
void invert(Packet& packet, std::size_t bit) {
    packet.bytes[bit / 8] ^= std::byte{0x80} >> static_cast<unsigned>(bit % 8);
}
}  // namespace

Verdict corrupt(FaultState& fault, Passage& passage) {
    Packet& packet = *passage.packet;
    // What has been damaged once is left alone: two errors may hide each other from any sum. Fragments
    // of IPv6 have a header that no checksum covers.
    if (packet.damaged || !packet.is_tcp || !fault.chance()) {
        return Verdict::pass;
    }
    ++fault.times;
    const std::size_t bits = packet.bytes.size() * 8;
    if (fault.spec->kind == FaultKind::corrupt_bit) {
        invert(packet, fault.random.below(bits));
    } else {
        // Its first and last bits are wrong, those between by chance.
        const std::size_t length = 2 + fault.random.below(14);
        const std::size_t first = fault.random.below(bits - length + 1);
        const std::uint64_t chance = fault.random.next();
        for (std::size_t i = 0; i < length; ++i) {
            if (i == 0 || i + 1 == length || ((chance >> i) & 1) != 0) {
                invert(packet, first + i);
            }
        }
    }
    packet.damaged = true;
    return Verdict::pass;
}

Verdict truncate(FaultState& fault, Passage& passage) {
    Packet& packet = *passage.packet;
    if (packet.damaged || packet.bytes.size() < 2 || !fault.chance()) {
        return Verdict::pass;
    }
    ++fault.times;
    packet.bytes.resize(1 + fault.random.below(packet.bytes.size() - 1));
    packet.damaged = true;
    return Verdict::pass;
}

}  // namespace runnel::sim::faults
