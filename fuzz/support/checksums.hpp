// Checksums (and, where asked, lengths) of a packet made right after its bytes were changed, so that mutations
// get past the first check of every layer. Works on damaged packets too: what can't be found is left alone.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "runnel/base/bytes.hpp"
#include "runnel/base/checksum.hpp"
#include "runnel/wire/address.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/tcp_segment.hpp"

namespace runnel::fuzz {

inline std::uint16_t load_u16(Bytes bytes, std::size_t at) {
    return static_cast<std::uint16_t>(std::to_integer<unsigned>(bytes[at]) << 8 |
                                      std::to_integer<unsigned>(bytes[at + 1]));
}
inline std::uint32_t load_u32(Bytes bytes, std::size_t at) {
    return std::uint32_t{load_u16(bytes, at)} << 16 | load_u16(bytes, at + 2);
}
inline void store_u16(MutableBytes bytes, std::size_t at, std::uint16_t value) {
    bytes[at] = static_cast<std::byte>(value >> 8);
    bytes[at + 1] = static_cast<std::byte>(value & 0xff);
}
inline void store_u32(MutableBytes bytes, std::size_t at, std::uint32_t value) {
    store_u16(bytes, at, static_cast<std::uint16_t>(value >> 16));
    store_u16(bytes, at + 2, static_cast<std::uint16_t>(value));
}

/// Where the checksum field of a transport stands in its header, or nothing.
inline std::size_t checksum_offset(std::uint8_t protocol) {
    switch (protocol) {
        case kProtocolTcp: return 16;
        case kProtocolUdp: return 6;
        case kProtocolIcmpv4:
        case kProtocolIcmpv6: return 2;
        default: return 0;
    }
}

/// Fills in a checksum over `message`, begun from `sum`.
inline void repair_message(MutableBytes message, std::size_t offset, std::uint16_t sum) {
    if (offset == 0 || offset + 2 > message.size()) {
        return;
    }
    store_u16(message, offset, 0);
    ChecksumAccumulator accumulator(sum);
    accumulator.add(message);
    store_u16(message, offset, accumulator.finish());
}

inline void repair_ipv4_header(MutableBytes packet) {
    if (packet.size() < 20) {
        return;
    }
    const std::size_t header = (std::to_integer<std::size_t>(packet[0]) & 15) * 4;
    if (header < 20 || header > packet.size()) {
        return;
    }
    store_u16(packet, 10, 0);
    store_u16(packet, 10, internet_checksum(packet.first(header)));
}

inline void repair_ipv4(MutableBytes packet, bool lengths) {
    if (packet.size() < 20) {
        return;
    }
    const std::size_t header = (std::to_integer<std::size_t>(packet[0]) & 15) * 4;
    if (lengths) {
        store_u16(packet, 2, static_cast<std::uint16_t>(packet.size()));
    }
    repair_ipv4_header(packet);
    const std::size_t total = std::min<std::size_t>(load_u16(packet, 2), packet.size());
    if (header < 20 || header > total) {
        return;
    }
    const auto protocol = std::to_integer<std::uint8_t>(packet[9]);
    MutableBytes message = packet.subspan(header, total - header);
    if (lengths && protocol == kProtocolUdp && message.size() >= 8) {
        store_u16(message, 4, static_cast<std::uint16_t>(message.size()));
    }
    const std::uint16_t sum = protocol == kProtocolIcmpv4
                                  ? std::uint16_t{0}
                                  : pseudo_header_sum(IpAddress::v4(load_u32(packet, 12)),
                                                      IpAddress::v4(load_u32(packet, 16)), protocol,
                                                      static_cast<std::uint32_t>(message.size()));
    repair_message(message, checksum_offset(protocol), sum);
}

inline IpAddress ipv6_address(Bytes packet, std::size_t at) {
    std::array<std::byte, 16> bytes{};
    std::copy_n(packet.begin() + static_cast<std::ptrdiff_t>(at), 16, bytes.begin());
    return IpAddress::v6(bytes);
}

inline void repair_ipv6(MutableBytes packet, bool lengths) {
    if (packet.size() < 40) {
        return;
    }
    if (lengths) {
        store_u16(packet, 4, static_cast<std::uint16_t>(packet.size() - 40));
    }
    const std::size_t total = std::min<std::size_t>(load_u16(packet, 4) + 40U, packet.size());
    auto protocol = std::to_integer<std::uint8_t>(packet[6]);
    std::size_t at = 40;
    while ((protocol == kProtocolHopByHop || protocol == kProtocolDestinationOptions ||
            protocol == kProtocolRouting || protocol == kProtocolFragment) &&
           at + 8 <= total) {
        const std::size_t size = protocol == kProtocolFragment
                                     ? 8
                                     : (std::to_integer<std::size_t>(packet[at + 1]) + 1) * 8;
        protocol = std::to_integer<std::uint8_t>(packet[at]);
        at += size;
    }
    const IpAddress source = ipv6_address(packet, 8);
    const IpAddress destination = ipv6_address(packet, 24);
    if (at > total || source.is_v4() || destination.is_v4()) {
        return;
    }
    MutableBytes message = packet.subspan(at, total - at);
    if (lengths && protocol == kProtocolUdp && message.size() >= 8) {
        store_u16(message, 4, static_cast<std::uint16_t>(message.size()));
    }
    repair_message(message, checksum_offset(protocol),
                   pseudo_header_sum(source, destination, protocol,
                                     static_cast<std::uint32_t>(message.size())));
}

/// A bare IP packet; with `lengths` its length fields are made those of `packet` too.
inline void repair_packet(MutableBytes packet, bool lengths) {
    if (packet.empty()) {
        return;
    }
    switch (std::to_integer<unsigned>(packet[0]) >> 4) {
        case 4: return repair_ipv4(packet, lengths);
        case 6: return repair_ipv6(packet, lengths);
        default: return;
    }
}

/// The IP packet in an Ethernet frame (tags skipped), or nothing.
inline MutableBytes packet_of_frame(MutableBytes frame) {
    std::size_t at = 12;
    for (int tags = 0; tags < 2 && at + 6 <= frame.size(); ++tags) {
        const std::uint16_t type = load_u16(frame, at);
        if (type != 0x8100 && type != 0x88a8) {
            break;
        }
        at += 4;
    }
    return at + 2 <= frame.size() ? frame.subspan(at + 2) : MutableBytes{};
}

}  // namespace runnel::fuzz
