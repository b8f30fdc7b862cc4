// Every parser of the room against bytes that nobody meant to be a packet, and against a kernel's frames
// with bytes changed and cut: nothing may be read out of bounds, and no invariant may be tripped.
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "runnel/base/random.hpp"
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
#include "wire_test.hpp"

namespace runnel {
namespace {

void parse_as_ndp(Bytes bytes) {
    for (const auto type :
         {Icmpv6Message::Type::router_solicitation, Icmpv6Message::Type::router_advertisement,
          Icmpv6Message::Type::neighbor_solicitation, Icmpv6Message::Type::neighbor_advertisement,
          Icmpv6Message::Type::redirect}) {
        const Icmpv6Message message{type, 0, 0, bytes};
        (void)parse_router_solicitation(message);
        (void)parse_router_advertisement(message);
        (void)parse_neighbor_solicitation(message);
        (void)parse_neighbor_advertisement(message);
        (void)parse_redirect(message);
    }
}

/// Feeds `bytes` to every parser; says what must hold of whatever is accepted.
void parse_as_everything(Bytes bytes) {
    if (const auto header = parse_ethernet(bytes)) {
        RC_ASSERT(header->size() <= bytes.size());
    }
    (void)parse_arp(bytes);
    (void)parse_virtio_net(bytes);
    if (const auto udp = parse_udp(bytes)) {
        RC_ASSERT(udp->length <= bytes.size());
    }

    const Ipv4Parse ipv4 = parse_ipv4(bytes);
    if (!ipv4.error) {
        RC_ASSERT(ipv4.header.total_length <= bytes.size());
        RC_ASSERT(ipv4.header.header_length <= ipv4.header.total_length);
    }
    const Ipv6Parse ipv6 = parse_ipv6(bytes);
    if (!ipv6.error) {
        const Ipv6Chain chain = walk_ipv6_chain(bytes, ipv6.header);
        RC_ASSERT(chain.offset <= ipv6.header.total_length());
        RC_ASSERT(chain.next_header_at < chain.offset);
        RC_ASSERT(chain.answer_pointer <= chain.offset + 2048U + 8U);
    }
    const TcpParse tcp = parse_tcp(bytes);
    if (!tcp.error) {
        RC_ASSERT(tcp.header.header_length >= 20 && tcp.header.header_length <= bytes.size());
        RC_ASSERT(tcp_options_size(tcp.header.options) <= 40U + 20U);
    }
    (void)parse_icmpv4(bytes);
    (void)parse_icmpv6(bytes, ip("fd00::1"), ip("fd00::2"));
    parse_as_ndp(bytes);
    for (const auto& quoted : {parse_quoted_ipv4(bytes), parse_quoted_ipv6(bytes)}) {
        if (!quoted) {
            continue;
        }
        RC_ASSERT(quoted->payload.size() <= bytes.size());
        (void)parse_quoted_tcp(*quoted);
        (void)parse_quoted_udp(*quoted);
    }
}

RC_GTEST_PROP(AnyBytes, AreParsedSafely, (const std::vector<std::uint8_t>& raw)) {
    parse_as_everything(exact_copy(std::as_bytes(std::span(raw))));
}

// A kernel's frame, cut and changed, offered from each byte on, so that every header stands at the front.
RC_GTEST_PROP(AnyBytes, ChangedFramesAreParsedSafely, (std::uint64_t seed)) {
    Random random(seed);
    auto frame = hex(kernel_frame::kAll[random.below(std::size(kernel_frame::kAll))]);
    for (std::uint64_t changes = random.below(4); changes > 0; --changes) {
        const std::size_t at = random.below(frame.size());
        frame[at] = random.chance(1, 2) ? static_cast<std::byte>(random.below(256))
                                        : static_cast<std::byte>(random.below(3));
    }
    frame.resize(frame.size() - random.below(random.chance(1, 2) ? 1 : frame.size()));
    for (const std::size_t begin : {0U, 14U, 34U, 54U, 62U}) {
        if (begin <= frame.size()) {
            parse_as_everything(exact_copy(Bytes(frame).subspan(begin)));
        }
    }
}

}  // namespace
}  // namespace runnel
