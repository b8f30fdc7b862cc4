#include "runnel/wire/arp.hpp"

#include "runnel/wire/address_io.hpp"

namespace runnel {

namespace {

constexpr std::uint16_t kHardwareEthernet = 1;
constexpr std::uint16_t kProtocolTypeIpv4 = 0x0800;

}  // namespace

std::optional<ArpPacket> parse_arp(Bytes bytes) {
    ByteReader reader(bytes);
    const std::uint16_t hardware = reader.u16();
    const std::uint16_t protocol = reader.u16();
    const std::uint8_t hardware_length = reader.u8();
    const std::uint8_t protocol_length = reader.u8();
    const std::uint16_t operation = reader.u16();
    ArpPacket packet;
    packet.sender_mac = read_mac(reader);
    packet.sender_ip = IpAddress::v4(reader.u32());
    packet.target_mac = read_mac(reader);
    packet.target_ip = IpAddress::v4(reader.u32());
    if (!reader.ok() || hardware != kHardwareEthernet || protocol != kProtocolTypeIpv4 ||
        hardware_length != 6 || protocol_length != 4) {
        return std::nullopt;
    }
    packet.operation = static_cast<ArpPacket::Operation>(operation);
    if (packet.operation != ArpPacket::Operation::request &&
        packet.operation != ArpPacket::Operation::reply) {
        return std::nullopt;
    }
    return packet;
}

std::size_t emit_arp(const ArpPacket& packet, MutableBytes out) {
    ByteWriter writer(out);
    writer.u16(kHardwareEthernet);
    writer.u16(kProtocolTypeIpv4);
    writer.u8(6);
    writer.u8(4);
    writer.u16(static_cast<std::uint16_t>(packet.operation));
    writer.put(packet.sender_mac.bytes);
    writer.u32(packet.sender_ip.v4_value());
    writer.put(packet.target_mac.bytes);
    writer.u32(packet.target_ip.v4_value());
    return writer.ok() ? writer.position() : 0;
}

}  // namespace runnel
