#include "runnel/report/end_follower.hpp"

#include <gtest/gtest.h>

#include "support/packet_builder.hpp"

namespace runnel::report {
namespace {

using namespace test;

// "CLOSED LISTEN | SYN-SENT SYN-RECEIVED | …": before, and after each segment.
std::string states(const Scene& scene) {
    const Conversation conversation = scene.conversation();
    const FollowedStates followed = follow_ends(conversation.segments);
    const auto text = [](const EndStates& ends) {
        std::string line;
        for (const auto& state : ends.of) {
            line += line.empty() ? "" : " ";
            line += state ? tcp::to_string(*state) : "?";
        }
        return line;
    };
    std::string all = text(followed.before);
    for (const EndStates& ends : followed.after) {
        all += " | " + text(ends);
    }
    return all;
}

// RFC 9293 figure 6.
constexpr std::string_view kHandshake =
    "CLOSED LISTEN | SYN-SENT SYN-RECEIVED | ESTABLISHED SYN-RECEIVED | ESTABLISHED ESTABLISHED";

std::string after_handshake(std::string_view rest) {
    return std::string(kHandshake) + " | " + std::string(rest);
}

TEST(EndFollower, BasicHandshake) {
    Scene scene;
    scene.handshake();
    EXPECT_EQ(states(scene), kHandshake);
}

// RFC 9293 figure 12.
TEST(EndFollower, NormalClose) {
    Scene scene;
    scene.handshake().left({.flags = "FA", .seq = 1, .ack = 1});
    scene.right({.flags = "A", .seq = 1, .ack = 2});
    scene.right({.flags = "FA", .seq = 1, .ack = 2});
    scene.left({.flags = "A", .seq = 2, .ack = 2});
    EXPECT_EQ(states(scene), after_handshake("FIN-WAIT-1 CLOSE-WAIT | FIN-WAIT-2 CLOSE-WAIT | "
                                             "TIME-WAIT LAST-ACK | TIME-WAIT CLOSED"));
}

TEST(EndFollower, CloseInThreeSegments) {
    Scene scene;
    scene.handshake().right({.flags = "FA", .seq = 1, .ack = 1});
    scene.left({.flags = "FA", .seq = 1, .ack = 2});
    scene.right({.flags = "A", .seq = 2, .ack = 2});
    EXPECT_EQ(states(scene), after_handshake("CLOSE-WAIT FIN-WAIT-1 | LAST-ACK TIME-WAIT | "
                                             "CLOSED TIME-WAIT"));
}

TEST(EndFollower, HalfCloseLastsWhileTheOtherEndSends) {
    Scene scene;
    scene.handshake().left({.flags = "FA", .seq = 1, .ack = 1});
    scene.right({.flags = "A", .seq = 1, .ack = 2, .length = 10});
    scene.left({.flags = "A", .seq = 2, .ack = 11});
    EXPECT_EQ(states(scene), after_handshake("FIN-WAIT-1 CLOSE-WAIT | FIN-WAIT-2 CLOSE-WAIT | "
                                             "FIN-WAIT-2 CLOSE-WAIT"));
}

// RFC 9293 figure 13.
TEST(EndFollower, SimultaneousClose) {
    Scene scene;
    scene.handshake().left({.flags = "FA", .seq = 1, .ack = 1});
    scene.right({.flags = "FA", .seq = 1, .ack = 1});
    scene.left({.flags = "A", .seq = 2, .ack = 2});
    scene.right({.flags = "A", .seq = 2, .ack = 2});
    EXPECT_EQ(states(scene), after_handshake("FIN-WAIT-1 ESTABLISHED | CLOSING FIN-WAIT-1 | "
                                             "CLOSING TIME-WAIT | TIME-WAIT TIME-WAIT"));
}

// RFC 9293 figure 7.
TcpOptions stamps(std::uint32_t value, std::uint32_t echo) {
    TcpOptions options;
    options.timestamps = TcpTimestamps{value, echo};
    return options;
}

// A real one, at the left end of a wire of 50 ms that lost the ACKs of both FINs: what the right end's FIN
// echoes when it comes again tells which of the left end's FINs it had got by then; and the left end's ACK
// crosses it.
TEST(EndFollower, ASimultaneousCloseWithLostAcksIsToldByTimestamps) {
    Scene scene;
    scene.handshake().after_us(1000);
    scene.left({.flags = "FA", .seq = 1, .ack = 1, .options = stamps(100, 500)}).after_us(50'000);
    scene.right({.flags = "FA", .seq = 1, .ack = 1, .options = stamps(501, 99)}).after_us(10);
    scene.left({.flags = "A", .seq = 2, .ack = 2, .options = stamps(150, 501)}).after_us(150'000);
    scene.left({.flags = "FA", .seq = 1, .ack = 2, .options = stamps(300, 501)}).after_us(50'000);
    scene.right({.flags = "FA", .seq = 1, .ack = 2, .options = stamps(700, 100)});
    EXPECT_EQ(states(scene),
              after_handshake("FIN-WAIT-1 ESTABLISHED | CLOSING FIN-WAIT-1 | CLOSING CLOSING | "
                              "CLOSING CLOSING | TIME-WAIT TIME-WAIT"));
}

TEST(EndFollower, SimultaneousOpen) {
    Scene scene;
    scene.left({.flags = "S"}).right({.flags = "S"});
    scene.left({.flags = "SA", .ack = 1}).right({.flags = "SA", .ack = 1});
    EXPECT_EQ(states(scene),
              "CLOSED CLOSED | SYN-SENT CLOSED | SYN-RECEIVED SYN-SENT | "
              "SYN-RECEIVED SYN-RECEIVED | ESTABLISHED ESTABLISHED");
}

TEST(EndFollower, SimultaneousOpenWithTheAnswersTheOtherWayRound) {
    Scene scene;
    scene.left({.flags = "S"}).right({.flags = "S"});
    scene.right({.flags = "SA", .ack = 1}).left({.flags = "SA", .ack = 1});
    EXPECT_EQ(states(scene),
              "CLOSED CLOSED | SYN-SENT CLOSED | SYN-RECEIVED SYN-SENT | "
              "SYN-RECEIVED SYN-RECEIVED | ESTABLISHED ESTABLISHED")
        << "an established end sends no SYN,ACK: the ACK of its SYN was still on its way";
}

TEST(EndFollower, ASynToNowhereChangesNobodyElse) {
    Scene scene;
    scene.left({.flags = "S"}).left({.flags = "S"});
    EXPECT_EQ(states(scene), "CLOSED ? | SYN-SENT ? | SYN-SENT ?");
}

TEST(EndFollower, OfTwoSynsTheOneThatWasAnsweredArrived) {
    Scene scene;
    scene.left({.flags = "S"}).left({.flags = "S"}).right({.flags = "SA", .ack = 1});
    scene.left({.flags = "A", .seq = 1, .ack = 1});
    EXPECT_EQ(states(scene),
              "CLOSED LISTEN | SYN-SENT LISTEN | SYN-SENT SYN-RECEIVED | "
              "ESTABLISHED SYN-RECEIVED | ESTABLISHED ESTABLISHED");
}

TEST(EndFollower, ALostSynAckOpensNothing) {
    Scene scene;  // as seen at the right end
    scene.left({.flags = "S"}).right({.flags = "SA", .ack = 1}).right({.flags = "SA", .ack = 1});
    scene.left({.flags = "A", .seq = 1, .ack = 1});
    EXPECT_EQ(states(scene),
              "CLOSED LISTEN | SYN-SENT SYN-RECEIVED | SYN-SENT SYN-RECEIVED | "
              "ESTABLISHED SYN-RECEIVED | ESTABLISHED ESTABLISHED");
}

TEST(EndFollower, ALostAckOfTheSynAckLeavesTheListenersSideHalfOpen) {
    Scene scene;
    scene.left({.flags = "S"}).right({.flags = "SA", .ack = 1});
    scene.left({.flags = "A", .seq = 1, .ack = 1}).right({.flags = "SA", .ack = 1});
    scene.left({.flags = "A", .seq = 1, .ack = 1});
    EXPECT_TRUE(
        states(scene).ends_with("ESTABLISHED SYN-RECEIVED | ESTABLISHED SYN-RECEIVED | "
                                "ESTABLISHED ESTABLISHED"))
        << states(scene);
}

TEST(EndFollower, ALostFinClosesNothing) {
    Scene scene;
    scene.handshake().left({.flags = "FA", .seq = 1, .ack = 1});
    scene.left({.flags = "FA", .seq = 1, .ack = 1});
    scene.right({.flags = "A", .seq = 1, .ack = 2});
    EXPECT_EQ(states(scene), after_handshake("FIN-WAIT-1 ESTABLISHED | FIN-WAIT-1 CLOSE-WAIT | "
                                             "FIN-WAIT-2 CLOSE-WAIT"));
}

TEST(EndFollower, AFinTakesEffectWhenTheHoleBeforeItIsFilled) {
    Scene scene;
    scene.handshake().left({.flags = "A", .seq = 1, .ack = 1, .length = 10});  // lost
    scene.left({.flags = "FA", .seq = 11, .ack = 1});
    scene.right({.flags = "A", .seq = 1, .ack = 1});
    scene.left({.flags = "A", .seq = 1, .ack = 1, .length = 10});
    scene.right({.flags = "A", .seq = 1, .ack = 12});
    EXPECT_EQ(states(scene), after_handshake("ESTABLISHED ESTABLISHED | FIN-WAIT-1 ESTABLISHED | "
                                             "FIN-WAIT-1 ESTABLISHED | FIN-WAIT-1 CLOSE-WAIT | "
                                             "FIN-WAIT-2 CLOSE-WAIT"));
}

TEST(EndFollower, TheLastAckIsLostAndSentAgain) {
    Scene scene;
    scene.handshake().left({.flags = "FA", .seq = 1, .ack = 1});
    scene.right({.flags = "FA", .seq = 1, .ack = 2});
    scene.left({.flags = "A", .seq = 2, .ack = 2});
    scene.right({.flags = "FA", .seq = 1, .ack = 2});
    scene.left({.flags = "A", .seq = 2, .ack = 2});
    EXPECT_TRUE(
        states(scene).ends_with("TIME-WAIT LAST-ACK | TIME-WAIT LAST-ACK | "
                                "TIME-WAIT LAST-ACK | TIME-WAIT CLOSED"))
        << states(scene);
}

TEST(EndFollower, ARefusedConnectionWasNeverOpen) {
    Scene scene;
    scene.left({.flags = "S"}).right({.flags = "RA", .ack = 1});
    EXPECT_EQ(states(scene), "CLOSED CLOSED | SYN-SENT CLOSED | CLOSED CLOSED");
}

TEST(EndFollower, AResetEndsBothEnds) {
    Scene scene;
    scene.handshake().right({.flags = "R", .seq = 1});
    EXPECT_EQ(states(scene), after_handshake("CLOSED CLOSED"));
}

TEST(EndFollower, AResetThatNobodyHeedsEndsNothing) {
    Scene scene;  // outside of the exact number it is challenged (RFC 5961 §3.2)
    scene.handshake().right({.flags = "R", .seq = 500});
    scene.left({.flags = "A", .seq = 1, .ack = 1});
    scene.right({.flags = "A", .seq = 1, .ack = 1, .length = 5});
    EXPECT_EQ(states(scene), after_handshake("ESTABLISHED ESTABLISHED | ESTABLISHED ESTABLISHED | "
                                             "ESTABLISHED ESTABLISHED"));
}

TEST(EndFollower, DataCrossingAResetDoNotReviveAnybody) {
    Scene scene;  // as seen at the right end: what left sent before it knew
    scene.handshake().right({.flags = "R", .seq = 1});
    scene.left({.flags = "A", .seq = 1, .ack = 1, .length = 5});
    scene.right({.flags = "R", .seq = 1});
    EXPECT_EQ(states(scene), after_handshake("CLOSED CLOSED | CLOSED CLOSED | CLOSED CLOSED"));
}

TEST(EndFollower, ACaptureFromTheMiddleBeginsEstablished) {
    Scene scene;
    scene.left({.flags = "A", .seq = 1, .ack = 1, .length = 5});
    scene.right({.flags = "FA", .seq = 1, .ack = 6});
    EXPECT_EQ(states(scene),
              "ESTABLISHED ESTABLISHED | ESTABLISHED ESTABLISHED | "
              "ESTABLISHED FIN-WAIT-1");
    Scene one_way;
    one_way.left({.flags = "A", .seq = 1, .ack = 1, .length = 5});
    EXPECT_EQ(states(one_way), "ESTABLISHED ? | ESTABLISHED ?");
}

TEST(EndFollower, ABrokenFinIsNoFin) {
    Scene scene;
    scene.handshake().left({.flags = "FA", .seq = 1, .ack = 1, .length = 3}).corrupt();
    EXPECT_EQ(states(scene), after_handshake("ESTABLISHED ESTABLISHED"));
}

}  // namespace
}  // namespace runnel::report
