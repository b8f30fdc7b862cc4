// Captures: any file is read, sorted into conversations and drawn as ladders and JSON; and packets of the
// input's choice are written as pcapng, read back as they were, and drawn. Nothing that a capture holds reaches
// the terminal as a control character.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/support/checksums.hpp"
#include "fuzz/support/target.hpp"
#include "runnel/report/capture_reader.hpp"
#include "runnel/report/conversation.hpp"
#include "runnel/report/ladder.hpp"
#include "runnel/report/pcapng_format.hpp"
#include "runnel/report/pcapng_writer.hpp"

namespace runnel::fuzz {
namespace {

using namespace runnel::report;

/// What a terminal would take for more than text: C0, DEL and, unless `color`, escapes. (C1 as UTF-8 too.)
void check_text(std::string_view text, bool color, bool ascii) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c == '\n' || (color && c == 0x1b)) {
            continue;
        }
        FUZZ_CHECK(c >= 0x20 && c != 0x7f);
        FUZZ_CHECK(!ascii || c < 0x80);
        if (c == 0xc2 && i + 1 < text.size()) {
            FUZZ_CHECK(static_cast<unsigned char>(text[i + 1]) >= 0xa0);
        }
    }
    FUZZ_CHECK(text.empty() || text.back() == '\n');
}

void draw(const Capture& capture) {
    const Conversations conversations = find_conversations(capture);
    const OtherPackets& o = conversations.others;
    std::uint64_t seen = o.udp + o.icmp + o.arp + o.fragments + o.other + o.unreadable;
    for (const Conversation& conversation : conversations.list) {
        seen += conversation.segments.size() + conversation.icmp_errors.size() +
                conversation.seen_elsewhere;
        FUZZ_CHECK(!conversation.segments.empty() || !conversation.icmp_errors.empty());
        LadderStyle style;
        check_text(render_ladder(conversation, capture, style), false, false);
        style = {kLeastLadderWidth, false, true, true};
        check_text(render_ladder(conversation, capture, style), false, true);
        style = {kLadderWidth, true, false, false};
        check_text(render_ladder(conversation, capture, style), true, false);
        check_text(ladder_json(conversation, capture), false, false);
        check_text(ending_text(conversation) + '\n', false, false);
    }
    FUZZ_CHECK(seen <= capture.packets.size());
}

void check_capture(Bytes bytes) {
    const auto capture = read_capture(bytes);
    if (!capture) {
        FUZZ_CHECK(!to_string(capture.error()).empty());
        return;
    }
    if (capture->problem) {
        FUZZ_CHECK(capture->problem->offset <= bytes.size());
        FUZZ_CHECK(!capture->problem->message.empty());
    }
    for (const CapturedPacket& packet : capture->packets) {
        FUZZ_CHECK(packet.original_length >= packet.bytes.size());
        FUZZ_CHECK(packet.interface < capture->interfaces.size());
        FUZZ_CHECK(packet.time_ns >= -kMostCaptureTime && packet.time_ns <= kMostCaptureTime);
        FUZZ_CHECK(packet.bytes.empty() ||
                   (packet.bytes.data() >= bytes.data() &&
                    packet.bytes.data() + packet.bytes.size() <= bytes.data() + bytes.size()));
    }
    draw(*capture);
}

/// The input as packets: for each the interface, direction, time and length, then bytes.
void check_written(Input input) {
    std::vector<std::byte> file;
    PcapngWriter writer(file, {});
    writer.add_interface("raw0", LinkLayer::raw_ip);
    writer.add_interface("eth0", LinkLayer::ethernet);
    struct Written {
        Instant time;
        std::vector<std::byte> bytes;
    };
    std::vector<Written> written;
    Instant now{};
    while (!input.empty() && written.size() < 64) {
        const std::uint8_t choice = input.u8();
        now = now + microseconds(input.u16());
        const std::size_t length = input.u8();
        const Bytes bytes = input.take(length);
        Written packet{now, {bytes.begin(), bytes.end()}};
        const bool ethernet = (choice & 1) != 0;
        if ((choice & 2) != 0) {
            const MutableBytes whole(packet.bytes);
            repair_packet(ethernet ? packet_of_frame(whole) : whole, (choice & 4) != 0);
        }
        const std::string comment(static_cast<std::size_t>(choice >> 6), static_cast<char>(choice));
        const std::array comments{comment};
        writer.write_packet(ethernet ? 1 : 0, now, packet.bytes,
                            packet.bytes.size() + (choice >> 5),
                            static_cast<PacketDirection>((choice >> 3) % 3), comments);
        written.push_back(std::move(packet));
    }
    const auto capture = read_capture(file);
    FUZZ_CHECK(capture.has_value() && !capture->problem);
    FUZZ_CHECK(capture->packets.size() == written.size());
    for (std::size_t i = 0; i < written.size(); ++i) {
        const CapturedPacket& packet = capture->packets[i];
        FUZZ_CHECK(packet.time_ns == written[i].time.ns);
        FUZZ_CHECK(std::equal(packet.bytes.begin(), packet.bytes.end(), written[i].bytes.begin(),
                              written[i].bytes.end()));
    }
    draw(*capture);
}

/// The input as packets of every link type that there is, at times as far apart as can be.
void check_packets(Input input) {
    constexpr std::array<std::uint16_t, 11> kLinks = {
        kLinkNull, kLinkEthernet,    kLinkRawBsd, kLinkRawOpenBsd,   kLinkRaw, kLinkLoop,
        kLinkIpv4, kLinkLinuxCooked, kLinkIpv6,   kLinkLinuxCooked2, 9999};
    Capture capture;
    capture.interfaces.resize(2);
    while (!input.empty() && capture.packets.size() < 64) {
        CapturedPacket packet;
        const std::uint8_t choice = input.u8();
        packet.link_type = kLinks[choice % kLinks.size()];
        packet.interface = choice >> 7;
        packet.time_ns = (choice & 0x40) != 0 ? std::clamp(static_cast<std::int64_t>(input.u64()),
                                                           -kMostCaptureTime, kMostCaptureTime)
                                              : std::int64_t{input.u16()} * 1000;
        packet.bytes = input.take(input.u8());
        packet.original_length =
            static_cast<std::uint32_t>(packet.bytes.size()) + ((choice & 0x20) != 0 ? 100 : 0);
        if (!packet.bytes.empty() && (choice & 0x20) != 0) {
            packet.comments.emplace_back(reinterpret_cast<const char*>(packet.bytes.data()),
                                         packet.bytes.size());
        }
        capture.packets.push_back(std::move(packet));
    }
    draw(capture);
}

void run(Bytes bytes) {
    if (bytes.empty()) {
        return;
    }
    switch (std::to_integer<unsigned>(bytes[0])) {
        case 'w': return check_written(Input(bytes.subspan(1)));
        case 'p': return check_packets(Input(bytes.subspan(1)));
        default: return check_capture(bytes);
    }
}

}  // namespace
}  // namespace runnel::fuzz

RUNNEL_FUZZ_TARGET(capture_reader, runnel::fuzz::run);
