// Whole traces: handshakes, transfers, losses, closes and their timers, each decision as written down.
#include "trace.hpp"

namespace runnel::story {
namespace {

TEST_F(Traces, AnActiveOpenAndAnOrderlyEnd) {
    opens(syn_ack(1).mss(1000).wscale(7).sack_ok());
    look();
    write("GET /");
    look();
    pass(milliseconds(50));
    peer(ack(1, 6).text("200 OK").win(500));
    read();
    passes(milliseconds(300));
    closes();
    look_around();
    pass(milliseconds(50));
    peer(ack(7, 7).win(500));
    look_around();
    pass(milliseconds(50));
    peer(fin(7, 7));
    look_around();
    pass(seconds(10));
    peer(fin(7, 7));
    peer(ack(8, 7));
    peer(ack(8, 7).text("late"));
    peer(ack(8, 7).text("more"));
    peer(rst(8));
    look_around();
    passes(seconds(59));
    look_around();
    passes(seconds(2));
    look_around();
    matches("active_open");
}

TEST_F(Traces, APassiveOpenWithTimestamps) {
    config.timestamps = true;
    is_opened(syn().mss(1400).wscale(3).sack_ok().ts(100, 0));
    look();
    look_around();
    pass(milliseconds(10));
    peer(ack(1, 1).text(octets(1000)).ts(130, stamp()));
    peer(ack(1001, 1).text(octets(1000)).ts(131, stamp()));
    pass(milliseconds(10));
    write(octets(3000));
    pass(milliseconds(30));
    peer(ack(2001, 3001).ts(180, stamp()));
    look();
    says("an old timestamp, an old one in a reset, a missing one");
    peer(ack(2001, 3001).text("old").ts(99, stamp()));
    passes(seconds(1));
    peer(ack(2001, 3001).text("none"));
    read();
    peer(fin(2005, 3001).ts(190, stamp()));
    look();
    closes();
    pass(milliseconds(20));
    peer(ack(2006, 3002).ts(200, stamp()));
    look_around();
    matches("passive_open");
}

TEST_F(Traces, NobodyAnswersTheSyn) {
    config.syn_retries = 3;
    connection = stack().connect(tuple.local, tuple.remote, path_mtu, {}, now).value_or(connection);
    then();
    passes(milliseconds(999));
    look();
    passes(seconds(20));
    look();
    says(errno_name(stack().take_error(connection)));
    matches("syn_unanswered");
}

TEST_F(Traces, NobodyAnswersTheSynAck) {
    config.synack_retries = 2;
    listens(1);
    peer(syn().mss(700).wscale(15));
    look_around();
    peer(syn().mss(700).wscale(15));
    passes(milliseconds(1500));
    says("an ACK of nothing we sent, then the right one: a shift above 14 is taken as 14");
    peer(ack(1, 9));
    peer(ack(1, 1).win(3));
    look_around();
    matches("syn_ack_unanswered");
}

TEST_F(Traces, AnEmbryoGivesUp) {
    config.synack_retries = 2;
    listens(1);
    peer(syn());
    passes(seconds(30));
    look_around();
    peer(syn());
    peer(segment(TcpFlags::kSyn, 7, 0));
    peer(syn());
    peer(rst(1));
    look_around();
    matches("embryo_gives_up");
}

TEST_F(Traces, SimultaneousOpenAndClose) {
    connection = stack().connect(tuple.local, tuple.remote, path_mtu, {}, now).value_or(connection);
    then();
    pass(milliseconds(10));
    peer(segment(TcpFlags::kAck, 5, 0));
    peer(segment(TcpFlags::kRst, 5, 0));
    peer(segment(TcpFlags::kFin, 5, 0));
    peer(syn().mss(900).win(3000));
    look();
    pass(milliseconds(10));
    peer(syn_ack(1));
    look();
    write("x");
    closes_sending();
    pass(milliseconds(10));
    peer(fin(1, 1));
    look();
    pass(milliseconds(10));
    peer(ack(2, 3));
    look_around();
    matches("simultaneous");
}

TEST_F(Traces, TheRetransmissionTimerToTheEnd) {
    config.retries2 = 4;
    opens();
    write(octets(2500));
    look();
    passes(milliseconds(400));
    look();
    passes(seconds(60));
    says(errno_name(stack().take_error(connection)));
    look_around();
    matches("retransmission_timer");
}

TEST_F(Traces, ATimeoutAndSlowStartAgain) {
    opens(syn_ack(1).mss(1000).sack_ok());
    write(octets(30'000));
    passes(milliseconds(260));
    look();
    pass(milliseconds(50));
    peer(ack(1, 1001));
    look();
    pass(milliseconds(50));
    peer(ack(1, 3001).sack(5001, 6001));
    look();
    for (std::uint32_t at = 6001; at <= 30'001; at += 3000) {
        pass(milliseconds(50));
        peer(ack(1, std::min(at, 30'001u)));
    }
    look();
    passes(seconds(5));
    says("idle for longer than the RTO");
    write(octets(20'000));
    look();
    matches("timeout_and_slow_start");
}

TEST_F(Traces, SackRecovery) {
    opens(syn_ack(1).mss(1000).sack_ok());
    write(octets(40'000));
    pass(milliseconds(40));
    peer(ack(1, 1001));
    peer(ack(1, 1001).sack(2001, 3001));
    look();
    peer(ack(1, 1001).sack(4001, 5001).sack(2001, 3001));
    peer(ack(1, 1001).sack(4001, 6001).sack(2001, 3001));
    look();
    peer(ack(1, 1001).sack(4001, 8001).sack(2001, 3001));
    pass(milliseconds(40));
    peer(ack(1, 3001).sack(4001, 10'001));
    look();
    peer(ack(1, 10'001));
    look();
    says("blocks that lie, and duplicates reported");
    peer(ack(1, 10'001).sack(90'000, 91'000));
    peer(ack(1, 10'001).sack(9001, 10'001));
    peer(ack(1, 10'001).sack(12'001, 11'001));
    peer(ack(1, 10'001).sack(12'001, 12'501).sack(12'001, 13'001));
    look();
    pass(milliseconds(40));
    for (std::uint32_t at = 12'001; at <= 40'001; at += 4000) {
        peer(ack(1, at));
    }
    look();
    passes(seconds(3));
    look();
    matches("sack_recovery");
}

TEST_F(Traces, TheSackedHeadIsForgottenAtATimeout) {
    opens(syn_ack(1).mss(1000).sack_ok());
    write(octets(6000));
    pass(milliseconds(40));
    peer(ack(1, 1).sack(1001, 2001).sack(3001, 4001));
    look();
    passes(milliseconds(300));
    look();
    peer(ack(1, 1001).sack(3001, 4001));
    passes(seconds(1));
    look();
    matches("sack_and_timeout");
}

TEST_F(Traces, NewRenoWithoutSack) {
    opens();
    write(octets(30'000));
    pass(milliseconds(40));
    peer(ack(1, 2001));
    for (int i = 0; i < 5; ++i) {
        peer(ack(1, 2001));
        look();
    }
    pass(milliseconds(40));
    peer(ack(1, 4001));
    look();
    pass(milliseconds(40));
    peer(ack(1, 14'001));
    look();
    says("a window update and text are no duplicates");
    peer(ack(1, 14'001).win(60'000));
    peer(ack(1, 14'001).text("abc").win(60'000));
    peer(ack(4, 14'001).win(60'000));
    look();
    for (std::uint32_t at = 16'001; at <= 30'001; at += 2000) {
        peer(ack(4, at));
    }
    look();
    passes(seconds(2));
    matches("new_reno");
}

TEST_F(Traces, AClosedWindowIsProbed) {
    opens(syn_ack(1).mss(1000).win(2000));
    write(octets(6000));
    pass(milliseconds(30));
    peer(ack(1, 2001).win(0));
    look();
    passes(seconds(4));
    look();
    says("an answer that keeps it closed, then a little, then enough");
    peer(ack(1, 2001).win(0));
    passes(seconds(7));
    peer(ack(1, 2001).win(300));
    look();
    passes(seconds(9));
    look();
    peer(ack(1, 2301).win(5000));
    look();
    passes(milliseconds(20));
    peer(ack(1, 6001).win(1));
    closes_sending();
    passes(milliseconds(20));
    peer(ack(1, 6002).win(0));
    look();
    matches("closed_window");
}

TEST_F(Traces, AWindowThatShrinksAndAFinWithoutRoom) {
    opens(syn_ack(1).mss(1000).win(6000));
    write(octets(6000));
    closes_sending();
    pass(milliseconds(30));
    peer(ack(1, 1001).win(500));
    look();
    passes(milliseconds(500));
    look();
    says("room for one segment and a half");
    peer(ack(1, 2001).win(1500));
    look();
    peer(ack(1, 3001).win(1999));
    peer(ack(1, 6001).win(0));
    look();
    passes(seconds(1));
    peer(ack(1, 6001).win(10));
    peer(ack(1, 6002).win(10));
    look();
    matches("shrunken_window");
}

TEST_F(Traces, AnOrphanBeforeAClosedWindow) {
    config.orphan_retries = 2;
    opens(syn_ack(1).mss(1000).win(0));
    write("abc");
    closes();
    for (int i = 0; i < 5; ++i) {
        passes(seconds(2));
        look_around();
        peer(ack(1, 1).win(0));
    }
    passes(seconds(20));
    look_around();
    matches("orphan_closed_window");
}

TEST_F(Traces, KeepAliveToTheEnd) {
    ConnectionOptions options;
    options.keepalive = true;
    options.keepalive_time = seconds(10);
    options.keepalive_interval = seconds(3);
    options.keepalive_probes = 2;
    opens(syn_ack(1).mss(1000), options);
    look();
    passes(seconds(11));
    look();
    peer(ack(1, 1));
    pass(seconds(4));
    peer(ack(1, 1).text("alive"));
    passes(seconds(12));
    look();
    passes(seconds(9));
    says(errno_name(stack().take_error(connection)));
    look_around();
    matches("keepalive");
}

TEST_F(Traces, AcknowledgementsDelayedAndNot) {
    config.quick_acks = 2;
    opens();
    std::uint32_t at = 1;
    const auto text = [&](std::size_t n) {
        peer(ack(at, 1).text(octets(n)));
        at += static_cast<std::uint32_t>(n);
    };
    for (int i = 0; i < 6; ++i) {
        text(1000);
        pass(milliseconds(5));
    }
    passes(milliseconds(300));
    look();
    text(10);
    pass(milliseconds(10));
    write("reply");
    peer(ack(at, 6));
    text(10);
    passes(milliseconds(300));
    text(10);
    passes(milliseconds(300));
    says("after a pause longer than the RTO");
    pass(seconds(5));
    text(10);
    text(10);
    text(10);
    passes(milliseconds(300));
    read();
    look();
    matches("acknowledgements");
}

TEST_F(Traces, SegmentsOutOfOrder) {
    opens(syn_ack(1).mss(1000).sack_ok());
    peer(ack(11, 1).text("bbbbbbbbbb"));
    peer(ack(31, 1).text("dddddddddd"));
    peer(ack(51, 1).text("ffffffffff"));
    peer(ack(31, 1).text("dddddddddd"));
    peer(ack(16, 1).text(octets(10)));
    look();
    says("the FIN beyond the gaps, then text after it");
    peer(fin(61, 1));
    peer(ack(70, 1).text("after the end"));
    peer(ack(1, 1).text("aaaaaaaaaa"));
    peer(ack(26, 1).text(octets(5)));
    read();
    peer(ack(5, 1).text(octets(10)));
    peer(ack(41, 1).text(octets(30)));
    read();
    look();
    passes(milliseconds(300));
    matches("out_of_order");
}

TEST_F(Traces, SmallSegments) {
    opens(syn_ack(1).mss(1000).win(3000));
    write("a");
    write("b");
    write(octets(1500));
    look();
    pass(milliseconds(20));
    peer(ack(1, 1002).win(3000));
    look();
    peer(ack(1, 1503).win(1700));
    write(octets(2000));
    look();
    pass(milliseconds(20));
    peer(ack(1, 2503).win(700));
    look();
    passes(seconds(1));
    peer(ack(1, 3203).win(3000));
    SendFlags more;
    more.more = true;
    write("held", more);
    look();
    passes(milliseconds(100));
    write(" and sent");
    look();
    matches("small_segments");
}

}  // namespace
}  // namespace runnel::story
