#include "runnel/report/ladder.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "runnel/report/text.hpp"
#include "support/packet_builder.hpp"

namespace runnel::report {
namespace {

using namespace test;

std::string ladder(const Scene& scene, const LadderStyle& style = {}) {
    const Capture capture = scene.capture();
    return "\n" + render_ladder(find_conversations(capture).list.at(0), capture, style);
}

Scene small_transfer() {
    Scene scene;
    scene.handshake();
    scene.left({.flags = "PA", .seq = 1, .ack = 1, .length = 78}).after_us(1200);
    scene.right({.flags = "PA", .seq = 1, .ack = 79, .length = 312}).after_us(80);
    scene.left({.flags = "FA", .seq = 79, .ack = 313}).after_us(50);
    scene.right({.flags = "FA", .seq = 313, .ack = 80}).after_us(50);
    scene.left({.flags = "A", .seq = 80, .ack = 314});
    return scene;
}

TEST(Ladder, AWholeConnection) {
    EXPECT_EQ(ladder(small_transfer()), R"(
Connection 1 · 8 segments in 1.53 ms · 78 B → · 312 B ←

10.9.0.1:40000                                                                           10.9.0.2:80
               CLOSED │                                                               │ LISTEN
0.000000     SYN-SENT │─ SYN     seq 0                   win 64000 ISS 1000 ─────────▶│ SYN-RECEIVED
                      │  mss 1460, sackOK, wscale 2                                   │
0.000050  ESTABLISHED │◀─── SYN,ACK seq 0   ack 1           win 65000 ISS 4294967280 ─│ SYN-RECEIVED
                      │     mss 1460, sackOK, wscale 2                                │
0.000100  ESTABLISHED │─ ACK     seq 1   ack 1           win 4000 ───────────────────▶│ ESTABLISHED
0.000150  ESTABLISHED │─ PSH,ACK seq 1   ack 1   len 78  win 4000 ───────────────────▶│ ESTABLISHED
0.001350  ESTABLISHED │◀─── PSH,ACK seq 1   ack 79  len 312 win 4000 ─────────────────│ ESTABLISHED
0.001430   FIN-WAIT-1 │─ FIN,ACK seq 79  ack 313         win 4000 ───────────────────▶│ CLOSE-WAIT
0.001480    TIME-WAIT │◀─── FIN,ACK seq 313 ack 80          win 4000 ─────────────────│ LAST-ACK
0.001530    TIME-WAIT │─ ACK     seq 80  ack 314         win 4000 ───────────────────▶│ CLOSED

10.9.0.1:40000 closed first and waits in TIME-WAIT; 10.9.0.2:80 is CLOSED.
)");
}

TEST(Ladder, TheSameIn80ColumnsOfAscii) {
    LadderStyle style;
    style.width = 80;
    style.ascii = true;
    EXPECT_EQ(ladder(small_transfer(), style), R"(
Connection 1 - 8 segments in 1.53 ms - 78 B -> - 312 B <-

10.9.0.1:40000                                                       10.9.0.2:80
               CLOSED |                                           | LISTEN
0.000000     SYN-SENT |- SYN seq 0 win 64000 -------------------->| SYN-RECEIVED
                      |  ISS 1000, mss 1460, sackOK, wscale 2     |
0.000050  ESTABLISHED |<-- SYN,ACK seq 0 ack 1 win 65000 ---------| SYN-RECEIVED
                      |  ISS 4294967280, mss 1460, sackOK,        |
                      |  wscale 2                                 |
0.000100  ESTABLISHED |- ACK seq 1 ack 1 win 4000 --------------->| ESTABLISHED
0.000150  ESTABLISHED |- PSH,ACK seq 1 ack 1 len 78 win 4000 ---->| ESTABLISHED
0.001350  ESTABLISHED |<-- PSH,ACK seq 1 ack 79 len 312 win 4000 -| ESTABLISHED
0.001430   FIN-WAIT-1 |- FIN,ACK seq 79 ack 313 win 4000 -------->| CLOSE-WAIT
0.001480    TIME-WAIT |<-- FIN,ACK seq 313 ack 80 win 4000 -------| LAST-ACK
0.001530    TIME-WAIT |- ACK seq 80 ack 314 win 4000 ------------>| CLOSED

10.9.0.1:40000 closed first and waits in TIME-WAIT; 10.9.0.2:80 is CLOSED.
)");
}

Scene lossy_transfer() {
    Scene scene;
    scene.handshake();
    std::int64_t seq = 1;
    const auto send = [&](int count, bool acknowledged) {
        for (int i = 0; i < count; ++i) {
            scene.left({.flags = "A", .seq = seq, .ack = 1, .length = 1000});
            seq += 1000;
            scene.after_us(10);
            if (acknowledged) {
                scene.right({.flags = "A", .seq = 1, .ack = seq}).after_us(10);
            }
        }
    };
    send(10, true);
    const std::int64_t lost = seq;
    send(10, false);
    for (int i = 0; i < 9; ++i) {
        Say duplicate{.flags = "A", .seq = 1, .ack = lost};
        duplicate.options.sack.push_back({{kLeftIss + static_cast<std::uint32_t>(lost) + 1000},
                                          {kLeftIss + static_cast<std::uint32_t>(lost) + 2000 +
                                           1000U * static_cast<unsigned>(i)}});
        scene.right(duplicate).after_us(10);
    }
    scene.left({.flags = "A", .seq = lost, .ack = 1, .length = 1000}).after_us(10);
    scene.right({.flags = "A", .seq = 1, .ack = seq}).after_us(10);
    return scene;
}

TEST(Ladder, FoldsOrdinaryRunsAndShowsTheLoss) {
    constexpr std::string_view kExpected = R"(
Connection 1 · 44 segments in 550 µs · 20.5 KiB → · 0 B ←

10.9.0.1:40000                                                                           10.9.0.2:80
               CLOSED │                                                               │ LISTEN
0.000000     SYN-SENT │─ SYN     seq 0                        win 64000 ─────────────▶│ SYN-RECEIVED
                      │  ISS 1000, mss 1460, sackOK, wscale 2                         │
0.000050  ESTABLISHED │◀───────────── SYN,ACK seq 0     ack 1              win 65000 ─│ SYN-RECEIVED
                      │               ISS 4294967280, mss 1460, sackOK, wscale 2      │
0.000100  ESTABLISHED │─ ACK     seq 1     ack 1              win 4000 ──────────────▶│ ESTABLISHED
0.000150  ESTABLISHED │─ ACK     seq 1     ack 1     len 1000 win 4000 ──────────────▶│ ESTABLISHED
0.000160  ESTABLISHED ┊  … 19 segments, 18.6 KiB →  10 ACKs ←  in 280 µs              ┊ ESTABLISHED
0.000450  ESTABLISHED │◀───────────── ACK     seq 1     ack 10001          win 4000 ──│ ESTABLISHED
                      │               SACK 11001–12001                                │
                      │               duplicate ACK 1                                 │
0.000460  ESTABLISHED │◀───────────── ACK     seq 1     ack 10001          win 4000 ──│ ESTABLISHED
                      │               SACK 11001–13001                                │
                      │               duplicate ACK 2                                 │
0.000470  ESTABLISHED │◀───────────── ACK     seq 1     ack 10001          win 4000 ──│ ESTABLISHED
                      │               SACK 11001–14001                                │
                      │               duplicate ACK 3                                 │
0.000480  ESTABLISHED ┊  … 6 duplicate ACKs ←  in 50.0 µs                             ┊ ESTABLISHED
0.000540  ESTABLISHED │─ ACK     seq 10001 ack 1     len 1000 win 4000 ──────────────▶│ ESTABLISHED
                      │  retransmission after 190 µs                                  │
0.000550  ESTABLISHED │◀───────────── ACK     seq 1     ack 20001          win 4000 ──│ ESTABLISHED

Nobody closed the connection before the capture ended.
duplicate ACK × 9, retransmission × 1
)";
    EXPECT_EQ(ladder(lossy_transfer()), kExpected);
}

bool every_line_fits(const std::string& text, std::size_t width) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (columns(line) > width) {
            ADD_FAILURE() << columns(line) << " columns: " << line;
            return false;
        }
    }
    return true;
}

