// From a transport's segment to a packet that its path takes: which path, in one piece or several, with
// which checksum and IP header (RFC 1122 §3.3.1, RFC 791 §3.1, RFC 8200 §3).
#include "runnel/ip/output.hpp"

#include <utility>

#include "runnel/base/check.hpp"
#include "runnel/base/checksum.hpp"
#include "runnel/ip/ip_layer.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/quoted_datagram.hpp"
#include "runnel/wire/tcp_segment.hpp"
#include "runnel/wire/udp.hpp"

namespace runnel {

namespace {

constexpr std::size_t kMaxIpv6Payload = 65'535;
constexpr std::size_t kTcpFlagsAt = 13;

std::size_t header_size(Family family) {
    return family == Family::ipv4 ? kIpv4HeaderSize : kIpv6HeaderSize;
}

/// Whether the packet's length can be said in its header.
bool length_fits(Family family, std::size_t transport_size) {
    return family == Family::ipv4 ? transport_size + kIpv4HeaderSize <= kIpv4MaxPacket
                                  : transport_size <= kMaxIpv6Payload;
}

/// RFC 1122 §3.2.1.3: a packet's source is one of the host's addresses. Unspecified only where a message
/// is sent on purpose before there is one (duplicate check, listener report).
bool source_is_ours(const IpState& ip, const OutgoingPacket& packet, Path& path) {
    if (path.source_checked && path.checked_source == packet.source) {
        return true;
    }
    if (packet.source.family() != packet.destination.family()) {
        return false;
    }
    const bool before_addresses =
        packet.source.is_unspecified() && !packet.source.is_v4() && path.kind == PathKind::group;
    if (!before_addresses && !ip.addresses.is_local(packet.source)) {
        return false;
    }
    path.checked_source = packet.source;
    path.source_checked = true;
    return true;
}

/// The IP packet's front, made only to tell our own transport which packet didn't go.
Decision refuse_too_big(IpState& ip, Frame&& frame, const OutgoingPacket& packet, const Path& path,
                        Instant now) {
    const std::size_t size = frame.size();
    const std::uint32_t mtu = path.mtu;
    frame.body.clear();
    prepend_ip_header(frame, packet, 0, true);
    report_local_error(ip, IcmpError::Kind::packet_too_big, frame.head(), mtu);
    return ip.note_out(Decision::ip_drop_too_big, now, size, mtu);
}

/// The MTU of what arrives whole is the path's, and of a super-segment that of each piece.
Decision send_super_segment(IpState& ip, Frame&& frame, const OutgoingPacket& packet, Path& path,
                            Instant now) {
    const Family family = packet.destination.family();
    if (packet.protocol != kProtocolTcp || frame.head_size < 20) {
        return ip.note_out(Decision::ip_drop_malformed_output, now, frame.size());
    }
    const std::size_t piece = header_size(family) + frame.head_size + packet.gso_size;
    if (piece > path.mtu && path.kind != PathKind::loopback && !path.may_fragment) {
        return refuse_too_big(ip, std::move(frame), packet, path, now);
    }
    bool offload = path.kind == PathKind::loopback;
    if (!offload) {
        const LinkCapabilities& link = ip.interfaces[path.interface].config.capabilities;
        offload = link.checksum_offload && (family == Family::ipv4 ? link.tso4 : link.tso6);
    }
    const std::byte flags = frame.head()[kTcpFlagsAt];
    const bool cwr = (flags & std::byte{TcpFlags::kCwr}) != std::byte{0};
    // No device knows yet that CWR may belong on every piece.
    const bool unknown = packet.keep_cwr && cwr && path.kind != PathKind::loopback;
    if (!offload || unknown || path.may_fragment || !length_fits(family, frame.size())) {
        return send_split(ip, std::move(frame), packet, path, now);
    }
    frame.offload.gso = family == Family::ipv4 ? Offload::Gso::tcp_ipv4 : Offload::Gso::tcp_ipv6;
    frame.offload.gso_size = packet.gso_size;
    frame.offload.header_length = frame.head_size;
    frame.offload.ecn = cwr && !packet.keep_cwr;
    return send_whole(ip, std::move(frame), packet, path, now);
}

}  // namespace

Decision packet_output(IpState& ip, Frame&& frame, const OutgoingPacket& packet, Instant now) {
    std::uint8_t interface = packet.interface;
    if (interface == kAnyInterface && !packet.destination.is_v4() &&
        packet.destination.is_link_local()) {
        // A link-local address means something only beside its link: the source's (RFC 4007 §6).
        const LocalAddress* source = ip.addresses.find(packet.source);
        if (source != nullptr) {
            interface = source->interface;
        }
    }
    Path* path = find_path(ip, packet.destination, interface);
    if (path == nullptr) {
        return ip.note_out(Decision::ip_drop_no_route, now, frame.size());
    }
    if (!source_is_ours(ip, packet, *path)) {
        return ip.note_out(Decision::ip_drop_bad_source, now, frame.size());
    }
    const Family family = packet.destination.family();
    frame.offload = {};
    if (packet.gso_size != 0 && frame.body_size() > packet.gso_size) {
        return send_super_segment(ip, std::move(frame), packet, *path, now);
    }
    const std::size_t size = frame.size();
    if (!length_fits(family, size)) {
        return ip.note_out(Decision::ip_drop_too_long, now, size);
    }
    if (header_size(family) + size <= path->mtu || path->kind == PathKind::loopback) {
        return send_whole(ip, std::move(frame), packet, *path, now);
    }
    if (packet.dont_fragment && !path->may_fragment) {
        return refuse_too_big(ip, std::move(frame), packet, *path, now);
    }
    return send_fragments(ip, std::move(frame), packet, *path, now);
}

Decision send_whole(IpState& ip, Frame&& frame, const OutgoingPacket& packet, Path& path,
                    Instant now) {
    const bool loopback = path.kind == PathKind::loopback;
    const bool v4 = packet.destination.is_v4();
    const bool partial =
        loopback || ip.interfaces[path.interface].config.capabilities.checksum_offload;
    fill_checksum(frame, packet, static_cast<std::uint32_t>(frame.size()), partial);

    std::uint32_t pieces = 1;
    if (frame.offload.gso_size != 0) {
        pieces = static_cast<std::uint32_t>((frame.body_size() + frame.offload.gso_size - 1) /
                                            frame.offload.gso_size);
    }
    const auto identification = static_cast<std::uint16_t>(
        v4 ? ip.identifications.take(path.identification_group, pieces) : 0);
    prepend_ip_header(frame, packet, identification, packet.dont_fragment && !path.may_fragment);
    if (loopback) {
        return send_to_loopback(ip, std::move(frame), now);
    }
    return send_to_link(ip, std::move(frame), path, now);
}

void fill_checksum(Frame& frame, const OutgoingPacket& packet, std::uint32_t transport_size,
                   bool partial) {
    if (packet.checksum_offset == kNoChecksum) {
        return;
    }
    RUNNEL_CHECK(packet.checksum_offset + 2U <= frame.head_size);
    std::uint16_t field =
        pseudo_header_sum(packet.source, packet.destination, packet.protocol, transport_size);
    if (partial) {
        frame.offload.needs_checksum = true;
        frame.offload.csum_start = 0;  // moved by every header put before
        frame.offload.csum_offset = packet.checksum_offset;
    } else {
        // RFC 9293 §3.1, MUST-2; where the link completes it, the pseudo-header's sum is our part of it.
        field = complete_checksum(field, frame.head(), frame.body);
        if (packet.protocol == kProtocolUdp) {
            field = udp_checksum_field(field);
        }
    }
    ByteWriter(frame.head_space().subspan(packet.checksum_offset, 2)).u16(field);
}

void prepend_ip_header(Frame& frame, const OutgoingPacket& packet, std::uint16_t identification,
                       bool dont_fragment) {
    const std::size_t transport_size = frame.size();
    std::size_t size = kIpv6HeaderSize;
    if (packet.destination.is_v4()) {
        Ipv4Header header;
        header.traffic_class = packet.traffic_class;
        header.total_length = static_cast<std::uint16_t>(kIpv4HeaderSize + transport_size);
        header.identification = identification;
        header.dont_fragment = dont_fragment;
        header.ttl = packet.hop_limit;
        header.protocol = packet.protocol;
        header.source = packet.source;
        header.destination = packet.destination;
        size = emit_ipv4(header, frame.prepend_head(kIpv4HeaderSize));
    } else {
        Ipv6Header header;
        header.traffic_class = packet.traffic_class;
        header.payload_length = static_cast<std::uint16_t>(transport_size);
        header.next_header = packet.protocol;
        header.hop_limit = packet.hop_limit;
        header.source = packet.source;
        header.destination = packet.destination;
        emit_ipv6(header, frame.prepend_head(kIpv6HeaderSize));
    }
    if (frame.offload.needs_checksum) {
        frame.offload.csum_start = static_cast<std::uint16_t>(frame.offload.csum_start + size);
    }
    if (frame.offload.gso != Offload::Gso::none) {
        frame.offload.header_length =
            static_cast<std::uint16_t>(frame.offload.header_length + size);
    }
}

bool SliceCursor::take(std::size_t count, SliceList& out) {
    while (count > 0) {
        RUNNEL_CHECK(slice_ < slices_.size());
        const Slice& slice = slices_[slice_];
        const std::size_t part = std::min(count, slice.size() - offset_);
        if (out.size() == out.capacity()) {
            return false;
        }
        out.push_back(slice.subslice(offset_, part));
        count -= part;
        offset_ += part;
        if (offset_ == slice.size()) {
            ++slice_;
            offset_ = 0;
        }
    }
    return true;
}

void report_local_error(IpState& ip, IcmpError::Kind kind, Bytes packet, std::uint32_t mtu) {
    if (ip.local_errors.size() >= kMaxLocalErrors || packet.empty()) {
        return;
    }
    const bool v4 = std::to_integer<unsigned>(packet[0]) >> 4 == 4;
    const auto quoted = v4 ? parse_quoted_ipv4(packet) : parse_quoted_ipv6(packet);
    if (!quoted || quoted->fragment_offset != 0) {
        return;
    }
    IcmpError error;
    error.kind = kind;
    error.quoted_source = quoted->source;
    error.quoted_destination = quoted->destination;
    error.protocol = quoted->protocol;
    error.reporter = quoted->source;
    error.mtu = mtu;
    const Bytes transport =
        quoted->payload.first(std::min(quoted->payload.size(), error.transport.size()));
    std::copy(transport.begin(), transport.end(), error.transport.begin());
    error.transport_size = static_cast<std::uint8_t>(transport.size());
    ip.local_errors.push_back(error);
}

}  // namespace runnel
