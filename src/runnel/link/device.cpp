// The data path of a Device: one read and one writev a frame. Measured on Linux 6.18 (bench/tools/
// link_speed.cpp): io_uring and IFF_NAPI make a TUN slower, so there is neither.
#include "runnel/link/device.hpp"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/if_packet.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "runnel/base/check.hpp"

namespace runnel {

namespace {

/// The longest virtio_net_hdr in use: ten bytes and num_buffers.
constexpr std::size_t kLongestHeader = 12;
constexpr std::size_t kLine = 64;
/// Frames up to this size are copied out, so that they don't pin a large chunk.
constexpr std::size_t kPackLimit = kSmallChunk - kLine;

constexpr std::size_t round_up_to_line(std::size_t size) {
    return (size + kLine - 1) / kLine * kLine;
}

struct DropText {
    const char* name;
    const char* sentence;
};

constexpr DropText text_of(LinkDrop drop) {
    switch (drop) {
        case LinkDrop::receive_no_buffer:
            return {"receive_no_buffer",
                    "The buffer pool's limit is reached: the frame was not kept."};
        case LinkDrop::receive_bad_header:
            return {"receive_bad_header",
                    "The frame is empty, or its virtio_net_hdr says what Runnel did not ask for."};
        case LinkDrop::receive_truncated:
            return {"receive_truncated", "The frame is longer than any Runnel can take."};
        case LinkDrop::kernel_queue_full:
            return {"kernel_queue_full",
                    "The kernel dropped the frame because Runnel had not read the earlier ones."};
        case LinkDrop::send_queue_full:
            return {"send_queue_full", "The interface's queue, or the kernel's memory, was full."};
        case LinkDrop::send_interface_down:
            return {"send_interface_down", "The interface is switched off."};
        case LinkDrop::send_refused:
            return {"send_refused", "The kernel found the frame or its virtio_net_hdr invalid."};
        case LinkDrop::send_too_long:
            return {"send_too_long", "The frame is longer than the interface takes."};
        case LinkDrop::send_no_offload:
            return {"send_no_offload",
                    "The frame needs a checksum or segmentation, and the device does neither."};
        case LinkDrop::send_failed:
            return {"send_failed", "The kernel refused the frame for another reason."};
    }
    return {"send_failed", "The kernel refused the frame for another reason."};
}

bool would_block(int number) {
    return number == EAGAIN || number == EWOULDBLOCK;
}

}  // namespace

const char* name(LinkDrop drop) {
    return text_of(drop).name;
}
const char* sentence(LinkDrop drop) {
    return text_of(drop).sentence;
}

std::size_t Device::receive(BufferPool& pool, FrameBatch& out, std::size_t max_frames) {
    if (failure_) {
        drained_ = true;
        return 0;
    }
    drained_ = false;
    const std::size_t before = out.size();
    Intake intake{pool, out};
    if (ring_.is_open()) {
        receive_from_ring(intake, max_frames);
    } else {
        receive_by_reading(intake, max_frames);
    }
    return out.size() - before;
}

void Device::receive_by_reading(Intake& intake, std::size_t max_frames) {
    const std::size_t start = frame_offset_ - std::size_t{header_size_};
    const std::size_t room = kLargeChunk - start;
    for (std::size_t reads = 0; reads < max_frames; ++reads) {
        if (!intake.scratch) {
            intake.scratch = intake.pool.allocate(kLargeChunk);
        }
        // Without a large chunk a small frame can still be copied out: an acknowledgement gets in, and
        // may free memory.
        std::byte* memory = intake.scratch ? intake.scratch.data() : spare_scratch_.data();
        // One contiguous read: the virtio_net_hdr ends where the frame begins.
        const ssize_t result = ::read(fd_.get(), memory + start, room);
        if (result < 0) {
            if (errno == EINTR) {
                continue;
            }
            drained_ = true;
            return note_receive_error(errno);
        }
        if (result == 0 && ends_with_empty_read_) {
            drained_ = true;
            failure_ =
                LinkError{LinkErrorKind::no_device, 0, "The other end of the link was closed."};
            return;
        }
        const auto size = static_cast<std::size_t>(result);
        if (size == room) {
            count(LinkDrop::receive_truncated);
            continue;
        }
        const std::size_t header = std::min<std::size_t>(size, header_size_);
        accept_frame(intake, Bytes(memory + start, header),
                     Bytes(memory + start + header, size - header));
    }
}

void Device::receive_from_ring(Intake& intake, std::size_t max_frames) {
    for (std::size_t reads = 0; reads < max_frames; ++reads) {
        const auto entry = ring_.front(header_size_);
        if (!entry) {
            drained_ = true;
            if (reads == 0) {
                // Woken for nothing: then it may be for an error, which stays until it is asked for.
                int number = 0;
                socklen_t size = sizeof(number);
                (void)::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &number, &size);
                if (number != 0) {
                    note_receive_error(number);
                }
            }
            return;
        }
        if (entry->truncated) {
            count(LinkDrop::receive_truncated);
        } else {
            accept_frame(intake, entry->header, entry->frame);
        }
        ring_.pop();
    }
}

