#include "runnel/wire/ipv6.hpp"

#include <algorithm>
#include <array>

#include "runnel/base/check.hpp"
#include "runnel/wire/address_io.hpp"
#include "runnel/wire/ip_protocol.hpp"

namespace runnel {

namespace {

constexpr std::uint16_t kMaxPayload = 65'535;
constexpr std::uint8_t kOptionPad1 = 0, kOptionPadN = 1;

// Every extension header but the fragment header begins with Next Header and its length in units of eight
// bytes, the first eight not counted (RFC 8200 §4.3).
constexpr std::size_t extension_size(std::uint8_t length_field) {
    return (length_field + 1U) * 8U;
}

/// What the first fragment must hold of the upper-layer header (RFC 7112 §3).
constexpr std::size_t upper_header_size(std::uint8_t protocol) {
    switch (protocol) {
        case kProtocolTcp: return 20;
        case kProtocolUdp: return 8;
        case kProtocolIcmpv6: return 4;
        default: return 0;
    }
}

class ChainWalk {
public:
    explicit ChainWalk(Bytes packet) : packet_(packet) {}

    Ipv6Chain chain;

    void run() {
        for (std::size_t headers = 0;; ++headers) {
            if (!is_extension(chain.protocol)) {
                return;
            }
            if (headers == kMaxExtensionHeaders) {
                fail(Ipv6ChainError::too_many, Ipv6ChainAnswer::none, 0, 0);
                return;
            }
            if (!step()) {
                return;
            }
        }
    }

private:
    static bool is_extension(std::uint8_t protocol) {
        return protocol == kProtocolHopByHop || protocol == kProtocolRouting ||
               protocol == kProtocolFragment || protocol == kProtocolDestinationOptions;
    }

    bool fail(Ipv6ChainError error, Ipv6ChainAnswer answer, std::uint8_t code,
              std::size_t pointer) {
        chain.error = error;
        chain.answer = answer;
        chain.answer_code = code;
        chain.answer_pointer = static_cast<std::uint32_t>(pointer);
        return false;
    }
    bool fail_truncated() { return fail(Ipv6ChainError::truncated, Ipv6ChainAnswer::none, 0, 0); }

    void go_on(std::uint8_t next_header, std::size_t size) {
        chain.next_header_at = chain.offset;
        chain.protocol = next_header;
        chain.offset += static_cast<std::uint32_t>(size);
    }

    // One header; false when the walk is over.
    bool step() {
        ByteReader reader(packet_.subspan(chain.offset));
        if (chain.protocol == kProtocolFragment) {
            return fragment_header(reader);
        }
        // RFC 8200 §4.3: hop-by-hop options stand directly behind the IPv6 header or are an error (§4).
        if (chain.protocol == kProtocolHopByHop && chain.offset != kIpv6HeaderSize) {
            return fail(Ipv6ChainError::unrecognised_next_header, Ipv6ChainAnswer::unless_multicast,
                        1, chain.next_header_at);
        }
        const std::uint8_t next_header = reader.u8();
        const std::size_t size = extension_size(reader.u8());
        const Bytes body = reader.take(reader.ok() ? size - 2 : 0);
        if (!reader.ok()) {
            return fail_truncated();
        }
        if (chain.protocol == kProtocolRouting) {
            // RFC 8200 §4.4: no routing type is known here (type 0 is deprecated by RFC 5095), which is
            // harmless only when no segments are left.
            if (body[1] != std::byte{0}) {
                return fail(Ipv6ChainError::unrecognised_routing, Ipv6ChainAnswer::unless_multicast,
                            0, chain.offset + 2U);
            }
        } else if (!options(body, chain.offset + 2U)) {
            return false;
        }
        go_on(next_header, size);
        return true;
    }

