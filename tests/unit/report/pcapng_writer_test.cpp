#include "runnel/report/pcapng_writer.hpp"

#include <gtest/gtest.h>

#include "runnel/base/checksum.hpp"
#include "runnel/ip/ip_types.hpp"
#include "runnel/report/capture_reader.hpp"
#include "runnel/report/decision_report.hpp"
#include "runnel/report/pcapng_format.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "support/packet_builder.hpp"

namespace runnel::report {
namespace {

using namespace test;

const IpAddress kV4Left = IpAddress::v4(0x0a090001), kV4Right = IpAddress::v4(0x0a090002);
const IpAddress kV6Left = *parse_ip_address("fd00::1"), kV6Right = *parse_ip_address("fd00::2");

class PcapngWriterTest : public testing::Test {
protected:
    CapturedFrame frame_of(const Octets& bytes, std::size_t head = 0) {
        CapturedFrame captured;
        captured.time = Instant{1'234'567'891};
        Frame& frame = captured.frame;
        const MutableBytes space = frame.head_space();
        std::copy_n(bytes.begin(), head, space.begin());
        frame.set_head_size(head);
        if (bytes.size() > head) {
            frame.body.push_back(pool_.copy(Bytes(bytes).subspan(head)));
        }
        return captured;
    }
    Capture read() {
        auto capture = read_capture(sink_);
        EXPECT_TRUE(capture);
        EXPECT_FALSE(capture->problem) << to_string(*capture->problem);
        return std::move(*capture);
    }

    BufferPool pool_{16u << 20};
    std::vector<std::byte> sink_;
};

Octets segment(const IpAddress& from, const IpAddress& to, std::size_t size) {
    TcpHeader header;
    header.seq.value = 1;
    header.flags.bits = TcpFlags::kAck;
    return tcp_packet({from, 1}, {to, 2}, header, size);
}

// The packet with the checksum that a sender leaves to its device, and what the device is told.
Octets partial(Octets packet, std::uint16_t link_header, Offload& offload) {
    const bool v4 = std::to_integer<int>(packet[link_header]) >> 4 == 4;
    const std::size_t transport = link_header + (v4 ? 20U : 40U);
    offload.needs_checksum = true;
    offload.csum_start = static_cast<std::uint16_t>(transport);
    offload.csum_offset = 16;
    const Bytes addresses = Bytes(packet).subspan(link_header + (v4 ? 12U : 8U), v4 ? 8 : 32);
    const std::uint16_t pseudo =
        pseudo_header_sum(IpAddress::from_bytes(addresses.first(addresses.size() / 2)),
                          IpAddress::from_bytes(addresses.last(addresses.size() / 2)), kProtocolTcp,
                          static_cast<std::uint32_t>(packet.size() - transport));
    ByteWriter(MutableBytes(packet).subspan(transport + 16)).u16(pseudo);
    return packet;
}

TEST_F(PcapngWriterTest, WritesTheDocumentedBytes) {
    PcapngOptions options;
    options.application = "abcde";
    PcapngWriter writer(sink_, options);
    writer.add_interface("t0", LinkLayer::raw_ip);
    const Octets expected =
        octets(
            {
                0x0a, 0x0d, 0x0d, 0x0a, 44,   0,    0,    0,    0x4d, 0x3c, 0x2b, 0x1a,
                1,    0,    0,    0,                             // section
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,  // length: -1
                4,    0,    5,    0,    'a',  'b',  'c',  'd',  'e',  0,    0,    0,
                0,    0,    0,    0,    44,   0,    0,    0,  // application
                1,    0,    0,    0,    40,   0,    0,    0,    101,  0,    0,    0,
                0,    0,    0,    0,  // interface
                2,    0,    2,    0,    't',  '0',  0,    0,    9,    0,    1,    0,
                9,    0,    0,    0,    0,    0,    0,    0,    40,   0,    0,    0,  // name, ns
            });
    EXPECT_EQ(sink_, expected);
}

TEST_F(PcapngWriterTest, WhatIsWrittenIsRead) {
    PcapngOptions options;
    options.hardware = "a machine";
    options.os = "Linux";
    options.epoch_unix_ns = kStart;
    PcapngWriter writer(sink_, options);
    writer.add_interface("tun0", LinkLayer::raw_ip);
    writer.add_interface("tap0", LinkLayer::ethernet);
    const Octets packet = segment(kV4Left, kV4Right, 101);
    CapturedFrame outbound = frame_of(packet, 40);
    outbound.decisions.push_back(Decision::tcp_drop_checksum);
    outbound.decisions.push_back(Decision::ip_drop_truncated);
    writer.write(outbound);
    CapturedFrame inbound = frame_of(in_ethernet(packet));
    inbound.inbound = true;
    inbound.interface = 1;
    writer.write(inbound);

    const Capture capture = read();
    EXPECT_EQ(capture.application, "Runnel");
    ASSERT_EQ(capture.interfaces.size(), 2U);
    EXPECT_EQ(capture.interfaces[0].name, "tun0");
    EXPECT_EQ(capture.interfaces[0].link_type, kLinkRaw);
    EXPECT_EQ(capture.interfaces[1].name, "tap0");
    EXPECT_EQ(capture.interfaces[1].link_type, kLinkEthernet);
    ASSERT_EQ(capture.packets.size(), 2U);
    const CapturedPacket& first = capture.packets[0];
    EXPECT_EQ(first.time_ns, kStart + 1'234'567'891);
    EXPECT_EQ(first.direction, PacketDirection::outbound);
    EXPECT_EQ(Octets(first.bytes.begin(), first.bytes.end()), packet);
    ASSERT_EQ(first.comments.size(), 2U);
    EXPECT_EQ(first.comments[0], decision_comment(Decision::tcp_drop_checksum));
    EXPECT_EQ(first.comments[1], decision_comment(Decision::ip_drop_truncated));
    EXPECT_EQ(capture.packets[1].direction, PacketDirection::inbound);
    EXPECT_EQ(capture.packets[1].interface, 1U);
    EXPECT_TRUE(capture.packets[1].comments.empty());
}

TEST_F(PcapngWriterTest, AFramesOwnReasonStandsInForMissingDecisions) {
    PcapngWriter writer(sink_, {});
    writer.add_interface("tun0", LinkLayer::raw_ip);
    CapturedFrame frame = frame_of(segment(kV4Left, kV4Right, 0));
    frame.frame.reason = static_cast<std::uint16_t>(Decision::tcp_drop_checksum);
    writer.write(frame);
    frame.frame.reason = 0xffff;  // no decision
    writer.write(frame);
    const Capture capture = read();
    ASSERT_EQ(capture.packets[0].comments.size(), 1U);
    EXPECT_EQ(capture.packets[0].comments[0], decision_comment(Decision::tcp_drop_checksum));
    EXPECT_TRUE(capture.packets[1].comments.empty());
}

TEST_F(PcapngWriterTest, CompletesPartialChecksums) {
    PcapngWriter writer(sink_, {});
    writer.add_interface("tun0", LinkLayer::raw_ip);
    writer.add_interface("tap0", LinkLayer::ethernet);
    for (const Octets& right : {segment(kV4Left, kV4Right, 33), segment(kV6Left, kV6Right, 0)}) {
        CapturedFrame raw;
        Offload offload;
        raw = frame_of(partial(right, 0, offload), 50);
        raw.frame.offload = offload;
        writer.write(raw);
        EXPECT_EQ(Octets(read().packets.back().bytes.begin(), read().packets.back().bytes.end()),
                  right);
        const bool v4 = right.size() < 80;
        const Octets framed = in_ethernet(right, v4 ? 0x0800 : 0x86dd);
        CapturedFrame ethernet = frame_of(partial(framed, 14, offload));
        ethernet.frame.offload = offload;
        ethernet.interface = 1;
        writer.write(ethernet);
        EXPECT_EQ(Octets(read().packets.back().bytes.begin(), read().packets.back().bytes.end()),
                  framed);
    }
}

TEST_F(PcapngWriterTest, ASuperSegmentIsOnePacketWithAChecksumOverAllOfIt) {
    PcapngWriter writer(sink_, {});
    writer.add_interface("tun0", LinkLayer::raw_ip);
    for (const bool v4 : {true, false}) {
        const Octets right =
            v4 ? segment(kV4Left, kV4Right, 60'001) : segment(kV6Left, kV6Right, 65'000);
        Octets bytes = right;
        bytes[(v4 ? 20 : 40) + 16] = std::byte{0x12};  // whatever the pieces' pseudo-header gave
        CapturedFrame frame = frame_of(bytes);
        frame.frame.offload.gso = v4 ? Offload::Gso::tcp_ipv4 : Offload::Gso::tcp_ipv6;
        frame.frame.offload.gso_size = 1448;
        writer.write(frame);
        const Capture capture = read();
        EXPECT_EQ(Octets(capture.packets.back().bytes.begin(), capture.packets.back().bytes.end()),
                  right);
    }
}

TEST_F(PcapngWriterTest, AnOffloadThatIsNotTrueLeavesTheFrameAlone) {
    PcapngWriter writer(sink_, {});
    writer.add_interface("tun0", LinkLayer::raw_ip);
    const Octets packet = segment(kV4Left, kV4Right, 3);
    for (const std::uint16_t start : {std::uint16_t{20}, std::uint16_t{0xffff}}) {
        CapturedFrame frame = frame_of(packet);
        frame.frame.offload.needs_checksum = true;
        frame.frame.offload.csum_start = start;
        frame.frame.offload.csum_offset = 0xfff0;
        writer.write(frame);
        EXPECT_EQ(Octets(read().packets.back().bytes.begin(), read().packets.back().bytes.end()),
                  packet);
    }
    Octets garbage = octets({0x45, 1, 2});
    CapturedFrame frame = frame_of(garbage);
    frame.frame.offload.gso = Offload::Gso::tcp_ipv4;
    writer.write(frame);
    EXPECT_EQ(read().packets.back().bytes.size(), 3U);
}

TEST_F(PcapngWriterTest, AUdpChecksumOfZeroIsWrittenAsAllOnes) {
    // The sum over these eight bytes is 0xffff: its complement, 0, would mean "no checksum".
    Octets datagram = octets({0xff, 0xff, 0, 0, 0, 0, 0, 0});
    Offload offload;
    offload.needs_checksum = true;
    offload.csum_start = 0;
    offload.csum_offset = 6;
    complete_checksum(datagram, LinkLayer::raw_ip, offload);
    EXPECT_EQ(datagram[6], std::byte{0xff});
    EXPECT_EQ(datagram[7], std::byte{0xff});
}

TEST_F(PcapngWriterTest, CutsPacketsAfterTheirChecksumIsComplete) {
    PcapngOptions options;
    options.snap_length = 61;
    PcapngWriter writer(sink_, options);
    writer.add_interface("tun0", LinkLayer::raw_ip);
    const Octets right = segment(kV4Left, kV4Right, 500);
    Offload offload;
    CapturedFrame frame = frame_of(partial(right, 0, offload));
    frame.frame.offload = offload;
    writer.write(frame);
    const Capture capture = read();
    const CapturedPacket& packet = capture.packets[0];
    EXPECT_EQ(packet.original_length, right.size());
    EXPECT_EQ(Octets(packet.bytes.begin(), packet.bytes.end()),
              Octets(right.begin(), right.begin() + 61));
}

TEST_F(PcapngWriterTest, TheLoopbackInterfaceIsDescribedWhenItOccurs) {
    PcapngWriter writer(sink_, {});
    EXPECT_EQ(writer.add_interface("tun0", LinkLayer::raw_ip), 0U);
    CapturedFrame frame = frame_of(segment(kV4Left, kV4Right, 0));
    frame.interface = kLoopbackInterface;
    writer.write(frame);
    writer.write(frame);
    EXPECT_EQ(writer.add_interface("tap0", LinkLayer::ethernet), 2U);
    frame = frame_of(in_ethernet(segment(kV4Left, kV4Right, 0)));
    frame.interface = 1;  // the host's second interface is the capture's third
    writer.write(frame);
    const Capture capture = read();
    ASSERT_EQ(capture.interfaces.size(), 3U);
    EXPECT_EQ(capture.interfaces[1].name, "lo");
    EXPECT_EQ(capture.packets[0].interface, 1U);
    EXPECT_EQ(capture.packets[2].interface, 2U);
    EXPECT_EQ(capture.packets[2].link_type, kLinkEthernet);
}

TEST_F(PcapngWriterTest, TheSinkMayBeEmptiedBetweenCalls) {
    PcapngWriter writer(sink_, {});
    std::vector<std::byte> file;
    const auto flush = [&](std::size_t odd_rest) {
        file.insert(file.end(), sink_.begin() + static_cast<std::ptrdiff_t>(odd_rest), sink_.end());
        sink_.assign(3, std::byte{0xee});  // a sink that holds something of an odd length meanwhile
    };
    flush(0);
    writer.add_interface("x", LinkLayer::raw_ip);
    flush(3);
    for (std::size_t size = 0; size < 5; ++size) {
        writer.write(frame_of(segment(kV4Left, kV4Right, size)));
        flush(3);
    }
    const auto capture = read_capture(file);
    ASSERT_TRUE(capture && !capture->problem);
    EXPECT_EQ(capture->packets.size(), 5U);
}

TEST_F(PcapngWriterTest, LongCommentsAreCutBetweenCharacters) {
    PcapngWriter writer(sink_, {});
    writer.add_interface("x", LinkLayer::raw_ip);
    std::string text = "x";
    for (int i = 0; i < 40'000; ++i) {
        text += "§";
    }
    writer.write_packet(0, {}, octets({1, 2, 3}), 3, PacketDirection::unknown, {{text}});
    const Capture capture = read();
    ASSERT_EQ(capture.packets[0].comments.size(), 1U);
    EXPECT_EQ(capture.packets[0].comments[0].size(), 65'535U);
    EXPECT_TRUE(text.starts_with(capture.packets[0].comments[0]));
    EXPECT_EQ(capture.packets[0].direction, PacketDirection::unknown);
}

}  // namespace
}  // namespace runnel::report
