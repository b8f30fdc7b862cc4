// A real device as a link: TUN, TAP, a packet socket on an interface, or a descriptor handed in. Whatever
// it is, frames go in and out in batches with the meaning of virtio_net_hdr kept, so that 64 KB
// super-segments and partial checksums pass whole. A Device waits for nothing: its owner waits on
// `native_handle()`.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runnel/base/buffer.hpp"
#include "runnel/link/error.hpp"
#include "runnel/link/file_descriptor.hpp"
#include "runnel/link/packet_ring.hpp"
#include "runnel/wire/address.hpp"
#include "runnel/wire/frame.hpp"
#include "runnel/wire/virtio_net.hpp"

namespace runnel {

struct TunOptions {
    std::string
        name;  ///< empty: the kernel chooses (tun0 …); an existing persistent one is attached to
    std::uint32_t mtu = 0;  ///< bytes; 0: leave it (1500)
    /// Frames that the kernel keeps ready for reading before it drops: the ring behind the device has this
    /// many places, of a pointer each. The kernel's TCP isn't told when it drops here, so it is generous.
    std::uint32_t queue_length = 4096;
    bool offloads = true;  ///< virtio_net_hdr, partial checksums and TCP super-segments both ways
    bool multi_queue = false;  ///< IFF_MULTI_QUEUE: open it again by name for each further queue
    /// TAP only: Runnel's own address on the link; none: the kernel end's with its last bit flipped.
    std::optional<MacAddress> mac = {};
};

struct PacketOptions {
    std::string name;  ///< an existing Ethernet-like interface
    /// Runnel's own address on the link; none: the interface's. With the interface's own, the kernel sees
    /// Runnel's packets as its own too: give the interface no IP address and no IPv6 link-local one
    /// (Netlink::set_ipv6_link_local). With another, the interface goes promiscuous and the kernel ignores
    /// Runnel's frames as a stranger's; on a cable with MAC filters (clouds, Wi-Fi) that doesn't work.
    std::optional<MacAddress> mac = {};
    /// Whether Runnel may send partial checksums and super-segments; it understands received ones anyway.
    bool offloads = true;
    /// Bytes the kernel may keep for Runnel: a receive buffer, or a receive ring where that much isn't
    /// granted (an ordinary user gets net.core.rmem_max). Measured, bulk from the kernel: 416 KB 0.4 Gbit/s
    /// with losses, 4 MB 8–19 with losses, a ring of 32 MB 23–39 without; root's buffer 25–29.
    std::uint32_t receive_buffer = 32 * 1024 * 1024;
    /// The ring in any case. A slot takes 64 KB whatever comes, so it suits super-segments only.
    bool ring = false;
};

/// Why a link dropped a frame. Each one has a name and a sentence below.
enum class LinkDrop : std::uint8_t {
    receive_no_buffer,
    receive_bad_header,
    receive_truncated,
    kernel_queue_full,
    send_queue_full,
    send_interface_down,
    send_refused,
    send_too_long,
    send_no_offload,
    send_failed,
};
inline constexpr std::size_t kLinkDrops = 10;

[[nodiscard]] const char* name(LinkDrop drop);
[[nodiscard]] const char* sentence(LinkDrop drop);

struct LinkCounters {
    std::uint64_t frames_received = 0;
    std::uint64_t bytes_received = 0;  ///< of frames, without virtio_net_hdr
    std::uint64_t super_frames_received = 0;
    std::uint64_t frames_sent = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t super_frames_sent = 0;
    std::uint64_t send_would_block = 0;  ///< times the device was full; nothing was dropped
    std::array<std::uint64_t, kLinkDrops> drops{};
    int last_error = 0;  ///< errno of the latest frame that could not be sent

    [[nodiscard]] std::uint64_t dropped(LinkDrop drop) const {
        return drops[static_cast<std::size_t>(drop)];
    }
};

enum class DeviceKind : std::uint8_t { tun, tap, packet, descriptor };

class Device {
public:
    /// Makes or attaches to a TUN (IP packets) or TAP (Ethernet frames) in this thread's network
    /// namespace. The interface is not switched on and has no address: see Netlink.
    [[nodiscard]] static LinkResult<Device> open_tun(const TunOptions& options);
    [[nodiscard]] static LinkResult<Device> open_tap(const TunOptions& options);
    /// A packet socket on an interface, typically one end of a veth pair. Frames of VLANs are not
    /// received: the kernel takes the tag out of them, and they would look untagged.
    [[nodiscard]] static LinkResult<Device> open_packet(const PacketOptions& options);
    /// Adopts a TUN or TAP descriptor (opened with IFF_NO_PI), a packet socket, or a datagram or seqpacket socket with a frame a
    /// message. `vnet_hdr`: each frame has a virtio_net_hdr in front (10 bytes; 12 if a TUN says so). `mtu`
    /// 0: the interface's if it is known, else 1500. On an error the descriptor stays the caller's, else
    /// the Device closes it.
    [[nodiscard]] static LinkResult<Device> from_fd(int fd, LinkLayer layer, bool vnet_hdr,
                                                    std::uint32_t mtu,
                                                    std::optional<MacAddress> mac = {});

