#include "runnel/link/packet_ring.hpp"

#include <linux/if_packet.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

namespace runnel {

namespace {

/// A slot takes the kernel's own head (under 128 bytes) and a whole super-segment; blocks are whole pages.
constexpr std::size_t kSlot = 64 * 1024 + 512;
constexpr std::size_t kBlock = 1024 * 1024;
constexpr std::size_t kSlotsPerBlock = kBlock / kSlot;
constexpr std::size_t kMaxBlocks = 1024;
static_assert(kSlot % TPACKET_ALIGNMENT == 0);

/// The word by which a slot goes to and fro; the kernel reads and writes it at the same time as we do.
std::atomic_ref<std::uint32_t> status_of(std::byte* slot) {
    return std::atomic_ref(*reinterpret_cast<std::uint32_t*>(slot));
}

}  // namespace

LinkResult<PacketRing> PacketRing::open(int socket, std::size_t bytes) {
    constexpr const char* kWhat = "Can't give a packet socket a receive ring";
    const int version = TPACKET_V2;
    if (::setsockopt(socket, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) != 0) {
        return link_failure(errno, kWhat);
    }
    const std::size_t blocks = std::clamp<std::size_t>(bytes / kBlock, 1, kMaxBlocks);
    tpacket_req request{};
    request.tp_block_size = kBlock;
    request.tp_block_nr = static_cast<unsigned>(blocks);
    request.tp_frame_size = kSlot;
    request.tp_frame_nr = static_cast<unsigned>(blocks * kSlotsPerBlock);
    if (::setsockopt(socket, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) != 0) {
        return link_failure(errno, kWhat);
    }
    const std::size_t size = blocks * kBlock;
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, socket, 0);
    if (memory == MAP_FAILED) {
        return link_failure(errno, kWhat);
    }
    PacketRing ring;
    ring.memory_ = static_cast<std::byte*>(memory);
    ring.size_ = size;
    return ring;
}

PacketRing::~PacketRing() {
    if (memory_ != nullptr) {
        (void)::munmap(memory_, size_);
    }
}

std::size_t PacketRing::slots() const {
    return size_ / kBlock * kSlotsPerBlock;
}

std::byte* PacketRing::slot() const {
    // Slots don't reach over the end of a block.
    return memory_ + next_ / kSlotsPerBlock * kBlock + next_ % kSlotsPerBlock * kSlot;
}

std::optional<PacketRing::Entry> PacketRing::front(std::size_t header_size) const {
    std::byte* const here = slot();
    const std::uint32_t status = status_of(here).load(std::memory_order_acquire);
    if ((status & TP_STATUS_USER) == 0) {
        return std::nullopt;
    }
    tpacket2_hdr head;
    std::memcpy(&head, here, sizeof(head));
    // The kernel writes the numbers, but a check is cheap and this is memory.
    if (head.tp_mac < sizeof(head) + header_size || head.tp_mac + head.tp_snaplen > kSlot) {
        return Entry{{}, {}, true};
    }
    return Entry{Bytes(here + head.tp_mac - header_size, header_size),
                 Bytes(here + head.tp_mac, head.tp_snaplen), head.tp_snaplen < head.tp_len};
}

void PacketRing::pop() {
    status_of(slot()).store(TP_STATUS_KERNEL, std::memory_order_release);
    next_ = next_ + 1 == slots() ? 0 : next_ + 1;
}

}  // namespace runnel
