// Closing a connection: what a FIN is, and why there are four messages, or three.
#include <array>

#include "runnel/lab/lessons/chapters.hpp"
#include "runnel/lab/lessons/common.hpp"

namespace runnel::lab {

namespace {

Outcome fin_number(bool rule) {
    Scene scene({.rule = rule});
    scene.serve(Side::right);
    // The first FIN is lost.
    bool lost = false;
    scene.set_network([&](Transit& transit) {
        transit.lost = !lost && transit.from == Side::left && is_fin(transit.segment);
        lost = lost || transit.lost;
    });
    const std::string_view words = "last words";
    if (rule) {
        App& client = scene.connect(Side::left);
        scene.run_until([&] { return client.connected; }, seconds(1));
        client.send(std::string(words));
        scene.run_for(milliseconds(1));
        client.finish();
    } else {
        Toy& client = scene.toy(Side::left, {.fin_without_number = true, .port = 40000});
        client.open();
        scene.run_until([&] { return client.state() == tcp::State::established; }, seconds(1));
        client.send(words);
        scene.run_for(milliseconds(1));
        client.finish();
    }
    const auto ended = [&] {
        return !scene.accepted(Side::right).empty() && scene.accepted(Side::right)[0]->ended;
    };
    scene.run_until(ended, seconds(600));
    scene.run_for(milliseconds(50));
    scene.fact("FINs the client sent", scene.count(Side::left, is_fin));
    scene.fact("the server's program learns of the end", ended() ? "yes" : "never (10 min)");
    return scene.outcome();
}

Outcome four_messages(bool rule) {
    Scene scene({.rule = rule});
    // The server answers when it has the whole question, half a second later.
    constexpr std::size_t kAnswer = 5000;
    bool asked = false;
    scene.serve(Side::right, [&](App& app) {
        app.closes_at_end = false;
        app.on_data = [&](App& server) {
            if (!asked) {
                asked = true;
                scene.after(milliseconds(500), [&server] {
                    server.send(text_of(kAnswer));
                    server.finish();
                });
            }
        };
    });
    std::string received;
    if (rule) {
        App& client = scene.connect(Side::left);
        client.send("a question");
        client.finish();
        scene.run_for(seconds(2));
        received = client.received;
    } else {
        Toy& client = scene.toy(Side::left, {.close_is_for_both = true, .port = 40000});
        client.open();
        scene.run_until([&] { return client.state() == tcp::State::established; }, seconds(1));
        client.send("a question");
        client.finish();
        scene.run_for(seconds(2));
        received = client.received;
    }
    scene.fact("octets of the answer sent", kAnswer);
    scene.fact("octets that its reader got", received.size());
    scene.fact("what the server's program is told", scene.accepted(Side::right)[0]->error_text());
    return scene.outcome();
}

Outcome three_messages(bool rule) {
    Scene scene({.rule = rule});
    Toy& server = scene.toy(Side::right, {.closes_with_peer = rule});
    server.listen();
    App& client = scene.connect(Side::left);
    scene.run_until([&] { return client.connected; }, seconds(1));
    scene.run_for(milliseconds(50));
    const std::size_t before = scene.tap().packets().size();
    client.finish();
    scene.run_until([&] { return server.ended; }, seconds(1));
    if (!rule) {
        scene.run_for(milliseconds(200));  // its program has something else to do first
        server.finish();
    }
    scene.run_until([&] { return client.ended; }, seconds(1));
    scene.run_for(milliseconds(50));
    scene.fact("messages of the close", scene.tap().packets().size() - before);
    scene.fact("the server has closed too",
               yes_or_no(server.state() == tcp::State::listen));  // it waits for the next one
    return scene.outcome();
}

}  // namespace

std::span<const Lesson> closing_lessons() {
    static constexpr std::array kLessons = {
        Lesson{
            "fin-number", "Why SYN and FIN take a sequence number",
            "What has a number can be acknowledged, and what is not acknowledged is sent again.",
            "The FIN has a number of its own", "A toy client whose FIN takes no number",
            "The text arrives, the FIN behind it is lost. The ACK that comes back names the number "
            "after the text. For a FIN with a number of its own that is not enough: it is sent "
            "again, and the server's program reads the end. The toy's FIN has no number, so that "
            "the ACK of the text can't be told from an ACK of the FIN: the toy believes that both "
            "ends have closed that direction, while the server waits for more for ever. It is the "
            "same with the SYN at the other end of a connection.",
            "RFC 9293 §3.4", fin_number},
        Lesson{
            "four-messages", "Why the close takes four messages",
            "Each direction is closed by itself: a FIN says \"I send no more\", not \"I listen no "
            "more\".",
            "The client closes its direction and goes on reading",
            "A toy client that means both directions when it closes",
            "The client has asked and has nothing more to say; the server needs half a second for "
            "its answer. Two FINs, two ACKs, and between them as much as the server likes: the "
            "client is in FIN-WAIT-2, the server in CLOSE-WAIT. The toy forgets the connection with "
            "its FIN: the very ACK of that FIN is met by a reset. When the answer is ready there is "
            "no connection left to send it on, and the server's program reads \"Broken pipe\".",
            "RFC 9293 §3.6, figure 12", four_messages},
        Lesson{
            "three-messages", "When the close takes three messages",
            "If the second end has nothing more to say, its FIN and its ACK travel together.",
            "The server closes together with its peer",
            "The server's program closes 200 ms later: then there are four",
            "The FIN of the second end acknowledges the first one's, so that one message is saved. "
            "It works only if the second end's program has said, before the ACK has to go out, that "
            "it is done as well. A capture with three messages is no fault, and neither is one with "
            "four. (The server is the lab's toy both times: Runnel acknowledges a FIN at once, as "
            "its own comes from a program that has yet to read the end.)",
            "RFC 9293 §3.6, §3.10.7.4", three_messages},
    };
    return kLessons;
}

}  // namespace runnel::lab
