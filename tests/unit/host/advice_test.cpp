// What TCP tells IP about the next hop on Ethernet: progress confirms it, silence has it asked (RFC 9293
// §3.8.3 (b), RFC 1122 §3.3.1.4, RFC 4861 §7.3.1).
#include <gtest/gtest.h>

#include "runnel/host/host.hpp"
#include "runnel/wire/arp.hpp"
#include "runnel/wire/ethernet.hpp"
#include "support/one_host.hpp"

namespace runnel::test {
namespace {

struct Advice : ::testing::Test {
    static constexpr MacAddress kOurs{{std::byte{2}, {}, {}, {}, {}, std::byte{1}}};
    static constexpr MacAddress kTheirs{{std::byte{2}, {}, {}, {}, {}, std::byte{9}}};
    Host host{OneHost::default_config()};
    Instant now = Instant{} + seconds(1'000);
    std::uint8_t interface = 0;
    std::vector<std::vector<std::byte>> sent;  ///< whole frames
    const IpAddress peer = *parse_ip_address("10.0.0.2");

    Advice() {
        InterfaceConfig link;
        link.name = "eth0";
        link.mac = kOurs;
        link.capabilities.layer = LinkLayer::ethernet;
        interface = host.add_interface(link);
        EXPECT_TRUE(host.add_address(interface, *parse_cidr("10.0.0.1/24"), now).has_value());
        run_to(now + seconds(30));  // the address is checked and announced
        sent.clear();
    }
    void run() {
        FrameBatch out;
        while (host.poll_transmit(now, out)) {
        }
        for (const Frame& frame : out) {
            sent.push_back(frame_bytes(frame));
        }
    }
    void run_to(Instant when) {
        run();
        while (host.next_timeout() <= when) {
            now = std::max(now, host.next_timeout());
            host.on_timeout(now);
            run();
        }
        now = when;
    }
    void receive(std::uint16_t ether_type, Bytes packet) {
        EthernetHeader header;
        header.destination = kOurs;
        header.source = kTheirs;
        header.ether_type = ether_type;
        std::vector<std::byte> bytes(header.size());
        emit_ethernet(header, bytes);
        bytes.insert(bytes.end(), packet.begin(), packet.end());
        FrameBatch batch;
        batch.emplace_back().body.push_back(host.pool().copy(bytes));
        host.on_frames(interface, batch, now);
        run();
    }
    void arp_reply() {
        ArpPacket reply;
        reply.operation = ArpPacket::Operation::reply;
        reply.sender_mac = kTheirs;
        reply.sender_ip = peer;
        reply.target_mac = kOurs;
        reply.target_ip = *parse_ip_address("10.0.0.1");
        std::array<std::byte, kArpPacketSize> bytes{};
        emit_arp(reply, bytes);
        receive(kEtherTypeArp, bytes);
    }
    /// ARP requests among the frames since the last call, by whom they were for.
    std::vector<MacAddress> asked() {
        std::vector<MacAddress> whom;
        for (const auto& frame : sent) {
            const auto header = parse_ethernet(frame);
            if (header->ether_type == kEtherTypeArp) {
                whom.push_back(header->destination);
            }
        }
        return whom;
    }
    SegmentView last_segment() {
        return *view_segment(Bytes(sent.back()).subspan(kEthernetHeaderSize));
    }
    void acknowledge(std::uint16_t flags = TcpFlags::kAck) {
        const SegmentView ours = last_segment();
        TcpHeader header;
        header.flags.bits = flags;
        header.seq = SeqNum{flags == TcpFlags::kAck ? 7'001U : 7'000U};
        header.ack = ours.header.seq + static_cast<std::uint32_t>(ours.payload.size()) +
                     (ours.header.flags.syn() ? 1U : 0U);
        header.window = 65'535;
        receive(kEtherTypeIpv4, make_segment({ours.tuple.remote, ours.tuple.local}, header));
    }
    tcp::ConnectionHandle connect() {
        const auto handle =
            host.tcp().connect({*parse_ip_address("10.0.0.1"), 0}, {peer, 80}, 1500, {}, now);
        run();
        arp_reply();
        acknowledge(TcpFlags::kSyn | TcpFlags::kAck);
        EXPECT_EQ(host.tcp().status(*handle)->state, tcp::State::established);
        return *handle;
    }
    void write(tcp::ConnectionHandle handle) {
        EXPECT_TRUE(host.tcp().send(handle, as_bytes("x"), {}, now).has_value());
        run();
    }
};

TEST_F(Advice, ProgressNeedsNoNeighbourToBeAsked) {
    const tcp::ConnectionHandle handle = connect();
    sent.clear();
    for (int i = 0; i < 60; ++i) {
        run_to(now + seconds(10));
        write(handle);
        acknowledge();
    }
    EXPECT_TRUE(asked().empty()) << "ten minutes, in which the peer answered";
    host.tcp().abort(handle, now);
}

// Proves: MUST-20
TEST_F(Advice, AfterR1TheNeighbourIsAskedWhetherItIsStillThere) {
    const tcp::ConnectionHandle handle = connect();
    sent.clear();
    write(handle);
    run_to(now + milliseconds(2'900));  // RTO 200 ms: again after 0.2, 0.6 and 1.4 s
    EXPECT_TRUE(asked().empty());
    run_to(now + milliseconds(200));  // the fourth timeout, after 3 s
    EXPECT_EQ(asked(), std::vector<MacAddress>{kTheirs}) << "him, not everybody";
    // He has gone; somebody else may have his address: everybody is asked.
    sent.clear();
    run_to(now + seconds(20));
    const auto whom = asked();
    EXPECT_NE(std::find(whom.begin(), whom.end(), MacAddress::broadcast()), whom.end());
    host.tcp().abort(handle, now);
}

}  // namespace
}  // namespace runnel::test
