// New addresses: the check that nobody else has them (RFC 4862 §5.4 with RFC 4429's optimism, RFC 5227
// §2.1), their announcement, and the multicast listener reports behind them (RFC 3810 §5.2).
#include <algorithm>
#include <array>
#include <utility>

#include "runnel/ip/icmp.hpp"
#include "runnel/ip/neighbor_discovery.hpp"
#include "runnel/ip/output.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/ndp.hpp"

namespace runnel {

namespace {

constexpr Duration kProbeInterval = seconds(1);     // RFC 5227 §1.1 PROBE_MIN
constexpr Duration kAnnounceInterval = seconds(2);  // RFC 5227 §1.1 ANNOUNCE_INTERVAL
constexpr Duration kReportInterval = seconds(1);    // answers to queries, at most
constexpr std::size_t kGroupsPerReport = 4;
constexpr std::uint8_t kMldv2Report = 143;
constexpr std::uint8_t kModeIsExclude = 2, kChangeToExclude = 4;  // RFC 3810 §5.2.12

/// The low 32 bits, enough to tell own addresses apart in a record.
std::uint32_t record_value(const IpAddress& address) {
    return ByteReader(Bytes(address.bytes()).last(4)).u32();
}

void send_probe(IpState& ip, LocalAddress& address, Instant now) {
    --address.probes_left;
    if (address.address().is_v4()) {
        address.deadline = now + kProbeInterval;
        send_arp(ip, address.interface, ArpPacket::Operation::request, IpAddress::any(Family::ipv4),
                 address.address(), {}, Decision::arp_transmit_probe, now);
        return;
    }
    address.deadline = now + ip.config.retransmit_time;
    NeighborSolicitation solicitation;
    solicitation.target = address.address();
    std::array<std::byte, 32> message{};
    const std::size_t size = emit_ndp(solicitation, IpAddress{}, address.group, message);
    send_icmpv6_message(ip, Bytes(message).first(size), IpAddress{}, IpAddress(address.group),
                        kNdpHopLimit, address.interface, Decision::ndp_transmit_duplicate_check,
                        now);
}

void announce(IpState& ip, LocalAddress& address, Instant now) {
    if (address.announcements_left == 0) {
        address.deadline = Instant::never();
        return;
    }
    --address.announcements_left;
    address.deadline = address.announcements_left > 0 ? now + kAnnounceInterval : Instant::never();
    send_arp(ip, address.interface, ArpPacket::Operation::request, address.address(),
             address.address(), {}, Decision::arp_transmit_announcement, now);
}

void become_preferred(IpState& ip, LocalAddress& address, Instant now) {
    address.state = AddressState::preferred;
    address.deadline = Instant::never();
    if (address.address().is_v4()) {
        address.announcements_left = ip.config.arp_announcements;
        announce(ip, address, now);
    }
    ip.paths.invalidate();
}

/// RFC 3810 §5.2.13: from a link-local address if there is one, else from the unspecified (RFC 3590 §4).
IpAddress report_source(const IpState& ip, std::uint8_t interface) {
    for (const LocalAddress& address : ip.addresses.all()) {
        if (address.interface == interface && address.state == AddressState::preferred &&
            !address.address().is_v4() && address.address().is_link_local()) {
            return address.address();
        }
    }
    return {};
}

void send_report(IpState& ip, std::uint8_t interface, std::uint8_t record_type,
                 std::span<const IpAddress> groups, Instant now) {
    std::array<std::byte, kGroupsPerReport * 20> records{};
    ByteWriter writer(records);
    for (const IpAddress& group : groups) {
        writer.u8(record_type);
        writer.zeros(3);  // no auxiliary data, no sources
        writer.put(group.bytes());
    }
    std::array<std::byte, 16> all_routers{std::byte{0xff}, std::byte{0x02}};
    all_routers[15] = std::byte{0x16};  // ff02::16, RFC 3810 §5.2.14
    const IpAddress destination = IpAddress::v6(all_routers);
    const IpAddress source = report_source(ip, interface);

    Frame frame;
    frame.reason = static_cast<std::uint16_t>(Decision::ndp_transmit_mld_report);
    const MutableBytes space = frame.head_space();
    ByteWriter options(space);  // hop-by-hop options: router alert for MLD (RFC 2711), padding
    options.u8(kProtocolIcmpv6);
    options.u8(0);
    options.u32(0x0502'0000);
    options.u16(0x0100);
    const Icmpv6Message message{static_cast<Icmpv6Message::Type>(kMldv2Report), 0,
                                static_cast<std::uint32_t>(groups.size()), writer.written()};
    const std::size_t size =
        emit_icmpv6(message, source, destination, space.subspan(options.position()));
    frame.set_head_size(options.position() + size);

    OutgoingPacket packet;
    packet.source = source;
    packet.destination = destination;
    packet.protocol = kProtocolHopByHop;
    packet.hop_limit = 1;
    packet.interface = interface;
    ip.note_out(Decision::ndp_transmit_mld_report, now, size);
    packet_output(ip, std::move(frame), packet, now);
}

}  // namespace

void start_address(IpState& ip, LocalAddress& address, Instant now) {
    address.state = AddressState::preferred;
    if (!ip.is_ethernet(address.interface)) {
        return;
    }
    const bool v4 = address.address().is_v4();
    address.probes_left = v4 ? ip.config.arp_probes : ip.config.dad_transmits;
    const bool checked = address.probes_left > 0;
    if (checked) {
        address.state =
            ip.config.optimistic_dad ? AddressState::optimistic : AddressState::tentative;
    }
    if (!v4) {
        send_mld_report(ip, address.interface, &address.group, now);
    }
    if (checked) {
        send_probe(ip, address, now);
    } else {
        become_preferred(ip, address, now);
    }
}

void address_timeouts(IpState& ip, Instant now) {
    for (LocalAddress& address : ip.addresses.all()) {
        if (address.deadline > now) {
            continue;
        }
        const bool v4 = address.address().is_v4();
        if (address.state == AddressState::preferred) {
            announce(ip, address, now);
        } else if (address.state == AddressState::duplicate) {
            address.deadline = Instant::never();
        } else if (address.probes_left > 0) {
            send_probe(ip, address, now);
        } else {
            ip.note_out(v4 ? Decision::arp_note_unique : Decision::ndp_note_unique, now, 0,
                        record_value(address.address()));
            become_preferred(ip, address, now);
        }
    }
}

void give_up_address(IpState& ip, LocalAddress& address, Instant now) {
    address.state = AddressState::duplicate;
    address.deadline = Instant::never();
    ip.paths.invalidate();
    const bool v4 = address.address().is_v4();
    ip.note_in(v4 ? Decision::arp_note_duplicate : Decision::ndp_note_duplicate, now, 0,
               record_value(address.address()));
}

void send_mld_report(IpState& ip, std::uint8_t interface, const IpAddress* only, Instant now) {
    if (only != nullptr) {
        send_report(ip, interface, kChangeToExclude, std::span(only, 1), now);
        return;
    }
    std::array<IpAddress, kGroupsPerReport> groups;
    std::size_t count = 0;
    for (const LocalAddress& address : ip.addresses.all()) {
        if (address.interface != interface || address.address().is_v4()) {
            continue;
        }
        groups[count++] = address.group;
        if (count == groups.size()) {
            send_report(ip, interface, kModeIsExclude, groups, now);
            count = 0;
        }
    }
    if (count > 0) {
        send_report(ip, interface, kModeIsExclude, std::span(groups).first(count), now);
    }
}

void mld_query_input(IpState& ip, std::uint8_t index, Instant now) {
    Interface* interface = ip.interface_at(index);
    const bool soon = interface != nullptr && interface->mld_answered &&
                      now < interface->mld_reported + kReportInterval;
    if (interface == nullptr || !ip.is_ethernet(index) || soon) {
        ip.note_in(Decision::ndp_drop_mld, now, 0);
        return;
    }
    interface->mld_answered = true;
    interface->mld_reported = now;
    send_mld_report(ip, index, nullptr, now);
}

}  // namespace runnel
