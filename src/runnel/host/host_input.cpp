// One segment's way in, top to bottom: a frame from a link, the network layer, the transport's checksum
// and header, and the door of TCP or UDP; ICMP errors take the same way to whom they quote.
// RFC 1122 §3.4 and §4 draw the lines between the layers.
#include <algorithm>
#include <utility>
#include <variant>

#include "runnel/host/host.hpp"
#include "runnel/wire/ip_protocol.hpp"

namespace runnel {

namespace {

/// Cuts `count` bytes off the front; they lie in the first slice.
void strip_header(SliceList& slices, std::size_t count) {
    if (slices.front().size() == count) {
        slices.erase(slices.begin());
    } else {
        slices.front().remove_prefix(count);
    }
}

struct IcmpMeaning {
    Errc error;
    bool hard;  ///< aborts the connection (RFC 1122 §4.2.3.9); soft errors are only remembered
};

/// RFC 9293 §3.9.2.2 and RFC 5461 §2 say which errors are hard; the error codes are Linux's.
IcmpMeaning meaning_of(IcmpError::Kind kind, Family family) {
    using Kind = IcmpError::Kind;
    switch (kind) {
        case Kind::network_unreachable: return {Errc::network_unreachable, false};
        case Kind::host_unreachable: return {Errc::host_unreachable, false};
        case Kind::protocol_unreachable:
            // Over IPv6 it is a Parameter Problem, which is soft (§3.9.2.2, MUST-56).
            return {Errc::option_not_supported, family == Family::ipv4};
        case Kind::port_unreachable: return {Errc::connection_refused, true};
        case Kind::administratively_prohibited:
            return {family == Family::ipv4 ? Errc::host_unreachable : Errc::permission_denied,
                    true};
        case Kind::source_route_failed: return {Errc::not_supported, false};
        case Kind::packet_too_big: return {Errc::message_too_long, false};
        case Kind::time_exceeded:
        case Kind::reassembly_time_exceeded: return {Errc::host_unreachable, false};
        case Kind::parameter_problem: return {Errc::protocol_error, false};
    }
    return {Errc::host_unreachable, false};
}

}  // namespace

void Host::on_frames(std::uint8_t interface, FrameBatch& frames, Instant now) {
    for (Frame& frame : frames) {
        frame.interface = interface;
        on_frame(std::move(frame), now);
    }
    frames.clear();
}

void Host::on_frame(Frame&& frame, Instant now) {
    if (!capturing_ || !may_capture()) {
        on_input(ip_.input(std::move(frame), now), now);
        return;
    }
    const std::uint64_t first_record = recorder_.next_number();
    capture_in(frame, now);
    on_input(ip_.input(std::move(frame), now), now);
    capture_decisions(first_record);
}

void Host::on_input(InputResult&& result, Instant now) {
    if (auto* datagram = std::get_if<Datagram>(&result)) {
        on_datagram(std::move(*datagram), now);
    } else if (const auto* error = std::get_if<IcmpError>(&result)) {
        on_icmp_error(*error, now);
    }
}

void Host::on_datagram(Datagram&& datagram, Instant now) {
    switch (datagram.protocol) {
        case kProtocolTcp: return on_tcp(std::move(datagram), now);
        case kProtocolUdp: return on_udp(std::move(datagram), now);
        default:
            // RFC 1122 §3.2.2.1, RFC 8200 §4: nobody here speaks that protocol.
            (void)ip_.send_icmp_error(IcmpError::Kind::protocol_unreachable, datagram, now);
    }
}

void Host::on_tcp(Datagram&& datagram, Instant now) {
    // RFC 9293 §3.1, MUST-3: a receiver checks the checksum; a device may have done it for us.
    if (!verify_transport_checksum(datagram)) {
        drop_tcp(Decision::tcp_drop_checksum, datagram, now);
        return;
    }
    // A header that does not lie in one piece is a fragment made to hide it (RFC 1858 §3.2).
    const TcpParse parse =
        parse_tcp(datagram.payload.empty() ? Bytes{} : datagram.payload.front().bytes());
    if (parse.error) {
        drop_tcp(Decision::tcp_drop_malformed, datagram, now);
        return;
    }

    tcp::ArrivingSegment segment;
    segment.tuple.local = {datagram.destination, parse.header.destination_port};
    segment.tuple.remote = {datagram.source, parse.header.source_port};
    segment.header = parse.header;
    segment.payload = std::move(datagram.payload);
    strip_header(segment.payload, parse.header.header_length);
    segment.payload_size = datagram.payload_size - parse.header.header_length;
    segment.gso_size = datagram.offload.gso_size;
    segment.traffic_class = datagram.traffic_class;
    segment.to_unicast = datagram.to_unicast;
    if (parse.header.flags.syn()) {
        // Only what opens something needs to know the way back.
        const auto way_back = ip_.route(datagram.source, datagram.destination, datagram.interface);
        if (way_back) {
            segment.path_mtu = way_back->mtu;
        }
    }
    const IpAddress peer = datagram.source;
    if (tcp_.on_segment(std::move(segment), now)) {
        ip_.confirm_neighbor(peer, now);  // RFC 4861 §7.3.1, RFC 1122 §3.3.1.4: positive advice
    }
}

Decision Host::drop_tcp(Decision decision, const Datagram& datagram, Instant now) {
    EventRecord record;
    record.time = now;
    record.decision = decision;
    record.length = datagram.payload_size;
    record.inbound = 1;
    recorder_.record(record);
    return decision;
}

void Host::on_udp(Datagram&& datagram, Instant now) {
    UdpArrival arrival;
    arrival.source = datagram.source;
    arrival.destination = datagram.destination;
    arrival.interface = datagram.interface;
    arrival.to_unicast = datagram.to_unicast;
    arrival.checksum_trusted = datagram.offload.needs_checksum || datagram.offload.checksum_valid;
    arrival.payload = datagram.payload;  // shared, because an ICMP error quotes it
    arrival.payload_size = datagram.payload_size;
    const Decision decision = udp_.on_datagram(std::move(arrival), now);
    if (decision == Decision::udp_drop_no_socket) {
        // RFC 1122 §4.1.3.1: a datagram to a port nobody has is answered with Port Unreachable.
        (void)ip_.send_icmp_error(IcmpError::Kind::port_unreachable, datagram, now);
    }
}

void Host::on_icmp_error(const IcmpError& error, Instant now) {
    bool genuine = false;
    if (error.protocol == kProtocolTcp) {
        genuine = icmp_to_tcp(error, now);
    } else if (error.protocol == kProtocolUdp) {
        genuine = icmp_to_udp(error, now);
    }
    // RFC 5927 §7: the path is believed to be narrow only once the transport knows the quoted packet.
    if (genuine && error.kind == IcmpError::Kind::packet_too_big) {
        ip_.update_path_mtu(error.quoted_destination, error.mtu, now);
    }
}

bool Host::icmp_to_tcp(const IcmpError& error, Instant now) {
    // RFC 792: at least 8 octets are quoted, the ports and the sequence number.
    ByteReader quoted(error.transport_bytes());
    const std::uint16_t source_port = quoted.u16();
    const std::uint16_t destination_port = quoted.u16();
    const SeqNum seq{quoted.u32()};
    if (!quoted.ok()) {
        return false;
    }
    // RFC 9293 §3.9.2.2, MUST-54: to the connection whose segment it quotes.
    const IcmpMeaning meaning = meaning_of(error.kind, error.quoted_source.family());
    tcp::IcmpReport report;
    report.tuple.local = {error.quoted_source, source_port};
    report.tuple.remote = {error.quoted_destination, destination_port};
    report.quoted_seq = seq;
    report.hard = meaning.hard;
    report.packet_too_big = error.kind == IcmpError::Kind::packet_too_big;
    report.local = error.reporter == error.quoted_source;
    // The same floor as the path's own (Linux): below it an error is more likely a lie than a link.
    const bool v4 = error.quoted_source.is_v4();
    report.mtu = v4 ? std::max(error.mtu, config_.ip.min_path_mtu_v4) : error.mtu;
    report.error = meaning.error;
    return tcp_.on_icmp(report, now);
}

bool Host::icmp_to_udp(const IcmpError& error, Instant now) {
    const UdpQuote quote{error.quoted_source, error.quoted_destination, error.transport_bytes()};
    const Errc code = meaning_of(error.kind, error.quoted_source.family()).error;
    return udp_.on_error(quote, code, now) == Decision::udp_accept_error;
}

}  // namespace runnel
