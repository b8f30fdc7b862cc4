// The numbers in IPv4's Protocol and IPv6's Next Header field (IANA "Protocol Numbers") that this host
// knows, extension headers of IPv6 included.
#pragma once

#include <cstdint>

namespace runnel {

inline constexpr std::uint8_t kProtocolHopByHop = 0;
inline constexpr std::uint8_t kProtocolIcmpv4 = 1;
inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolUdp = 17;
inline constexpr std::uint8_t kProtocolRouting = 43;
inline constexpr std::uint8_t kProtocolFragment = 44;
inline constexpr std::uint8_t kProtocolIcmpv6 = 58;
inline constexpr std::uint8_t kProtocolNoNextHeader = 59;
inline constexpr std::uint8_t kProtocolDestinationOptions = 60;

}  // namespace runnel