TEST(Ladder, ACommentKeepsItsSegmentOutOfAFoldWhereThatIsWanted) {
    Scene scene;
    scene.handshake();
    for (std::int64_t i = 0; i < 9; ++i) {
        scene.left({.flags = "A", .seq = 1 + i * 100, .ack = 1, .length = 100});
        if (i == 5) {
            scene.comment("remarkable");
        }
    }
    LadderStyle style;
    EXPECT_EQ(ladder(scene, style).find("remarkable"), std::string::npos);
    style.keep_commented = true;
    EXPECT_NE(ladder(scene, style).find("remarkable"), std::string::npos);
}

TEST(Ladder, NoLineIsWiderThanAskedFor) {
    for (const std::size_t width : {72U, 80U, 90U, 100U, 120U, 200U}) {
        for (const bool all : {false, true}) {
            LadderStyle style;
            style.width = width;
            style.all = all;
            EXPECT_TRUE(every_line_fits(ladder(small_transfer(), style), width));
            EXPECT_TRUE(every_line_fits(ladder(lossy_transfer(), style), width));
        }
    }
}

TEST(Ladder, TheReasonsStandBeneathTheirSegment) {
    Scene scene;
    scene.left({.flags = "S"});
    scene.comment("sent: tcp_transmit_syn — The user opened a connection. (RFC 9293 §3.10.1)");
    scene.comment("noted: x\x1b[2Jy");
    const std::string text = ladder(scene);
    EXPECT_NE(text.find("│  sent: tcp_transmit_syn — The user opened a connection.       │\n"
                        "                      │  (RFC 9293 §3.10.1)"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("noted: x [2Jy"), std::string::npos) << "a comment steers no terminal";
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

TEST(Ladder, ColoursOnlyWhenAsked) {
    LadderStyle style;
    style.color = true;
    const std::string colored = ladder(small_transfer(), style);
    EXPECT_NE(colored.find("\x1b["), std::string::npos);
    std::string plain;
    for (std::size_t i = 0; i < colored.size(); ++i) {
        if (colored[i] == '\x1b') {
            i = colored.find('m', i);
        } else {
            plain += colored[i];
        }
    }
    EXPECT_EQ(plain, ladder(small_transfer()));
}

TEST(Ladder, AnIcmpErrorIsAnArrowToWhomItConcerns) {
    Scene scene;
    scene.left({.flags = "S"}).after_us(900);
    scene.icmp_error(IpAddress::v4(0x0a0000fe), 3, 1, 0, 0);
    const std::string text = ladder(scene);
    EXPECT_NE(text.find("SYN-SENT │◀──────────────────────────────── ICMP about seq 0"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("10.0.0.254 says: host unreachable"), std::string::npos);
}

std::string ending(const Scene& scene) {
    return ending_text(scene.conversation());
}

TEST(LadderEnding, SaysHowItEnded) {
    Scene nowhere;
    nowhere.left({.flags = "S"}).after_us(1'000'000).left({.flags = "S"});
    EXPECT_EQ(ending(nowhere), "10.9.0.2:80 never answered: 2 SYNs in 1.00 s.");
    Scene refused;
    refused.left({.flags = "S"}).right({.flags = "RA", .ack = 1});
    EXPECT_EQ(ending(refused),
              "10.9.0.2:80 refused the connection: its answer to the SYN was a reset.");
    Scene reset;
    reset.handshake().left({.flags = "R", .seq = 1});
    EXPECT_EQ(ending(reset), "10.9.0.1:40000 reset the connection: both ends are CLOSED.");
    Scene open;
    open.handshake();
    EXPECT_EQ(ending(open), "Nobody closed the connection before the capture ended.");
    Scene half;
    half.handshake().right({.flags = "FA", .seq = 1, .ack = 1});
    half.left({.flags = "A", .seq = 1, .ack = 2});
    EXPECT_EQ(ending(half),
              "10.9.0.2:80 closed its direction (FIN-WAIT-2); 10.9.0.1:40000 has not "
              "closed yet (CLOSE-WAIT).");
    Scene both;
    both.handshake().left({.flags = "FA", .seq = 1, .ack = 1});
    both.right({.flags = "FA", .seq = 1, .ack = 1}).left({.flags = "A", .seq = 2, .ack = 2});
    both.right({.flags = "A", .seq = 2, .ack = 2});
    EXPECT_EQ(ending(both), "Both ends closed at once, and both wait in TIME-WAIT.");
}

TEST(LadderJson, OneObjectASegment) {
    Scene scene = small_transfer();
    scene.comment("a \"reason\"");
    const Capture capture = scene.capture();
    const std::string text = ladder_json(find_conversations(capture).list.at(0), capture);
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 8);
    EXPECT_TRUE(text.starts_with(
        R"({"conversation":1,"packet":1,"time":0.000000000,"unix_ns":1700000000000000000,)"
        R"("from":"10.9.0.1:40000","to":"10.9.0.2:80","flags":["SYN"],"seq":0,"seq_absolute":1000,)"
        R"("window":64000,"window_wire":64000,"length":0,)"
        R"("options":{"mss":1460,"wscale":2,"sack_permitted":true},)"
        R"("states":{"left":"SYN-SENT","right":"SYN-RECEIVED"},"notes":[],"comments":[]})"
        "\n"))
        << text;
    EXPECT_NE(text.find(R"("states":{"left":"TIME-WAIT","right":"CLOSED"},"notes":[],)"
                        R"("comments":["a \"reason\""]})"),
              std::string::npos);
}

}  // namespace
}  // namespace runnel::report
