// The path between the ends: congestion, long pipes, and packets that are too large.
#include <array>

#include "runnel/lab/lessons/chapters.hpp"
#include "runnel/lab/lessons/common.hpp"
#include "runnel/report/text.hpp"
#include "runnel/wire/icmpv4.hpp"
#include "runnel/wire/ip_protocol.hpp"

namespace runnel::lab {

namespace {

/// How many segments left in each round trip after the first.
std::string by_round_trip(const Scene& scene, Instant begun, Duration round_trip,
                          std::size_t rounds) {
    std::vector<std::size_t> counts(rounds);
    for (const Tap::Packet& packet : scene.tap().packets()) {
        const std::optional<Segment> segment = segment_of(packet.bytes);
        const auto round = static_cast<std::size_t>((packet.sent - begun).ns / round_trip.ns);
        if (packet.from == Side::left && packet.sent >= begun && round < rounds && segment &&
            has_text(*segment)) {
            ++counts[round];
        }
    }
    std::string text;
    for (const std::size_t count : counts) {
        text += (text.empty() ? "" : ", ") + report::count_text(count);
    }
    return text;
}

Outcome slow_start(bool rule) {
    SceneConfig config{.rule = rule};
    config.delay = milliseconds(50);
    config.bytes_per_second = 1'250'000;  // 10 Mbit/s: 83 full segments a round trip
    config.queue_bytes = 45'000;          // 30 of them
    config.tcp[1].initial_receive_window = 2u << 20;
    config.tcp[0].congestion_control =
        rule ? tcp::CongestionControl::new_reno : tcp::CongestionControl::fixed;
    if (!rule) {
        config.tcp[0].initial_window_segments = 400;
    }
    Scene scene(config);
    constexpr std::size_t kText = 500'000;
    scene.serve(Side::right);
    App& client = scene.connect(Side::left);
    scene.run_until([&] { return client.connected; }, seconds(1));
    const Instant begun = scene.now();
    client.send(text_of(kText));
    client.finish();
    const auto over = [&] {
        return !scene.accepted(Side::right).empty() && scene.accepted(Side::right)[0]->ended;
    };
    scene.run_until(over, seconds(60));
    const Duration took = scene.now() - begun;
    scene.run_for(seconds(1));
    const std::size_t needed = (kText + 1447) / 1448;  // with timestamps
    const std::size_t sent = scene.count(Side::left, has_text);
    scene.draw_only(rule ? 120 : 48);
    scene.fact("segments sent, by round trip", by_round_trip(scene, begun, milliseconds(100), 8));
    scene.fact("dropped at the slow link", scene.dropped_by_queue());
    scene.fact("segments sent again", sent - std::min(needed, sent));
    scene.fact("500 kB have arrived after", took);
    return scene.outcome();
}

Outcome window_scale(bool rule) {
    SceneConfig config{.rule = rule};
    config.delay = milliseconds(100);
    config.tcp[1].initial_receive_window = 2u << 20;
    Scene scene(config);
    scene.set_network([&](Transit& transit) {
        if (!rule && transit.segment.header.options.window_scale) {
            transit.segment.header.options.window_scale.reset();
            transit.changed = true;
            scene.remark("a middlebox takes the window scale option out");
        }
    });
    constexpr std::size_t kText = 2'000'000;
    scene.serve(Side::right);
    App& client = scene.connect(Side::left);
    client.send(text_of(kText));
    client.finish();
    const auto over = [&] {
        return !scene.accepted(Side::right).empty() && scene.accepted(Side::right)[0]->ended;
    };
    scene.run_until(over, seconds(60));
    const Duration took = scene.elapsed();
    scene.run_for(seconds(1));
    std::uint64_t largest = 0;
    for (const Tap::Packet& packet : scene.tap().packets()) {
        const std::optional<Segment> segment = segment_of(packet.bytes);
        if (packet.from == Side::right && segment && !is_syn(*segment)) {
            const std::uint64_t shift = rule ? 7 : 0;  // as announced in the SYN,ACK
            largest = std::max(largest, std::uint64_t{segment->header.window} << shift);
        }
    }
    scene.draw_only(60);
    scene.fact("the largest window the sender saw", report::bytes_text(largest));
    scene.fact("2 MB have arrived after", took);
    return scene.outcome();
}

Outcome path_mtu(bool rule) {
    SceneConfig config{.rule = rule};
    config.tcp[0].mtu_probing = 0;  // or it would find out by itself, after some timeouts
    Scene scene(config);
    constexpr std::size_t kMtu = 1400;
    const IpAddress router = scene.stranger(0).address;
    bool first = true;
    scene.set_network([&](Transit& transit) {
        const std::vector<std::byte> packet = packet_of(transit.segment);
        if (transit.from != Side::left || packet.size() <= kMtu) {
            return;
        }
        transit.lost = true;
        scene.remark(first ? "too large for a link on the way, whose MTU is 1400, and not to be "
                             "fragmented"
                           : "too large");
        if (rule) {
            const Bytes quote = Bytes(packet).first(28);
            std::vector<std::byte> icmp(kIcmpHeaderSize + quote.size());
            (void)emit_icmpv4(
                Icmpv4Message::unreachable(Icmpv4Message::fragmentation_needed, quote, kMtu), icmp);
            const auto error =
                ip_packet(router, transit.segment.source.address, kProtocolIcmpv4, icmp);
            const std::string remark = first ? "the router in front of that link" : "";
            scene.after(milliseconds(5), [&scene, error, remark] {
                scene.inject_packet(Side::left, error, remark);
            });
        }
        first = false;
    });
    constexpr std::size_t kText = 6000;
    scene.serve(Side::right);
    App& client = scene.connect(Side::left);
    client.send(text_of(kText));
    const auto read = [&] { return scene.accepted(Side::right)[0]->received.size(); };
    scene.run_until([&] { return !scene.accepted(Side::right).empty() && read() == kText; },
                    seconds(60));
    const Duration took = scene.elapsed();
    scene.run_for(milliseconds(100));
    scene.fact("octets sent", kText);
    scene.fact("octets that arrived within a minute", read());
    scene.fact("everything there after", read() == kText ? report::duration_text(took) : "never");
    return scene.outcome();
}

}  // namespace

std::span<const Lesson> path_lessons() {
    static constexpr std::array kLessons = {
        Lesson{
            "slow-start", "What slow start and congestion avoidance do",
            "A sender doubles its window each round trip until something is lost, and then adds a "
            "segment each round trip.",
            "NewReno: the window follows what the path can carry",
            "No congestion control: a fixed window of 400 segments",
            "The path carries 83 segments a round trip and queues 30. Slow start finds that out by "
            "doubling: 10, 20, 40, and then more than fits. At the first loss the window is halved, and grows "
            "by about one segment a round trip from then on. The sender with a fixed window fills "
            "the queue at once; what does not fit is dropped and must be sent again, and with many "
            "such senders the path would carry little else: congestion collapse.",
            "RFC 5681 §3.1", slow_start},
        Lesson{
            "window-scale", "What window scaling is good for, and what a middlebox does to it",
            "Sixteen bits of window are 64 KiB, and no more than that fits into a round trip.",
            "Both SYNs carry the option", "A middlebox takes the option out of the SYNs",
            "A round trip takes 200 ms. With scaling the window in the header counts in units of "
            "128 octets, and the sender can have megabytes in flight. Without the option in both "
            "SYNs neither end scales: the sender stops after 64 KiB and waits for the ACKs, five "
            "times a second. Nothing is lost, nothing is wrong, and it is slow.",
            "RFC 7323 §2", window_scale},
        Lesson{
            "path-mtu", "What a path MTU black hole is",
            "A router that can't pass a packet on says so; who filters ICMP hides it.",
            "The router says \"fragmentation needed\"", "Its ICMP message is filtered",
            "The handshake gets through, small segments get through, full ones don't: a page begins "
            "and never ends. The router's message carries the MTU of the next link; the sender cuts "
            "what it has sent into smaller segments, and remembers the size for this path. Without "
            "the message the same segment is sent again and again, in a size that can't arrive. "
            "(A host that searches for black holes, as Runnel does by default, is switched off here: RFC 4821.)",
            "RFC 1191 §3, RFC 9293 §3.7.2", path_mtu},
    };
    return kLessons;
}

}  // namespace runnel::lab
