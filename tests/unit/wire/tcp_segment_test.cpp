// The TCP header: a kernel's own segments both ways, every length it can be cut to, every malformed option,
// and round trips of arbitrary headers.
#include "runnel/wire/tcp_segment.hpp"

#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "runnel/base/checksum.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "wire_test.hpp"

namespace runnel {
namespace {

bool same(const TcpOptions& a, const TcpOptions& b) {
    return a.mss == b.mss && a.window_scale == b.window_scale &&
           a.sack_permitted == b.sack_permitted && a.timestamps == b.timestamps &&
           a.sack == b.sack && a.fast_open == b.fast_open && a.accurate_ecn == b.accurate_ecn;
}

bool same(const TcpHeader& a, const TcpHeader& b) {
    return a.source_port == b.source_port && a.destination_port == b.destination_port &&
           a.seq == b.seq && a.ack == b.ack && a.flags == b.flags && a.window == b.window &&
           a.checksum == b.checksum && a.urgent_pointer == b.urgent_pointer &&
           same(a.options, b.options);
}

/// A header with these option bytes, padded with zeros to a word.
std::vector<std::byte> with_options(std::string_view options, bool syn = true) {
    std::vector<std::byte> bytes = hex("1e61e12a 91ee478c 41d26943 5010fe88 00000000");
    if (syn) {
        bytes[13] |= std::byte{TcpFlags::kSyn};
    }
    const auto extra = hex(options);
    bytes.insert(bytes.end(), extra.begin(), extra.end());
    while (bytes.size() % 4 != 0) {
        bytes.push_back(std::byte{0});
    }
    bytes[12] = static_cast<std::byte>(bytes.size() / 4 << 4);
    return bytes;
}

TEST(TcpSegment, ReadsAKernelsSyn) {
    const TcpParse parse = parse_tcp(payload4_of(kernel_frame::kSyn4));
    ASSERT_FALSE(parse.error);
    const TcpHeader& header = parse.header;
    EXPECT_EQ(header.source_port, 57642);
    EXPECT_EQ(header.destination_port, 7777);
    EXPECT_EQ(header.seq, SeqNum{0x41d2'6942});
    EXPECT_EQ(header.flags.bits, TcpFlags::kSyn);
    EXPECT_EQ(header.window, 64240);
    EXPECT_EQ(header.checksum, 0xbb08);
    EXPECT_EQ(header.header_length, 40);
    EXPECT_EQ(header.options.mss, 1460);
    EXPECT_TRUE(header.options.sack_permitted);
    EXPECT_EQ(header.options.timestamps, (TcpTimestamps{585'019'504, 0}));
    EXPECT_EQ(header.options.window_scale, 10);
    EXPECT_TRUE(header.options.sack.empty());
}

// Proves: MUST-4, MUST-68, MUST-69
TEST(TcpSegment, WritesWhatAKernelWrote) {
    for (const std::string_view frame :
         {kernel_frame::kSyn4, kernel_frame::kSynAck4, kernel_frame::kData4}) {
        const auto bytes = payload4_of(frame);
        const TcpParse parse = parse_tcp(bytes);
        ASSERT_FALSE(parse.error);
        std::vector<std::byte> out(parse.header.header_length);
        EXPECT_EQ(tcp_options_size(parse.header.options), out.size() - 20);
        ASSERT_EQ(emit_tcp(parse.header, out), out.size());
        EXPECT_EQ(out, exact_copy(Bytes(bytes).first(out.size())));
    }
    const auto bytes = payload6_of(kernel_frame::kSyn6);
    std::vector<std::byte> out(40);
    ASSERT_EQ(emit_tcp(parse_tcp(bytes).header, out), 40U);
    EXPECT_EQ(out, bytes);
}

TEST(TcpSegment, PseudoHeaderSumMakesTheChecksumsRight) {
    const auto checksum = [](Bytes segment, const char* source, const char* destination) {
        ChecksumAccumulator sum(pseudo_header_sum(ip(source), ip(destination), kProtocolTcp,
                                                  static_cast<std::uint32_t>(segment.size())));
        sum.add(segment);
        return sum.finish();
    };
    EXPECT_EQ(checksum(payload4_of(kernel_frame::kSyn4), "10.9.0.1", "10.9.0.2"), 0);
    EXPECT_EQ(checksum(payload4_of(kernel_frame::kData4), "10.9.0.1", "10.9.0.2"), 0);
    EXPECT_EQ(checksum(payload6_of(kernel_frame::kSyn6), "fd00::1", "fd00::2"), 0);
    EXPECT_NE(checksum(payload6_of(kernel_frame::kSyn6), "fd00::1", "fd00::3"), 0);
    // A length beyond 16 bits counts in IPv6's pseudo-header (RFC 8200 §8.1).
    EXPECT_EQ(pseudo_header_sum(ip("::"), ip("::"), 6, 0x1'0000), 7);
}

TEST(TcpSegment, EveryTruncation) {
    const auto bytes = payload4_of(kernel_frame::kSyn4);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const auto cut = exact_copy(Bytes(bytes).first(size));
        EXPECT_EQ(parse_tcp(cut).error,
                  size < 20 ? TcpParseError::truncated : TcpParseError::data_offset_too_large)
            << size;
    }
}

TEST(TcpSegment, DataOffsetBelowTheHeader) {
    auto bytes = with_options("");
    for (unsigned offset = 0; offset < 5; ++offset) {
        bytes[12] = static_cast<std::byte>(offset << 4);
        EXPECT_EQ(parse_tcp(bytes).error, TcpParseError::data_offset_too_small);
    }
}

// RFC 9293 §3.1 MUST-7: lengths that can't be walked over, of kinds known and unknown.
// Proves: MUST-7, MUST-68
TEST(TcpSegment, OptionLengthsThatCannotBeWalked) {
    for (const char* options : {"0200",
                                "0201",
                                "0205 05b4",
                                "02ff 05b4",
                                "02",
                                "0800",
                                "0801",
                                "08",
                                "fe00",
                                "fe01",
                                "fe",
                                "fe05 0000",
                                "080b 0000000000000000",
                                "0512 0000000000000001",
                                "0401",
                                "0300",
                                "0304 0a",
                                "05",
                                "0502 02",
                                "020405b4 04"}) {
        // NOPs go in front: nothing may stand where the option would run past the end.
        std::string padded = options;
        while (hex(padded).size() % 4 != 0) {
            padded.insert(0, "01");
        }
        EXPECT_EQ(parse_tcp(with_options(padded)).error, TcpParseError::bad_option_length)
            << options;
        EXPECT_EQ(parse_tcp(with_options(padded, false)).error, TcpParseError::bad_option_length)
            << options;
    }
}

TEST(TcpSegment, KnownOptionsOfAnotherLengthAreSkipped) {
    const TcpParse parse = parse_tcp(
        with_options("0203 05 0304 0a0a 0403 00 0806 00000001 0502 0508 000000000001 01 01"));
    ASSERT_FALSE(parse.error);
    EXPECT_TRUE(same(parse.header.options, TcpOptions{}));
}

// RFC 9293 §3.1 MUST-6.
// Proves: MUST-6, MUST-64
TEST(TcpSegment, UnknownOptionsAreSkipped) {
    const TcpParse parse =
        parse_tcp(with_options("1e04 0000 fe02 220a 0102030405060708 020405b4 01"));
    ASSERT_FALSE(parse.error);
    EXPECT_EQ(parse.header.options.mss, 1460);
}

// Proves: MUST-4
TEST(TcpSegment, NothingIsReadBehindTheEndOfTheList) {
    const TcpParse parse = parse_tcp(with_options("01 00 0204 05b4 ffff"));
    ASSERT_FALSE(parse.error);
    EXPECT_FALSE(parse.header.options.mss);
}

// Proves: MUST-5, MUST-65, 7323-M2, 2018-M1
TEST(TcpSegment, HandshakeOptionsMeanNothingWithoutSyn) {
    const TcpParse parse =
        parse_tcp(with_options("020405b4 0402 01 03030a 080a0000000100000002 01", false));
    ASSERT_FALSE(parse.error);
    EXPECT_FALSE(parse.header.options.mss);
    EXPECT_FALSE(parse.header.options.sack_permitted);
    EXPECT_FALSE(parse.header.options.window_scale);
    EXPECT_EQ(parse.header.options.timestamps, (TcpTimestamps{1, 2}));
}

TEST(TcpSegment, SackBlocks) {
    const TcpParse four = parse_tcp(with_options(
        "0101 0522 00000001 00000002 00000003 00000004 fffffff0 00000010 00000007 00000008",
        false));
    ASSERT_FALSE(four.error);
    ASSERT_EQ(four.header.options.sack.size(), 4U);
    EXPECT_EQ(four.header.options.sack[2], (SackBlock{SeqNum{0xffff'fff0}, SeqNum{0x10}}));
    EXPECT_FALSE(four.header.options.timestamps);
    // Ragged or empty lists are skipped.
    EXPECT_TRUE(parse_tcp(with_options("0101 0502", false)).header.options.sack.empty());
    EXPECT_TRUE(
        parse_tcp(with_options("050c 00000001 00000002 0000", false)).header.options.sack.empty());
}

TEST(TcpSegment, Md5Signature) {  // RFC 2385 §3.0
    const TcpParse signed_one =
        parse_tcp(with_options("0101 1312 00010203 04050607 08090a0b 0c0d0e0f", false));
    ASSERT_FALSE(signed_one.error);
    ASSERT_TRUE(signed_one.header.options.md5);
    for (std::size_t i = 0; i < 16; ++i) {
        EXPECT_EQ((*signed_one.header.options.md5)[i], static_cast<std::byte>(i));
    }
    EXPECT_EQ(tcp_options_size(signed_one.header.options), 20U);
    // Of another length it is nothing we know.
    EXPECT_FALSE(parse_tcp(with_options("1306 00010203 0000", false)).header.options.md5);
}

TEST(TcpSegment, FlagsAndReservedBits) {
    auto bytes = with_options("");
    bytes[12] = std::byte{0x5f};  // AE and the three reserved bits
    bytes[13] = std::byte{0xff};
    const TcpParse parse = parse_tcp(bytes);
    ASSERT_FALSE(parse.error);
    EXPECT_EQ(parse.header.flags.bits, 0x1ff);
    std::vector<std::byte> out(20);
    emit_tcp(parse.header, out);
    EXPECT_EQ(out[12], std::byte{0x51}) << "reserved bits are sent as zero";
    EXPECT_EQ(out[13], std::byte{0xff});
}

// RFC 7413 §4.1.1: a request, cookies of even length from 4 to 16, and the old form (A.2).
TEST(TcpSegment, FastOpen) {
    const auto read = [](std::string_view options, bool syn = true) {
        return parse_tcp(with_options(options, syn)).header.options.fast_open;
    };
    ASSERT_TRUE(read("2202"));
    EXPECT_EQ(read("2202")->size, 0);
    EXPECT_FALSE(read("2202")->experimental);
    const auto cookie = read("220a 0102030405060708");
    ASSERT_TRUE(cookie);
    EXPECT_EQ(cookie->size, 8);
    EXPECT_EQ(cookie->octets[7], std::byte{8});
    EXPECT_EQ(read("2206 01020304")->size, 4);
    EXPECT_EQ(read("2212 0102030405060708090a0b0c0d0e0f10")->size, 16);
    const auto old = read("fe0c f989 0102030405060708");
    ASSERT_TRUE(old);
    EXPECT_TRUE(old->experimental);
    EXPECT_EQ(old->size, 8);
    EXPECT_EQ(read("fe04 f989")->size, 0);
    for (const char* bad :
         {"2204 0102", "2207 0102030405", "2214 0102030405060708090a0b0c0d0e0f101112", "2203 01",
          "fe03 f9", "fe02", "fe04 f988", "fe06 f989 0102"}) {
        EXPECT_FALSE(read(bad)) << bad;
        EXPECT_FALSE(parse_tcp(with_options(bad)).error) << bad;
    }
    EXPECT_FALSE(read("220a 0102030405060708", false)) << "only with SYN";
    EXPECT_FALSE(read("fe0c f989 0102030405060708", false));
}

TEST(TcpSegment, FastOpenStandsLastAndFillsItsWord) {
    TcpHeader header;
    header.flags.bits = TcpFlags::kSyn;
    header.options.mss = 1460;
    header.options.fast_open.emplace();
    std::array<std::byte, 60> out{};
    ASSERT_EQ(emit_tcp(header, out), 28U);
    const auto wanted = hex("020405b4 22020101");
    EXPECT_TRUE(std::equal(wanted.begin(), wanted.end(), out.begin() + 20));
    header.options.fast_open->experimental = true;
    header.options.fast_open->size = 16;
    header.options.sack_permitted = true;
    header.options.timestamps = TcpTimestamps{};
    header.options.window_scale = 7;
    EXPECT_EQ(emit_tcp(header, out), 60U) << "the longest of all fits";
}

// RFC 9768 §3.2.3: none to three counters, in two orders.
TEST(TcpSegment, AccurateEcn) {
    const auto read = [](std::string_view options) {
        return parse_tcp(with_options(options, false)).header.options.accurate_ecn;
    };
    EXPECT_EQ(read("ac0b 000001 000002 ffffff"), (AccurateEcnOption{false, 3, {1, 2, 0xff'ffff}}));
    EXPECT_EQ(read("ae0b 010203 000000 000001"), (AccurateEcnOption{true, 3, {0x01'0203, 0, 1}}));
    EXPECT_EQ(read("ac08 000001 000002"), (AccurateEcnOption{false, 2, {1, 2, 0}}));
    EXPECT_EQ(read("ae05 000009"), (AccurateEcnOption{true, 1, {9, 0, 0}}));
    EXPECT_EQ(read("ac02"), AccurateEcnOption{});
    // A length of another version: what is known of it counts, and nothing is read beyond it.
    EXPECT_EQ(read("ac07 000001 ffff"), (AccurateEcnOption{false, 1, {1, 0, 0}}));
    EXPECT_EQ(read("ac0c 000001 000002 000003 ff"), (AccurateEcnOption{false, 3, {1, 2, 3}}));
    EXPECT_FALSE(read("ad0b 000001 000002 000003"));
    EXPECT_EQ(parse_tcp(with_options("ac0b 0000")).error, TcpParseError::bad_option_length);
}

TEST(TcpSegment, AccurateEcnEndsOnAWord) {
    TcpHeader header;
    std::array<std::byte, 60> out{};
    header.options.accurate_ecn = AccurateEcnOption{true, 3, {1, 2, 3}};
    ASSERT_EQ(emit_tcp(header, out), 32U);
    const auto three = hex("01ae0b00 00010000 02000003");
    EXPECT_TRUE(std::equal(three.begin(), three.end(), out.begin() + 20));
    header.options.accurate_ecn->size = 2;
    EXPECT_EQ(emit_tcp(header, out), 28U);
    header.options.accurate_ecn->size = 1;
    EXPECT_EQ(emit_tcp(header, out), 28U);
    header.flags.bits = TcpFlags::kAe | TcpFlags::kAck;
    (void)emit_tcp(header, out);
    EXPECT_EQ(parse_tcp(out).header.flags, header.flags) << "the ninth flag";
}

TEST(TcpSegmentDeathTest, OptionsThatDoNotFit) {
    TcpHeader header;
    header.options.timestamps = TcpTimestamps{};
    header.options.sack.resize(4);
    EXPECT_EQ(tcp_options_size(header.options), 48U);
    std::array<std::byte, 80> out{};
    EXPECT_DEATH((void)emit_tcp(header, out), "");
    header.options.sack.resize(3);
    EXPECT_EQ(tcp_options_size(header.options), 40U);
    EXPECT_EQ(emit_tcp(header, out), 60U);
    EXPECT_DEATH((void)emit_tcp(header, MutableBytes(out).first(59)), "");
}

TcpHeader any_header() {
    TcpHeader header;
    header.source_port = *rc::gen::arbitrary<std::uint16_t>();
    header.destination_port = *rc::gen::arbitrary<std::uint16_t>();
    header.seq.value = *rc::gen::arbitrary<std::uint32_t>();
    header.ack.value = *rc::gen::arbitrary<std::uint32_t>();
    header.flags.bits = *rc::gen::inRange<std::uint16_t>(0, 0x200);
    header.window = *rc::gen::arbitrary<std::uint16_t>();
    header.checksum = *rc::gen::arbitrary<std::uint16_t>();
    header.urgent_pointer = *rc::gen::arbitrary<std::uint16_t>();
    TcpOptions& options = header.options;
    if (*rc::gen::arbitrary<bool>()) {
        options.timestamps = TcpTimestamps{header.ack.value, header.seq.value};
    }
    if (header.flags.syn()) {
        if (*rc::gen::arbitrary<bool>()) {
            options.mss = *rc::gen::arbitrary<std::uint16_t>();
        }
        if (*rc::gen::arbitrary<bool>()) {
            options.window_scale = *rc::gen::arbitrary<std::uint8_t>();
        }
        options.sack_permitted = *rc::gen::arbitrary<bool>();
        if (*rc::gen::arbitrary<bool>()) {
            FastOpenOption& fast = options.fast_open.emplace();
            fast.size = static_cast<std::uint8_t>(2 * *rc::gen::inRange<unsigned>(1, 9));
            fast.size = fast.size < FastOpenOption::kMinCookie ? std::uint8_t{0} : fast.size;
            fast.experimental = *rc::gen::arbitrary<bool>();
            for (unsigned i = 0; i < fast.size; ++i) {
                fast.octets[i] = static_cast<std::byte>(*rc::gen::arbitrary<std::uint8_t>());
            }
        }
    } else {
        const std::size_t blocks = *rc::gen::inRange<std::size_t>(0, options.timestamps ? 4 : 5);
        for (std::size_t i = 0; i < blocks; ++i) {
            const SeqNum left{*rc::gen::arbitrary<std::uint32_t>()};
            options.sack.push_back({left, left + 1448});
        }
        if (blocks < 2 && *rc::gen::arbitrary<bool>()) {
            AccurateEcnOption& ecn = options.accurate_ecn.emplace();
            ecn.ect1_first = *rc::gen::arbitrary<bool>();
            ecn.size = *rc::gen::inRange<std::uint8_t>(0, 4);
            for (unsigned i = 0; i < ecn.size; ++i) {
                ecn.counters[i] = *rc::gen::inRange<std::uint32_t>(0, 0x100'0000);
            }
        }
    }
    return header;
}

RC_GTEST_PROP(TcpSegment, RoundTrip, ()) {
    const TcpHeader header = any_header();
    std::vector<std::byte> out(20 + tcp_options_size(header.options));
    RC_ASSERT(out.size() % 4 == 0U);
    RC_ASSERT(emit_tcp(header, out) == out.size());
    const TcpParse parse = parse_tcp(out);
    RC_ASSERT(!parse.error);
    RC_ASSERT(parse.header.header_length == out.size());
    RC_ASSERT(same(parse.header, header));
}

}  // namespace
}  // namespace runnel
