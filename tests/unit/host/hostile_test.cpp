// What a hostile or broken sender can put into one TCP segment, tried through and through: flags by data offsets,
// options by kinds and lengths, headers cut anywhere, LAND, SYNs to groups. Whatever it is, it is answered at most
// once, and afterwards buffers and tables are as they were. Run under the sanitizers too.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "runnel/wire/ethernet.hpp"
#include "support/one_host.hpp"

namespace runnel::test {
namespace {

constexpr std::uint16_t kPort = 80;
constexpr std::uint16_t kClosedPort = 81;
constexpr std::uint16_t kLivePort = 5'000;
constexpr std::uint32_t kPeerIss = 0xffff'ff80;
constexpr std::size_t kHeaderSize = 20;

using Packet = std::vector<std::byte>;

HostConfig small_config() {
    HostConfig config = OneHost::default_config();
    config.recorder_capacity = 256;
    config.tcp.max_syn_backlog = 16;
    return config;
}

/// A host with a listener and an established connection; segments of the test's making, octet by octet.
class Hostile : public testing::TestWithParam<Family> {
protected:
    Hostile() : machine(small_config()) {
        listener = *machine.host.tcp().listen({IpAddress::any(GetParam()), kPort}, false, 16, {});
        establish();
    }

    IpAddress ours() const {
        return *parse_ip_address(GetParam() == Family::ipv4 ? "10.0.0.1" : "fd00::1");
    }
    IpAddress theirs() const {
        return *parse_ip_address(GetParam() == Family::ipv4 ? "10.0.0.2" : "fd00::2");
    }
    FourTuple live() const { return {{theirs(), kLivePort}, {ours(), kPort}}; }

    /// The connection of kLivePort is in ESTABLISHED, as often as a segment has ended it.
    void establish() {
        const auto before = machine.host.tcp().status(connection);
        if (before && before->state == tcp::State::established) {
            return;
        }
        clean();
        TcpHeader header;
        header.seq = SeqNum{kPeerIss};
        header.flags.bits = TcpFlags::kSyn;
        header.window = 65'535;
        machine.receive(make_segment(live(), header));
        const auto answers = machine.take_segments();
        ASSERT_EQ(answers.size(), 1U);
        header.seq = header.seq + 1;
        header.ack = answers[0].header.seq + 1;
        header.flags.bits = TcpFlags::kAck;
        machine.receive(make_segment(live(), header));
        const auto accepted = machine.host.tcp().accept(listener, machine.now);
        ASSERT_TRUE(accepted.has_value());
        connection = *accepted;
        machine.sent.clear();
    }
    /// Nobody's connections are over: resets for all, and time for the rest.
    void clean() {
        tcp::Stack& tcp = machine.host.tcp();
        tcp.abort(connection, machine.now);
        while (const auto accepted = tcp.accept(listener, machine.now)) {
            tcp.abort(*accepted, machine.now);
        }
        machine.run();
        machine.run_to(machine.now + seconds(300));
        machine.sent.clear();
    }
    /// Nothing is left but the listener.
    void expect_as_before() {
        clean();
        EXPECT_EQ(machine.host.pool().bytes_in_use(), 0U);
        std::vector<tcp::ConnectionStatus> table;
        machine.host.tcp().snapshot(table, machine.now);
        ASSERT_EQ(table.size(), 1U);
        EXPECT_EQ(table[0].state, tcp::State::listen);
        EXPECT_EQ(machine.host.udp().size(), 0U);
    }

