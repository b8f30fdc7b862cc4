// Splitting a TCP super-segment where the link can't: each piece gets the header's copy with its sequence
// number, FIN and PSH only on the last, CWR only on the first (RFC 3168 §6.1.2 marks one packet), or
// on all where it belongs to a counter (RFC 9768 §3.2.2).
#include <algorithm>
#include <utility>

#include "runnel/ip/output.hpp"
#include "runnel/wire/tcp_segment.hpp"

namespace runnel {

namespace {

constexpr std::size_t kSequenceAt = 4;
constexpr std::size_t kFlagsAt = 13;
constexpr std::byte kOnlyLast = std::byte{TcpFlags::kFin | TcpFlags::kPsh};
constexpr std::byte kOnlyFirst = std::byte{TcpFlags::kCwr};

}  // namespace

Decision send_split(IpState& ip, Frame&& frame, const OutgoingPacket& packet, Path& cached,
                    Instant now) {
    // A copy: resolving the neighbour may send, and what it sends may take this place in the cache.
    Path path = cached;
    const std::size_t total = frame.body_size();
    const std::size_t header = frame.head_size;
    const std::uint32_t first_seq = ByteReader(frame.head().subspan(kSequenceAt, 4)).u32();
    const std::byte flags = frame.head()[kFlagsAt];
    OutgoingPacket piece_packet = packet;
    piece_packet.gso_size = 0;

    SliceCursor cursor(frame.body);
    Decision outcome = Decision::ip_transmit;
    for (std::size_t offset = 0; offset < total; offset += packet.gso_size) {
        const std::size_t size = std::min<std::size_t>(packet.gso_size, total - offset);
        Frame piece;
        piece.reason = frame.reason;
        std::copy_n(frame.head().data(), header, piece.head_space().data());
        piece.set_head_size(header);
        if (!cursor.take(size, piece.body)) {
            return ip.note_out(Decision::ip_drop_malformed_output, now, total);
        }
        ByteWriter(piece.head_space().subspan(kSequenceAt, 4))
            .u32(first_seq + static_cast<std::uint32_t>(offset));
        std::byte piece_flags = flags;
        if (offset + size < total) {
            piece_flags &= ~kOnlyLast;
        }
        if (offset > 0 && !packet.keep_cwr) {
            piece_flags &= ~kOnlyFirst;
        }
        piece.head_space()[kFlagsAt] = piece_flags;

        const std::size_t packet_size = header + size + (packet.destination.is_v4() ? 20 : 40);
        const Decision sent = packet_size > path.mtu && path.may_fragment
                                  ? send_fragments(ip, std::move(piece), piece_packet, path, now)
                                  : send_whole(ip, std::move(piece), piece_packet, path, now);
        if (sent != Decision::ip_transmit) {
            outcome = sent;
        }
    }
    remember_neighbor(ip, path);
    return outcome;
}

}  // namespace runnel
