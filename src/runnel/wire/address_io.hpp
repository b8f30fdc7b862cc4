// Addresses out of a ByteReader, for the parsers of this room. A reader that has failed yields zeros.
#pragma once

#include <algorithm>

#include "runnel/base/bytes.hpp"
#include "runnel/wire/address.hpp"

namespace runnel {

inline MacAddress read_mac(ByteReader& reader) {
    MacAddress mac;
    const Bytes bytes = reader.take(mac.bytes.size());
    std::copy(bytes.begin(), bytes.end(), mac.bytes.begin());
    return mac;
}

/// Sixteen bytes. May yield an IPv4 address when they are an IPv4-mapped one: no valid packet holds such
/// (RFC 4291 §2.5.5.2), so the caller refuses it.
inline IpAddress read_ipv6_address(ByteReader& reader) {
    const Bytes bytes = reader.take(16);
    return bytes.empty() ? IpAddress{} : IpAddress::from_bytes(bytes);
}

}  // namespace runnel
