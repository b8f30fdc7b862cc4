#include "runnel/wire/virtio_net.hpp"

#include <bit>

namespace runnel {

namespace {

bool swaps(VirtioNetOrder order) {
    return order == VirtioNetOrder::little || std::endian::native == std::endian::little;
}

// The cursors are big-endian; these fields are mostly not.
std::uint16_t reorder(std::uint16_t value, VirtioNetOrder order) {
    return swaps(order) ? static_cast<std::uint16_t>((value << 8) | (value >> 8)) : value;
}

}  // namespace

std::optional<Offload> parse_virtio_net(Bytes bytes, VirtioNetOrder order) {
    ByteReader reader(bytes);
    const std::uint8_t flags = reader.u8();
    const std::uint8_t gso_type = reader.u8();
    Offload offload;
    offload.header_length = reorder(reader.u16(), order);
    offload.gso_size = reorder(reader.u16(), order);
    offload.csum_start = reorder(reader.u16(), order);
    offload.csum_offset = reorder(reader.u16(), order);
    if (!reader.ok()) {
        return std::nullopt;
    }
    offload.needs_checksum = (flags & kVirtioNetNeedsChecksum) != 0;
    offload.checksum_valid = (flags & kVirtioNetDataValid) != 0;
    offload.ecn = (gso_type & kVirtioNetGsoEcn) != 0;
    switch (gso_type & ~kVirtioNetGsoEcn) {
        case kVirtioNetGsoNone: offload.gso = Offload::Gso::none; break;
        case kVirtioNetGsoTcpv4: offload.gso = Offload::Gso::tcp_ipv4; break;
        case kVirtioNetGsoTcpv6: offload.gso = Offload::Gso::tcp_ipv6; break;
        default: return std::nullopt;
    }
    if (offload.gso == Offload::Gso::none) {
        offload.ecn = false;
        offload.header_length = 0;
        offload.gso_size = 0;
    } else if (offload.gso_size == 0) {
        return std::nullopt;
    }
    if (!offload.needs_checksum) {
        offload.csum_start = offload.csum_offset = 0;
    }
    return offload;
}

std::size_t emit_virtio_net(const Offload& offload, MutableBytes out, VirtioNetOrder order) {
    std::uint8_t gso_type = kVirtioNetGsoNone;
    if (offload.gso == Offload::Gso::tcp_ipv4) {
        gso_type = kVirtioNetGsoTcpv4;
    }
    if (offload.gso == Offload::Gso::tcp_ipv6) {
        gso_type = kVirtioNetGsoTcpv6;
    }
    if (offload.ecn && gso_type != kVirtioNetGsoNone) {
        gso_type |= kVirtioNetGsoEcn;
    }
    ByteWriter writer(out);
    writer.u8(static_cast<std::uint8_t>((offload.needs_checksum ? kVirtioNetNeedsChecksum : 0) |
                                        (offload.checksum_valid ? kVirtioNetDataValid : 0)));
    writer.u8(gso_type);
    writer.u16(reorder(offload.header_length, order));
    writer.u16(reorder(offload.gso_size, order));
    writer.u16(reorder(offload.csum_start, order));
    writer.u16(reorder(offload.csum_offset, order));
    return writer.ok() ? writer.position() : 0;
}

}  // namespace runnel
