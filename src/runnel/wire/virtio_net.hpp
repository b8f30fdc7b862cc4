// struct virtio_net_hdr, the 10 bytes before each frame of a TUN, TAP or packet socket that carry its
// checksum and segmentation state (virtio 1.2 §5.1.6; Linux <linux/virtio_net.h>). The device's layout on
// one side, Offload on the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "runnel/base/bytes.hpp"
#include "runnel/wire/frame.hpp"

namespace runnel {

inline constexpr std::size_t kVirtioNetHeaderSize = 10;

inline constexpr std::uint8_t kVirtioNetNeedsChecksum = 1;  ///< VIRTIO_NET_HDR_F_NEEDS_CSUM
inline constexpr std::uint8_t kVirtioNetDataValid = 2;      ///< VIRTIO_NET_HDR_F_DATA_VALID
inline constexpr std::uint8_t kVirtioNetGsoNone = 0;
inline constexpr std::uint8_t kVirtioNetGsoTcpv4 = 1;
inline constexpr std::uint8_t kVirtioNetGsoUdp = 3;
inline constexpr std::uint8_t kVirtioNetGsoTcpv6 = 4;
inline constexpr std::uint8_t kVirtioNetGsoUdpL4 = 5;
inline constexpr std::uint8_t kVirtioNetGsoEcn = 0x80;  ///< or'ed to the type

/// Which byte order the device uses: the machine's own (a TUN device's default) or always little endian
/// (TUNSETVNETLE, virtio 1).
enum class VirtioNetOrder : std::uint8_t { native, little };

/// Reads the header at the start of `bytes`; nothing when it is cut short, or when it announces
/// segmentation of something else than TCP, or of pieces of no bytes.
[[nodiscard]] std::optional<Offload> parse_virtio_net(
    Bytes bytes, VirtioNetOrder order = VirtioNetOrder::native);

/// Writes the header; returns 10, or 0 when it doesn't fit.
std::size_t emit_virtio_net(const Offload& offload, MutableBytes out,
                            VirtioNetOrder order = VirtioNetOrder::native);

}  // namespace runnel
