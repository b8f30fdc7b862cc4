#include "runnel/wire/udp.hpp"

namespace runnel {

std::optional<UdpHeader> parse_udp(Bytes bytes) {
    ByteReader reader(bytes);
    UdpHeader header;
    header.source_port = reader.u16();
    header.destination_port = reader.u16();
    header.length = reader.u16();
    header.checksum = reader.u16();
    if (!reader.ok() || header.length < kUdpHeaderSize || header.length > bytes.size()) {
        return std::nullopt;
    }
    return header;
}

std::size_t emit_udp(const UdpHeader& header, MutableBytes out) {
    ByteWriter writer(out);
    writer.u16(header.source_port);
    writer.u16(header.destination_port);
    writer.u16(header.length);
    writer.u16(header.checksum);
    return writer.ok() ? writer.position() : 0;
}

}  // namespace runnel