    // The options of a hop-by-hop or destination options header; false when the packet must be dropped.
    bool options(Bytes body, std::size_t body_at) {
        ByteReader reader(body);
        while (reader.remaining() > 0) {
            if (++options_seen_ > kMaxIpv6Options) {
                return fail(Ipv6ChainError::too_many, Ipv6ChainAnswer::none, 0, 0);
            }
            const std::size_t at = body_at + reader.position();
            const std::uint8_t type = reader.u8();
            if (type == kOptionPad1) {
                continue;
            }
            reader.skip(reader.u8());
            if (!reader.ok()) {
                return fail_truncated();
            }
            if (type == kOptionPadN) {
                continue;
            }
            if (!unknown_option(type, at)) {
                return false;
            }
        }
        return true;
    }

    // RFC 8200 §4.2: the two highest bits of the type say what is to be done with an unknown option.
    bool unknown_option(std::uint8_t type, std::size_t at) {
        constexpr auto kError = Ipv6ChainError::unrecognised_option;
        switch (type >> 6) {
            case 0: return true;
            case 1: return fail(kError, Ipv6ChainAnswer::none, 2, at);
            case 2: return fail(kError, Ipv6ChainAnswer::always, 2, at);
            default: return fail(kError, Ipv6ChainAnswer::unless_multicast, 2, at);
        }
    }

    // RFC 8200 §4.5.
    bool fragment_header(ByteReader reader) {
        Ipv6Fragment fragment;
        fragment.next_header = reader.u8();
        reader.skip(1);
        const std::uint16_t offset_and_more = reader.u16();
        fragment.identification = reader.u32();
        if (!reader.ok()) {
            return fail_truncated();
        }
        fragment.fragment_offset = offset_and_more & 0xfff8;
        fragment.more_fragments = (offset_and_more & 1) != 0;
        fragment.header_at = chain.offset;
        fragment.next_header_at = chain.next_header_at;
        chain.fragment = fragment;
        if (fragment.atomic()) {
            go_on(fragment.next_header, kIpv6FragmentHeaderSize);
            return true;
        }
        chain.offset += static_cast<std::uint32_t>(kIpv6FragmentHeaderSize);
        return real_fragment(fragment);
    }

    bool real_fragment(const Ipv6Fragment& fragment) {
        const std::size_t data = packet_.size() - chain.offset;
        if (fragment.more_fragments && data % 8 != 0) {
            return fail(Ipv6ChainError::bad_fragment_length, Ipv6ChainAnswer::unless_multicast, 0,
                        4);
        }
        if (fragment.header_at - kIpv6HeaderSize + fragment.fragment_offset + data > kMaxPayload) {
            return fail(Ipv6ChainError::fragment_too_long, Ipv6ChainAnswer::unless_multicast, 0,
                        fragment.header_at + 2U);
        }
        if (fragment.fragment_offset == 0 && !first_fragment_is_complete(fragment)) {
            return fail(Ipv6ChainError::incomplete_first_fragment,
                        Ipv6ChainAnswer::unless_multicast, 3, 0);
        }
        return false;
    }

    // RFC 7112 §5: the whole chain, the upper-layer header with it, lies in the first fragment. Other
    // faults of what follows come to light when the packet has been put together.
    bool first_fragment_is_complete(const Ipv6Fragment& fragment) const {
        std::uint8_t protocol = fragment.next_header;
        ByteReader reader(packet_.subspan(chain.offset));
        for (std::size_t headers = 0; headers < kMaxExtensionHeaders; ++headers) {
            if (!is_extension(protocol) || protocol == kProtocolFragment) {
                break;
            }
            protocol = reader.u8();
            const std::size_t size = extension_size(reader.u8());
            reader.skip(reader.ok() ? size - 2 : 0);
        }
        reader.skip(upper_header_size(protocol));
        return reader.ok();
    }

