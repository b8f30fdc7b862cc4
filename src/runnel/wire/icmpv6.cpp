#include "runnel/wire/icmpv6.hpp"

#include "runnel/base/checksum.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/tcp_segment.hpp"

namespace runnel {

namespace {

std::uint16_t icmpv6_checksum(Bytes message, const IpAddress& source,
                              const IpAddress& destination) {
    ChecksumAccumulator sum(pseudo_header_sum(source, destination, kProtocolIcmpv6,
                                              static_cast<std::uint32_t>(message.size())));
    sum.add(message);
    return sum.finish();
}

}  // namespace

Icmpv6Message Icmpv6Message::echo(Type type, std::uint16_t identifier, std::uint16_t sequence,
                                  Bytes data) {
    return {type, 0, std::uint32_t{identifier} << 16 | sequence, data};
}

Icmpv6Message Icmpv6Message::error(Type type, std::uint8_t code, std::uint32_t rest, Bytes quote) {
    return {type, code, rest, quote};
}

Icmpv6Parse parse_icmpv6(Bytes bytes, const IpAddress& source, const IpAddress& destination) {
    Icmpv6Parse parse;
    ByteReader reader(bytes);
    parse.message.type = static_cast<Icmpv6Message::Type>(reader.u8());
    parse.message.code = reader.u8();
    reader.skip(2);
    parse.message.rest = reader.u32();
    parse.message.body = reader.rest();
    if (!reader.ok()) {
        parse.error = IcmpParseError::truncated;
    } else if (icmpv6_checksum(bytes, source, destination) != 0) {
        parse.error = IcmpParseError::bad_checksum;
    }
    return parse;
}

std::size_t emit_icmpv6(const Icmpv6Message& message, const IpAddress& source,
                        const IpAddress& destination, MutableBytes out) {
    ByteWriter writer(out);
    writer.u8(static_cast<std::uint8_t>(message.type));
    writer.u8(message.code);
    writer.u16(0);
    writer.u32(message.rest);
    writer.put(message.body);
    if (!writer.ok()) {
        return 0;
    }
    writer.patch_u16(2, icmpv6_checksum(writer.written(), source, destination));
    return writer.position();
}

}  // namespace runnel
