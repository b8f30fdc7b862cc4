// The numbers of the capture formats (draft-ietf-opsawg-pcapng, draft-ietf-opsawg-pcap, the registry of
// link types at tcpdump.org), shared by what writes and what reads them.
#pragma once

#include <cstdint>

namespace runnel::report {

inline constexpr std::uint32_t kSectionHeaderBlock = 0x0a0d0d0a;  ///< the same in both byte orders
inline constexpr std::uint32_t kInterfaceBlock = 1;
inline constexpr std::uint32_t kOldPacketBlock = 2;
inline constexpr std::uint32_t kSimplePacketBlock = 3;
inline constexpr std::uint32_t kEnhancedPacketBlock = 6;
inline constexpr std::uint32_t kByteOrderMagic = 0x1a2b3c4d;

inline constexpr std::uint16_t kOptionEnd = 0;
inline constexpr std::uint16_t kOptionComment = 1;
inline constexpr std::uint16_t kSectionHardware = 2, kSectionOs = 3, kSectionApplication = 4;
inline constexpr std::uint16_t kInterfaceName = 2, kInterfaceDescription = 3;
inline constexpr std::uint16_t kInterfaceTimeResolution = 9, kInterfaceTimeOffset = 14;
inline constexpr std::uint16_t kPacketFlags = 2;  ///< of an enhanced and of an old packet block

inline constexpr std::uint32_t kPcapMicroseconds = 0xa1b2c3d4;
inline constexpr std::uint32_t kPcapNanoseconds = 0xa1b23c4d;

inline constexpr std::uint16_t kLinkNull = 0;  ///< address family in the byte order of the machine
inline constexpr std::uint16_t kLinkEthernet = 1;
inline constexpr std::uint16_t kLinkRawBsd = 12;      ///< RAW, as some files have it
inline constexpr std::uint16_t kLinkRawOpenBsd = 14;  ///< RAW, as OpenBSD has it
inline constexpr std::uint16_t kLinkRaw = 101;        ///< IPv4 or IPv6, by the version
inline constexpr std::uint16_t kLinkLoop = 108;       ///< address family in network order
inline constexpr std::uint16_t kLinkLinuxCooked = 113;
inline constexpr std::uint16_t kLinkIpv4 = 228;
inline constexpr std::uint16_t kLinkIpv6 = 229;
inline constexpr std::uint16_t kLinkLinuxCooked2 = 276;

/// Bytes of a packet that any tool keeps (libpcap's MAXIMUM_SNAPLEN).
inline constexpr std::uint32_t kMaxSnapLength = 262'144;

}  // namespace runnel::report
