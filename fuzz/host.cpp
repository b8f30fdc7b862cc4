// A whole host, on a raw or an Ethernet link, with a listener, a UDP socket and an established connection of each
// family, under any frames, calls and times. After every step: it comes to rest, says only what is well formed,
// and answers what belongs to no connection at most once. In the end nothing is kept.
#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "fuzz/support/checksums.hpp"
#include "fuzz/support/host_program.hpp"
#include "fuzz/support/target.hpp"
#include "runnel/host/host.hpp"
#include "runnel/wire/arp.hpp"
#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/icmpv4.hpp"
#include "runnel/wire/icmpv6.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/ipv4.hpp"
#include "runnel/wire/ipv6.hpp"
#include "runnel/wire/ndp.hpp"
#include "runnel/wire/udp.hpp"

namespace runnel::fuzz {
namespace {

constexpr MacAddress kOurMac{{std::byte{2}, {}, {}, {}, {}, std::byte{1}}};
constexpr MacAddress kPeerMac{{std::byte{2}, {}, {}, {}, {}, std::byte{9}}};
constexpr std::uint16_t kPort = 80;
constexpr std::uint16_t kUdpPort = 53;
constexpr std::uint16_t kPeerPort = 5000;
constexpr std::uint32_t kPeerIss = 0xffff'ff00;
constexpr std::size_t kMostFramesAStep = 5000;

using Packet = std::vector<std::byte>;

IpAddress address(bool ours, Family family) {
    const auto text =
        family == Family::ipv4 ? (ours ? "10.0.0.1" : "10.0.0.9") : (ours ? "fd00::1" : "fd00::9");
    return *parse_ip_address(text);
}

/// What left, taken apart.
struct Left {
    IpAddress source, destination;
    std::uint8_t protocol = 0;
    bool fragment = false;  ///< not the first of its packet
    std::optional<TcpHeader> tcp;
    std::uint8_t icmp_type = 0;

    [[nodiscard]] FourTuple tuple() const {
        return {{source, tcp->source_port}, {destination, tcp->destination_port}};
    }
    [[nodiscard]] bool is_neighbor_discovery() const {
        return protocol == kProtocolIcmpv6 && icmp_type >= 133 && icmp_type <= 137;
    }
};

class Machine {
public:
    explicit Machine(std::uint8_t setup) : setup_(setup), host_(config(setup)) {
        InterfaceConfig link;
        link.name = "fuzz0";
        link.mac = kOurMac;
        link.capabilities.layer = ethernet() ? LinkLayer::ethernet : LinkLayer::raw_ip;
        link.capabilities.mtu = mtu();
        link.capabilities.checksum_offload = has(HostSetup::kChecksumOffload);
        link.capabilities.tso4 = link.capabilities.tso6 =
            has(HostSetup::kChecksumOffload) && has(HostSetup::kSegmentation);
        interface_ = host_.add_interface(link);
        for (const char* cidr : {"10.0.0.1/24", "fd00::1/64"}) {
            FUZZ_CHECK(host_.add_address(interface_, *parse_cidr(cidr), now_).has_value());
        }
        host_.set_capture(has(HostSetup::kCapture));
        run();
        if (ethernet()) {
            introduce_peer();
        }
        listener_ = *host_.tcp().listen({IpAddress{}, kPort}, true, 4, {});
        udp_ = *host_.udp().bind({IpAddress{}, kUdpPort});
        for (const Family family : {Family::ipv4, Family::ipv6}) {
            establish(family);
        }
    }

    void step(HostStep& step);
    void finish();

private:
    static HostConfig config(std::uint8_t setup) {
        HostConfig config;
        config.secret = {1, 2};
        config.buffer_limit = (setup & HostSetup::kScarceMemory) != 0 ? 300'000 : 4u << 20;
        config.recorder_capacity = 64;
        config.tcp.max_connections = 16;
        config.tcp.max_time_wait = 4;
        config.tcp.max_orphans = 4;
        config.tcp.max_syn_backlog = 4;
        config.udp.receive_queue_datagrams = 8;
        return config;
    }
    [[nodiscard]] bool has(std::uint8_t bit) const { return (setup_ & bit) != 0; }
    [[nodiscard]] bool ethernet() const { return has(HostSetup::kEthernet); }
    [[nodiscard]] std::uint32_t mtu() const { return has(HostSetup::kSmallMtu) ? 1280 : 1500; }

