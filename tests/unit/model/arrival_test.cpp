// The reference model against the RFC's own figures and rules: a second opinion must be right by itself.
#include "runnel/model/arrival.hpp"

#include <gtest/gtest.h>

#include <string>

namespace runnel::model {
namespace {

constexpr std::uint16_t kSyn = TcpFlags::kSyn, kAck = TcpFlags::kAck, kFin = TcpFlags::kFin,
                        kRst = TcpFlags::kRst;

Segment segment(unsigned flags, std::uint32_t seq, std::uint32_t ack, std::string_view text = {}) {
    Segment s;
    s.header.flags.bits = static_cast<std::uint16_t>(flags);
    s.header.seq = {seq};
    s.header.ack = {ack};
    s.header.window = 1000;
    s.text = text;
    return s;
}

Block in(State state) {
    Block b;
    b.state = state;
    b.iss = first_number(100);
    b.una = b.iss;
    b.nxt = b.iss + 1;
    b.irs = first_number(300);
    b.rcv_nxt = b.irs + 1;
    b.edge = b.rcv_nxt + 1000;
    b.last_ack_sent = b.rcv_nxt;
    b.wnd = b.max_wnd = 1000;
    b.wl1 = b.irs;
    b.wl2 = b.iss;
    if (is_synchronized(state)) {
        b.una = b.nxt;
    }
    return b;
}

/// The only outcome allowed.
Outcome only(const Outcomes& all) {
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? Outcome{} : all.front();
}

bool allows(const Outcomes& all, State state) {
    for (const Outcome& o : all) {
        if (o.next.state == state) {
            return true;
        }
    }
    return false;
}

TEST(ModelArrival, BasicHandshake) {  // figure 6
    Block server = in(State::listen);
    server.next_iss = 300;
    const Outcome second = only(segment_arrives(server, segment(kSyn, 100, 0)));
    ASSERT_EQ(second.replies.size(), 1u);
    EXPECT_EQ(second.replies[0].flags, kSyn | kAck);
    EXPECT_EQ(second.replies[0].seq, 300u);
    EXPECT_EQ(second.replies[0].ack, 101u);
    EXPECT_EQ(second.next.state, State::syn_received);

    const Outcome third =
        only(segment_arrives(in(State::syn_sent), segment(kSyn | kAck, 300, 101)));
    ASSERT_EQ(third.replies.size(), 1u);
    EXPECT_EQ(third.replies[0].flags, kAck);
    EXPECT_EQ(third.replies[0].seq, 101u);
    EXPECT_EQ(third.replies[0].ack, 301u);
    EXPECT_EQ(third.next.state, State::established);
    EXPECT_EQ(third.timers, 0u);

    const Outcome last = only(segment_arrives(second.next, segment(kAck, 101, 301)));
    EXPECT_EQ(last.next.state, State::established);
    EXPECT_TRUE(last.replies.empty());
}

TEST(ModelArrival, SimultaneousOpen) {  // figure 7
    const Outcome crossed = only(segment_arrives(in(State::syn_sent), segment(kSyn, 300, 0)));
    ASSERT_EQ(crossed.replies.size(), 1u);
    EXPECT_EQ(crossed.replies[0].flags, kSyn | kAck);
    EXPECT_EQ(crossed.replies[0].seq, 100u);
    EXPECT_EQ(crossed.replies[0].ack, 301u);
    const Outcomes met = segment_arrives(crossed.next, segment(kSyn | kAck, 300, 101));
    EXPECT_TRUE(allows(met, State::established));
    EXPECT_TRUE(allows(met, State::syn_received)) << "the letter of the first step";
}

TEST(ModelArrival, OldDuplicateSyn) {  // figure 8 of §3.5: the RST of the initiator
    const Outcome reset = only(segment_arrives(in(State::syn_sent), segment(kSyn | kAck, 300, 91)));
    ASSERT_EQ(reset.replies.size(), 1u);
    EXPECT_EQ(reset.replies[0].flags, kRst);
    EXPECT_EQ(reset.replies[0].seq, 91u);
    EXPECT_EQ(reset.next.state, State::syn_sent);
    Block passive = in(State::syn_received);
    passive.passive = passive.listening = true;
    const Outcome back = only(segment_arrives(passive, segment(kRst, 301, 0)));
    EXPECT_EQ(back.next.state, State::listen);
    EXPECT_EQ(back.signal, Signal::none);
}

TEST(ModelArrival, NobodyThere) {
    const Outcome with_ack = only(segment_arrives(Block{}, segment(kAck, 5, 77)));
    EXPECT_EQ(with_ack.replies[0].flags, kRst);
    EXPECT_EQ(with_ack.replies[0].seq, 77u);
    const Outcome without = only(segment_arrives(Block{}, segment(kSyn | kFin, 5, 0, "abc")));
    EXPECT_EQ(without.replies[0].flags, kRst | kAck);
    EXPECT_EQ(without.replies[0].ack, 10u);
    EXPECT_TRUE(only(segment_arrives(Block{}, segment(kRst, 5, 0))).replies.empty());
}

TEST(ModelArrival, NormalClose) {  // figure 12
    Block b = in(State::fin_wait_1);
    b.fin_wanted = b.fin_sent = true;
    b.nxt += 1;
    const Outcome acked = only(segment_arrives(b, segment(kAck, 301, 102)));
    EXPECT_EQ(acked.next.state, State::fin_wait_2);
    const Outcome closed = only(segment_arrives(acked.next, segment(kFin | kAck, 301, 102)));
    EXPECT_EQ(closed.next.state, State::time_wait);
    EXPECT_EQ(closed.timers, Timers::kTimeWait);
    ASSERT_EQ(closed.replies.size(), 1u);
    EXPECT_EQ(closed.replies[0].ack, 302u);
    // Both in one segment: straight to TIME-WAIT.
    EXPECT_EQ(only(segment_arrives(b, segment(kFin | kAck, 301, 102))).next.state,
              State::time_wait);
}

TEST(ModelArrival, SimultaneousClose) {  // figure 13
    Block b = in(State::fin_wait_1);
    b.fin_wanted = b.fin_sent = true;
    b.nxt += 1;
    const Outcome crossed = only(segment_arrives(b, segment(kFin | kAck, 301, 101)));
    EXPECT_EQ(crossed.next.state, State::closing);
    EXPECT_EQ(only(segment_arrives(crossed.next, segment(kAck, 302, 102))).next.state,
              State::time_wait);
}

TEST(ModelArrival, ResetsByRfc5961) {
    const Block b = in(State::established);
    EXPECT_EQ(only(segment_arrives(b, segment(kRst, 301, 0))).signal, Signal::reset);
    const Outcome guess = only(segment_arrives(b, segment(kRst, 302, 0)));
    EXPECT_EQ(guess.next.state, State::established);
    ASSERT_EQ(guess.replies.size(), 1u);
    EXPECT_EQ(guess.replies[0].ack, 301u);
    EXPECT_TRUE(only(segment_arrives(b, segment(kRst, 1301, 0))).replies.empty());
    EXPECT_TRUE(only(segment_arrives(b, segment(kRst, 300, 0))).replies.empty());
    // A SYN anywhere is challenged, and changes nothing.
    const Outcome syn = only(segment_arrives(b, segment(kSyn, 301, 0)));
    EXPECT_EQ(syn.replies.size(), 1u);
    EXPECT_EQ(syn.next.state, State::established);
}

TEST(ModelArrival, TheAckRangeOfRfc5961) {
    const Block b = in(State::established);
    for (const std::uint32_t bad : {102u, 101u - 1001u}) {
        const Outcome o = only(segment_arrives(b, segment(kAck, 301, bad, "x")));
        EXPECT_EQ(o.delivered, "") << bad;
        EXPECT_EQ(o.replies.size(), 1u) << bad;
    }
    for (const std::uint32_t good : {101u, 100u, 101u - 1000u}) {
        for (const Outcome& o : segment_arrives(b, segment(kAck, 301, good, "x"))) {
            EXPECT_EQ(o.delivered, "x") << good;
        }
    }
}

TEST(ModelArrival, AnAckMayWaitInTwoWays) {
    const Outcomes both = segment_arrives(in(State::established), segment(kAck, 301, 101, "hi"));
    ASSERT_EQ(both.size(), 2u);
    EXPECT_TRUE(both[0].clauses.empty());
    EXPECT_EQ(both[0].replies.size(), 1u);
    EXPECT_NE(both[1].clauses.find("SHLD-18"), std::string::npos);
    EXPECT_TRUE(both[1].replies.empty());
    EXPECT_EQ(both[1].timers, Timers::kDelayedAck);
}

TEST(ModelArrival, Paws) {  // RFC 7323 §5.3
    Block b = in(State::established);
    b.timestamps = true;
    b.ts_recent = 0x7fff'ffff;
    Segment old = segment(kAck, 301, 101, "x");
    old.header.options.timestamps = TcpTimestamps{0x7fff'ff00, 0};
    const Outcome dropped = only(segment_arrives(b, old));
    EXPECT_EQ(dropped.delivered, "");
    EXPECT_EQ(dropped.replies.at(0).echo, 0x7fff'ffffu);
    Segment fresh = old;
    fresh.header.options.timestamps = TcpTimestamps{0x8000'0001, 0};
    for (const Outcome& o : segment_arrives(b, fresh)) {
        EXPECT_EQ(o.delivered, "x");
        EXPECT_EQ(o.next.ts_recent, 0x8000'0001u);
    }
    // One from beyond the last ACK's number doesn't move TS.Recent (§4.3, Last.ACK.sent).
    Segment ahead = segment(kAck, 311, 101, "x");
    ahead.header.options.timestamps = TcpTimestamps{0x8000'0001, 0};
    EXPECT_EQ(only(segment_arrives(b, ahead)).next.ts_recent, 0x7fff'ffffu);
    // A RST is never too old.
    Segment reset = segment(kRst, 301, 0);
    reset.header.options.timestamps = TcpTimestamps{1, 0};
    EXPECT_EQ(only(segment_arrives(b, reset)).signal, Signal::reset);
}

TEST(ModelArrival, TheWindowIsScaledButNotOnASyn) {  // RFC 7323 §2.2
    Block b = in(State::established);
    b.send_scale = 3;
    EXPECT_EQ(only(segment_arrives(b, segment(kAck, 301, 101))).next.wnd, 8000);
    Segment answer = segment(kSyn | kAck, 300, 101);
    answer.header.options.window_scale = std::uint8_t{3};
    const Outcome opened = only(segment_arrives(in(State::syn_sent), answer));
    EXPECT_EQ(opened.next.wnd, 1000);
    EXPECT_EQ(opened.next.send_scale, 3u);
}

TEST(ModelArrival, AClosedWindowTakesAcksAndResets) {  // MUST-66
    Block b = in(State::established);
    b.edge = b.rcv_nxt;
    b.nxt += 10;
    const Outcome acked = only(segment_arrives(b, segment(kAck, 301, 106, "probe")));
    EXPECT_EQ(acked.next.una, first_number(106));
    EXPECT_EQ(acked.delivered, "");
    EXPECT_EQ(acked.replies.size(), 1u);
    EXPECT_EQ(only(segment_arrives(b, segment(kRst, 301, 0))).signal, Signal::reset);
}

TEST(ModelArrival, WhatTheWindowLetsOut) {  // §3.8.6.2.1
    Block b = in(State::established);
    b.mss = 100;
    b.unsent = std::string(250, 'x');
    b.wnd = 0;
    b.fin_wanted = true;
    b.state = State::fin_wait_1;
    Segment opens = segment(kAck, 301, 101);
    opens.header.window = 250;
    const Outcome data = only(segment_arrives(b, opens));
    ASSERT_EQ(data.replies.size(), 3u);
    EXPECT_EQ(data.replies[2].length, 50u);
    EXPECT_FALSE(data.next.fin_sent) << "a FIN needs window like an octet";
    opens.header.window = 251;
    const Outcome all = only(segment_arrives(b, opens));
    EXPECT_EQ(all.replies.at(2).flags, kFin | kAck);
    EXPECT_EQ(all.timers, Timers::kRetransmission);
    opens.header.window = 0;
    EXPECT_EQ(only(segment_arrives(b, opens)).timers, Timers::kPersist);
}

TEST(ModelArrival, TimeWaitMayReopen) {  // MAY-2
    Block b = in(State::time_wait);
    b.listening = true;
    b.fin_received = true;
    b.next_iss = 70'000;
    const Outcomes newer = segment_arrives(b, segment(kSyn, 5000, 0));
    EXPECT_TRUE(allows(newer, State::syn_received));
    EXPECT_TRUE(allows(newer, State::time_wait));
    EXPECT_FALSE(allows(segment_arrives(b, segment(kSyn, 300, 0)), State::syn_received));
    b.listening = false;
    EXPECT_FALSE(allows(segment_arrives(b, segment(kSyn, 5000, 0)), State::syn_received));
}

}  // namespace
}  // namespace runnel::model
