// Opening a connection: the three messages, lost ones, and initial sequence numbers.
#include <array>
#include <optional>

#include "runnel/lab/lessons/chapters.hpp"
#include "runnel/lab/lessons/common.hpp"
#include "runnel/report/text.hpp"

namespace runnel::lab {

namespace {

Outcome old_duplicate_syn(bool rule) {
    Scene scene({.rule = rule});
    constexpr std::string_view kOrder = "PAY 100;";
    Toy* toy = nullptr;
    if (rule) {
        scene.serve(Side::right);
    } else {
        toy = &scene.toy(Side::right, {.opens_at_syn = true});
        toy->listen();
    }
    // The network keeps a copy of the client's SYN and of its order.
    std::optional<Segment> syn, order;
    scene.set_network([&](Transit& transit) {
        if (transit.from == Side::left && is_syn(transit.segment)) {
            syn = transit.segment;
        } else if (transit.from == Side::left && has_text(transit.segment)) {
            order = transit.segment;
        }
    });
    App& client = scene.connect(Side::left);
    client.send(std::string(kOrder));
    client.finish();
    scene.run_until([&] { return toy != nullptr ? toy->ended : client.ended; }, seconds(1));
    if (toy != nullptr) {
        toy->finish();
    }
    scene.run_for(seconds(120));  // the connection is over, TIME-WAIT as well
    scene.show_from_now();
    scene.inject(Side::right, *syn,
                 "a copy of a SYN of two minutes ago, which the network had kept");
    scene.run_for(milliseconds(1));
    scene.inject(Side::right, *order,
                 "and a copy of the order that followed it; it acknowledges a number of then");
    scene.run_for(seconds(1));

    std::size_t orders = toy != nullptr ? count_of(toy->received, kOrder) : 0;
    for (const App* app : scene.accepted(Side::right)) {
        orders += count_of(app->received, kOrder);
    }
    scene.fact("orders the client gave", 1);
    scene.fact("orders the server carried out", orders);
    return scene.outcome();
}

Outcome random_isn(bool rule) {
    Scene scene({.rule = rule});
    if (rule) {
        scene.serve(Side::right, [](App& app) { app.closes_at_end = false; });
    } else {
        scene.toy(Side::right, {.counts_isn = true}).listen();
    }
    // The trusted client is switched off: nothing reaches it.
    scene.set_network([&](Transit& transit) {
        transit.lost = transit.segment.destination.address == scene.at(Side::left, 0).address;
    });
    const Endpoint server = scene.at(Side::right, 80);
    const Endpoint attacker = scene.stranger(6000), trusted = scene.at(Side::left, 1023);
    scene.inject(Side::right, forged(attacker, server, TcpFlags::kSyn, {100}),
                 "the attacker opens a connection of its own, to learn a number");
    scene.run_for(milliseconds(1));
    const SeqNum learnt = scene.latest(Side::right)->header.seq;
    scene.inject(Side::right, forged(attacker, server, TcpFlags::kRst, {101}), "that was enough");
    scene.run_for(milliseconds(1));
    const SeqNum guess = learnt + 64'000;
    scene.inject(Side::right, forged(trusted, server, TcpFlags::kSyn, {100}),
                 "the attacker's, in the trusted client's name");
    scene.run_for(milliseconds(1));
    const SeqNum isn = scene.latest(Side::right)->header.seq;
    Segment blow = forged(trusted, server, TcpFlags::kPsh | TcpFlags::kAck, {101}, guess + 1);
    blow.text = "let 10.0.0.66 in\n";
    scene.inject(
        Side::right, blow,
        "the attacker has not seen the SYN,ACK: it acknowledges a guess, 64,000 beyond the "
        "number that it has learnt");
    scene.run_for(milliseconds(1));
    std::size_t believed = 0;
    for (const App* app : scene.accepted(Side::right)) {
        believed += app->received.size();
    }
    if (!rule) {
        believed = guess == isn ? blow.text.size() : 0;
    }
    scene.fact("the attacker guesses right", yes_or_no(guess == isn));
    scene.fact("octets believed to be the trusted client's", believed);
    return scene.outcome();
}

Outcome lost_syn(bool rule) {
    Scene scene({.rule = rule});
    scene.serve(Side::right);
    scene.set_network(
        [](Transit& transit) { transit.lost = transit.from == Side::left && transit.number <= 2; });
    const auto connected = [&] { return !scene.accepted(Side::right).empty(); };
    if (rule) {
        scene.connect(Side::left);
    } else {
        scene.toy(Side::left, {.never_retransmits = true, .port = 40000}).open();
    }
    scene.run_until(connected, seconds(600));
    scene.fact("SYNs sent", scene.count(Side::left, is_syn));
    scene.fact("connected after",
               connected() ? report::duration_text(scene.elapsed()) : "never (10 min)");
    return scene.outcome();
}

Outcome lost_syn_ack(bool rule) {
    Scene scene({.rule = rule});
    if (rule) {
        scene.serve(Side::right);
    } else {
        scene.toy(Side::right, {.answers_syn_once = true, .never_retransmits = true}).listen();
    }
    scene.set_network([](Transit& transit) {
        transit.lost = transit.from == Side::right && transit.number == 1;
    });
    App& client = scene.connect(Side::left);
    scene.run_until([&] { return client.connected || client.closed; }, seconds(600));
    scene.run_for(milliseconds(100));
    scene.fact("SYNs the client sent", scene.count(Side::left, is_syn));
    scene.fact("the client is connected", yes_or_no(client.connected));
    scene.fact("what it is told", client.error_text());
    scene.fact("after", client.told - client.began);
    return scene.outcome();
}

Outcome simultaneous_open(bool rule) {
    Scene scene({.rule = rule});
    constexpr std::uint16_t kPort = 5000;
    bool left = false, right = false;
    if (rule) {
        const App& one = scene.connect_to(Side::left, kPort, kPort);
        const App& other = scene.connect_to(Side::right, kPort, kPort);
        scene.run_for(seconds(30));
        left = one.connected;
        right = other.connected;
    } else {
        const Habits habits{.no_crossing_syn = true, .port = kPort};
        Toy& one = scene.toy(Side::left, habits);
        Toy& other = scene.toy(Side::right, habits);
        one.open(kPort);
        other.open(kPort);
        scene.run_for(seconds(30));
        left = one.state() == tcp::State::established;
        right = other.state() == tcp::State::established;
    }
    scene.fact("the left end is connected", yes_or_no(left));
    scene.fact("the right end is connected", yes_or_no(right));
    scene.fact("SYNs sent", scene.count(Side::left, is_syn) + scene.count(Side::right, is_syn));
    return scene.outcome();
}

}  // namespace

std::span<const Lesson> opening_lessons() {
    static constexpr std::array kLessons = {
        Lesson{
            "old-duplicate-syn", "Why two messages are not enough to open a connection",
            "The third message proves to the server that the SYN was no old duplicate.",
            "Three messages: the server waits for the ACK of its own number",
            "Two messages: a toy server is ESTABLISHED on the SYN",
            "A copy of a SYN, and of the order behind it, come out of the network two minutes late; "
            "the client opens nothing (the ladder can't know that). The server that waits for a "
            "third message sends its SYN,ACK and believes nothing yet: the client knows no such "
            "connection and resets it, and the copy of the order, which acknowledges a number of "
            "then, is thrown away. The toy believes the SYN at once. The old order is in sequence, "
            "and is carried out a second time; the client's reset comes too late.",
            "RFC 9293 §3.5, figure 8", old_duplicate_syn},
        Lesson{
            "random-isn", "Why initial sequence numbers can't be guessed",
            "Who can guess the server's ISN can speak in another's name without seeing an answer.",
            "The ISN follows from the clock and a secret hash of both endpoints",
            "A toy server adds 64,000 to its last ISN, as 4.2BSD did",
            "The attacker sees what is sent to itself, and nothing that goes to the trusted client, "
            "which is switched off and so can't object. Its own connection shows it an ISN. For the "
            "forged one it must acknowledge a number that it has not seen. With the toy the next "
            "number is the last one plus 64,000, and the attacker's line is taken as the trusted "
            "client's. With a hash over both endpoints and a secret, what one pair of endpoints "
            "shows says nothing about another's: the guess is met by a reset.",
            "RFC 9293 §3.4.1, RFC 6528 §3", random_isn},
        Lesson{
            "lost-syn", "What becomes of a lost SYN",
            "Nobody but the sender knows of it: it must send it again, and wait longer each time.",
            "The SYN is sent again after 1 s, then after 2 s more",
            "A toy client sends its SYN once",
            "The network loses two SYNs. The timer is the only thing that can notice: there is no "
            "answer to wait for. Each wait is twice the last, so that a server or a path with too "
            "much to do gets room. Without the timer one lost packet means: no connection, ever.",
            "RFC 9293 §3.8.1, RFC 6298 §5", lost_syn},
        Lesson{
            "lost-syn-ack", "What becomes of a lost SYN,ACK",
            "To the client it looks as if its SYN was lost; it sends it again, and the server must "
            "answer again.",
            "The server answers the second SYN as it answered the first",
            "A toy server answers a SYN once, and has no timer",
            "The server is in SYN-RECEIVED, the client still in SYN-SENT: they disagree. A SYN with "
            "the same number is no new connection but the sign that the answer got lost, so the "
            "answer is repeated. The toy has answered this SYN before and sees no reason to do so "
            "again: the client tries seven times in two minutes, then its user reads \"Connection "
            "timed out\".",
            "RFC 9293 §3.10.7.4, §3.8.3", lost_syn_ack},
        Lesson{
            "simultaneous-open", "What happens when both ends open at once",
            "Two SYNs that cross make one connection, not two and not none.",
            "A SYN in SYN-SENT leads to SYN-RECEIVED",
            "Two toys that want a SYN,ACK and nothing else",
            "Nobody listens: both are clients, as when two peers behind NATs meet at a fixed port. "
            "Each answers the other's SYN with a SYN,ACK of its own ISN, and both are ESTABLISHED. "
            "The toys throw the crossing SYN away, each waits for an answer that the other will not "
            "give, and both send their SYNs again in vain.",
            "RFC 9293 §3.5, figure 7", simultaneous_open},
    };
    return kLessons;
}

}  // namespace runnel::lab
