// A network layer by itself for tests: packets and frames in, what it sends and decides out. Time stands
// still unless the test moves it.
#pragma once

#include <gtest/gtest.h>

#include <string_view>
#include <utility>
#include <vector>

#include "runnel/ip/ip_layer.hpp"
#include "runnel/wire/arp.hpp"
#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/icmpv4.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/ndp.hpp"
#include "runnel/wire/tcp_segment.hpp"
#include "runnel/wire/udp.hpp"

namespace runnel::test {

using Packet = std::vector<std::byte>;

inline IpAddress ip(std::string_view text) {
    return *parse_ip_address(text);
}
inline Cidr cidr(std::string_view text) {
    return *parse_cidr(text);
}
inline MacAddress mac(std::uint8_t last) {
    MacAddress address;
    address.bytes = {std::byte{0x02}, std::byte{0}, std::byte{0},
                     std::byte{0},    std::byte{0}, std::byte{last}};
    return address;
}

/// `size` bytes that differ from each other in a way that shows misplacement.
inline Packet pattern(std::size_t size, unsigned seed = 0) {
    Packet bytes(size);
    for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<std::byte>((i * 7 + i / 251 + seed) & 0xff);
    }
    return bytes;
}
inline Packet operator+(Packet a, const Packet& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}
inline Packet part(const Packet& bytes, std::size_t begin, std::size_t size) {
    const auto from = bytes.begin() + static_cast<std::ptrdiff_t>(begin);
    return {from, from + static_cast<std::ptrdiff_t>(size)};
}

inline Packet ipv4(Ipv4Header header, const Packet& payload) {
    header.total_length = static_cast<std::uint16_t>(kIpv4HeaderSize + payload.size());
    Packet packet(kIpv4HeaderSize);
    emit_ipv4(header, packet);
    return packet + payload;
}
inline Packet ipv4(std::string_view source, std::string_view destination, std::uint8_t protocol,
                   const Packet& payload) {
    Ipv4Header header;
    header.source = ip(source);
    header.destination = ip(destination);
    header.protocol = protocol;
    return ipv4(header, payload);
}
inline Packet ipv6(Ipv6Header header, const Packet& payload) {
    header.payload_length = static_cast<std::uint16_t>(payload.size());
    Packet packet(kIpv6HeaderSize);
    emit_ipv6(header, packet);
    return packet + payload;
}
inline Packet ipv6(std::string_view source, std::string_view destination, std::uint8_t next_header,
                   const Packet& payload, std::uint8_t hop_limit = 64) {
    Ipv6Header header;
    header.source = ip(source);
    header.destination = ip(destination);
    header.next_header = next_header;
    header.hop_limit = hop_limit;
    return ipv6(header, payload);
}
/// The packet in either family.
inline Packet packet_of(std::string_view source, std::string_view destination,
                        std::uint8_t protocol, const Packet& payload) {
    return ip(source).is_v4() ? ipv4(source, destination, protocol, payload)
                              : ipv6(source, destination, protocol, payload);
}

inline Packet icmpv4(Icmpv4Message::Type type, std::uint8_t code, std::uint32_t rest,
                     const Packet& body) {
    Packet bytes(kIcmpHeaderSize + body.size());
    emit_icmpv4({type, code, rest, body}, bytes);
    return bytes;
}
inline Packet icmpv6(Icmpv6Message::Type type, std::uint8_t code, std::uint32_t rest,
                     const Packet& body, std::string_view source, std::string_view destination) {
    Packet bytes(kIcmpHeaderSize + body.size());
    emit_icmpv6({type, code, rest, body}, ip(source), ip(destination), bytes);
    return bytes;
}
/// An NDP message in its packet, hop limit 255.
template <class Message>
Packet ndp(const Message& message, std::string_view source, std::string_view destination,
           std::uint8_t hop_limit = 255) {
    Packet bytes(400);
    bytes.resize(emit_ndp(message, ip(source), ip(destination), bytes));
    return ipv6(source, destination, kProtocolIcmpv6, bytes, hop_limit);
}
inline Packet arp(ArpPacket::Operation operation, const MacAddress& sender_mac,
                  std::string_view sender, const MacAddress& target_mac, std::string_view target) {
    Packet bytes(kArpPacketSize);
    emit_arp({operation, sender_mac, ip(sender), target_mac, ip(target)}, bytes);
    return bytes;
}
inline Packet ethernet(const MacAddress& destination, const MacAddress& source,
                       std::uint16_t ether_type, const Packet& payload) {
    EthernetHeader header;
    header.destination = destination;
    header.source = source;
    header.ether_type = ether_type;
    Packet bytes(kEthernetHeaderSize);
    emit_ethernet(header, bytes);
    return bytes + payload;
}
/// A UDP datagram's transport bytes with a right checksum.
inline Packet udp(std::string_view source, std::string_view destination, const Packet& data) {
    const auto length = static_cast<std::uint16_t>(kUdpHeaderSize + data.size());
    Packet bytes(kUdpHeaderSize);
    emit_udp({1111, 2222, length, 0}, bytes);
    bytes = bytes + data;
    const std::uint16_t sum =
        complete_checksum(pseudo_header_sum(ip(source), ip(destination), 17, length), bytes, {});
    ByteWriter(MutableBytes(bytes).subspan(6, 2)).u16(udp_checksum_field(sum));
    return bytes;
}

inline Packet bytes_of(const Frame& frame) {
    const Bytes head = frame.head();
    Packet bytes(head.begin(), head.end());
    for (const Slice& slice : frame.body) {
        bytes.insert(bytes.end(), slice.bytes().begin(), slice.bytes().end());
    }
    return bytes;
}
inline Packet bytes_of(const SliceList& slices) {
    Packet bytes;
    for (const Slice& slice : slices) {
        bytes.insert(bytes.end(), slice.bytes().begin(), slice.bytes().end());
    }
    return bytes;
}

