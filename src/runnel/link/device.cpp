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

void Device::prepare_scratch(Intake& intake) {
    if (!intake.scratch) {
        intake.scratch = intake.pool.allocate(kLargeChunk);
    }
    // Without a large chunk a small frame can still be copied out: an acknowledgement gets in, and may
    // free memory.
    intake.memory = intake.scratch ? intake.scratch.data() : spare_scratch_.data();
}

std::size_t Device::receive(BufferPool& pool, FrameBatch& out, std::size_t max_frames) {
    std::size_t appended = 0;
    drained_ = false;
    if (failure_) {
        drained_ = true;
        return 0;
    }
    Intake intake{pool};
    for (std::size_t reads = 0; reads < max_frames; ++reads) {
        prepare_scratch(intake);
        // One contiguous read: the virtio_net_hdr ends where the frame begins.
        const std::size_t start = frame_offset_ - std::size_t{header_size_};
        const ssize_t size = ::read(fd_.get(), intake.memory + start, kLargeChunk - start);
        if (size < 0) {
            if (errno == EINTR) {
                continue;
            }
            drained_ = true;
            note_receive_error(errno);
            break;
        }
        if (size == 0 && ends_with_empty_read_) {
            drained_ = true;
            failure_ =
                LinkError{LinkErrorKind::no_device, 0, "The other end of the link was closed."};
            break;
        }
        if (accept_frame(intake, out, static_cast<std::size_t>(size))) {
            ++appended;
        }
    }
    return appended;
}

/// Judges what was just read into the scratch and appends it, unless it is dropped.
bool Device::accept_frame(Intake& intake, FrameBatch& out, std::size_t size) {
    if (size <= header_size_) {
        count(LinkDrop::receive_bad_header);
        return false;
    }
    if (size == kLargeChunk - frame_offset_ + header_size_) {
        count(LinkDrop::receive_truncated);
        return false;
    }
    std::optional<Offload> offload = Offload{};
    if (header_size_ != 0) {
        const std::byte* header = intake.memory + frame_offset_ - header_size_;
        offload = parse_virtio_net(Bytes(header, kVirtioNetHeaderSize), order_);
        if (!offload) {
            count(LinkDrop::receive_bad_header);
            return false;
        }
    }
    Slice slice = store_frame(intake, size - header_size_);
    if (slice.empty()) {
        count(LinkDrop::receive_no_buffer);
        return false;
    }
    ++counters_.frames_received;
    counters_.bytes_received += slice.size();
    if (offload->gso != Offload::Gso::none) {
        ++counters_.super_frames_received;
    }
    Frame& frame = out.emplace_back();
    frame.offload = *offload;
    frame.body.push_back(std::move(slice));
    return true;
}

/// The scratch's frame in memory that it may keep, or an empty slice.
Slice Device::store_frame(Intake& intake, std::size_t size) const {
    const auto length = static_cast<std::uint32_t>(size);
    if (size > kPackLimit) {
        // Without a chunk, `scratch` is none and the frame lies in the spare scratch: no place for it.
        return intake.scratch ? Slice(std::move(intake.scratch), frame_offset_, length) : Slice();
    }
    // The same place in its cache line as in the scratch.
    const std::size_t shift = frame_offset_ % kLine;
    std::size_t begin = round_up_to_line(intake.packed_used) + shift;
    if (!intake.packed || begin + size > intake.packed.capacity()) {
        intake.packed = intake.pool.allocate(kSmallChunk);
        begin = shift;
        if (!intake.packed) {
            return {};
        }
    }
    std::memcpy(intake.packed.data() + begin, intake.memory + frame_offset_, size);
    intake.packed_used = static_cast<std::uint32_t>(begin + size);
    return {intake.packed, static_cast<std::uint32_t>(begin), length};
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
