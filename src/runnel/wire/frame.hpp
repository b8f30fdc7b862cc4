// A frame between a host and a link: the meaning of virtio_net_hdr, a small header written in place and
// counted slices of payload behind it. Every link, whatever its device, carries this one type, so that a
// 64 KB super-segment with a partial checksum stays one from the send buffer to the device and back.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include <boost/container/static_vector.hpp>

#include "runnel/base/buffer.hpp"

namespace runnel {

/// What a frame needs from its receiver or tells it: the meaning of virtio_net_hdr.
struct Offload {
    enum class Gso : std::uint8_t { none, tcp_ipv4, tcp_ipv6 };
    Gso gso = Gso::none;
    bool ecn = false;  ///< CWR stays on the first piece only (VIRTIO_NET_HDR_GSO_ECN)
    bool needs_checksum =
        false;  ///< partial: the pseudo-header's sum stands at csum_start + csum_offset
    bool checksum_valid = false;      ///< the device has verified it (VIRTIO_NET_HDR_F_DATA_VALID)
    std::uint16_t header_length = 0;  ///< bytes of all headers before the payload, with gso
    std::uint16_t gso_size = 0;       ///< payload bytes of each piece, with gso
    std::uint16_t csum_start = 0;     ///< from the frame's first byte
    std::uint16_t csum_offset = 0;    ///< from csum_start

    constexpr bool operator==(const Offload&) const = default;
};

/// Whether a link carries whole Ethernet frames or bare IP packets.
enum class LinkLayer : std::uint8_t { ethernet, raw_ip };

/// What a link's device can do, and thus what the host may hand it.
struct LinkCapabilities {
    LinkLayer layer = LinkLayer::raw_ip;
    std::uint32_t mtu = 1500;       ///< greatest IP packet, bytes
    bool checksum_offload = false;  ///< takes frames with needs_checksum
    bool tso4 = false;              ///< takes super-segments over IPv4
    bool tso6 = false;              ///< takes super-segments over IPv6
};

inline constexpr std::size_t kMaxFrameSlices = 20;

/// Payload in order; never holds an empty slice.
using SliceList = boost::container::static_vector<Slice, kMaxFrameSlices>;

/// One frame. Outbound: `head` holds the headers (the transport writes its own first, IP and Ethernet are
/// put before it), `body` the payload. Inbound: `head` is empty and `body` holds the frame; all its headers
/// lie in `body[0]`.
struct Frame {
    static constexpr std::size_t kHeadCapacity = 192;
    /// Where a transport header starts: IP (40), a fragment header (8) and Ethernet with VLAN (18) fit before it.
    static constexpr std::size_t kHeadroom = 72;

    Offload offload;
    std::uint8_t interface = 0;  ///< index of the host's interface it came from or goes to
    std::uint16_t reason =
        0;  ///< the Decision that made it, as a number (0: none); captures show it
    std::uint8_t head_begin = kHeadroom;
    std::uint8_t head_size = 0;
    std::array<std::byte, kHeadCapacity> head_storage;
    SliceList body;

    Frame() {}  // head_storage is left unset on purpose: it is written before it is read
    // Copies and moves carry only the part of head_storage that is in use.
    Frame(const Frame& other) : body(other.body) { take_head(other); }
    Frame(Frame&& other) noexcept : body(std::move(other.body)) { take_head(other); }
    Frame& operator=(const Frame& other) {
        if (this != &other) {
            take_head(other);
            body = other.body;
        }
        return *this;
    }
    Frame& operator=(Frame&& other) noexcept {
        if (this != &other) {
            take_head(other);
            body = std::move(other.body);
        }
        return *this;
    }
    ~Frame() = default;

    [[nodiscard]] Bytes head() const { return Bytes(head_storage).subspan(head_begin, head_size); }
    /// The place for a header written front to back; call `set_head_size` afterwards.
    [[nodiscard]] MutableBytes head_space() {
        return MutableBytes(head_storage).subspan(head_begin);
    }
    void set_head_size(std::size_t size) { head_size = static_cast<std::uint8_t>(size); }
    /// Room for `size` more bytes before the present head; offsets in `offload` are the caller's to move.
    [[nodiscard]] MutableBytes prepend_head(std::size_t size) {
        head_begin = static_cast<std::uint8_t>(head_begin - size);
        head_size = static_cast<std::uint8_t>(head_size + size);
        return MutableBytes(head_storage).subspan(head_begin, size);
    }
    [[nodiscard]] std::size_t body_size() const {
        std::size_t total = 0;
        for (const Slice& slice : body) {
            total += slice.size();
        }
        return total;
    }
    [[nodiscard]] std::size_t size() const { return head_size + body_size(); }

private:
    void take_head(const Frame& other) {
        offload = other.offload;
        interface = other.interface;
        reason = other.reason;
        head_begin = other.head_begin;
        head_size = other.head_size;
        if (head_size > 0) {
            std::memcpy(head_storage.data() + head_begin, other.head_storage.data() + head_begin,
                        head_size);
        }
    }
};

/// Frames move in batches. The vector is the caller's and is reused, so that it stops allocating.
using FrameBatch = std::vector<Frame>;

}  // namespace runnel
