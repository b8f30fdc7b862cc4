// The checksum of a transport packet that lies in one piece, with its pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1):
// for those who build or read packets outside of a host's own way, which sums while it copies.
#pragma once

#include "runnel/base/bytes.hpp"
#include "runnel/wire/address.hpp"

namespace runnel {

/// What belongs into the checksum field while that holds zero; 0 where the field holds the right sum already.
[[nodiscard]] std::uint16_t transport_checksum(const IpAddress& source,
                                               const IpAddress& destination, std::uint8_t protocol,
                                               Bytes transport);

/// Writes it into the field at `at`, whatever that holds. Precondition: `at` + 2 octets are there.
void write_transport_checksum(const IpAddress& source, const IpAddress& destination,
                              std::uint8_t protocol, MutableBytes transport, std::size_t at);

}  // namespace runnel
