// The receive ring of a packet socket (packet_mmap, TPACKET_V2): memory shared with the kernel into which
// it writes frames. Unlike a socket's receive buffer its size needs no privilege, so an ordinary user in a
// namespace of his own can keep more than the six super-segments that net.core.rmem_max allows by default.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "runnel/base/bytes.hpp"
#include "runnel/link/error.hpp"

namespace runnel {

class PacketRing {
public:
    PacketRing() = default;
    PacketRing(PacketRing&& other) noexcept
        : memory_(std::exchange(other.memory_, nullptr)), size_(other.size_), next_(other.next_) {}
    PacketRing& operator=(PacketRing&& other) noexcept {
        std::swap(memory_, other.memory_);
        std::swap(size_, other.size_);
        std::swap(next_, other.next_);
        return *this;
    }
    ~PacketRing();

    /// Gives the packet socket a ring of about `bytes` and maps it. The socket must have PACKET_VNET_HDR
    /// set already, and must not be bound yet.
    [[nodiscard]] static LinkResult<PacketRing> open(int socket, std::size_t bytes);

    [[nodiscard]] bool is_open() const { return memory_ != nullptr; }

    struct Entry {
        Bytes header;  ///< the virtio_net_hdr, `header_size` bytes
        Bytes frame;
        bool truncated = false;  ///< the frame was longer than a slot
    };
    /// The oldest frame, in the ring's memory until `pop`; none when there is none.
    [[nodiscard]] std::optional<Entry> front(std::size_t header_size) const;
    /// Gives the oldest frame's slot back to the kernel. Precondition: there is one.
    void pop();

private:
    [[nodiscard]] std::byte* slot() const;
    [[nodiscard]] std::size_t slots() const;

    std::byte* memory_ = nullptr;
    std::size_t size_ = 0;
    std::size_t next_ = 0;  ///< index of the slot that the kernel fills or has filled next
};

}  // namespace runnel