    void introduce_peer();
    void establish(Family family);
    void receive(const HostStep& step);
    void make_live(MutableBytes frame);
    void call(std::uint8_t which);
    void pass(Duration duration);
    void run_timeouts(int most);
    void run();
    void look_at(const Frame& frame);
    Left check_packet(Bytes packet, const Offload& offload);
    void check_transport(Left& left, Bytes packet, Bytes transport, const Offload& offload);
    void check_answers(const Packet& frame);
    [[nodiscard]] Packet wrap(Packet packet, std::uint16_t type) const;
    Packet segment(Family family, TcpHeader header) const;
    std::optional<tcp::ConnectionStatus> find(const FourTuple& tuple);

    std::uint8_t setup_;
    Host host_;
    Instant now_{seconds(1000).ns};
    std::uint8_t interface_ = 0;
    UdpHandle udp_;
    tcp::ListenerHandle listener_;
    std::vector<tcp::ConnectionHandle> handles_;
    std::vector<Left> left_;  ///< since it was cleared
    std::vector<tcp::ConnectionStatus> table_;
    HostStep last_frame_;
};

Packet Machine::wrap(Packet packet, std::uint16_t type) const {
    if (!ethernet()) {
        return packet;
    }
    EthernetHeader header;
    header.destination = kOurMac;
    header.source = kPeerMac;
    header.ether_type = type;
    Packet frame(header.size());
    emit_ethernet(header, frame);
    frame.insert(frame.end(), packet.begin(), packet.end());
    return frame;
}

/// The peer asks for our addresses, so that its own are known.
void Machine::introduce_peer() {
    ArpPacket arp;
    arp.sender_mac = kPeerMac;
    arp.sender_ip = address(false, Family::ipv4);
    arp.target_ip = address(true, Family::ipv4);
    HostStep step;
    step.frame.resize(kArpPacketSize);
    emit_arp(arp, step.frame);
    step.frame = wrap(step.frame, kEtherTypeArp);
    receive(step);

    NeighborSolicitation solicitation;
    solicitation.target = address(true, Family::ipv6);
    solicitation.source_mac = kPeerMac;
    Packet packet(kIpv6HeaderSize + 32);
    Ipv6Header header;
    header.payload_length = 32;
    header.next_header = kProtocolIcmpv6;
    header.hop_limit = kNdpHopLimit;
    header.source = address(false, Family::ipv6);
    header.destination = address(true, Family::ipv6);
    emit_ipv6(header, packet);
    emit_ndp(solicitation, header.source, header.destination,
             MutableBytes(packet).subspan(kIpv6HeaderSize));
    step.frame = wrap(packet, kEtherTypeIpv6);
    receive(step);
}

Packet Machine::segment(Family family, TcpHeader header) const {
    header.source_port = kPeerPort;
    header.destination_port = kPort;
    Packet packet(family == Family::ipv4 ? kIpv4HeaderSize : kIpv6HeaderSize);
    Packet transport(60);
    transport.resize(emit_tcp(header, transport));
    packet.insert(packet.end(), transport.begin(), transport.end());
    if (family == Family::ipv4) {
        Ipv4Header ip;
        ip.protocol = kProtocolTcp;
        ip.source = address(false, family);
        ip.destination = address(true, family);
        emit_ipv4(ip, packet);
    } else {
        Ipv6Header ip;
        ip.next_header = kProtocolTcp;
        ip.source = address(false, family);
        ip.destination = address(true, family);
        emit_ipv6(ip, packet);
    }
    repair_packet(packet, true);
    return wrap(packet, family == Family::ipv4 ? kEtherTypeIpv4 : kEtherTypeIpv6);
}

void Machine::establish(Family family) {
    TcpHeader header;
    header.seq = SeqNum{kPeerIss};
    header.flags.bits = TcpFlags::kSyn;
    header.window = 65'535;
    header.options.mss = std::uint16_t{1200};
    header.options.sack_permitted = true;
    header.options.window_scale = std::uint8_t{2};
    HostStep step;
    step.frame = segment(family, header);
    receive(step);
    FUZZ_CHECK(!left_.empty() && left_.back().tcp && left_.back().tcp->flags.syn());
    header.seq = header.seq + 1;
    header.ack = left_.back().tcp->seq + 1;
    header.flags.bits = TcpFlags::kAck;
    header.options = {};
    step.frame = segment(family, header);
    receive(step);
    call(0);
    FUZZ_CHECK(handles_.size() == (family == Family::ipv4 ? 1U : 2U));
}

std::optional<tcp::ConnectionStatus> Machine::find(const FourTuple& tuple) {
    host_.tcp().snapshot(table_, now_);
    for (const tcp::ConnectionStatus& status : table_) {
        if (status.tuple == tuple && status.state != tcp::State::listen) {
            return status;
        }
    }
    return std::nullopt;
}

/// The frame's TCP numbers, where they are small, become relative to the connection that its ports name.
void Machine::make_live(MutableBytes frame) {
    MutableBytes packet = ethernet() ? packet_of_frame(frame) : frame;
    const bool is_v4 = !packet.empty() && std::to_integer<unsigned>(packet[0]) >> 4 == 4;
    const std::size_t at = is_v4 ? kIpv4HeaderSize : kIpv6HeaderSize;
    if (packet.size() < at + 20) {
        return;
    }
    const Family family = is_v4 ? Family::ipv4 : Family::ipv6;
    const auto status = find({{address(true, family), kPort}, {address(false, family), kPeerPort}});
    if (!status) {
        return;
    }
    MutableBytes tcp = packet.subspan(at);
    const auto offset = [&](std::size_t field) {
        return static_cast<std::uint32_t>(static_cast<std::int16_t>(load_u16(tcp, field + 2)));
    };
    store_u32(tcp, 4, status->rcv_nxt + offset(4));
    store_u32(tcp, 8, status->snd_una + offset(8));
    repair_packet(packet, false);
}

void Machine::receive(const HostStep& step) {
    Packet bytes = step.frame;
    if ((step.options & HostStep::kLive) != 0) {
        make_live(bytes);
    }
    FrameBatch batch;
    Frame& frame = batch.emplace_back();
    const std::size_t cut = (step.options & HostStep::kSplit) != 0 ? bytes.size() / 2 : 0;
    for (const Bytes part : {Bytes(bytes).first(cut), Bytes(bytes).subspan(cut)}) {
        if (part.empty()) {
            continue;
        }
        Slice slice = host_.pool().copy(part);
        if (slice.empty()) {
            return;  // the device has no buffer: the frame is lost
        }
        frame.body.push_back(std::move(slice));
    }
    if (frame.body.empty()) {
        return;
    }
    if ((step.options & HostStep::kOffload) != 0) {
        const std::uint32_t claim = step.offload;
        frame.offload.needs_checksum = (claim & 1) != 0;
        frame.offload.checksum_valid = (claim & 2) != 0;
        frame.offload.gso = static_cast<Offload::Gso>(((claim >> 2) & 3) % 3);
        frame.offload.csum_start = (claim >> 4) & 0xff;
        frame.offload.csum_offset = (claim >> 12) & 0x1f;
        frame.offload.gso_size = static_cast<std::uint16_t>((claim >> 17) & 0x7ff);
        frame.offload.header_length = 54;
    }
    left_.clear();
    host_.tcp().snapshot(table_, now_);
    host_.on_frames(interface_, batch, now_);
    run();
    check_answers(bytes);
}

/// Of what came back at most one packet belongs to no connection that there was.
void Machine::check_answers(const Packet& frame) {
    std::size_t answers = 0;
    for (const Left& left : left_) {
        const bool known =
            left.tcp && std::any_of(table_.begin(), table_.end(), [&](const auto& status) {
                return status.tuple == left.tuple();
            });
        answers += known || left.fragment || left.is_neighbor_discovery() ? 0U : 1U;
    }
    // On Ethernet an answer to ARP or NDP lets frames go that waited for it.
    const bool resolves = ethernet() && frame.size() > 13;
    FUZZ_CHECK(answers <= 1 || resolves);
}

void Machine::run() {
    FrameBatch out;
    std::size_t frames = 0;
    for (int rounds = 0;; ++rounds) {
        FUZZ_CHECK(rounds < 1000);
        bool more = true;
        while (more) {
            out.clear();
            more = host_.poll_transmit(now_, out);
            frames += out.size();
            FUZZ_CHECK(frames < kMostFramesAStep);
            for (const Frame& frame : out) {
                look_at(frame);
            }
        }
        // What is due is due once: each round must bring the next deadline forward.
        if (host_.next_timeout() > now_) {
            break;
        }
        host_.on_timeout(now_);
    }
    FUZZ_CHECK(host_.pool().bytes_in_use() <= host_.pool().limit());
    if (has(HostSetup::kCapture)) {
        std::vector<CapturedFrame> captured;
        host_.take_captured(captured);
    }
}

void Machine::look_at(const Frame& frame) {
    Packet bytes(frame.head().begin(), frame.head().end());
    for (const Slice& slice : frame.body) {
        FUZZ_CHECK(!slice.empty());
        bytes.insert(bytes.end(), slice.bytes().begin(), slice.bytes().end());
    }
    Offload offload = frame.offload;
    Bytes packet(bytes);
    if (ethernet()) {
        const auto header = parse_ethernet(packet);
        FUZZ_CHECK(header && header->source == kOurMac);
        packet = packet.subspan(header->size());
        offload.csum_start = static_cast<std::uint16_t>(offload.csum_start - header->size());
        if (header->ether_type == kEtherTypeArp) {
            FUZZ_CHECK(parse_arp(packet).has_value());
            return;
        }
        FUZZ_CHECK(
            header->ether_type ==
            (std::to_integer<unsigned>(packet[0]) >> 4 == 4 ? kEtherTypeIpv4 : kEtherTypeIpv6));
    }
    FUZZ_CHECK(offload.gso != Offload::Gso::none || packet.size() <= mtu());
    FUZZ_CHECK(offload.gso == Offload::Gso::none || has(HostSetup::kSegmentation));
    FUZZ_CHECK(!offload.needs_checksum || has(HostSetup::kChecksumOffload));
    left_.push_back(check_packet(packet, offload));
}

Left Machine::check_packet(Bytes packet, const Offload& offload) {
    Left left;
    FUZZ_CHECK(!packet.empty());
    Bytes transport;
    bool whole = true;
    if (std::to_integer<unsigned>(packet[0]) >> 4 == 4) {
        const Ipv4Parse parse = parse_ipv4(packet);
        FUZZ_CHECK(!parse.error && parse.header.total_length == packet.size());
        left.source = parse.header.source;
        left.destination = parse.header.destination;
        left.protocol = parse.header.protocol;
        left.fragment = parse.header.fragment_offset != 0;
        whole = !parse.header.is_fragment();
        transport = packet.subspan(parse.header.header_length);
    } else {
        const Ipv6Parse parse = parse_ipv6(packet);
        FUZZ_CHECK(!parse.error && parse.header.total_length() == packet.size());
        const Ipv6Chain chain = walk_ipv6_chain(packet, parse.header);
        FUZZ_CHECK(!chain.error);
        left.source = parse.header.source;
        left.destination = parse.header.destination;
        left.protocol = chain.protocol;
        left.fragment = chain.fragment && chain.fragment->fragment_offset != 0;
        whole = !chain.fragment || chain.fragment->atomic();
        transport = packet.subspan(chain.offset);
    }
    FUZZ_CHECK(!left.source.is_multicast() && !left.source.is_loopback());
    FUZZ_CHECK(!left.destination.is_loopback() && !left.destination.is_unspecified());
    FUZZ_CHECK(host_.ip().is_local(left.source) || left.source.is_unspecified() ||
               left.source.is_link_local());
    if (whole) {
        check_transport(left, packet, transport, offload);
    }
    return left;
}

void Machine::check_transport(Left& left, Bytes packet, Bytes transport, const Offload& offload) {
    if (left.protocol == kProtocolTcp) {
        const TcpParse parse = parse_tcp(transport);
        FUZZ_CHECK(!parse.error);
        left.tcp = parse.header;
        FUZZ_CHECK(!left.destination.is_multicast() && !left.destination.is_limited_broadcast());
    } else if (left.protocol == kProtocolIcmpv4 || left.protocol == kProtocolIcmpv6) {
        FUZZ_CHECK(transport.size() >= kIcmpHeaderSize);
        left.icmp_type = std::to_integer<std::uint8_t>(transport[0]);
    } else {
        FUZZ_CHECK(left.protocol == kProtocolUdp && parse_udp(transport));
    }
    if (offload.needs_checksum) {
        const std::size_t begin = packet.size() - transport.size();
        FUZZ_CHECK(offload.csum_start == begin &&
                   offload.csum_offset == checksum_offset(left.protocol));
        return;
    }
    const auto length = static_cast<std::uint32_t>(transport.size());
    ChecksumAccumulator sum(
        left.protocol == kProtocolIcmpv4
            ? std::uint16_t{0}
            : pseudo_header_sum(left.source, left.destination, left.protocol, length));
    sum.add(transport);
    FUZZ_CHECK(sum.folded() == 0xffff);
}

void Machine::call(std::uint8_t which) {
    tcp::Stack& tcp = host_.tcp();
    if (which == 0 || handles_.empty()) {
        std::vector<tcp::UserEvent> events;
        tcp.take_events(events);
        while (const auto made = tcp.accept(listener_, now_)) {
            handles_.push_back(*made);
        }
        run();
        return;
    }
    const tcp::ConnectionHandle handle = handles_[(which >> 4) % handles_.size()];
    std::vector<std::byte> buffer(which % 2 == 0 ? 20'000 : 100);
    switch (which & 15) {
        case 1:
        case 2: (void)tcp.send(handle, buffer, {}, now_); break;
        case 3:
        case 4: (void)tcp.receive(handle, buffer, {}, now_); break;
        case 5: (void)tcp.shutdown_send(handle, now_); break;
        case 6: tcp.close(handle, now_); break;
        case 7: tcp.abort(handle, now_); break;
        case 8:
            (void)host_.udp().send(udp_, buffer, Endpoint{address(false, Family::ipv4), kPeerPort});
            break;
        case 9:
            (void)host_.udp().send(udp_, buffer, Endpoint{address(false, Family::ipv6), kPeerPort});
            break;
        case 10: (void)host_.udp().receive(udp_); break;
        case 11:
        case 12: {
            const Family family = (which & 1) != 0 ? Family::ipv4 : Family::ipv6;
            const auto made = tcp.connect({address(true, family), 0}, {address(false, family), 7},
                                          mtu(), {}, now_);
            if (made) {
                handles_.push_back(*made);
            }
            break;
        }
        default: (void)tcp.receive_slices(handle, 1000, now_); break;
    }
    run();
}

void Machine::run_timeouts(int most) {
    for (int i = 0; i < most && !host_.next_timeout().is_never(); ++i) {
        now_ = std::max(now_, host_.next_timeout());
        host_.on_timeout(now_);
        run();
    }
}

void Machine::pass(Duration duration) {
    const Instant until = now_ + duration;
    for (int i = 0; host_.next_timeout() <= until; ++i) {
        FUZZ_CHECK(i < 20'000);
        run_timeouts(1);
    }
    now_ = until;
    host_.on_timeout(now_);
    run();
}

void Machine::step(HostStep& step) {
    switch (step.kind) {
        case HostStep::Kind::frame:
            receive(step);
            last_frame_ = std::move(step);
            break;
        case HostStep::Kind::pass_time:
            if (step.argument < 128) {
                pass(milliseconds(step.argument));
            } else {
                run_timeouts(step.argument & 7);
            }
            break;
        case HostStep::Kind::call: call(step.argument); break;
        case HostStep::Kind::repeat: receive(last_frame_); break;
        case HostStep::Kind::pass_hours: pass(seconds(16) * step.argument); break;
    }
}

void Machine::finish() {
    for (const tcp::ConnectionHandle handle : handles_) {
        host_.tcp().abort(handle, now_);
    }
    host_.tcp().close_listener(listener_, now_);
    FUZZ_CHECK(host_.udp().close(udp_).has_value());
    run();
    pass(seconds(4000));
    host_.tcp().snapshot(table_, now_);
    FUZZ_CHECK(table_.empty());
    FUZZ_CHECK(host_.pool().bytes_in_use() == 0);
}

void run(Bytes bytes) {
    Input input(bytes);
    Machine machine(input.u8());
    for (std::size_t steps = 0; !input.empty() && steps < kMostHostSteps; ++steps) {
        HostStep step = HostStep::read(input);
        machine.step(step);
    }
    machine.finish();
}

}  // namespace
}  // namespace runnel::fuzz

RUNNEL_FUZZ_TARGET(host, runnel::fuzz::run);
