// Every parser of packets, one chosen by the first byte: nothing is read out of bounds, what is accepted keeps
// the parser's promises, and a value that was parsed, emitted and parsed again is the same value.
#include <vector>

#include "fuzz/support/checksums.hpp"
#include "fuzz/support/target.hpp"
#include "runnel/wire/arp.hpp"
#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/icmpv4.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/ndp.hpp"
#include "runnel/wire/quoted_datagram.hpp"
#include "runnel/wire/tcp_segment.hpp"
#include "runnel/wire/udp.hpp"
#include "runnel/wire/virtio_net.hpp"

namespace runnel::fuzz {
namespace {

IpAddress host_a() {
    return *parse_ip_address("fd00::1");
}
IpAddress host_b() {
    return *parse_ip_address("ff02::1");
}

bool same(const TcpOptions& a, const TcpOptions& b) {
    return a.mss == b.mss && a.window_scale == b.window_scale &&
           a.sack_permitted == b.sack_permitted && a.timestamps == b.timestamps &&
           a.sack == b.sack && a.fast_open == b.fast_open;
}

void check_tcp(Bytes bytes) {
    const TcpParse first = parse_tcp(bytes);
    if (first.error) {
        return;
    }
    const TcpHeader& header = first.header;
    FUZZ_CHECK(header.header_length >= 20 && header.header_length <= bytes.size());
    FUZZ_CHECK(header.flags.syn() || !(header.options.mss || header.options.window_scale ||
                                       header.options.sack_permitted || header.options.fast_open));
    const std::size_t size = 20 + tcp_options_size(header.options);
    FUZZ_CHECK(size % 4 == 0);
    if (size > 60) {
        return;  // packed tighter than emit_tcp would
    }
    std::vector<std::byte> out(size);
    FUZZ_CHECK(emit_tcp(header, out) == size);
    const TcpParse second = parse_tcp(out);
    FUZZ_CHECK(!second.error);
    const TcpHeader& again = second.header;
    FUZZ_CHECK(again.source_port == header.source_port &&
               again.destination_port == header.destination_port);
    FUZZ_CHECK(again.seq == header.seq && again.ack == header.ack && again.flags == header.flags);
    FUZZ_CHECK(again.window == header.window && again.checksum == header.checksum &&
               again.urgent_pointer == header.urgent_pointer);
    FUZZ_CHECK(again.header_length == size && same(again.options, header.options));
}

void check_ipv4(Bytes bytes) {
    const Ipv4Parse first = parse_ipv4(bytes);
    if (first.error) {
        FUZZ_CHECK(*first.error != Ipv4ParseError::bad_option || first.error_offset >= 20);
        return;
    }
    Ipv4Header header = first.header;
    FUZZ_CHECK(header.header_length >= 20 && header.header_length <= header.total_length);
    FUZZ_CHECK(header.total_length <= bytes.size());
    FUZZ_CHECK(header.fragment_offset + header.payload_length() <= 65'535 - 20);
    header.total_length = static_cast<std::uint16_t>(kIpv4HeaderSize + header.payload_length());
    header.header_length = kIpv4HeaderSize;
    header.source_route = false;
    std::vector<std::byte> out(kIpv4HeaderSize);
    FUZZ_CHECK(emit_ipv4(header, out) == kIpv4HeaderSize);
    const Ipv4Parse second = parse_ipv4(out, header.total_length);
    FUZZ_CHECK(!second.error);
    header.checksum = second.header.checksum;
    FUZZ_CHECK(second.header == header);
}

void check_ipv6(Bytes bytes) {
    const Ipv6Parse first = parse_ipv6(bytes);
    if (first.error) {
        return;
    }
    const Ipv6Header& header = first.header;
    FUZZ_CHECK(header.total_length() <= bytes.size());
    std::vector<std::byte> out(kIpv6HeaderSize);
    FUZZ_CHECK(emit_ipv6(header, out) == kIpv6HeaderSize);
    const Ipv6Parse second = parse_ipv6(out, header.total_length());
    FUZZ_CHECK(!second.error && second.header == header);

    const Ipv6Chain chain = walk_ipv6_chain(bytes, header);
    FUZZ_CHECK(chain.offset <= header.total_length() && chain.next_header_at < chain.offset);
    FUZZ_CHECK(chain.error || chain.answer == Ipv6ChainAnswer::none);
    FUZZ_CHECK(chain.answer == Ipv6ChainAnswer::none ||
               chain.answer_pointer < header.total_length());
    if (!chain.error) {
        FUZZ_CHECK(std::to_integer<std::uint8_t>(bytes[chain.next_header_at]) == chain.protocol);
    }
    if (chain.fragment) {
        std::vector<std::byte> fragment(kIpv6FragmentHeaderSize);
        FUZZ_CHECK(emit_ipv6_fragment(*chain.fragment, fragment) == kIpv6FragmentHeaderSize);
        const Bytes there = bytes.subspan(chain.fragment->header_at, kIpv6FragmentHeaderSize);
        FUZZ_CHECK(fragment[0] == there[0] && load_u32(fragment, 4) == load_u32(there, 4));
        FUZZ_CHECK(load_u16(fragment, 2) == (load_u16(there, 2) & 0xfff9));
    }
}

void check_icmpv4(Bytes bytes) {
    const Icmpv4Parse first = parse_icmpv4(bytes);
    if (first.error) {
        return;
    }
    const Icmpv4Message& message = first.message;
    std::vector<std::byte> out(bytes.size());
    FUZZ_CHECK(emit_icmpv4(message, out) == bytes.size());
    const Icmpv4Parse second = parse_icmpv4(out);
    FUZZ_CHECK(!second.error && second.message.type == message.type &&
               second.message.code == message.code && second.message.rest == message.rest);
    FUZZ_CHECK(
        std::equal(out.begin() + kIcmpHeaderSize, out.end(), bytes.begin() + kIcmpHeaderSize));
    (void)message.is_error();
}

/// What was parsed from `message`, emitted and parsed again.
template <class Value>
void check_ndp(const Icmpv6Message& message, std::optional<Value> (*parse)(const Icmpv6Message&)) {
    const std::optional<Value> first = parse(message);
    if (!first) {
        return;
    }
    std::vector<std::byte> out(512);
    const std::size_t size = emit_ndp(*first, host_a(), host_b(), out);
    FUZZ_CHECK(size >= kIcmpHeaderSize);
    const Icmpv6Parse again = parse_icmpv6(Bytes(out).first(size), host_a(), host_b());
    FUZZ_CHECK(!again.error);
    const std::optional<Value> second = parse(again.message);
    FUZZ_CHECK(second && *second == *first);
}

void check_icmpv6(Bytes bytes) {
    const Icmpv6Parse first = parse_icmpv6(bytes, host_a(), host_b());
    if (first.error) {
        return;
    }
    const Icmpv6Message& message = first.message;
    std::vector<std::byte> out(bytes.size());
    FUZZ_CHECK(emit_icmpv6(message, host_a(), host_b(), out) == bytes.size());
    FUZZ_CHECK(!parse_icmpv6(out, host_a(), host_b()).error);
    FUZZ_CHECK(out[0] == bytes[0] && out[1] == bytes[1] &&
               std::equal(out.begin() + 4, out.end(), bytes.begin() + 4));
    check_ndp(message, &parse_router_solicitation);
    check_ndp(message, &parse_router_advertisement);
    check_ndp(message, &parse_neighbor_solicitation);
    check_ndp(message, &parse_neighbor_advertisement);
    check_ndp(message, &parse_redirect);
}

void check_arp(Bytes bytes) {
    const auto first = parse_arp(bytes);
    if (!first) {
        return;
    }
    std::vector<std::byte> out(kArpPacketSize);
    FUZZ_CHECK(emit_arp(*first, out) == kArpPacketSize);
    FUZZ_CHECK(std::equal(out.begin(), out.end(), bytes.begin()));
}

void check_udp(Bytes bytes) {
    const auto first = parse_udp(bytes);
    if (!first) {
        return;
    }
    FUZZ_CHECK(first->length >= kUdpHeaderSize && first->length <= bytes.size());
    std::vector<std::byte> out(kUdpHeaderSize);
    FUZZ_CHECK(emit_udp(*first, out) == kUdpHeaderSize);
    FUZZ_CHECK(std::equal(out.begin(), out.end(), bytes.begin()));
}

void check_ethernet(Bytes bytes) {
    const auto first = parse_ethernet(bytes);
    if (!first) {
        return;
    }
    FUZZ_CHECK(first->size() <= bytes.size());
    std::vector<std::byte> out(first->size());
    FUZZ_CHECK(emit_ethernet(*first, out) == out.size());
    FUZZ_CHECK(std::equal(out.begin(), out.end(), bytes.begin()));
}

void check_virtio(Bytes bytes) {
    for (const VirtioNetOrder order : {VirtioNetOrder::native, VirtioNetOrder::little}) {
        const auto first = parse_virtio_net(bytes, order);
        if (!first) {
            continue;
        }
        std::vector<std::byte> out(kVirtioNetHeaderSize);
        FUZZ_CHECK(emit_virtio_net(*first, out, order) == kVirtioNetHeaderSize);
        FUZZ_CHECK(parse_virtio_net(out, order) == first);
    }
}

void check_quoted(Bytes bytes) {
    for (const auto& quoted : {parse_quoted_ipv4(bytes), parse_quoted_ipv6(bytes)}) {
        if (!quoted) {
            continue;
        }
        FUZZ_CHECK(quoted->payload.size() < bytes.size());
        FUZZ_CHECK(quoted->payload.empty() || (quoted->payload.data() >= bytes.data() &&
                                               quoted->payload.data() + quoted->payload.size() <=
                                                   bytes.data() + bytes.size()));
        const auto tcp = parse_quoted_tcp(*quoted);
        FUZZ_CHECK(!tcp || quoted->payload.size() >= 8);
        const auto udp = parse_quoted_udp(*quoted);
        FUZZ_CHECK(!udp || quoted->payload.size() >= 4);
        FUZZ_CHECK(!(tcp && udp));
    }
}

void check_repaired(Bytes bytes, void (*check)(Bytes), void (*repair)(MutableBytes)) {
    check(bytes);
    std::vector<std::byte> copy(bytes.begin(), bytes.end());
    repair(copy);
    check(copy);
}

void run(Bytes input) {
    if (input.empty()) {
        return;
    }
    const Bytes bytes = input.subspan(1);
    switch (std::to_integer<unsigned>(input[0]) % 10) {
        case 0: return check_tcp(bytes);
        case 1: return check_repaired(bytes, &check_ipv4, &repair_ipv4_header);
        case 2: return check_ipv6(bytes);
        case 3:
            return check_repaired(bytes, &check_icmpv4,
                                  [](MutableBytes message) { repair_message(message, 2, 0); });
        case 4:
            return check_repaired(bytes, &check_icmpv6, [](MutableBytes message) {
                repair_message(message, 2,
                               pseudo_header_sum(host_a(), host_b(), kProtocolIcmpv6,
                                                 static_cast<std::uint32_t>(message.size())));
            });
        case 5: return check_arp(bytes);
        case 6: return check_udp(bytes);
        case 7: return check_ethernet(bytes);
        case 8: return check_virtio(bytes);
        default: return check_quoted(bytes);
    }
}

}  // namespace
}  // namespace runnel::fuzz

RUNNEL_FUZZ_TARGET(wire, runnel::fuzz::run);