    Bytes packet_;
    std::size_t options_seen_ = 0;
};

}  // namespace

Ipv6Parse parse_ipv6(Bytes packet) {
    return parse_ipv6(packet, packet.size());
}

Ipv6Parse parse_ipv6(Bytes packet, std::size_t packet_size) {
    Ipv6Parse parse;
    Ipv6Header& header = parse.header;
    ByteReader reader(packet);
    const std::uint32_t first_word = reader.u32();
    header.payload_length = reader.u16();
    header.next_header = reader.u8();
    header.hop_limit = reader.u8();
    header.source = read_ipv6_address(reader);
    header.destination = read_ipv6_address(reader);
    if (!packet.empty() && std::to_integer<unsigned>(packet[0]) >> 4 != 6) {
        parse.error = Ipv6ParseError::bad_version;
        return parse;
    }
    if (!reader.ok() || header.total_length() > packet_size) {
        parse.error = Ipv6ParseError::truncated;
        return parse;
    }
    header.traffic_class = static_cast<std::uint8_t>((first_word >> 20) & 0xff);
    header.flow_label = first_word & 0xf'ffff;
    if (header.source.is_v4() || header.destination.is_v4()) {
        parse.error = Ipv6ParseError::bad_address;
    }
    return parse;
}

std::size_t emit_ipv6(const Ipv6Header& header, MutableBytes out) {
    RUNNEL_CHECK(!header.source.is_v4() && !header.destination.is_v4());
    ByteWriter writer(out);
    writer.u32(std::uint32_t{6} << 28 | std::uint32_t{header.traffic_class} << 20 |
               (header.flow_label & 0xf'ffff));
    writer.u16(header.payload_length);
    writer.u8(header.next_header);
    writer.u8(header.hop_limit);
    writer.put(header.source.bytes());
    writer.put(header.destination.bytes());
    return writer.ok() ? writer.position() : 0;
}

std::size_t emit_ipv6_fragment(const Ipv6Fragment& fragment, MutableBytes out) {
    ByteWriter writer(out);
    writer.u8(fragment.next_header);
    writer.u8(0);
    writer.u16(static_cast<std::uint16_t>((fragment.fragment_offset & 0xfff8) |
                                          (fragment.more_fragments ? 1 : 0)));
    writer.u32(fragment.identification);
    return writer.ok() ? writer.position() : 0;
}

Ipv6Chain walk_ipv6_chain(Bytes packet, const Ipv6Header& header) {
    RUNNEL_CHECK(packet.size() >= kIpv6HeaderSize);
    ChainWalk walk(packet.first(std::min(packet.size(), header.total_length())));
    walk.chain.protocol = header.next_header;
    walk.chain.offset = kIpv6HeaderSize;
    walk.run();
    return walk.chain;
}

IpAddress solicited_node_multicast(const IpAddress& address) {
    std::array<std::byte, 16> bytes{std::byte{0xff}, std::byte{0x02}};
    bytes[11] = std::byte{0x01};
    bytes[12] = std::byte{0xff};
    std::copy(address.bytes().begin() + 13, address.bytes().end(), bytes.begin() + 13);
    return IpAddress::v6(bytes);
}

IpAddress link_local_address(const MacAddress& mac) {
    std::array<std::byte, 16> bytes{std::byte{0xfe}, std::byte{0x80}};
    bytes[8] = mac.bytes[0] ^ std::byte{0x02};  // the universal/local bit is inverted (RFC 4291 §A)
    bytes[9] = mac.bytes[1];
    bytes[10] = mac.bytes[2];
    bytes[11] = std::byte{0xff};
    bytes[12] = std::byte{0xfe};
    std::copy(mac.bytes.begin() + 3, mac.bytes.end(), bytes.begin() + 13);
    return IpAddress::v6(bytes);
}

IpAddress all_nodes_multicast() {
    std::array<std::byte, 16> bytes{std::byte{0xff}, std::byte{0x02}};
    bytes[15] = std::byte{0x01};
    return IpAddress::v6(bytes);
}

IpAddress all_routers_multicast() {
    std::array<std::byte, 16> bytes{std::byte{0xff}, std::byte{0x02}};
    bytes[15] = std::byte{0x02};
    return IpAddress::v6(bytes);
}

}  // namespace runnel
