#include "runnel/wire/icmpv4.hpp"

#include "runnel/base/checksum.hpp"

namespace runnel {

bool Icmpv4Message::is_error() const {
    switch (type) {
        case Type::destination_unreachable:
        case Type::source_quench:
        case Type::redirect:
        case Type::time_exceeded:
        case Type::parameter_problem: return true;
        case Type::echo_reply:
        case Type::echo_request: return false;
    }
    return false;
}

Icmpv4Message Icmpv4Message::echo(Type type, std::uint16_t identifier, std::uint16_t sequence,
                                  Bytes data) {
    return {type, 0, std::uint32_t{identifier} << 16 | sequence, data};
}

Icmpv4Message Icmpv4Message::unreachable(std::uint8_t code, Bytes quote,
                                         std::uint16_t next_hop_mtu) {
    return {Type::destination_unreachable, code, next_hop_mtu, quote};
}

Icmpv4Message Icmpv4Message::problem(std::uint8_t code, std::uint8_t pointer, Bytes quote) {
    return {Type::parameter_problem, code, std::uint32_t{pointer} << 24, quote};
}

Icmpv4Parse parse_icmpv4(Bytes bytes) {
    Icmpv4Parse parse;
    ByteReader reader(bytes);
    parse.message.type = static_cast<Icmpv4Message::Type>(reader.u8());
    parse.message.code = reader.u8();
    reader.skip(2);
    parse.message.rest = reader.u32();
    parse.message.body = reader.rest();
    if (!reader.ok()) {
        parse.error = IcmpParseError::truncated;
    } else if (internet_checksum(bytes) != 0) {
        parse.error = IcmpParseError::bad_checksum;
    }
    return parse;
}

std::size_t emit_icmpv4(const Icmpv4Message& message, MutableBytes out) {
    ByteWriter writer(out);
    writer.u8(static_cast<std::uint8_t>(message.type));
    writer.u8(message.code);
    writer.u16(0);
    writer.u32(message.rest);
    writer.put(message.body);
    if (!writer.ok()) {
        return 0;
    }
    writer.patch_u16(2, internet_checksum(writer.written()));
    return writer.position();
}

}  // namespace runnel
