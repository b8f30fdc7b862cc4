#include "runnel/report/capture_reader.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <bit>

#include "runnel/report/capture_bytes.hpp"
#include "runnel/report/conversation.hpp"
#include "runnel/report/ladder.hpp"
#include "runnel/report/pcapng_format.hpp"
#include "support/packet_builder.hpp"

namespace runnel::report {
namespace {

using namespace test;

// Blocks in either byte order.
class Blocks {
public:
    explicit Blocks(FileOrder order) : order_(order) {}

    static Octets u8(int value) { return octets({value}); }
    Octets u16(std::uint16_t value) const { return number(value, 2); }
    Octets u32(std::uint32_t value) const { return number(value, 4); }
    Octets u64(std::uint64_t value) const { return number(value, 8); }
    static Octets text(std::string_view value) {
        const Bytes bytes = as_bytes(value);
        return {bytes.begin(), bytes.end()};
    }
    static Octets padded(Octets bytes) {
        bytes.resize((bytes.size() + 3) / 4 * 4);
        return bytes;
    }
    Octets option(std::uint16_t code, const Octets& value) const {
        return joined({u16(code), u16(static_cast<std::uint16_t>(value.size())), padded(value)});
    }
    Octets block(std::uint32_t type, const Octets& body) const {
        const auto length = static_cast<std::uint32_t>(body.size() + 12);
        return joined({u32(type), u32(length), body, u32(length)});
    }
    Octets section() const {
        return block(kSectionHeaderBlock,
                     joined({u32(kByteOrderMagic), u16(1), u16(0), u64(UINT64_MAX)}));
    }
    Octets interface(std::uint16_t link_type, std::uint32_t snap_length,
                     Octets options = {}) const {
        return block(kInterfaceBlock,
                     joined({u16(link_type), u16(0), u32(snap_length), std::move(options)}));
    }
    Octets packet(std::uint32_t interface, std::uint64_t ticks, const Octets& bytes,
                  std::uint32_t original, Octets options = {}) const {
        return block(kEnhancedPacketBlock,
                     joined({u32(interface), u32(static_cast<std::uint32_t>(ticks >> 32)),
                             u32(static_cast<std::uint32_t>(ticks & 0xffff'ffff)),
                             u32(static_cast<std::uint32_t>(bytes.size())), u32(original),
                             padded(bytes), std::move(options)}));
    }

private:
    Octets number(std::uint64_t value, std::size_t size) const {
        Octets bytes;
        for (std::size_t i = 0; i < size; ++i) {
            const std::size_t shift = 8 * (order_ == FileOrder::big ? size - 1 - i : i);
            bytes.push_back(static_cast<std::byte>((value >> shift) & 0xff));
        }
        return bytes;
    }
    FileOrder order_;
};

Capture must_read(const Octets& file) {
    auto capture = read_capture(file);
    EXPECT_TRUE(capture) << to_string(capture.error());
    return std::move(*capture);
}

const Octets kFive = octets({1, 2, 3, 4, 5});

class EitherOrder : public testing::TestWithParam<FileOrder> {};
INSTANTIATE_TEST_SUITE_P(Orders, EitherOrder, testing::Values(FileOrder::big, FileOrder::little));

TEST_P(EitherOrder, ReadsPcapngWithEveryKindOfPacketBlock) {
    const Blocks b(GetParam());
    const Octets options =
        joined({b.option(kPacketFlags, b.u32(1)), b.option(kOptionComment, Blocks::text("why")),
                b.option(kOptionComment, Blocks::text("not")), b.u32(kOptionEnd)});
    const Octets file = joined({
        b.section(),
        b.interface(kLinkEthernet, 3, b.option(kInterfaceName, Blocks::text("eth0"))),
        b.block(5, b.u32(7)),  // statistics: skipped
        b.packet(0, 1'000'001, kFive, 77, options),
        b.block(kSimplePacketBlock, joined({b.u32(9), octets({1, 2, 3, 0})})),
        b.block(kOldPacketBlock,
                joined({b.u16(0), b.u16(4), b.u32(0), b.u32(2'000'000), b.u32(5), b.u32(5),
                        Blocks::padded(kFive), b.option(kPacketFlags, b.u32(2))})),
    });
    const Capture capture = must_read(file);
    EXPECT_FALSE(capture.problem);
    ASSERT_EQ(capture.packets.size(), 3U);
    EXPECT_EQ(capture.interfaces[0].name, "eth0");
    EXPECT_EQ(capture.interfaces[0].snap_length, 3U);

    const CapturedPacket& enhanced = capture.packets[0];
    EXPECT_EQ(enhanced.time_ns, 1'000'001'000) << "microseconds unless said otherwise";
    EXPECT_EQ(enhanced.original_length, 77U);
    EXPECT_EQ(enhanced.bytes.size(), 5U);
    EXPECT_EQ(enhanced.direction, PacketDirection::inbound);
    EXPECT_EQ(enhanced.comments, (std::vector<std::string_view>{"why", "not"}));

    const CapturedPacket& simple = capture.packets[1];
    EXPECT_EQ(simple.time_ns, enhanced.time_ns) << "it has no time of its own";
    EXPECT_EQ(simple.bytes.size(), 3U) << "cut by the interface's snap length";
    EXPECT_EQ(simple.original_length, 9U);

    EXPECT_EQ(capture.packets[2].time_ns, 2'000'000'000);
    EXPECT_EQ(capture.packets[2].direction, PacketDirection::outbound);
}

TEST_P(EitherOrder, ReadsClassicPcapOfBothResolutions) {
    const Blocks b(GetParam());
    for (const bool nanoseconds : {false, true}) {
        const Octets file = joined(
            {b.u32(nanoseconds ? kPcapNanoseconds : kPcapMicroseconds), b.u16(2), b.u16(4),
             b.u32(0), b.u32(0), b.u32(65535), b.u32(0xf000'0000 | kLinkLinuxCooked), b.u32(3),
             b.u32(500), b.u32(5), b.u32(60), kFive, b.u32(4), b.u32(0), b.u32(0), b.u32(0)});
        const Capture capture = must_read(file);
        EXPECT_EQ(capture.format, CaptureFormat::pcap);
        EXPECT_FALSE(capture.problem);
        ASSERT_EQ(capture.packets.size(), 2U);
        EXPECT_EQ(capture.packets[0].link_type, kLinkLinuxCooked)
            << "the upper bits tell of frame check sequences";
        EXPECT_EQ(capture.packets[0].time_ns, 3'000'000'000 + (nanoseconds ? 500 : 500'000));
        EXPECT_EQ(capture.packets[0].original_length, 60U);
        EXPECT_EQ(capture.packets[1].bytes.size(), 0U);
    }
}

TEST_P(EitherOrder, ASectionStartsItsInterfacesAnewInAnOrderOfItsOwn) {
    const Blocks b(GetParam());
    const Blocks other(GetParam() == FileOrder::big ? FileOrder::little : FileOrder::big);
    const Octets file =
        joined({b.section(), b.interface(kLinkEthernet, 0), b.packet(0, 1, kFive, 5),
                other.section(), other.interface(kLinkRaw, 0), other.packet(0, 2, kFive, 5)});
    const Capture capture = must_read(file);
    ASSERT_EQ(capture.packets.size(), 2U);
    EXPECT_EQ(capture.packets[1].interface, 1U);
    EXPECT_EQ(capture.packets[1].link_type, kLinkRaw);
    EXPECT_EQ(capture.packets[1].time_ns, 2000);
}

TEST(CaptureClock, TurnsAnyResolutionIntoNanoseconds) {
    EXPECT_EQ((CaptureClock{6, 0}.nanoseconds(5)), 5'000);
    EXPECT_EQ((CaptureClock{9, 0}.nanoseconds(5)), 5);
    EXPECT_EQ((CaptureClock{0, 0}.nanoseconds(5)), 5'000'000'000);
    EXPECT_EQ((CaptureClock{12, 0}.nanoseconds(5'999)), 5);
    EXPECT_EQ((CaptureClock{127, 0}.nanoseconds(UINT64_MAX)), 0);
    EXPECT_EQ((CaptureClock{0x80 | 10, 0}.nanoseconds(1024 + 512)), 1'500'000'000);
    EXPECT_EQ((CaptureClock{0xff, 0}.nanoseconds(UINT64_MAX)), 0);
    EXPECT_EQ((CaptureClock{9, 2}.nanoseconds(5)), 2'000'000'005);
    EXPECT_EQ((CaptureClock{9, -2}.nanoseconds(5)), -1'999'999'995);
    // Found by fuzzing: the time between any two packets must be a number, too.
    EXPECT_EQ((CaptureClock{0, INT64_MAX}.nanoseconds(UINT64_MAX)), kMostCaptureTime);
    EXPECT_EQ((CaptureClock{9, INT64_MIN}.nanoseconds(0)) / 1'000'000'000,
              -kMostCaptureTime / 1'000'000'000);
    EXPECT_GE((CaptureClock{9, INT64_MIN}.nanoseconds(0)), -kMostCaptureTime);
}

Octets small_file() {
    const Blocks b(FileOrder::little);
    return joined({b.section(),
                   b.interface(kLinkRaw, 0, b.option(kInterfaceTimeResolution, octets({9}))),
                   b.packet(0, 1, kFive, 5, b.option(kOptionComment, Blocks::text("one"))),
                   b.packet(0, 2, kFive, 5)});
}

TEST(CaptureReader, ATruncatedFileGivesThePacketsSoFarAndSaysSo) {
    const Octets file = small_file();
    const std::size_t second = file.size() - 40;  // where the second packet's block begins
    for (std::size_t size = 0; size < file.size(); ++size) {
        SCOPED_TRACE(size);
        const auto capture = read_capture(Bytes(file).first(size));
        if (size < 4) {
            ASSERT_FALSE(capture) << "there isn't even a magic";
            continue;
        }
        ASSERT_TRUE(capture);
        EXPECT_EQ(capture->packets.size(), size < second ? 0U : 1U);
        const bool whole_blocks = size == 28 || size == 56 || size == second;
        ASSERT_EQ(capture->problem.has_value(), !whole_blocks);
        if (capture->problem) {
            EXPECT_TRUE(capture->problem->truncated) << to_string(*capture->problem);
            EXPECT_LE(capture->problem->offset, size);
        }
    }
}

TEST(CaptureReader, DamageIsToldWithItsOffsetAndWhatWasExpected) {
    const Blocks b(FileOrder::little);
    const Octets start = joined({b.section(), b.interface(kLinkRaw, 0), b.packet(0, 1, kFive, 5)});
    struct Case {
        Octets block;
        std::string_view expected;
    };
    Octets wrong_tail = b.packet(0, 1, kFive, 5);
    wrong_tail[wrong_tail.size() - 4] = std::byte{0};
    Octets odd_length = b.packet(0, 1, kFive, 5);
    odd_length[4] = std::byte{41};
    Octets wrong_magic = b.section();
    wrong_magic[8] = std::byte{0};
    Octets wrong_version = b.section();
    wrong_version[12] = std::byte{9};
    const Case cases[] = {
        {wrong_tail, "the block ends with length 0, 40 expected"},
        {odd_length, "the block's length is 41; a multiple of 4 from 12 to 16777216 expected"},
        {b.block(6, b.u32(0)), "a packet block of at least 32 bytes expected"},
        {b.packet(1, 1, kFive, 5), "a packet on interface 1, and the section has 1 so far"},
        {wrong_magic, "byte-order magic 003c2b1a, 1a2b3c4d expected in either order"},
        {wrong_version, "pcapng version 9.0, 1.x expected"},
        {b.packet(0, 1, kFive, 5, joined({b.u16(1), b.u16(9)})),
         "an option that ends within its block expected"},
        {b.interface(kLinkRaw, 0, b.option(kInterfaceTimeOffset, octets({1, 2}))),
         "option 14 of an interface is 2 bytes short of a value"},
        {b.block(6, joined({b.u32(0), b.u64(0), b.u32(6), b.u32(6), b.u32(0)})),
         "a packet of 6 bytes in a block with 4 left"},
        {b.block(3, joined({b.u32(6), b.u32(0)})), "a packet of 6 bytes in a block with 4 left"},
    };
    for (const Case& c : cases) {
        const Octets file = joined({start, c.block, b.packet(0, 2, kFive, 5)});
        const Capture capture = must_read(file);
        ASSERT_TRUE(capture.problem) << c.expected;
        EXPECT_EQ(capture.problem->message, c.expected);
        EXPECT_EQ(capture.problem->offset, start.size());
        EXPECT_FALSE(capture.problem->truncated);
        EXPECT_EQ(capture.packets.size(), 1U);
    }
    const Octets simple_first = joined({b.section(), b.block(3, b.u32(0))});
    EXPECT_EQ(must_read(simple_first).problem->message,
              "a simple packet block after an interface description expected");
}

TEST(CaptureReader, ClassicPcapsDamageAndTruncation) {
    const Blocks b(FileOrder::little);
    const Octets header =
        joined({b.u32(kPcapMicroseconds), b.u32(0), b.u64(0), b.u32(96), b.u32(1)});
    const auto read = [&](const Octets& rest) { return must_read(joined({header, rest})); };
    EXPECT_EQ(read(joined({b.u64(0), b.u32(262'145), b.u32(0)})).problem->message,
              "a packet of 262145 bytes, at most 262144 expected");
    EXPECT_TRUE(read(joined({b.u64(0), b.u32(6), b.u32(0), kFive})).problem->truncated);
    EXPECT_TRUE(read(b.u32(1)).problem->truncated);
    const auto cut = read_capture(Bytes(header).first(23));
    ASSERT_TRUE(cut && cut->problem);
    EXPECT_TRUE(cut->problem->truncated);
}

TEST(CaptureReader, SaysWhatAForeignFileIs) {
    const auto message = [](std::string_view text) {
        return read_capture(as_bytes(text)).error().message;
    };
    EXPECT_EQ(message(""), "a capture expected, and the file is empty");
    EXPECT_EQ(message("\x1f\x8b\x08"),
              "it is compressed with gzip; pass what `gunzip -c` makes of it");
    EXPECT_EQ(message("hello"),
              "the magic of pcapng or pcap expected, and it begins with 68 65 6c 6c");
    EXPECT_EQ(message("\n\r"), "the magic of pcapng or pcap expected, and it begins with 0a 0d");
}

// Everything that can be made of a capture's bytes, so that a sanitizer sees it.
void digest(Bytes bytes) {
    const auto capture = read_capture(bytes);
    if (!capture) {
        return;
    }
    for (const Conversation& conversation : find_conversations(*capture).list) {
        LadderStyle style;
        style.width = 0;
        (void)render_ladder(conversation, *capture, style);
        (void)ladder_json(conversation, *capture);
    }
}

RC_GTEST_PROP(CaptureReader, RandomBytesDoNoHarm, (const std::vector<std::uint8_t>& random)) {
    digest(std::as_bytes(std::span(random)));
    const Blocks b(FileOrder::big);
    Octets file = b.section();
    for (const std::uint8_t byte : random) {
        file.push_back(std::byte{byte});
    }
    digest(file);
}

RC_GTEST_PROP(CaptureReader, FlippedBytesDoNoHarm, ()) {
    const Blocks b(FileOrder::little);
    Scene scene;
    scene.handshake().left({.flags = "PA", .seq = 1, .ack = 1, .length = 10});
    scene.right({.flags = "A", .seq = 1, .ack = 11});
    scene.icmp_error(IpAddress::v4(0x0a0000fe), 3, 4, 1400, 3);
    Octets file = joined({b.section(), b.interface(kLinkRaw, 0)});
    for (const Octets& packet : scene.packets()) {
        file = joined({file, b.packet(0, 1, packet, static_cast<std::uint32_t>(packet.size()),
                                      b.option(kOptionComment, Blocks::text("c")))});
    }
    const int flips = *rc::gen::inRange(1, 12);
    for (int i = 0; i < flips; ++i) {
        const auto at = *rc::gen::inRange<std::size_t>(0, file.size());
        file[at] = static_cast<std::byte>(*rc::gen::arbitrary<std::uint8_t>());
    }
    digest(file);
}

}  // namespace
}  // namespace runnel::report
