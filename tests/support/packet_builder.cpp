#include "support/packet_builder.hpp"

#include <gtest/gtest.h>

#include "runnel/base/checksum.hpp"
#include "runnel/report/pcapng_format.hpp"
#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/icmpv4.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel::report::test {

Octets octets(std::initializer_list<int> values) {
    Octets bytes;
    for (const int value : values) {
        bytes.push_back(static_cast<std::byte>(value));
    }
    return bytes;
}

Octets joined(std::initializer_list<Octets> parts) {
    Octets bytes;
    for (const Octets& part : parts) {
        bytes.insert(bytes.end(), part.begin(), part.end());
    }
    return bytes;
}

Octets ip_packet(const IpAddress& source, const IpAddress& destination, std::uint8_t protocol,
                 const Octets& payload) {
    Octets packet(source.is_v4() ? kIpv4HeaderSize : kIpv6HeaderSize);
    if (source.is_v4()) {
        Ipv4Header header;
        header.total_length = static_cast<std::uint16_t>(packet.size() + payload.size());
        header.protocol = protocol;
        header.source = source;
        header.destination = destination;
        emit_ipv4(header, packet);
    } else {
        Ipv6Header header;
        header.payload_length = static_cast<std::uint16_t>(payload.size());
        header.next_header = protocol;
        header.source = source;
        header.destination = destination;
        emit_ipv6(header, packet);
    }
    packet.insert(packet.end(), payload.begin(), payload.end());
    return packet;
}

Octets tcp_packet(const Endpoint& source, const Endpoint& destination, TcpHeader header,
                  std::size_t payload_size, char fill) {
    header.source_port = source.port;
    header.destination_port = destination.port;
    header.checksum = 0;
    Octets segment(60 + payload_size, static_cast<std::byte>(fill));
    const std::size_t size = emit_tcp(header, segment);
    segment.resize(size + payload_size);
    ChecksumAccumulator sum(pseudo_header_sum(source.address, destination.address, kProtocolTcp,
                                              static_cast<std::uint32_t>(segment.size())));
    sum.add(segment);
    ByteWriter(MutableBytes(segment).subspan(16)).u16(sum.finish());
    return ip_packet(source.address, destination.address, kProtocolTcp, segment);
}

Octets in_ethernet(const Octets& packet, std::uint16_t ether_type) {
    EthernetHeader header;
    header.ether_type = ether_type;
    Octets frame(header.size());
    emit_ethernet(header, frame);
    frame.insert(frame.end(), packet.begin(), packet.end());
    return frame;
}

Scene::Scene(Endpoint left, Endpoint right) : ends_{left, right} {}

Scene& Scene::after_us(std::int64_t microseconds) {
    now_ += microseconds * 1000;
    return *this;
}

Scene& Scene::raw(Octets packet) {
    packets_.push_back(std::move(packet));
    times_.push_back(now_);
    interfaces_.push_back(0);
    comments_.emplace_back();
    return *this;
}

Scene& Scene::add(End from, const Say& say) {
    const std::uint32_t iss[2] = {kLeftIss, kRightIss};
    TcpHeader header;
    header.seq.value = iss[index_of(from)] + static_cast<std::uint32_t>(say.seq);
    for (const char letter : say.flags) {
        switch (letter) {
            case 'S': header.flags.bits |= TcpFlags::kSyn; break;
            case 'F': header.flags.bits |= TcpFlags::kFin; break;
            case 'R': header.flags.bits |= TcpFlags::kRst; break;
            case 'P': header.flags.bits |= TcpFlags::kPsh; break;
            case 'A': header.flags.bits |= TcpFlags::kAck; break;
            case 'U': header.flags.bits |= TcpFlags::kUrg; break;
            case 'E': header.flags.bits |= TcpFlags::kEce; break;
            case 'C': header.flags.bits |= TcpFlags::kCwr; break;
            case 'N': header.flags.bits |= TcpFlags::kAe; break;
            default: ADD_FAILURE() << "no such flag: " << letter;
        }
    }
    if (header.flags.ack()) {
        header.ack.value = iss[index_of(other(from))] + static_cast<std::uint32_t>(say.ack);
    }
    header.window = say.window;
    header.options = say.options;
    header.urgent_pointer = say.urgent_pointer;
    return raw(tcp_packet(ends_[index_of(from)], ends_[index_of(other(from))], header, say.length,
                          say.fill));
}

Scene& Scene::handshake() {
    TcpOptions options;
    options.mss = 1460;
    options.sack_permitted = true;
    options.window_scale = 2;
    left({.flags = "S", .window = 64000, .options = options}).after_us(50);
    right({.flags = "SA", .ack = 1, .window = 65000, .options = options}).after_us(50);
    return left({.flags = "A", .seq = 1, .ack = 1}).after_us(50);
}

Scene& Scene::comment(std::string text) {
    comments_.back().push_back(std::move(text));
    return *this;
}

Scene& Scene::corrupt() {
    packets_.back().back() ^= std::byte{1};
    return *this;
}

Scene& Scene::ecn_ce() {
    packets_.back()[1] |= std::byte{3};
    return *this;
}

Scene& Scene::interface(std::uint32_t number) {
    interfaces_.back() = number;
    return *this;
}

Scene& Scene::icmp_error(const IpAddress& reporter, std::uint8_t type, std::uint8_t code,
                         std::uint32_t rest, std::size_t index) {
    const Octets& about = packets_.at(index);
    const IpAddress source = reporter.is_v4() ? IpAddress::from_bytes(Bytes(about).subspan(12, 4))
                                              : IpAddress::from_bytes(Bytes(about).subspan(8, 16));
    Octets body(8 + about.size());
    if (reporter.is_v4()) {
        Icmpv4Message message;
        message.type = static_cast<Icmpv4Message::Type>(type);
        message.code = code;
        message.rest = rest;
        message.body = Bytes(about).first(28);
        body.resize(emit_icmpv4(message, body));
        return raw(ip_packet(reporter, source, kProtocolIcmpv4, body));
    }
    const auto message =
        Icmpv6Message::error(static_cast<Icmpv6Message::Type>(type), code, rest, about);
    body.resize(emit_icmpv6(message, reporter, source, body));
    return raw(ip_packet(reporter, source, kProtocolIcmpv6, body));
}

Capture Scene::capture() const {
    Capture capture;
    capture.interfaces.resize(2);
    for (CaptureInterface& interface : capture.interfaces) {
        interface.link_type = kLinkRaw;
    }
    for (std::size_t i = 0; i < packets_.size(); ++i) {
        CapturedPacket& packet = capture.packets.emplace_back();
        packet.time_ns = times_[i];
        packet.interface = interfaces_[i];
        packet.link_type = kLinkRaw;
        packet.bytes = packets_[i];
        packet.original_length = static_cast<std::uint32_t>(packets_[i].size());
        for (const std::string& comment : comments_[i]) {
            packet.comments.push_back(comment);
        }
    }
    return capture;
}

Conversation Scene::conversation() const {
    Conversations found = find_conversations(capture());
    EXPECT_EQ(found.list.size(), 1U);
    return found.list.empty() ? Conversation{} : found.list.front();
}

}  // namespace runnel::report::test
