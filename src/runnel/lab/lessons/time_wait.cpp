// After the close: what TIME-WAIT and timestamps protect a later connection, and the other end, from.
#include <array>
#include <optional>

#include "runnel/lab/lessons/chapters.hpp"
#include "runnel/lab/lessons/common.hpp"
#include "runnel/report/text.hpp"

namespace runnel::lab {

namespace {

/// Two connections with the same endpoints; a copy of the first one's text arrives in the second.
Outcome old_segment(const SceneConfig& config, const Habits* habits) {
    Scene scene(config);
    scene.serve(Side::right);
    std::optional<Segment> copy;
    scene.set_network([&](Transit& transit) {
        if (transit.from == Side::left && has_text(transit.segment) && !copy) {
            copy = transit.segment;
        }
    });
    constexpr std::string_view kOld = "PAY BOB 900;", kNew = "PAY ANN 5;";
    const auto copy_arrives = [&] {
        scene.run_for(milliseconds(40));
        scene.inject(Side::right, *copy, "a copy of the first connection's text, late");
        scene.run_for(milliseconds(40));
    };
    std::string at_once = "allowed";
    Duration waited{};
    if (habits == nullptr) {
        App& first = scene.connect(Side::left);
        first.send(std::string(kOld));
        first.finish();
        scene.run_until([&] { return first.ended; }, seconds(1));
        first.close();
        const Instant closed = scene.now();
        const App& early = scene.connect(Side::left);  // the same endpoints
        at_once = early.closed ? early.error_text() : "allowed";
        copy_arrives();
        for (unsigned tries = 0; tries < 300; ++tries) {
            App& second = scene.connect(Side::left);
            if (!second.closed) {
                waited = scene.now() - closed;
                second.send(std::string(kNew));
                second.finish();
                break;
            }
            scene.run_for(seconds(1));
        }
        scene.run_for(seconds(1));
        scene.show({1});
    } else {
        Toy& client = scene.toy(Side::left, *habits);
        for (const std::string_view text : {kOld, kNew}) {
            scene.show_from_now();  // in the end only the second connection
            client.open();
            scene.run_until([&] { return client.state() == tcp::State::established; }, seconds(1));
            if (text == kNew) {
                copy_arrives();
            }
            client.send(text);
            client.finish();
            scene.run_until([&] { return client.state() == tcp::State::closed; }, seconds(1));
            scene.run_for(milliseconds(50));
        }
    }
    const auto& servers = scene.accepted(Side::right);
    scene.fact("opening again at once", at_once);
    scene.fact("allowed after", waited);
    scene.fact("the second connection said", std::string(kNew));
    scene.fact("the server read from it", servers.size() > 1 ? servers[1]->received : "nothing");
    return scene.outcome();
}

Outcome time_wait(bool rule) {
    SceneConfig config{.rule = rule};
    config.tcp[0].timestamps = config.tcp[1].timestamps = false;
    const Habits habits{.no_time_wait = true, .port = 40000};
    return old_segment(config, rule ? nullptr : &habits);
}

Outcome paws(bool rule) {
    const Habits habits{.no_time_wait = true, .timestamps = rule, .port = 40000};
    return old_segment({.rule = rule}, &habits);
}

Outcome lost_last_ack(bool rule) {
    Scene scene({.rule = rule});
    scene.serve(Side::right, [](App& app) { app.closes_at_end = true; });
    // The answer to the server's FIN is lost once.
    bool fin_seen = false, lost = false;
    scene.set_network([&](Transit& transit) {
        fin_seen = fin_seen || (transit.from == Side::right && is_fin(transit.segment));
        transit.lost = fin_seen && !lost && transit.from == Side::left;
        lost = lost || transit.lost;
    });
    if (rule) {
        App& client = scene.connect(Side::left);
        client.finish();
    } else {
        Toy& client = scene.toy(Side::left, {.no_time_wait = true, .port = 40000});
        client.open();
        scene.run_until([&] { return client.state() == tcp::State::established; }, seconds(1));
        client.finish();
    }
    scene.run_for(seconds(2));
    const auto is_reset = [](const Segment& segment) { return segment.header.flags.rst(); };
    scene.fact("FINs the server sent", scene.count(Side::right, is_fin));
    scene.fact("answered at last by",
               scene.count(Side::left, is_reset) == 0 ? "an ACK" : "a reset");
    return scene.outcome();
}

}  // namespace

std::span<const Lesson> time_wait_lessons() {
    static constexpr std::array kLessons = {
        Lesson{
            "time-wait", "What TIME-WAIT prevents",
            "For two maximum segment lifetimes no connection has the same endpoints, so that what "
            "the network still holds of the old one can't get into a new one.",
            "The endpoints stay taken for 2 MSL",
            "A toy client without TIME-WAIT, and with the same ISN each time",
            "The network holds back a copy of the first connection's text. With TIME-WAIT the same "
            "endpoints can't be used at once; the copy finds no connection, and its reset finds an "
            "end in TIME-WAIT, which is not disturbed. The toy opens again at once with the same "
            "numbers (its ladder begins there). The copy is just what the server expects next, and the new text, whose "
            "numbers have been used up by it, counts as a duplicate: the server reads the old order "
            "in the new connection, and nobody gets an error. (Timestamps are switched off; see the "
            "lesson paws.)",
            "RFC 9293 §3.6.1", time_wait},
        Lesson{
            "lost-last-ack", "What becomes of a lost last ACK",
            "Who closes first must stay to answer the other's FIN once more.",
            "The first to close waits in TIME-WAIT", "A toy client that is CLOSED at once",
            "The last ACK is never acknowledged itself, so its sender can't know whether it "
            "arrived. If it did not, the other end sends its FIN again. In TIME-WAIT there is "
            "somebody who answers it, and the 2 MSL begin anew. The toy has forgotten the "
            "connection and answers with a reset: for the server an orderly close looks like one "
            "that was broken off.",
            "RFC 9293 §3.6.1, §3.10.7.4", lost_last_ack},
        Lesson{
            "paws", "What timestamps protect from",
            "A segment whose timestamp is older than the last one's is an old duplicate, whatever "
            "its number.",
            "Both ends use timestamps", "The client sends none",
            "It is the story of the lesson time-wait once more: a toy client opens again at once "
            "with the same numbers, and a copy of the first connection's text arrives in the "
            "second. Its number is just what the server expects. Its timestamp is not: it is older "
            "than the SYN's, and the segment is thrown away. The same test protects a fast "
            "connection from its own old segments, when 4 GiB later the numbers come round.",
            "RFC 7323 §5", paws},
    };
    return kLessons;
}

}  // namespace runnel::lab
