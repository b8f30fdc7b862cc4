// A second opinion on what PcapngWriter writes: Wireshark's. Skipped where tshark isn't installed.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>

#include "runnel/report/decision_report.hpp"
#include "runnel/report/pcapng_writer.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "support/packet_builder.hpp"

namespace runnel::report {
namespace {

using namespace test;

std::string output_of(const std::string& command) {
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
    std::string output;
    char buffer[4096];
    while (pipe && std::fgets(buffer, sizeof buffer, pipe.get()) != nullptr) {
        output += buffer;
    }
    return output;
}

class TsharkTest : public testing::Test {
protected:
    void SetUp() override {
        if (output_of("command -v tshark").empty()) {
            GTEST_SKIP() << "tshark is not installed";
        }
        const int fd = ::mkstemp(path_);
        ASSERT_GE(fd, 0);
        ::close(fd);
    }
    void TearDown() override { ::unlink(path_); }

    void save(const std::vector<std::byte>& bytes) {
        FILE* file = std::fopen(path_, "wb");
        ASSERT_NE(file, nullptr);
        EXPECT_EQ(std::fwrite(bytes.data(), 1, bytes.size(), file), bytes.size());
        EXPECT_EQ(std::fclose(file), 0);
    }
    std::string tshark(const std::string& arguments) {
        return output_of("tshark -n -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE -r " +
                         std::string(path_) + " " + arguments + " 2>/dev/null");
    }

    char path_[64] = "/tmp/runnel-tshark-XXXXXX";
    BufferPool pool_{16u << 20};
};

TEST_F(TsharkTest, SeesNoMalformedPacketNoBadChecksumAndTheComments) {
    std::vector<std::byte> sink;
    PcapngOptions options;
    options.epoch_unix_ns = kStart;
    options.hardware = "test";
    options.os = "test";
    PcapngWriter writer(sink, options);
    writer.add_interface("tun0", LinkLayer::raw_ip);
    writer.add_interface("tap0", LinkLayer::ethernet);

    Scene scene;
    scene.handshake().left({.flags = "PA", .seq = 1, .ack = 1, .length = 60'000});
    scene.right({.flags = "FA", .seq = 1, .ack = 60'001});
    Scene v6({*parse_ip_address("fd00::1"), 40000}, {*parse_ip_address("fd00::2"), 80});
    v6.handshake().left({.flags = "PA", .seq = 1, .ack = 1, .length = 60'000});
    std::int64_t time = 0;
    for (const Scene* each : {&scene, &v6}) {
        for (const Octets& packet : each->packets()) {
            const bool v4 = each == &scene;
            CapturedFrame frame;
            frame.time = Instant{time += 1001};
            frame.inbound = (time & 1) != 0;
            frame.interface = v4 ? 0 : 1;
            Octets bytes = v4 ? packet : in_ethernet(packet, 0x86dd);
            Offload& offload = frame.frame.offload;
            const std::size_t transport = v4 ? 20 : 54;
            if (packet.size() > 2000) {
                offload.gso = v4 ? Offload::Gso::tcp_ipv4 : Offload::Gso::tcp_ipv6;
                offload.gso_size = 1400;
                bytes[transport + 16] = std::byte{0x55};  // a pseudo-header's sum, for pieces
            } else {
                offload.needs_checksum = true;
                offload.csum_start = static_cast<std::uint16_t>(transport);
                offload.csum_offset = 16;
                const std::size_t at = v4 ? 12 : 22;
                const std::size_t size = v4 ? 4 : 16;
                const Bytes view(bytes);
                ByteWriter(MutableBytes(bytes).subspan(transport + 16))
                    .u16(pseudo_header_sum(IpAddress::from_bytes(view.subspan(at, size)),
                                           IpAddress::from_bytes(view.subspan(at + size, size)),
                                           kProtocolTcp,
                                           static_cast<std::uint32_t>(bytes.size() - transport)));
            }
            frame.frame.body.push_back(pool_.copy(bytes));
            frame.decisions.push_back(Decision::tcp_drop_checksum);
            writer.write(frame);
        }
    }
    save(sink);

    EXPECT_EQ(tshark("-Y '_ws.malformed || tcp.checksum.status == 0 || ip.checksum.status == 0'"),
              "");
    const std::string comment = decision_comment(Decision::tcp_drop_checksum);
    std::string comments;
    for (int i = 0; i < 9; ++i) {
        comments += comment + "\n";
    }
    EXPECT_EQ(tshark("-T fields -e frame.comment"), comments);
    EXPECT_EQ(tshark("-Y frame.number==1 -T fields -e frame.time_epoch -e frame.interface_name "
                     "-e frame.packet_flags_direction"),
              "1700000000.000001001\ttun0\t0x00000001\n");
    EXPECT_EQ(tshark("-Y 'tcp.checksum.status == 1' -T fields -e frame.number"),
              "1\n2\n3\n4\n5\n6\n7\n8\n9\n")
        << "all of them good, the super-segments too";
}

// The test above would pass with a filter that never matches.
TEST_F(TsharkTest, NoticesABadChecksumAndAMalformedPacket) {
    std::vector<std::byte> sink;
    PcapngWriter writer(sink, {});
    writer.add_interface("tun0", LinkLayer::raw_ip);
    Scene scene;
    scene.left({.flags = "A", .length = 8}).corrupt().left({.flags = "S"});
    Octets cut = scene.packets()[1];
    cut[20 + 12] = std::byte{0xf0};  // a header of 60 bytes, and 20 are there
    writer.write_packet(0, {}, scene.packets()[0], 48, PacketDirection::unknown, {});
    writer.write_packet(0, {}, cut, cut.size(), PacketDirection::unknown, {});
    save(sink);
    EXPECT_EQ(tshark("-Y 'tcp.checksum.status == 0' -T fields -e frame.number").substr(0, 2),
              "1\n");
    EXPECT_NE(tshark("-Y '_ws.malformed || _ws.expert.severity == 0x800000' -T fields "
                     "-e frame.number")
                  .find('2'),
              std::string::npos);
}

}  // namespace
}  // namespace runnel::report