/// Judges a frame that was just read and appends it, unless it is dropped.
void Device::accept_frame(Intake& intake, Bytes header, Bytes frame) {
    std::optional<Offload> offload = Offload{};
    if (header_size_ != 0) {
        offload = parse_virtio_net(header, order_);
    }
    if (!offload || frame.empty()) {
        return count(LinkDrop::receive_bad_header);
    }
    Slice slice = store_frame(intake, frame);
    if (slice.empty()) {
        return count(LinkDrop::receive_no_buffer);
    }
    ++counters_.frames_received;
    counters_.bytes_received += slice.size();
    if (offload->gso != Offload::Gso::none) {
        ++counters_.super_frames_received;
    }
    Frame& made = intake.out.emplace_back();
    made.offload = *offload;
    made.body.push_back(std::move(slice));
}

/// The frame in memory that it may keep, or an empty slice.
Slice Device::store_frame(Intake& intake, Bytes frame) const {
    const auto size = static_cast<std::uint32_t>(frame.size());
    if (frame.size() <= kPackLimit) {
        // At the same place in its cache line as in a large chunk. Measured: the copy of up to 4 KB is
        // lost in the read's own noise, and handing large chunks out instead wins nothing.
        const std::size_t shift = frame_offset_ % kLine;
        std::size_t begin = round_up_to_line(intake.packed_used) + shift;
        if (!intake.packed || begin + frame.size() > intake.packed.capacity()) {
            intake.packed = intake.pool.allocate(kSmallChunk);
            begin = shift;
            if (!intake.packed) {
                return {};
            }
        }
        std::memcpy(intake.packed.data() + begin, frame.data(), frame.size());
        intake.packed_used = static_cast<std::uint32_t>(begin + frame.size());
        return {intake.packed, static_cast<std::uint32_t>(begin), size};
    }
    if (intake.scratch) {
        return {std::move(intake.scratch), frame_offset_, size};
    }
    if (!ring_.is_open()) {
        return {};  // read into the spare scratch, since the pool has no large chunk
    }
    ChunkRef chunk = intake.pool.allocate(kLargeChunk);
    if (!chunk) {
        return {};
    }
    std::memcpy(chunk.data() + frame_offset_, frame.data(), frame.size());
    return {std::move(chunk), frame_offset_, size};
}

void Device::note_receive_error(int number) {
    if (would_block(number)) {
        return;
    }
    counters_.last_error = number;
    if (number == ENETDOWN) {
        // A packet socket says this once when its interface is switched off, and works again when it is
        // switched on; but also when the interface is deleted.
        std::array<char, IF_NAMESIZE> ignored{};
        if (::if_indextoname(interface_index_, ignored.data()) != nullptr) {
            return;
        }
    }
    auto error =
        link_failure(LinkErrorKind::no_device, number,
                     name_.empty() ? "The link has gone" : "The interface " + name_ + " has gone");
    failure_ = std::move(error.error());
}

std::size_t Device::send(std::span<const Frame> frames) {
    std::size_t done = 0;
    for (const Frame& frame : frames) {
        if (!send_one(frame)) {
            ++counters_.send_would_block;
            break;
        }
        ++done;
    }
    return done;
}

/// False when the device is full; else the frame is done with.
bool Device::send_one(const Frame& frame) {
    std::array<std::byte, kLongestHeader> header{};
    std::array<iovec, kMaxFrameSlices + 2> pieces;
    std::size_t used = 0;
    if (header_size_ != 0) {
        (void)emit_virtio_net(frame.offload, header, order_);
        pieces[used++] = {header.data(), header_size_};
    } else if (frame.offload.needs_checksum || frame.offload.gso != Offload::Gso::none) {
        count(LinkDrop::send_no_offload);
        return true;
    }
    std::size_t size = 0;
    // iovec has no const; writev only reads.
    auto add = [&](Bytes bytes) {
        if (!bytes.empty()) {
            pieces[used++] = {const_cast<std::byte*>(bytes.data()), bytes.size()};
            size += bytes.size();
        }
    };
    add(frame.head());
    for (const Slice& slice : frame.body) {
        add(slice.bytes());
    }
    ssize_t written = 0;
    do {
        written = ::writev(fd_.get(), pieces.data(), static_cast<int>(used));
    } while (written < 0 && errno == EINTR);
    if (written < 0) {
        if (would_block(errno)) {
            return false;
        }
        note_send_error(errno);
        return true;
    }
    ++counters_.frames_sent;
    counters_.bytes_sent += size;
    if (frame.offload.gso != Offload::Gso::none) {
        ++counters_.super_frames_sent;
    }
    return true;
}

void Device::note_send_error(int number) {
    counters_.last_error = number;
    switch (number) {
        case ENOBUFS:
        case ENOMEM: return count(LinkDrop::send_queue_full);
        // A TUN says EIO for an interface that is down, a packet socket ENETDOWN.
        case EIO:
        case ENETDOWN: return count(LinkDrop::send_interface_down);
        case EINVAL: return count(LinkDrop::send_refused);
        case EMSGSIZE: return count(LinkDrop::send_too_long);
        case EBADFD:
        case ENXIO:
        case ENODEV:
        case EPIPE:
        case ECONNRESET:
        case ECONNREFUSED:
        case ENOTCONN: count(LinkDrop::send_failed); return note_receive_error(number);
        default: return count(LinkDrop::send_failed);
    }
}

void Device::update_kernel_drops() {
    if (kind_ != DeviceKind::packet) {
        return;
    }
    tpacket_stats stats{};
    socklen_t size = sizeof(stats);
    // Reading them sets the kernel's own count to zero.
    if (::getsockopt(fd_.get(), SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0) {
        counters_.drops[static_cast<std::size_t>(LinkDrop::kernel_queue_full)] += stats.tp_drops;
    }
}

}  // namespace runnel