    /// A transport header of `octets` whose checksum is right.
    struct Raw {
        std::uint16_t source = kLivePort;
        std::uint16_t destination = kPort;
        std::uint32_t seq = 0;
        std::uint32_t ack = 0;
        unsigned flags = 0;
        unsigned data_offset = 5;
        Packet rest;  ///< options and payload, as the data offset divides them
    };
    Packet octets(const Raw& raw) const {
        Packet transport(kHeaderSize);
        ByteWriter writer(transport);
        writer.u16(raw.source);
        writer.u16(raw.destination);
        writer.u32(raw.seq);
        writer.u32(raw.ack);
        writer.u16(static_cast<std::uint16_t>(raw.data_offset << 12 | raw.flags));
        writer.u16(65'535);
        writer.u32(0);
        transport.insert(transport.end(), raw.rest.begin(), raw.rest.end());
        return transport;
    }
    /// To the live connection, with the numbers that it expects; or to another port.
    Raw raw_to(std::uint16_t source, std::uint16_t destination) {
        Raw raw;
        raw.source = source;
        raw.destination = destination;
        if (const auto status = machine.host.tcp().status(connection)) {
            raw.seq = status->rcv_nxt;
            raw.ack = status->snd_nxt;
        }
        return raw;
    }
    /// Lets it arrive; what was said is at most one packet, and never a RST to a RST.
    void receive(const Raw& raw) {
        machine.receive(make_packet(theirs(), ours(), kProtocolTcp, octets(raw), 16));
        ASSERT_LE(machine.sent.size(), 1U);
        const bool is_reset = (raw.flags & TcpFlags::kRst) != 0 && raw.data_offset >= 5;
        for (const SegmentView& answer : machine.take_segments()) {
            ASSERT_FALSE(is_reset && answer.header.flags.rst());
        }
    }
    void receive_everywhere(Raw raw) {
        establish();
        for (const auto& [source, destination] :
             {std::pair{kLivePort, kPort}, std::pair{std::uint16_t{6'000}, kPort},
              std::pair{std::uint16_t{6'000}, kClosedPort}}) {
            const Raw numbers = raw_to(source, destination);
            raw.source = source;
            raw.destination = destination;
            raw.seq = numbers.seq;
            raw.ack = numbers.ack;
            receive(raw);
        }
        // What the SYN may have begun ends, so that the next one finds the listener too.
        Raw reset = raw_to(6'000, kPort);
        reset.seq += 1;
        reset.flags = TcpFlags::kRst;
        receive(reset);
    }

    OneHost machine;
    tcp::ListenerHandle listener;
    tcp::ConnectionHandle connection;
};

INSTANTIATE_TEST_SUITE_P(Families, Hostile, testing::Values(Family::ipv4, Family::ipv6),
                         [](const auto& family) {
                             return family.param == Family::ipv4 ? "ipv4" : "ipv6";
                         });

TEST_P(Hostile, EveryCombinationOfFlagsAndDataOffsets) {
    for (unsigned flags = 0; flags < 0x200; ++flags) {
        for (unsigned data_offset = 0; data_offset < 16; ++data_offset) {
            for (const std::size_t size : {std::size_t{0}, std::size_t{44}}) {
                Raw raw;
                raw.flags = flags;
                raw.data_offset = data_offset;
                raw.rest.assign(size, std::byte{1});  // NOPs where they are options
                receive_everywhere(raw);
            }
            ASSERT_FALSE(HasFailure()) << "flags " << flags << " data offset " << data_offset;
        }
    }
    expect_as_before();
}

// Proves: MUST-5, MUST-7
TEST_P(Hostile, EveryOptionOfEveryLength) {
    constexpr std::size_t kSpace = 40;
    for (unsigned kind = 0; kind < 256; ++kind) {
        for (unsigned length = 0; length <= kSpace + 1; ++length) {
            for (const unsigned flags : {unsigned{TcpFlags::kSyn}, unsigned{TcpFlags::kAck}}) {
                Raw raw;
                raw.flags = flags;
                raw.data_offset = 15;
                raw.rest.assign(kSpace, std::byte{0xff});
                raw.rest[0] = static_cast<std::byte>(kind);
                raw.rest[1] = static_cast<std::byte>(length);
                if (length > 0 && length < kSpace) {
                    raw.rest[length] = std::byte{0};  // the end of the list, where it would follow
                }
                receive_everywhere(raw);
            }
            ASSERT_FALSE(HasFailure()) << "kind " << kind << " length " << length;
        }
    }
    expect_as_before();
}

TEST_P(Hostile, AnOptionThatBeginsAtTheLastOctets) {
    for (unsigned kind = 0; kind < 256; ++kind) {
        for (std::size_t at = 36; at < 40; ++at) {
            Raw raw;
            raw.flags = TcpFlags::kSyn;
            raw.data_offset = 15;
            raw.rest.assign(40, std::byte{1});
            raw.rest[at] = static_cast<std::byte>(kind);
            if (at + 1 < 40) {
                raw.rest[at + 1] = std::byte{40};
            }
            receive_everywhere(raw);
            ASSERT_FALSE(HasFailure()) << "kind " << kind << " at " << at;
        }
    }
    expect_as_before();
}

TEST_P(Hostile, AHeaderCutAnywhere) {
    Raw raw = raw_to(kLivePort, kPort);
    raw.flags = TcpFlags::kAck | TcpFlags::kPsh;
    raw.data_offset = 15;
    raw.rest.assign(60, std::byte{1});
    const Packet whole = octets(raw);
    const std::uint64_t malformed = machine.host.recorder().count(Decision::tcp_drop_malformed);
    for (std::size_t size = 0; size <= 60; ++size) {
        // The packet says truthfully how little it carries; its checksum is right where it has one.
        Packet cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        Packet packet;
        if (size >= 18) {
            packet = make_packet(theirs(), ours(), kProtocolTcp, cut, 16);
        } else {
            packet = make_packet(theirs(), ours(), kProtocolTcp, Packet(20), 16);
            packet.resize(packet.size() - 20);
            packet.insert(packet.end(), cut.begin(), cut.end());
            if (GetParam() == Family::ipv4) {
                Ipv4Header header =
                    parse_ipv4(make_packet(theirs(), ours(), kProtocolTcp, Packet(20), 16)).header;
                header.total_length = static_cast<std::uint16_t>(packet.size());
                emit_ipv4(header, packet);
            } else {
                packet[4] = std::byte{0};
                packet[5] = static_cast<std::byte>(size);
            }
        }
        machine.receive(packet);
        ASSERT_TRUE(machine.sent.empty() || size == 60) << size;
    }
    EXPECT_GT(machine.host.recorder().count(Decision::tcp_drop_malformed), malformed);
    expect_as_before();
}

TEST_P(Hostile, APacketCutAnywhere) {
    Raw raw;
    raw.flags = TcpFlags::kSyn;
    raw.source = 6'000;
    raw.data_offset = 15;
    raw.rest.assign(50, std::byte{1});
    const Packet whole = make_packet(theirs(), ours(), kProtocolTcp, octets(raw), 16);
    for (std::size_t size = 1; size < whole.size(); ++size) {
        machine.receive(Bytes(whole).first(size));
        ASSERT_TRUE(machine.sent.empty()) << size;
    }
    machine.receive(whole);
    EXPECT_EQ(machine.take_segments().size(), 1U) << "the whole one is a good SYN";
    expect_as_before();
}

TEST_P(Hostile, Land) {
    for (const std::uint16_t port : {kPort, kClosedPort, kLivePort}) {
        for (unsigned flags = 0; flags < 0x40; ++flags) {
            Raw raw = raw_to(port, port);
            raw.flags = flags;
            machine.receive(make_packet(ours(), ours(), kProtocolTcp, octets(raw), 16));
            ASSERT_TRUE(machine.sent.empty()) << "port " << port << " flags " << flags;
        }
    }
    expect_as_before();
}

TEST_P(Hostile, NothingIsSaidToGroupsOrByThem) {
    const bool v4 = GetParam() == Family::ipv4;
    const std::vector<std::string_view> groups =
        v4 ? std::vector<std::string_view>{"255.255.255.255", "10.0.0.255", "224.0.0.1",
                                           "239.1.2.3",       "127.0.0.1",  "0.0.0.0"}
           : std::vector<std::string_view>{"ff02::1", "ff02::1:ff00:1", "ff0e::5", "ff01::1", "::1",
                                           "::"};
    for (const std::string_view group : groups) {
        const IpAddress address = *parse_ip_address(group);
        for (unsigned flags = 0; flags < 0x200; ++flags) {
            for (const std::uint16_t port : {kPort, kClosedPort}) {
                Raw raw = raw_to(6'000, port);
                raw.flags = flags;
                machine.receive(make_packet(theirs(), address, kProtocolTcp, octets(raw), 16));
                ASSERT_TRUE(machine.sent.empty()) << "to " << group << " flags " << flags;
                machine.receive(make_packet(address, ours(), kProtocolTcp, octets(raw), 16));
                ASSERT_TRUE(machine.sent.empty()) << "from " << group << " flags " << flags;
            }
        }
    }
    std::vector<tcp::ConnectionStatus> table;
    machine.host.tcp().snapshot(table, machine.now);
    EXPECT_EQ(table.size(), 2U) << "the listener and the connection";
    expect_as_before();
}

// RFC 9293 §3.9.2.3, MUST-57, where only the frame's address is a group's: the packet looks like one for us.
TEST(HostileEthernet, ASynInABroadcastFrameIsNotAnswered) {
    Host host(small_config());
    InterfaceConfig link;
    link.name = "eth0";
    link.mac = {{std::byte{2}, {}, {}, {}, {}, std::byte{1}}};
    link.capabilities.layer = LinkLayer::ethernet;
    const std::uint8_t interface = host.add_interface(link);
    Instant now = Instant{} + seconds(1'000);
    FrameBatch out;
    const auto poll = [&] {
        out.clear();
        while (host.poll_transmit(now, out)) {
        }
    };
    for (const char* cidr : {"10.0.0.1/24", "fd00::1/64"}) {
        ASSERT_TRUE(host.add_address(interface, *parse_cidr(cidr), now).has_value());
    }
    ASSERT_TRUE(host.tcp().listen({IpAddress{}, kPort}, true, 8, {}).has_value());
    // Once the addresses have been checked and announced, the host has nothing to say by itself.
    for (int i = 0; i < 50 && host.next_timeout() < now + seconds(60); ++i) {
        now = std::max(now, host.next_timeout());
        host.on_timeout(now);
        poll();
    }
    TcpHeader header;
    header.flags.bits = TcpFlags::kSyn;
    int peer = 2;  // each time another one: the answer to a known one might wait for its address
    for (const bool v4 : {true, false}) {
        for (const std::uint16_t port : {kPort, kClosedPort}) {
            for (const bool group : {true, false}) {
                const std::string theirs = (v4 ? "10.0.0." : "fd00::") + std::to_string(peer++);
                const FourTuple tuple{endpoint(theirs, 6'000),
                                      endpoint(v4 ? "10.0.0.1" : "fd00::1", port)};
                const Packet packet = make_segment(tuple, header);
                EthernetHeader frame_header;
                frame_header.destination = group ? MacAddress::broadcast() : link.mac;
                frame_header.source = {{std::byte{2}, {}, {}, {}, {}, std::byte{9}}};
                frame_header.ether_type = v4 ? kEtherTypeIpv4 : kEtherTypeIpv6;
                Packet bytes(frame_header.size());
                emit_ethernet(frame_header, bytes);
                bytes.insert(bytes.end(), packet.begin(), packet.end());
                FrameBatch batch;
                batch.emplace_back().body.push_back(host.pool().copy(bytes));
                host.on_frames(interface, batch, now);
                poll();
                EXPECT_EQ(out.empty(), group) << theirs << " port " << port;
            }
        }
    }
}

}  // namespace
}  // namespace runnel::test
