// Fragments on their way out: only at the source, only where the transport allows it (RFC 791 §3.2,
// RFC 8200 §4.5). TCP and all that sets don't-fragment never come here.
#include <algorithm>
#include <utility>

#include "runnel/ip/output.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel {

namespace {

/// One fragment's data, the first with the transport header in its head, before any IP header.
bool cut_fragment(const Frame& whole, SliceCursor& cursor, std::size_t offset, std::size_t size,
                  Frame& piece) {
    piece.reason = whole.reason;
    if (offset == 0) {
        std::copy_n(whole.head().data(), whole.head_size, piece.head_space().data());
        piece.set_head_size(whole.head_size);
        size -= whole.head_size;
    }
    return cursor.take(size, piece.body);
}

void prepend_fragment_headers(Frame& piece, const OutgoingPacket& packet,
                              std::uint32_t identification, std::size_t offset, bool more) {
    if (packet.destination.is_v4()) {
        Ipv4Header header;
        header.traffic_class = packet.traffic_class;
        header.total_length = static_cast<std::uint16_t>(kIpv4HeaderSize + piece.size());
        header.identification = static_cast<std::uint16_t>(identification);
        header.more_fragments = more;
        header.fragment_offset = static_cast<std::uint16_t>(offset);
        header.ttl = packet.hop_limit;
        header.protocol = packet.protocol;
        header.source = packet.source;
        header.destination = packet.destination;
        emit_ipv4(header, piece.prepend_head(kIpv4HeaderSize));
        return;
    }
    Ipv6Fragment fragment;
    fragment.identification = identification;
    fragment.fragment_offset = static_cast<std::uint16_t>(offset);
    fragment.more_fragments = more;
    fragment.next_header = packet.protocol;
    emit_ipv6_fragment(fragment, piece.prepend_head(kIpv6FragmentHeaderSize));
    OutgoingPacket outer = packet;
    outer.protocol = kProtocolFragment;
    prepend_ip_header(piece, outer, 0, false);
}

}  // namespace

Decision send_fragments(IpState& ip, Frame&& frame, const OutgoingPacket& packet, Path& cached,
                        Instant now) {
    // A copy: resolving the neighbour may send, and what it sends may take this place in the cache.
    Path path = cached;
    const std::size_t total = frame.size();
    const bool v4 = packet.destination.is_v4();
    const std::size_t headers = v4 ? kIpv4HeaderSize : kIpv6HeaderSize + kIpv6FragmentHeaderSize;
    const std::size_t room = path.mtu > headers ? (path.mtu - headers) & ~std::size_t{7} : 0;
    if (room == 0 || room < frame.head_size) {
        return ip.note_out(Decision::ip_drop_too_big, now, total, path.mtu);
    }
    // The checksum covers the whole datagram, so no link can complete it piece by piece.
    fill_checksum(frame, packet, static_cast<std::uint32_t>(total), false);
    const std::uint32_t identification = ip.identifications.take(path.identification_group, 1);

    SliceCursor cursor(frame.body);
    for (std::size_t offset = 0; offset < total; offset += room) {
        const std::size_t size = std::min(room, total - offset);
        const bool more = offset + size < total;
        Frame piece;
        if (!cut_fragment(frame, cursor, offset, size, piece)) {
            return ip.note_out(Decision::ip_drop_malformed_output, now, total);
        }
        prepend_fragment_headers(piece, packet, identification, offset, more);
        const Decision sent = send_to_link(ip, std::move(piece), path, now);
        if (sent != Decision::ip_transmit && sent != Decision::ip_hold_resolution) {
            return sent;
        }
    }
    remember_neighbor(ip, path);
    return ip.note_out(Decision::ip_transmit_fragments, now, total, path.mtu);
}

}  // namespace runnel
