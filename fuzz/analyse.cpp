// The analyser: any capture is explained as text and JSON; and two ends of the input's choice speak, segment by
// segment, close to what a connection would say, so that every judgement is reached. Nothing crashes, nothing
// that a capture holds reaches the terminal, and what is kept stays within its limits.
#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "fuzz/support/target.hpp"
#include "runnel/analyse/explain.hpp"
#include "runnel/base/checksum.hpp"
#include "runnel/report/pcapng_format.hpp"
#include "runnel/wire/ipv4.hpp"

namespace runnel::fuzz {
namespace {

using namespace runnel::report;

void check_text(std::string_view text, bool ascii) {
    for (const char octet : text) {
        const auto c = static_cast<unsigned char>(octet);
        FUZZ_CHECK(c == '\n' || (c >= 0x20 && c != 0x7f));
        FUZZ_CHECK(!ascii || c < 0x80);
    }
    FUZZ_CHECK(!text.empty() && text.back() == '\n');
}

void explain(const Capture& capture) {
    const Conversations conversations = find_conversations(capture);
    const Conversation* earlier = nullptr;
    for (const Conversation& conversation : conversations.list) {
        const analyse::Analysis analysis = analyse::analyse(conversation, earlier);
        FUZZ_CHECK(analysis.segments.size() == conversation.segments.size());
        FUZZ_CHECK(analysis.receivers.size() == conversation.segments.size());
        for (const analyse::Findings& findings : analysis.segments) {
            FUZZ_CHECK(!findings.empty() && findings.size() <= analyse::kMaxFindings + 1);
        }
        for (const analyse::Side& side : analysis.sides) {
            FUZZ_CHECK(side.sent.size() <= analyse::kMaxSent);
        }
        if (conversation.segments.size() < 16) {
            check_text(analyse::explain_text(conversation, analysis, {}), false);
        }
        check_text(analyse::explain_text(conversation, analysis, {false, true, true, false}), true);
        check_text(analyse::explain_json(conversation, analysis, false), false);
        earlier = &conversation;
    }
}

void check_capture(Bytes bytes) {
    if (const auto capture = read_capture(bytes)) {
        explain(*capture);
    }
}

// One end as the input drives it.
struct Talker {
    std::uint32_t next = 0;
    std::uint32_t window = 1000;
    std::uint32_t stamp = 1;
};

std::vector<std::byte> packet(bool left, const TcpHeader& header, std::size_t payload, char fill) {
    std::vector<std::byte> segment(60 + payload, static_cast<std::byte>(fill));
    const std::size_t size = emit_tcp(header, segment);
    segment.resize(size + payload);
    const IpAddress ends[2] = {IpAddress::v4(0x0a000001), IpAddress::v4(0x0a000002)};
    Ipv4Header ip;
    ip.protocol = 6;
    ip.source = ends[left ? 0 : 1];
    ip.destination = ends[left ? 1 : 0];
    ip.total_length = static_cast<std::uint16_t>(20 + segment.size());
    ChecksumAccumulator sum(pseudo_header_sum(ip.source, ip.destination, 6,
                                              static_cast<std::uint32_t>(segment.size())));
    sum.add(segment);
    ByteWriter(MutableBytes(segment).subspan(16)).u16(sum.finish());
    std::vector<std::byte> whole(20);
    emit_ipv4(ip, whole);
    whole.insert(whole.end(), segment.begin(), segment.end());
    return whole;
}

void add_options(std::uint8_t choice, const Talker& own, const Talker& peer, TcpHeader& header) {
    TcpOptions& options = header.options;
    if ((choice & 1) != 0) {
        options.timestamps = TcpTimestamps{own.stamp, peer.stamp};
    }
    if ((choice & 2) != 0) {
        options.mss = static_cast<std::uint16_t>(100 + choice);
        options.window_scale = static_cast<std::uint8_t>(choice >> 4);
        options.sack_permitted = (choice & 8) != 0;
    } else if ((choice & 4) != 0) {
        const std::uint32_t begin = header.ack.value + (choice & 0xf0U);
        options.sack.push_back({{begin}, {begin + 50}});
    }
}

/// Eight bytes a segment: who and what, its options, payload, how far from the expected numbers, window, time.
void check_talk(Input input) {
    constexpr std::array<std::uint16_t, 8> kFlags = {TcpFlags::kAck,
                                                     TcpFlags::kAck | TcpFlags::kPsh,
                                                     TcpFlags::kSyn,
                                                     TcpFlags::kSyn | TcpFlags::kAck,
                                                     TcpFlags::kFin | TcpFlags::kAck,
                                                     TcpFlags::kRst,
                                                     TcpFlags::kRst | TcpFlags::kAck,
                                                     0};
    constexpr std::array<std::int32_t, 8> kOff = {0, 0, 0, -1, 1, -100, 100, 70'000};
    std::array<Talker, 2> talkers = {Talker{1000}, Talker{0xffff'ff00}};
    std::vector<std::vector<std::byte>> packets;
    std::vector<std::int64_t> times;
    std::int64_t now = 0;
    while (!input.empty() && packets.size() < 64) {
        const std::uint8_t what = input.u8();
        const std::uint8_t choice = input.u8();
        const std::size_t payload = input.u8();
        const std::uint8_t off = input.u8();
        Talker& own = talkers[what & 1];
        const Talker& peer = talkers[1 - (what & 1)];
        TcpHeader header;
        header.flags.bits = kFlags[(what >> 1) & 7] | ((what & 0x80) != 0 ? TcpFlags::kUrg : 0);
        header.seq = SeqNum{own.next} + static_cast<std::uint32_t>(kOff[off & 7]);
        header.ack = SeqNum{peer.next} + static_cast<std::uint32_t>(kOff[(off >> 3) & 7]);
        header.window = static_cast<std::uint16_t>(input.u8() * 257U);
        header.urgent_pointer = (what & 0x40) != 0 ? 3 : 0;
        own.stamp += input.u8();
        now += std::int64_t{input.u16()} * 50'000;
        add_options(choice, own, peer, header);
        packets.push_back(packet((what & 1) == 0, header, payload, (what & 0x20) != 0 ? 'y' : 'x'));
        times.push_back(now);
        if ((off & 7) < 3 && (off & 0x80) == 0) {
            const std::uint16_t counted = TcpFlags::kSyn | TcpFlags::kFin;
            own.next += static_cast<std::uint32_t>(payload) +
                        ((header.flags.bits & counted) != 0 ? 1U : 0U);
        }
    }
    Capture capture;
    capture.interfaces.resize(1);
    for (std::size_t i = 0; i < packets.size(); ++i) {
        CapturedPacket seen;
        seen.time_ns = times[i];
        seen.link_type = kLinkRaw;
        seen.bytes = packets[i];
        seen.original_length = static_cast<std::uint32_t>(packets[i].size());
        capture.packets.push_back(std::move(seen));
    }
    explain(capture);
}

void run(Bytes bytes) {
    if (bytes.empty()) {
        return;
    }
    if (std::to_integer<char>(bytes[0]) == 't') {
        return check_talk(Input(bytes.subspan(1)));
    }
    check_capture(bytes);
}

}  // namespace
}  // namespace runnel::fuzz

RUNNEL_FUZZ_TARGET(analyse, runnel::fuzz::run);
