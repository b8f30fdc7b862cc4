// The transports' checksum over slices (RFC 9293 §3.1, RFC 768, RFC 8200 §8.1).
#include "runnel/base/checksum.hpp"

#include "runnel/ip/ip_layer.hpp"
#include "runnel/wire/tcp_segment.hpp"

namespace runnel {

bool verify_transport_checksum(const Datagram& datagram) {
    if (datagram.offload.needs_checksum || datagram.offload.checksum_valid) {
        return true;
    }
    const std::uint16_t pseudo = pseudo_header_sum(datagram.source, datagram.destination,
                                                   datagram.protocol, datagram.payload_size);
    return complete_checksum(pseudo, {}, datagram.payload) == 0;
}

std::uint16_t complete_checksum(std::uint16_t pseudo_header_sum, Bytes head,
                                const SliceList& body) {
    ChecksumAccumulator sum(pseudo_header_sum);
    sum.add(head);
    for (const Slice& slice : body) {
        sum.add(slice.bytes());
    }
    return sum.finish();
}

}  // namespace runnel
