// One segment's way out, top to bottom: whoever has something to say is asked in turn, the transport's
// header is written into a frame, the network layer routes it, and frames go out in batches.
#include <iterator>
#include <utility>

#include "runnel/host/host.hpp"
#include "runnel/wire/ip_protocol.hpp"

namespace runnel {

namespace {
constexpr std::uint16_t kTcpChecksumOffset = 16;  // RFC 9293 §3.1
}  // namespace

bool Host::poll_transmit(Instant now, FrameBatch& out, std::size_t budget) {
    // Steps are counted beside frames, because a packet to ourselves becomes no frame.
    bool more = true;
    for (std::size_t steps = 0; steps < budget && ip_.pending().size() < budget; ++steps) {
        more = next_step(now);
        if (!more) {
            break;
        }
    }
    hand_out(out, now);
    return more;
}

/// One segment delivered to ourselves or sent; false when there is nothing left to do.
bool Host::next_step(Instant now) {
    // RFC 9293 §3.10.7.4, MUST-59.
    // What has arrived goes first: one acknowledgement can then answer several segments.
    if (ip_.has_local()) {
        on_input(ip_.poll_local(now), now);
        return true;
    }
    if (std::optional<UdpTransmit> datagram = udp_.poll_transmit()) {
        emit(std::move(*datagram), now);
        return true;
    }
    tcp::OutgoingSegment segment;
    if (tcp_.poll_transmit(now, segment)) {
        emit(std::move(segment), now);
        return true;
    }
    return false;
}

void Host::emit(tcp::OutgoingSegment&& segment, Instant now) {
    Frame frame;
    frame.reason = static_cast<std::uint16_t>(segment.reason);
    frame.set_head_size(emit_tcp(segment.header, frame.head_space()));
    frame.body = std::move(segment.payload);

    OutgoingPacket packet;
    // RFC 9293 §3.9.1.1, MUST-45: the address it began with, for as long as it lives.
    packet.source = segment.tuple.local.address;
    packet.destination = segment.tuple.remote.address;
    packet.protocol = kProtocolTcp;
    packet.hop_limit = segment.hop_limit;
    packet.traffic_class = segment.traffic_class;
    packet.gso_size = segment.gso_size;
    packet.keep_cwr = segment.keep_cwr;
    packet.checksum_offset = kTcpChecksumOffset;
    (void)ip_.output(std::move(frame), packet, now);  // it records its own holds and drops
}

void Host::emit(UdpTransmit&& datagram, Instant now) {
    OutgoingPacket packet;
    packet.destination = datagram.destination;
    packet.protocol = kProtocolUdp;
    packet.dont_fragment = false;
    packet.checksum_offset = UdpTable::kChecksumOffset;
    if (datagram.source) {
        packet.source = *datagram.source;
    } else if (const auto way = ip_.route(datagram.destination)) {
        packet.source = way->source;  // RFC 1122 §4.1.3.5: the route chooses the source
    } else {
        packet.source = IpAddress::any(datagram.destination.family());  // dropped below, by name
    }
    (void)ip_.output(std::move(datagram.frame), packet, now);
}

void Host::hand_out(FrameBatch& out, Instant now) {
    FrameBatch& pending = ip_.pending();
    if (capturing_) {
        for (const Frame& frame : pending) {
            if (may_capture()) {
                captured_.push_back({now, frame.interface, false, frame, {}});
                captured_.back().decisions.push_back(static_cast<Decision>(frame.reason));
            }
        }
    }
    if (out.empty()) {
        out.swap(pending);  // both keep their memory, so that neither allocates again
    } else {
        out.insert(out.end(), std::make_move_iterator(pending.begin()),
                   std::make_move_iterator(pending.end()));
        pending.clear();
    }
}

}  // namespace runnel
