#include "runnel/wire/ethernet.hpp"

#include "runnel/base/check.hpp"
#include "runnel/wire/address_io.hpp"

namespace runnel {

std::optional<EthernetHeader> parse_ethernet(Bytes frame) {
    EthernetHeader header;
    ByteReader reader(frame);
    header.destination = read_mac(reader);
    header.source = read_mac(reader);
    header.ether_type = reader.u16();
    while ((header.ether_type == kEtherTypeVlan || header.ether_type == kEtherTypeServiceVlan) &&
           header.tags.size() < kMaxVlanTags) {
        header.tags.push_back({header.ether_type, reader.u16()});
        header.ether_type = reader.u16();
    }
    if (!reader.ok()) {
        return std::nullopt;
    }
    return header;
}

std::size_t emit_ethernet(const EthernetHeader& header, MutableBytes out) {
    ByteWriter writer(out);
    writer.put(header.destination.bytes);
    writer.put(header.source.bytes);
    for (const VlanTag& tag : header.tags) {
        writer.u16(tag.tag_type);
        writer.u16(tag.control);
    }
    writer.u16(header.ether_type);
    return writer.ok() ? writer.position() : 0;
}

MacAddress group_mac(const IpAddress& group) {
    if (group.is_limited_broadcast()) {
        return MacAddress::broadcast();
    }
    RUNNEL_CHECK(group.is_multicast());
    const Bytes address = group.wire_bytes();
    MacAddress mac;
    if (group.is_v4()) {  // RFC 1112 §6.4: 01-00-5e and the low 23 bits
        mac.bytes = {std::byte{0x01}, std::byte{0x00},
                     std::byte{0x5e}, address[1] & std::byte{0x7f},
                     address[2],      address[3]};
    } else {  // RFC 2464 §7: 33-33 and the low 32 bits
        mac.bytes = {std::byte{0x33}, std::byte{0x33}, address[12],
                     address[13],     address[14],     address[15]};
    }
    return mac;
}

}  // namespace runnel
