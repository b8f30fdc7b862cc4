#include "runnel/wire/transport_checksum.hpp"

#include "runnel/base/checksum.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/tcp_segment.hpp"

namespace runnel {

std::uint16_t transport_checksum(const IpAddress& source, const IpAddress& destination,
                                 std::uint8_t protocol, Bytes transport) {
    ChecksumAccumulator sum(pseudo_header_sum(source, destination, protocol,
                                              static_cast<std::uint32_t>(transport.size())));
    sum.add(transport);
    return sum.finish();
}

void write_transport_checksum(const IpAddress& source, const IpAddress& destination,
                              std::uint8_t protocol, MutableBytes transport, std::size_t at) {
    transport[at] = transport[at + 1] = std::byte{0};
    std::uint16_t sum = transport_checksum(source, destination, protocol, transport);
    if (sum == 0 && protocol == kProtocolUdp) {
        sum = 0xffff;  // zero says that there is none (RFC 768)
    }
    transport[at] = static_cast<std::byte>(sum >> 8);
    transport[at + 1] = static_cast<std::byte>(sum & 0xff);
}

}  // namespace runnel