    [[nodiscard]] DeviceKind kind() const { return kind_; }
    [[nodiscard]] const LinkCapabilities& capabilities() const { return capabilities_; }
    /// For waiting until frames can be read, or sent after `send` took fewer than all.
    [[nodiscard]] int native_handle() const { return fd_.get(); }
    /// The interface's name and index when it was opened; empty and 0 for a socket handed in.
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] unsigned interface_index() const { return interface_index_; }
    /// Runnel's own address on an Ethernet link; zero on a TUN.
    [[nodiscard]] MacAddress mac() const { return mac_; }

    /// Reads at most `max_frames` frames without waiting and appends them to `out`, each in one slice of
    /// `pool`. A frame under 4 KB shares a small chunk with its neighbours; a larger one has a large chunk
    /// of its own. Without a buffer a frame is read and dropped. Returns how many were appended; what was
    /// dropped counts towards `max_frames`, too. Nothing of the pool is kept between calls.
    std::size_t receive(BufferPool& pool, FrameBatch& out, std::size_t max_frames);
    /// Whether the latest `receive` stopped because the device had no more.
    [[nodiscard]] bool drained() const { return drained_; }

    /// Sends frames in order, one writev a frame, and returns how many of the first are done with: sent,
    /// or dropped with a counter. Fewer than all means that the device is full: wait until it is writable.
    /// The frames' slices may be let go at once.
    std::size_t send(std::span<const Frame> frames);

    [[nodiscard]] const LinkCounters& counters() const { return counters_; }
    /// Asks the kernel how many frames it dropped before Runnel read them (packet sockets only) and adds
    /// them to the counter of `kernel_queue_full`.
    void update_kernel_drops();
    /// Why this device will never carry a frame again (its interface was deleted, the other end closed),
    /// once that has shown.
    [[nodiscard]] const std::optional<LinkError>& failure() const { return failure_; }

private:
    Device() : spare_scratch_(kLargeChunk) {}
    [[nodiscard]] static LinkResult<Device> open_tuntap(const TunOptions& options, LinkLayer layer);
    LinkResult<void> adopt_tun(bool vnet_hdr);
    LinkResult<void> adopt_socket(bool vnet_hdr, std::optional<MacAddress> own_mac);
    LinkResult<void> describe_interface(std::optional<MacAddress> own_mac);
    void set_offloads(bool vnet_hdr, bool may_send);

    /// What one `receive` has at hand.
    struct Intake {
        BufferPool& pool;
        FrameBatch& out;
        ChunkRef scratch = {};  ///< what the next frame is read into, if the pool had one
        ChunkRef packed = {};   ///< the small chunk that small frames are being copied into
        std::uint32_t packed_used = 0;
    };
    void receive_by_reading(Intake& intake, std::size_t max_frames);
    void receive_from_ring(Intake& intake, std::size_t max_frames);
    void accept_frame(Intake& intake, Bytes header, Bytes frame);
    [[nodiscard]] Slice store_frame(Intake& intake, Bytes frame) const;
    void note_receive_error(int number);
    bool send_one(const Frame& frame);
    void note_send_error(int number);
    void count(LinkDrop drop) { ++counters_.drops[static_cast<std::size_t>(drop)]; }

    FileDescriptor fd_;
    DeviceKind kind_ = DeviceKind::descriptor;
    VirtioNetOrder order_ = VirtioNetOrder::native;
    std::uint8_t header_size_ = 0;   ///< bytes of virtio_net_hdr before each frame: 0, 10 or 12
    std::uint8_t frame_offset_ = 0;  ///< where a frame starts in a chunk: its IP header is aligned
    bool drained_ = false;
    bool ends_with_empty_read_ = false;
    LinkCapabilities capabilities_;
    MacAddress mac_;
    unsigned interface_index_ = 0;
    std::string name_;

    PacketRing
        ring_;  ///< of a packet socket; open only where its receive buffer would be too small
    /// What frames are read into when the pool has no large chunk.
    std::vector<std::byte> spare_scratch_;
    LinkCounters counters_;
    std::optional<LinkError> failure_;
};

}  // namespace runnel
