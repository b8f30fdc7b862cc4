// Trouble from others: forged resets and SYNs, peers that vanish, and machines that have forgotten.
#include <array>

#include "runnel/lab/lessons/chapters.hpp"
#include "runnel/lab/lessons/common.hpp"
#include "runnel/report/text.hpp"

namespace runnel::lab {

namespace {

Outcome syn_flood(bool rule) {
    SceneConfig config{.rule = rule};
    config.tcp[1].max_syn_backlog = 16;
    config.tcp[1].syn_cookies = rule ? 1 : 0;
    Scene scene(config);
    scene.serve(Side::right);
    // One SYN each 50 ms, each from another port of an address where nobody answers.
    std::size_t forged_syns = 0;
    const std::function<void()> flood = [&] {
        const auto port = static_cast<std::uint16_t>(1024 + forged_syns++);
        scene.inject(
            Side::right,
            forged(scene.stranger(port), scene.at(Side::right, 80), TcpFlags::kSyn, {port}),
            "one of the attacker's SYNs; nobody will answer the SYN,ACK");
        scene.after(milliseconds(50), flood);
    };
    flood();
    scene.run_for(milliseconds(980));  // 20 of them
    App& client = scene.connect(Side::left);
    client.send("hello");
    scene.run_until([&] { return client.connected || client.closed; }, seconds(200));
    scene.run_for(milliseconds(15));
    const auto& servers = scene.accepted(Side::right);
    scene.show({1, 18, 21});  // the first, one behind the full backlog, the client's
    scene.fact("room for half-open connections", 16);
    scene.fact("the client is told", client.connected ? "connected" : client.error_text());
    scene.fact("after", client.told - client.began);
    scene.fact("its text arrives", yes_or_no(!servers.empty() && servers[0]->received == "hello"));
    return scene.outcome();
}

/// Somebody forges a segment of the client's with a number in the server's window.
Outcome blind_attack(bool rule, const Habits& habits, std::uint16_t flags,
                     const std::string& what) {
    Scene scene({.rule = rule});
    Toy* toy = nullptr;
    if (rule) {
        scene.serve(Side::right);
    } else {
        toy = &scene.toy(Side::right, habits);
        toy->listen();
    }
    App& client = scene.connect(Side::left);
    client.send("login alice\n");
    scene.run_for(milliseconds(500));
    const Segment ack = *scene.latest(Side::right);
    const SeqNum guess = ack.header.ack + 1000;
    scene.inject(Side::right,
                 forged(scene.at(Side::left, 40000), scene.at(Side::right, 80), flags, guess),
                 what);
    scene.run_for(milliseconds(500));
    client.send("still here\n");
    scene.run_for(seconds(2));
    const std::string& read =
        toy != nullptr ? toy->received : scene.accepted(Side::right)[0]->received;
    scene.fact("what the client is told", client.error_text());
    scene.fact("\"still here\" arrives", yes_or_no(count_of(read, "still here") == 1));
    return scene.outcome();
}

Outcome blind_reset(bool rule) {
    return blind_attack(rule, {.believes_any_reset = true}, TcpFlags::kRst,
                        "an attacker's; the number lies somewhere in the server's window");
}

Outcome challenge_ack(bool rule) {
    return blind_attack(rule, {.syn_resets = true}, TcpFlags::kSyn,
                        "an attacker's SYN, in the client's name");
}

Outcome keep_alive(bool rule) {
    Scene scene({.rule = rule});
    scene.serve(Side::right);
    bool power = true;
    scene.set_network([&](Transit& transit) { transit.lost = !power; });
    App& client = scene.connect(Side::left);
    if (rule) {
        client.set(SocketOption::keepalive, 1);
        client.set(SocketOption::keepalive_idle, 60);
        client.set(SocketOption::keepalive_interval, 10);
        client.set(SocketOption::keepalive_count, 3);
    }
    client.send("hello");
    scene.run_for(seconds(90));
    power = false;  // the server's machine loses power: no FIN, no reset, nothing
    const Instant cut = scene.now();
    scene.run_for(seconds(24 * 3600));
    scene.fact("what the client is told", client.error_text());
    scene.fact("after", client.closed ? report::duration_text(client.told - cut)
                                      : "never (a day later ESTABLISHED)");
    return scene.outcome();
}

Outcome half_open(bool rule) {
    Scene scene({.rule = rule});
    Toy& server = scene.toy(Side::right, {.dumb_when_closed = !rule});
    server.listen();
    App& client = scene.connect(Side::left);
    client.send("before");
    scene.run_for(seconds(1));
    server.crash();
    const Instant crashed = scene.now();
    scene.run_for(seconds(1));
    client.send("after");
    scene.run_until([&] { return client.closed; }, seconds(3600));
    scene.run_for(milliseconds(50));
    scene.draw_only(24);
    scene.fact("what the client is told", client.error_text());
    scene.fact("after its next text by", client.told - crashed - seconds(1));
    return scene.outcome();
}

}  // namespace

std::span<const Lesson> trouble_lessons() {
    static constexpr std::array kLessons = {
        Lesson{
            "syn-flood", "What a SYN flood does, and what SYN cookies do against it",
            "A server that remembers every SYN can be filled with SYNs; one that puts what it must "
            "remember into its ISN can not.",
            "SYN cookies once the backlog is full",
            "No cookies: what finds the backlog full is dropped",
            "The attacker sends 20 SYNs a second from an address where nobody answers. Sixteen fill "
            "the backlog, and each stays for a minute, in which its SYN,ACK is repeated. Without "
            "cookies the client's SYN is one of many that are dropped: it tries for two minutes, and "
            "its user reads an error, though the server has nothing else to do. With cookies the "
            "server answers, keeps nothing, and finds in the number of the client's ACK all that it "
            "needs; the attacker's SYNs are answered once each, and forgotten.",
            "RFC 4987 §3.6", syn_flood},
        Lesson{
            "blind-reset", "Why not every reset in the window is believed",
            "An attacker need not hit the exact number if any number in the window will do.",
            "Only the number that is expected next counts; else a challenge ACK asks",
            "A toy server believes any reset in its window, as RFC 793 had it",
            "The attacker can forge the client's address and guess the ports; it does not see the "
            "numbers. With a window of 64 KiB one guess in 65,000 hits it. The server with the rule "
            "answers with an ACK: had the reset been the client's, the client would know no such "
            "connection and reset with the number of that ACK. As it is, nothing happens. The toy "
            "throws the connection away, and the client's next text is met by a reset.",
            "RFC 5961 §3.2, RFC 9293 §3.10.7.4", blind_reset},
        Lesson{
            "challenge-ack", "Why a SYN does not end a connection",
            "A SYN on a living connection is either old, forged, or of a peer that has restarted; an "
            "ACK finds out which.",
            "A SYN is answered with a challenge ACK",
            "A toy server takes a SYN in its window for the end, as RFC 793 had it",
            "A peer that has restarted and opens anew from the same port would answer the challenge "
            "ACK with a reset of exactly the right number: then the old connection goes, and the "
            "SYN's retransmission opens the new one. A peer that is alive sees an ACK that tells it "
            "nothing. The toy believes the forged SYN and resets its own client.",
            "RFC 5961 §4.2, RFC 9293 §3.10.7.4", challenge_ack},
        Lesson{
            "keep-alive", "What keep-alive is for",
            "A connection on which nobody speaks looks the same whether the peer lives or not.",
            "The client asks after 60 s of silence, three times",
            "Keep-alive is off, as it is by default",
            "The server's machine loses power: it can't say so. A TCP that has nothing to send has "
            "nothing that could time out, and nothing is wrong with silence. With keep-alive a "
            "segment that asks for an ACK goes out now and then; three without an answer end the "
            "connection. Without it the client is ESTABLISHED with a machine that is gone, a day "
            "later as well.",
            "RFC 9293 §3.8.4", keep_alive},
        Lesson{
            "half-open", "What a reset is good for after a crash",
            "A machine that has restarted knows of no connection, and says so with a reset.",
            "The restarted server answers with a reset",
            "Behind a firewall the server drops what it doesn't know, without a word",
            "The server crashes and starts anew; for the client the connection is as it was: half "
            "open. Its next text reveals it. The reset ends the connection within a round trip. A "
            "machine that stays silent, to look as if it was not there, leaves its peers alone with "
            "their timers: the client retransmits for a quarter of an hour.",
            "RFC 9293 §3.5.1, figure 9", half_open},
    };
    return kLessons;
}

}  // namespace runnel::lab
