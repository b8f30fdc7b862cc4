// Loss: what an ACK says, how a hole is found and filled, and when to give up.
#include <array>

#include "runnel/lab/lessons/chapters.hpp"
#include "runnel/lab/lessons/common.hpp"
#include "runnel/report/text.hpp"

namespace runnel::lab {

namespace {

constexpr std::size_t kSegment = 1460;  // octets of text in a full segment without options

/// Loses the first transmission of the text segments with these numbers, counted from 1.
Scene::Network losing(std::vector<std::size_t> numbers) {
    return [numbers = std::move(numbers), texts = std::size_t{0}](Transit& transit) mutable {
        if (transit.from == Side::left && has_text(transit.segment)) {
            ++texts;
            transit.lost = std::ranges::count(numbers, texts) != 0;
        }
    };
}

SceneConfig plain(bool rule) {
    SceneConfig config{.rule = rule};
    config.bytes_per_second = 12'500'000;  // 100 Mbit/s: segments arrive one after the other
    for (tcp::TcpConfig& end : config.tcp) {
        end.timestamps = false;  // so that a segment has room for 1460 octets
    }
    return config;
}

Outcome cumulative_ack(bool rule) {
    SceneConfig config = plain(rule);
    config.tcp[0].sack = config.tcp[1].sack = false;
    Scene scene(config);
    constexpr std::size_t kSegments = 8;
    Toy* toy = nullptr;
    if (rule) {
        scene.serve(Side::right);
    } else {
        toy = &scene.toy(Side::right, {.acks_latest = true});
        toy->listen();
    }
    scene.set_network(losing({3}));
    App& client = scene.connect(Side::left);
    client.send(text_of(kSegments * kSegment));
    scene.run_for(seconds(60));
    const std::size_t got =
        toy != nullptr ? toy->received.size() : scene.accepted(Side::right)[0]->received.size();
    scene.fact("octets sent", kSegments * kSegment);
    scene.fact("octets the sender believes to be there", client.status().bytes_acked);
    scene.fact("octets the receiver's program has read", got);
    return scene.outcome();
}

Outcome sack(bool rule) {
    SceneConfig config = plain(rule);
    config.delay = milliseconds(50);
    config.tcp[0].sack = config.tcp[1].sack = rule;
    Scene scene(config);
    constexpr std::size_t kSegments = 60;
    scene.serve(Side::right);
    scene.set_network(losing({32, 34, 36, 38, 40, 42}));
    App& client = scene.connect(Side::left);
    client.send(text_of(kSegments * kSegment));
    client.finish();
    const auto over = [&] {
        return !scene.accepted(Side::right).empty() && scene.accepted(Side::right)[0]->ended;
    };
    scene.run_until(over, seconds(60));
    const Duration took = scene.elapsed();
    scene.run_for(milliseconds(200));
    scene.fact("segments lost", 6);
    scene.fact("segments sent again", scene.count(Side::left, has_text) - kSegments);
    scene.fact("everything has arrived after", took);
    return scene.outcome();
}

Outcome fast_retransmit(bool rule) {
    SceneConfig config = plain(rule);
    config.tcp[0].sack = config.tcp[1].sack = false;
    config.tcp[0].duplicate_ack_threshold = rule ? 3 : 300;
    Scene scene(config);
    constexpr std::size_t kSegments = 8;
    scene.serve(Side::right);
    scene.set_network(losing({3}));
    App& client = scene.connect(Side::left);
    client.send(text_of(kSegments * kSegment));
    const auto over = [&] {
        return !scene.accepted(Side::right).empty() &&
               scene.accepted(Side::right)[0]->received.size() == kSegments * kSegment;
    };
    scene.run_until(over, seconds(60));
    const Duration took = scene.elapsed();
    scene.run_for(milliseconds(200));
    scene.fact("segments sent again", scene.count(Side::left, has_text) - kSegments);
    scene.fact("everything has arrived after", took);
    return scene.outcome();
}

Outcome connection_timed_out(bool rule) {
    Scene scene({.rule = rule});
    scene.serve(Side::right);
    bool cut = false;
    scene.set_network([&](Transit& transit) { transit.lost = cut; });
    constexpr Duration kWatched = seconds(20 * 60);
    std::string told = "nothing yet, after 20 min";
    if (rule) {
        App& client = scene.connect(Side::left);
        scene.run_until([&] { return client.connected; }, seconds(1));
        scene.run_for(milliseconds(100));
        cut = true;
        client.send("is anybody there?");
        const Instant sent = scene.now();
        scene.run_for(kWatched);
        if (client.error != Errc::ok) {
            told = client.error_text() + " after " + report::duration_text(client.told - sent);
        }
    } else {
        Toy& client = scene.toy(Side::left, {.fixed_timer = true, .port = 40000});
        client.open();
        scene.run_until([&] { return client.state() == tcp::State::established; }, seconds(1));
        scene.run_for(milliseconds(100));
        cut = true;
        client.send("is anybody there?");
        scene.run_for(kWatched);
    }
    scene.draw_only(24);
    scene.fact("times the text was sent", scene.count(Side::left, has_text));
    scene.fact("what the program is told", told);
    return scene.outcome();
}

Outcome checksum(bool rule) {
    Scene scene({.rule = rule});
    Toy* toy = nullptr;
    if (rule) {
        scene.serve(Side::right);
    } else {
        toy = &scene.toy(Side::right, {.ignores_checksum = true});
        toy->listen();
    }
    bool done = false;
    scene.set_network([&](Transit& transit) {
        if (!done && transit.from == Side::left && has_text(transit.segment)) {
            transit.corrupt = done = true;
            scene.remark("one bit of its last octet flips on the way");
        }
    });
    App& client = scene.connect(Side::left);
    client.send("transfer 100");
    scene.run_for(seconds(2));
    scene.fact("sent", "transfer 100");
    scene.fact("read", toy != nullptr ? toy->received : scene.accepted(Side::right)[0]->received);
    return scene.outcome();
}

}  // namespace

std::span<const Lesson> loss_lessons() {
    static constexpr std::array kLessons = {
        Lesson{
            "cumulative-ack", "What an ACK says, and what it must not say",
            "An ACK names the next octet that is missing: everything before it has arrived.",
            "The receiver acknowledges up to the hole",
            "A toy receiver acknowledges the latest segment, whatever is missing before it",
            "The third of eight segments is lost. The ACKs of the five behind it all name the same "
            "octet, the hole's first; the third repetition makes the sender fill it, and the next "
            "ACK jumps over everything that had been kept. The toy's ACKs go past the hole. The "
            "sender may throw away what is acknowledged, and does: nobody has the lost octets any "
            "more, the sender believes that all is well, and the reader waits at the hole for ever.",
            "RFC 9293 §3.4, §3.10.7.4", cumulative_ack},
        Lesson{
            "sack", "What selective acknowledgements are good for",
            "With SACK the sender knows every hole; without it learns of one hole a round trip.",
            "Both ends use SACK", "SACK is switched off",
            "Six segments of one flight are lost, and a round trip takes 100 ms. With SACK the ACKs "
            "say which blocks have arrived, so that all holes are known and filled within one or two "
            "round trips. Without it the cumulative ACK shows the first hole only. When that is "
            "filled the ACK moves to the next one (a partial ACK), and each hole costs a round trip "
            "of its own.",
            "RFC 2018 §3, RFC 6675, RFC 6582 §3.2", sack},
        Lesson{
            "fast-retransmit", "Why three duplicate ACKs count as a loss",
            "Segments that arrive behind the hole say so with duplicate ACKs; three are not "
            "reordering any more.",
            "The third duplicate ACK fills the hole",
            "Duplicate ACKs are not counted (tcp_reordering is 300): the timer must find out",
            "Each segment behind the hole brings the same ACK again, one round trip after it was "
            "sent. The sender need not wait for its timer, which must allow for the slowest answer "
            "and so is at least ten times the round trip here. One or two duplicates may come from "
            "reordering, so the third counts.",
            "RFC 5681 §3.2", fast_retransmit},
        Lesson{
            "connection-timed-out", "Where \"Connection timed out\" comes from",
            "A sender without an answer tries again, waits twice as long each time, and gives up at "
            "last.",
            "The wait doubles, and after 15 more tries the connection is given up",
            "A toy with a fixed timer of 1 s, which never gives up",
            "The path is cut. The waits grow from a fraction of a second to two minutes, as many "
            "senders that insist at a fixed pace would keep a broken path broken. After some 15 "
            "minutes the program reads the error. The toy asks once a second, for as long as it is "
            "let; its program hears nothing.",
            "RFC 9293 §3.8.3, RFC 6298 §5.5", connection_timed_out},
        Lesson{
            "checksum", "What the checksum is for",
            "A segment that was damaged on the way must not be believed; dropping it is enough.",
            "The receiver drops what has a wrong checksum", "A toy receiver does not look at it",
            "One bit flips on the way, in a router's memory for example, where no link's own check "
            "sees it. The receiver with the rule says nothing at all: the timer's retransmission "
            "brings the text. The toy's program reads another text than was sent, and nobody "
            "notices.",
            "RFC 9293 §3.1", checksum},
    };
    return kLessons;
}

}  // namespace runnel::lab
