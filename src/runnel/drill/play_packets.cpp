// What the script sends into the host, and what it expects from it.
#include <algorithm>

#include <fmt/format.h>

#include "runnel/drill/packet_text.hpp"
#include "runnel/drill/play.hpp"
#include "runnel/drill/print.hpp"
#include "runnel/drill/symbols.hpp"
#include "runnel/wire/ip_protocol.hpp"

namespace runnel::drill {

// --- in --------------------------------------------------------------------------------------------------------------

bool Play::inject(const Event& event, const Packet& packet) {
    row(event, machine_->now(), "", true);
    if (const auto* tcp = std::get_if<TcpPacket>(&packet.what)) {
        if (!inject_tcp(event, packet, *tcp)) {
            return false;
        }
    } else if (const auto* udp = std::get_if<UdpPacket>(&packet.what)) {
        inject_udp(packet, *udp);
    } else if (const auto* icmp = std::get_if<IcmpPacket>(&packet.what)) {
        if (!inject_icmp(event, packet, *icmp)) {
            return false;
        }
    }
    calls_->note_readiness();
    return try_pending();
}

/// The flow an inbound packet belongs to: by the ports written, else the newest; a SYN begins another one when that
/// is over.
Flow& Play::inbound_flow(const Packet& packet, bool new_connection) {
    const bool tcp = std::holds_alternative<TcpPacket>(packet.what);
    if (packet.ports) {
        if (Flow* known = flows_.written(packet.ports->destination, packet.ports->source)) {
            return *known;
        }
    } else if (Flow* current = flows_.current();
               current != nullptr && current->tcp == tcp && !(new_connection && current->over)) {
        return *current;
    }
    const bool v6 = settings_.ip_version == IpVersion::ipv6;
    Flow flow;
    flow.tcp = tcp;
    flow.host.address =
        settings_.local_ip.value_or(*parse_ip_address(v6 ? "fd3d:fa7b:d17d::1" : "192.168.0.1"));
    flow.peer.address =
        settings_.remote_ip.value_or(*parse_ip_address(v6 ? "2001:db8::1" : "192.0.2.1"));
    if (packet.ports) {
        flow.host.port = packet.ports->destination;
        flow.peer.port = packet.ports->source;
    } else if (const auto names = calls_->datagram_names(); !tcp && names) {
        flow.host.port = names->first.port;
        flow.peer.port = names->second.port != 0 ? names->second.port : next_peer_port_++;
    } else {
        const auto listening = calls_->listening_port();
        flow.host.port = listening.value_or(calls_->bound_port().value_or(settings_.bind_port));
        flow.peer.port = next_peer_port_++;
    }
    return flows_.add(flow);
}

IpHead Play::head_for(const Flow& flow, const Packet& packet) const {
    const IpMarks& marks = packet.marks;
    IpHead head;
    head.source = packet.own.from.value_or(flow.peer.address);
    head.destination = packet.own.to.value_or(flow.host.address);
    head.traffic_class = marks.tos.value_or(0);
    if (marks.ecn && *marks.ecn != EcnMark::ect01) {
        head.traffic_class = static_cast<std::uint8_t>((head.traffic_class & 0xfc) |
                                                       static_cast<std::uint8_t>(*marks.ecn));
    }
    head.ttl = marks.ttl.value_or(64);
    head.flow_label = marks.flow_label.value_or(0);
    return head;
}

bool Play::inject_tcp(const Event& event, const Packet& packet, const TcpPacket& tcp) {
    const bool opening = tcp.flags.syn() && !tcp.flags.ack();
    Flow& flow = inbound_flow(packet, opening);
    if (opening && flow.peer_isn && *flow.peer_isn != tcp.sequence.first && flow.over) {
        flow.host_known = false;  // another connection of the same name
        flow.over = false;
    }
    if (tcp.flags.syn()) {
        flow.peer_isn = tcp.sequence.first;
    }
    const TcpPacket wire = to_wire(tcp, flow);
    if (wire.flags.ack()) {
        flow.una = wire.ack;
    }
    const IpHead head = head_for(flow, packet);
    std::vector<std::byte> bytes = build_tcp(head, {flow.peer.port, flow.host.port}, wire);
    if (bytes.empty()) {
        return options_size(tcp.options) > 40
                   ? fail(event.at, "its TCP options take more than 40 bytes")
                   : skip(event.at, "an inbound packet of more than 64 KiB");
    }
    std::uint16_t gso_size = 0;
    if (bytes.size() > settings_.mtu && tcp.sequence.length > 0) {
        const auto headers = static_cast<std::uint32_t>(bytes.size()) - tcp.sequence.length;
        gso_size = static_cast<std::uint16_t>(settings_.mss.value_or(settings_.mtu - headers));
    }
    if (bytes.size() * packet.own.times > kMaxBatchBytes) {
        return skip(event.at, "more than 32 MiB in one batch");
    }
    sign_if_asked(tcp, head, bytes);
    spoil(packet.own, head, bytes);
    machine_->inject(bytes, gso_size, packet.own.times);
    // A reset that was believed ends it; one that was not leaves it as it is.
    flow.over = flow.over || (tcp.flags.rst() && !machine_->knows({flow.host, flow.peer}));
    return true;
}

/// `md5` without digits: the signature that is right, of the key that the script has set last.
void Play::sign_if_asked(const TcpPacket& tcp, const IpHead& head,
                         std::vector<std::byte>& bytes) const {
    const auto asked = std::ranges::any_of(tcp.options, [](const TcpOption& option) {
        return option.kind == TcpOption::Kind::md5 && option.bytes.empty();
    });
    if (asked && calls_->md5_key()) {
        sign_tcp(head, bytes, *calls_->md5_key());
    }
}

bool Play::inject_udp(const Packet& packet, const UdpPacket& udp) {
    Flow& flow = inbound_flow(packet, false);
    machine_->inject(
        build_udp(head_for(flow, packet), {flow.peer.port, flow.host.port}, udp.length), 0);
    return true;
}

bool Play::inject_icmp(const Event& event, const Packet& packet, const IcmpPacket& icmp) {
    const bool v6 = settings_.ip_version == IpVersion::ipv6;
    const auto numbers = icmp_numbers(icmp.type, icmp.code, v6);
    if (!numbers) {
        return fail(event.at, fmt::format("no ICMP message of this family is called {} {}",
                                          icmp.type, icmp.code));
    }
    Flow* flow = flows_.current();
    if (flow == nullptr) {
        Packet opening = packet;
        opening.what = TcpPacket{};
        flow = &inbound_flow(opening, false);
    }
    IcmpOnWire message;
    message.type = numbers->type;
    message.code = numbers->code;
    message.rest = icmp.mtu.value_or(0) | std::uint32_t{icmp.id.value_or(0)} << 16;
    const bool is_error = v6 ? numbers->type < 128 : numbers->type != 0 && numbers->type != 8;
    if (is_error) {
        IpHead quoted;
        quoted.source = flow->host.address;
        quoted.destination = flow->peer.address;
        std::array<std::byte, 8> first{};
        ByteWriter out(first);
        out.u16(flow->host.port);
        out.u16(flow->peer.port);
        std::uint32_t length = 20;
        if (const auto* udp = std::get_if<UdpPacket>(&icmp.quoted); udp || !flow->tcp) {
            length = 8 + (udp ? udp->length : 0);
            out.u16(static_cast<std::uint16_t>(length));
        } else if (const auto* range = std::get_if<SequenceRange>(&icmp.quoted)) {
            out.u32(range->first + flow->host_offset);
            length += range->length;
        } else {
            out.u32(flow->una.value_or(flow->last_sent));
        }
        message.body = build_quote(quoted, flow->tcp ? kProtocolTcp : kProtocolUdp, length, first);
    }
    IpHead head = head_for(*flow, packet);
    machine_->inject(build_icmp(head, message), 0);
    return true;
}

// --- out -------------------------------------------------------------------------------------------------------------

bool Play::wait_for_packet(Instant last) {
    while (machine_->sent.empty() && step(last)) {
    }
    return !over_ && !machine_->sent.empty();
}

/// The oldest packet waiting, in the script's numbers.
SeenPacket Play::take_packet(const Packet& expected, Flow*& flow) {
    SeenPacket seen = std::move(machine_->sent.front());
    machine_->sent.pop_front();
    flow = &stray_;
    if (std::holds_alternative<IcmpOnWire>(seen.what) || seen.what.index() == 0) {
        return seen;
    }
    flow = &flows_.of_outbound(seen);
    if (expected.ports && !flow->written &&
        flows_.written(expected.ports->source, expected.ports->destination) == nullptr) {
        flow->written = expected.ports;
    }
    TcpPacket* tcp = seen.tcp();
    const auto* wanted = std::get_if<TcpPacket>(&expected.what);
    if (tcp == nullptr) {
        return seen;
    }
    flow->last_sent = tcp->sequence.first;
    flow->over = flow->over || tcp->flags.rst();
    if (tcp->flags.syn() && wanted != nullptr && wanted->flags.syn() && !flow->host_known) {
        flow->host_offset = tcp->sequence.first - wanted->sequence.first;
        flow->host_known = true;
        flow->una = tcp->sequence.first;
    }
    *tcp = to_script(*tcp, *flow);
    return seen;
}

/// Later segments that carry on where this one ends, up to the length of the line.
void Play::gather(const Packet& expected, SeenPacket& seen, Flow& flow, Instant last) {
    const auto* wanted = std::get_if<TcpPacket>(&expected.what);
    if (wanted == nullptr || seen.tcp() == nullptr || settings_.strict_segments ||
        options_.strict) {
        return;
    }
    while (seen.tcp()->sequence.length < wanted->sequence.length && wait_for_packet(last)) {
        SeenPacket next = machine_->sent.front();
        if (next.tcp() == nullptr) {
            return;
        }
        *next.tcp() = to_script(*next.tcp(), flow);
        if (!continues(seen, next) ||
            seen.tcp()->sequence.length + next.tcp()->sequence.length > wanted->sequence.length) {
            return;
        }
        merge(seen, next);
        machine_->sent.pop_front();
    }
}

void Play::check_times(const Window& window, const SeenPacket& seen, Instant last,
                       std::vector<std::string>& found) const {
    if (seen.time < window.first) {
        found.push_back(fmt::format("it comes too early, at {} instead of {}",
                                    print(script_time(seen.time)),
                                    print(script_time(window.start))));
    } else if (last > window.last) {
        found.push_back(fmt::format("it comes too late, at {} instead of {}",
                                    print(script_time(last)), print(script_time(window.start))));
    }
}

bool Play::expect(const Event& event, const Packet& packet) {
    const Window window = window_of(event.time);
    bool well = true;
    for (std::uint32_t i = 0; i < packet.own.times && well; ++i) {
        well = expect_one(event, packet, window);
    }
    return well;
}

bool Play::expect_one(const Event& event, const Packet& packet, const Window& window) {
    if (!wait_for_packet(window.last)) {
        return nothing_came(event, window);
    }
    Flow* flow = nullptr;
    SeenPacket seen = take_packet(packet, flow);
    gather(packet, seen, *flow, window.last);
    std::vector<std::string> found = differences(packet, seen, rules_, *flow);
    if (packet.ports) {
        const Ports ports =
            flow->written.value_or(Ports{seen.ports.source, seen.ports.destination});
        if (ports != *packet.ports) {
            found.push_back(fmt::format("ports: expected {} > {}, seen {} > {}",
                                        packet.ports->source, packet.ports->destination,
                                        ports.source, ports.destination));
        }
    }
    check_times(window, seen, seen.time, found);
    row(event, seen.time, text_of(seen), found.empty());
    const bool exact = event.time.kind == EventTime::Kind::absolute ||
                       event.time.kind == EventTime::Kind::relative;
    previous_ = exact ? window.start : seen.time;
    if (found.empty() || settings_.non_fatal.packet) {
        return !over_;
    }
    for (const Decision decision : seen.decisions) {
        const DecisionText& text = describe(decision);
        verdict_.decisions.push_back(fmt::format("{} {}: {} ({})", print(script_time(seen.time)),
                                                 text.name, text.sentence, text.clause));
    }
    // Named first: in which order arguments are evaluated is the compiler's choice, and one of them is moved.
    std::string reason = "the host's packet differs";
    if (found.size() == 1) {
        reason += ": " + found.front();
    }
    return fail(event.at, std::move(reason), std::move(found));
}

bool Play::nothing_came(const Event& event, const Window& window) {
    previous_ = window.start;
    if (over_) {
        return false;
    }
    row(event, machine_->now(), "", settings_.non_fatal.packet);
    if (settings_.non_fatal.packet) {
        return true;
    }
    std::vector<std::string> details;
    if (const auto socket = calls_->info_socket()) {
        const auto status = machine_->sockets().tcp_info(*socket);
        if (status && status->state != tcp::State::listen && status->state != tcp::State::closed) {
            const DecisionText& plan = describe(status->plan);
            details.push_back(fmt::format("what it would do next: {}: {} ({})", plan.name,
                                          plan.sentence, plan.clause));
        }
    }
    return fail(event.at, "the host sends nothing", std::move(details));
}

}  // namespace runnel::drill