/// A layer with one interface: raw IP, or Ethernet with the MAC address mac(1).
struct Bench {
    BufferPool pool{64u << 20};
    FlightRecorder recorder{4096};
    IpLayer layer;
    Instant now = Instant{} + seconds(1'000);
    std::uint8_t interface = 0;
    std::uint64_t seen = 1;

    static LinkCapabilities raw(std::uint32_t mtu = 1500) {
        LinkCapabilities link;
        link.mtu = mtu;
        return link;
    }
    static LinkCapabilities ethernet_link(std::uint32_t mtu = 1500) {
        LinkCapabilities link = raw(mtu);
        link.layer = LinkLayer::ethernet;
        return link;
    }
    /// No checks, announcements or solicitations of its own, which only some tests are about.
    static IpConfig quiet() {
        IpConfig config;
        config.dad_transmits = 0;
        config.arp_probes = 0;
        config.arp_announcements = 0;
        config.router_solicitations = 0;
        return config;
    }

    explicit Bench(const LinkCapabilities& link = raw(), const IpConfig& config = quiet(),
                   std::vector<std::string_view> addresses = {"10.0.0.1/24", "fd00::1/64"})
        : layer(pool, recorder, config, SipKey{1, 2}) {
        interface = layer.add_interface({"test0", link, mac(1)}).value();
        for (const std::string_view address : addresses) {
            add_address(address);
        }
        forget();
    }

    void add_address(std::string_view text) {
        EXPECT_TRUE(layer.add_address(interface, cidr(text), now).has_value()) << text;
    }
    void forget() {
        layer.pending().clear();
        seen = recorder.next_number();
    }

    Frame frame_of(const Packet& bytes, const Offload& offload = {}) {
        Frame frame;
        frame.interface = interface;
        frame.offload = offload;
        if (!bytes.empty()) {
            frame.body.push_back(pool.copy(bytes));
        }
        return frame;
    }
    InputResult input(const Packet& bytes, const Offload& offload = {}) {
        return layer.input(frame_of(bytes, offload), now);
    }
    /// The same bytes cut into slices of these sizes, the last taking the rest.
    InputResult input_in_slices(const Packet& bytes, const std::vector<std::size_t>& sizes) {
        Frame frame;
        frame.interface = interface;
        std::size_t at = 0;
        for (const std::size_t size : sizes) {
            frame.body.push_back(pool.copy(part(bytes, at, size)));
            at += size;
        }
        if (at < bytes.size()) {
            frame.body.push_back(pool.copy(part(bytes, at, bytes.size() - at)));
        }
        return layer.input(std::move(frame), now);
    }
    /// An IP packet in an Ethernet frame to us, from mac(9).
    InputResult input_ethernet(const Packet& packet, const MacAddress& to = mac(1),
                               const MacAddress& from = mac(9)) {
        const bool v4 = std::to_integer<unsigned>(packet[0]) >> 4 == 4;
        return input(ethernet(to, from, v4 ? kEtherTypeIpv4 : kEtherTypeIpv6, packet));
    }
    InputResult input_arp(const Packet& packet, const MacAddress& from = mac(9)) {
        return input(ethernet(MacAddress::broadcast(), from, kEtherTypeArp, packet));
    }

    /// A transport segment: `head` in the frame's head, `body` as its payload in one slice.
    Decision output(const OutgoingPacket& packet, const Packet& head, const Packet& body = {}) {
        Frame frame;
        std::copy(head.begin(), head.end(), frame.head_space().begin());
        frame.set_head_size(head.size());
        if (!body.empty()) {
            frame.body.push_back(pool.copy(body));
        }
        return layer.output(std::move(frame), packet, now);
    }

    /// What waits for the links, as bytes; taken away.
    std::vector<Packet> take() {
        std::vector<Packet> packets;
        for (const Frame& frame : layer.pending()) {
            packets.push_back(bytes_of(frame));
        }
        layer.pending().clear();
        return packets;
    }
    /// What was decided since the last call.
    std::vector<Decision> decisions() {
        std::vector<Decision> list;
        for (; seen < recorder.next_number(); ++seen) {
            list.push_back(recorder.find(seen)->decision);
        }
        return list;
    }
    /// The only decision since the last call.
    Decision decision() {
        const std::vector<Decision> list = decisions();
        EXPECT_EQ(list.size(), 1U);
        return list.empty() ? Decision::count_ : list.back();
    }
    bool decided(Decision decision) const { return recorder.count(decision) > 0; }
    /// Through all deadlines up to `when`.
    void run_to(Instant when) {
        for (int i = 0; layer.next_timeout() <= when && i < 10'000; ++i) {
            now = std::max(now, layer.next_timeout());
            layer.on_timeout(now);
        }
        EXPECT_GT(layer.next_timeout(), when) << "time doesn't make progress";
        now = when;
    }
};

inline bool nothing(const InputResult& result) {
    return std::holds_alternative<std::monostate>(result);
}
inline std::ostream& operator<<(std::ostream& out, const Packet& packet) {
    return out << packet.size() << " bytes";
}

}  // namespace runnel::test

namespace runnel {
inline void PrintTo(Decision decision, std::ostream* out) {
    *out << (decision < Decision::count_ ? describe(decision).name : "count_");
}
inline void PrintTo(const IpAddress& address, std::ostream* out) {
    *out << to_string(address);
}
}  // namespace runnel
