// The receiver's window, and small segments: silly windows, closed windows, Nagle, delayed ACKs, urgency.
#include <array>

#include "runnel/lab/lessons/chapters.hpp"
#include "runnel/lab/lessons/common.hpp"
#include "runnel/report/text.hpp"

namespace runnel::lab {

namespace {

constexpr std::uint16_t kSmallBuffer = 3000;  // bytes

std::size_t header_octets(std::size_t segments) {
    return segments * 40;  // IPv4 and TCP without options
}

SceneConfig small_receiver(bool rule) {
    SceneConfig config{.rule = rule};
    for (tcp::TcpConfig& end : config.tcp) {
        end.timestamps = false;
    }
    config.tcp[1].receive_buffer = config.tcp[1].initial_receive_window = kSmallBuffer;
    config.tcp[1].window_autotuning = false;
    return config;
}

Outcome silly_window(bool rule) {
    Scene scene(small_receiver(rule));
    constexpr std::size_t kText = 5000;
    constexpr std::size_t kReads = 1500;  // of one octet, a millisecond apart
    std::function<void()> read;
    if (rule) {
        scene.serve(Side::right, [](App& app) { app.reads = false; });
        App& client = scene.connect(Side::left);
        client.send(text_of(kText));
        scene.run_for(milliseconds(200));
        read = [&] { scene.accepted(Side::right)[0]->read(1); };
    } else {
        Toy& server = scene.toy(Side::right, {.silly_receiver = true, .buffer = kSmallBuffer});
        Toy& client = scene.toy(Side::left, {.silly_sender = true, .port = 40000});
        server.listen();
        server.reads = false;
        client.open();
        scene.run_until([&] { return client.state() == tcp::State::established; }, seconds(1));
        client.send(text_of(kText));
        scene.run_for(milliseconds(200));
        read = [&server] { server.read(1); };
    }
    const std::size_t before = scene.count(Side::left, has_text);
    const std::size_t acks_before = scene.count(Side::right, [](const Segment&) { return true; });
    for (std::size_t i = 0; i < kReads; ++i) {
        read();
        scene.run_for(milliseconds(1));
    }
    const std::size_t segments = scene.count(Side::left, has_text) - before;
    const std::size_t acks =
        scene.count(Side::right, [](const Segment&) { return true; }) - acks_before;
    scene.fact("octets its reader took", kReads);
    scene.fact("segments that refilled the buffer", segments);
    scene.fact("octets of headers, both ways", header_octets(segments + acks));
    return scene.outcome();
}

Outcome zero_window(bool rule) {
    Scene scene(small_receiver(rule));
    constexpr std::size_t kText = 8000;
    scene.serve(Side::right, [](App& app) { app.reads = false; });
    // The news that the window has opened is lost.
    bool closed = false, lost = false;
    scene.set_network([&](Transit& transit) {
        if (transit.from == Side::right && !is_syn(transit.segment)) {
            transit.lost = closed && !lost && transit.segment.header.window != 0;
            lost = lost || transit.lost;
            closed = transit.segment.header.window == 0;
        }
    });
    if (rule) {
        scene.connect(Side::left).send(text_of(kText));
    } else {
        Toy& client = scene.toy(Side::left, {.no_probes = true, .port = 40000});
        client.open();
        scene.run_until([&] { return client.state() == tcp::State::established; }, seconds(1));
        client.send(text_of(kText));
    }
    scene.run_for(milliseconds(500));
    App& server = *scene.accepted(Side::right)[0];
    server.reads = true;  // its program wakes up
    scene.run_for(seconds(600));
    scene.fact("octets to be sent", kText);
    scene.fact("octets read ten minutes later", server.received.size());
    return scene.outcome();
}

Outcome flow_control(bool rule) {
    Scene scene(small_receiver(rule));
    constexpr std::size_t kText = 29'200;
    scene.serve(Side::right, [](App& app) { app.reads = false; });
    if (rule) {
        scene.connect(Side::left).send(text_of(kText));
    } else {
        Toy& client = scene.toy(Side::left, {.ignores_window = true, .port = 40000});
        client.open();
        scene.run_until([&] { return client.state() == tcp::State::established; }, seconds(1));
        client.send(text_of(kText));
    }
    scene.run_for(milliseconds(150));
    const std::uint64_t kept = scene.accepted(Side::right)[0]->status().receive_queue;
    std::uint64_t sent = 0;
    (void)scene.count(Side::left, [&](const Segment& segment) {
        sent += segment.text.size();
        return false;
    });
    scene.fact("octets sent before the program reads", sent);
    scene.fact("octets the receiver had room for", kept);
    scene.fact("octets sent in vain", sent - std::min(sent, kept));
    return scene.outcome();
}

Outcome nagle(bool rule) {
    SceneConfig config{.rule = rule};
    config.delay = milliseconds(50);
    Scene scene(config);
    constexpr std::size_t kKeys = 60;
    scene.serve(Side::right);
    App& client = scene.connect(Side::left);
    client.set(SocketOption::no_delay, rule ? 0 : 1);
    scene.run_until([&] { return client.connected; }, seconds(1));
    const Instant begun = scene.now();
    for (std::size_t i = 0; i < kKeys; ++i) {
        client.send("k");
        scene.run_for(milliseconds(10));
    }
    const auto over = [&] { return scene.accepted(Side::right)[0]->received.size() == kKeys; };
    scene.run_until(over, seconds(5));
    const Duration took = scene.now() - begun;
    scene.run_for(milliseconds(300));
    const std::size_t segments = scene.count(Side::left, has_text);
    scene.fact("octets typed", kKeys);
    scene.fact("segments that carried them", segments);
    scene.fact("octets of headers for them", header_octets(segments));
    scene.fact("the last octet has arrived after", took);
    return scene.outcome();
}

Outcome nagle_delayed_ack(bool rule) {
    SceneConfig config{.rule = rule};
    config.tcp[1].quick_acks = 0;       // as on a connection that has been in use for a while
    config.tcp[1].ack_on_read = false;  // and where each question has had its answer
    Scene scene(config);
    scene.serve(Side::right, [](App& app) {
        app.on_data = [](App& server) {
            if (server.received.ends_with("body")) {
                server.send("answer");
            }
        };
    });
    App& client = scene.connect(Side::left);
    client.set(SocketOption::no_delay, rule ? 1 : 0);
    scene.run_until([&] { return client.connected; }, seconds(1));
    scene.run_for(milliseconds(300));
    const Instant asked = scene.now();
    client.send("head");
    scene.run_for(microseconds(10));
    client.send("body");
    scene.run_for(microseconds(10));
    if (!rule) {
        scene.remark("the second half is written right behind it; Nagle's algorithm keeps it back");
    }
    scene.run_until([&] { return client.received == "answer"; }, seconds(5));
    scene.fact("a round trip takes", milliseconds(20));
    scene.fact("the answer is there after", scene.now() - asked);
    scene.run_for(milliseconds(300));
    return scene.outcome();
}

Outcome urgent_pointer(bool rule) {
    Scene scene({.rule = rule});
    scene.serve(Side::right);
    scene.set_network([&](Transit& transit) {
        if (!rule && transit.segment.header.flags.urg()) {
            transit.segment.header.flags.bits &= static_cast<std::uint16_t>(~TcpFlags::kUrg);
            transit.segment.header.urgent_pointer = 0;
            transit.changed = true;
            scene.remark("a firewall clears URG and the urgent pointer");
        }
    });
    App& client = scene.connect(Side::left);
    client.send("abc");
    scene.run_for(milliseconds(100));
    client.send_urgent('!');
    scene.run_for(milliseconds(100));
    client.send("def");
    scene.run_for(milliseconds(500));
    App& server = *scene.accepted(Side::right)[0];
    scene.fact("the stream as it is read", server.received);
    scene.fact("the urgent octet, read apart", server.read_urgent());
    return scene.outcome();
}

}  // namespace

std::span<const Lesson> flow_lessons() {
    static constexpr std::array kLessons = {
        Lesson{
            "flow-control", "What the window is for",
            "The receiver says how much it has room for; the sender sends no more than that.",
            "The sender keeps to the window", "A toy sender does not look at the window",
            "The receiver's program does not read, and its buffer holds 3,000 octets. The sender "
            "that keeps to the window stops there and asks now and then. The toy sends everything. "
            "What lies beyond the window is thrown away on arrival: it has crossed the network for "
            "nothing, and must do so again.",
            "RFC 9293 §3.8.6", flow_control},
        Lesson{
            "zero-window", "What happens when the window is closed",
            "A sender must probe a closed window, as the news of its opening may get lost.",
            "The sender probes the closed window", "A toy sender waits until it is told",
            "The receiver's program sleeps, its buffer is full, the window is zero. When it reads, "
            "an ACK tells the sender, and is lost: ACKs without text are never sent again. The probe "
            "is what makes the receiver say it once more. Without it both ends wait for each other, "
            "for ever, on a connection with nothing wrong.",
            "RFC 9293 §3.8.6.1", zero_window},
        Lesson{
            "silly-window", "What the silly window syndrome is",
            "If every freed octet is announced and every announced octet is used, each octet gets a "
            "segment of its own.",
            "The receiver announces, and the sender uses, room by the segment",
            "Two toys: one announces each octet that becomes free, the other sends it",
            "The receiver's program reads one octet a millisecond from a full buffer. With the rule "
            "the window stays closed until a whole segment, or half the buffer, is free. The toys "
            "trade single octets instead, each in a segment with 40 octets of headers, and an ACK "
            "with 40 more. It does not end by itself: a little room makes a little segment, which "
            "leaves a little room.",
            "RFC 9293 §3.8.6.2", silly_window},
        Lesson{
            "nagle", "What Nagle's algorithm does",
            "While something small is in flight, what is written next waits for its ACK and goes "
            "together.",
            "Nagle's algorithm is on, as it is unless switched off",
            "It is switched off (TCP_NODELAY)",
            "Somebody types: an octet each 10 ms on a path with 100 ms a round trip. With Nagle's "
            "algorithm the first octet goes at once, and each ACK releases what was typed "
            "meanwhile. Without it each octet has a segment of its own. The price is up to a round "
            "trip for the last octets.",
            "RFC 9293 §3.7.4", nagle},
        Lesson{
            "nagle-delayed-ack", "Why Nagle's algorithm and delayed ACKs do not get on",
            "One end waits for an ACK before it sends the rest, the other for the rest before it "
            "sends the ACK.",
            "TCP_NODELAY: the second half of the question goes at once",
            "Nagle's algorithm and delayed ACKs, both as they are by default",
            "A question is written in two halves. The second is small and the first is not "
            "acknowledged, so Nagle's algorithm holds it back. The server can't answer half a "
            "question and hopes that its ACK can travel with something: it waits, too. The delayed "
            "ACK's timer ends it, after more time than the whole question would take. Writing both "
            "halves with one call does as well as TCP_NODELAY.",
            "RFC 9293 §3.7.4, §3.8.6.3", nagle_delayed_ack},
        Lesson{
            "urgent-pointer", "What becomes of an urgent octet on the way",
            "The urgent pointer marks an octet in the stream; it does not carry it past the stream.",
            "The mark arrives", "A firewall clears the mark, as many do",
            "The program sends abc, an urgent !, and def. By the sockets' custom the marked octet is "
            "taken out of the stream and read apart. When a middlebox clears the mark the octet is "
            "still there, in the middle of the text, and nobody reads it apart: what the reader gets "
            "depends on the path. That is why new programs must not use it.",
            "RFC 9293 §3.8.5, RFC 6093 §3", urgent_pointer},
    };
    return kLessons;
}

}  // namespace runnel::lab
