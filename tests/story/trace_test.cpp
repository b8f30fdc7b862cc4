// Whole traces: handshakes, transfers, losses, closes and their timers, each decision as written down.
#include "trace.hpp"

namespace runnel::story {
namespace {

class Traces : public Traced {
protected:
    void opens(Seg answer = syn_ack(1).mss(1000), ConnectionOptions options = {}) {
        connection =
            stack().connect(tuple.local, tuple.remote, path_mtu, options, now).value_or(connection);
        then();
        pass(milliseconds(50));
        peer(answer);
    }
    void is_opened(Seg opening = syn().mss(1000), ConnectionOptions options = {}) {
        listens(2, options);
        peer(opening);
        pass(milliseconds(20));
        Seg third = ack(1, 1);
        if (opening.options.timestamps) {
            third.ts(opening.options.timestamps->value + 1, stamp());
        }
        peer(third);
        connection = stack().accept(listener, now).value_or(connection);
        then();
    }
    void closes_sending() {
        says("shutdown");
        (void)stack().shutdown_send(connection, now);
        then();
    }
    void closes() {
        says("close");
        stack().close(connection, now);
        then();
    }
    static std::string octets(std::size_t n) { return std::string(n, 'x'); }
};

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

TEST_F(Traces, UrgentDataBothWays) {
    opens();
    SendFlags urgent;
    urgent.urgent = true;
    write("abc", urgent);
    look();
    write("def");
    peer(ack(1, 4));
    peer(ack(1, 7).text("12").urg(3));
    read();
    peer(ack(3, 7).text("34"));
    read();
    ReceiveFlags out_of_band;
    out_of_band.urgent = true;
    read(1, out_of_band);
    read();
    peer(ack(5, 7).text("56").urg(2));
    read();
    read();
    look();
    matches("urgent");
}

TEST_F(Traces, BlindAttacks) {
    config.challenge_ack_limit = 3;
    config.invalid_ack_interval = milliseconds(100);
    opens();
    write(octets(500));
    peer(rst(2));
    peer(rst(2));
    pass(milliseconds(100));
    peer(rst(70'000));
    peer(syn());
    pass(milliseconds(100));
    peer(segment(TcpFlags::kSyn | TcpFlags::kAck, 50, 1));
    pass(milliseconds(100));
    peer(ack(1, 502));
    pass(milliseconds(100));
    says("the host's limit of challenges is reached");
    peer(ack(1, 5000));
    pass(milliseconds(600));
    peer(ack(1, 5000));
    pass(milliseconds(100));
    peer(ack(1, 0u - 70'000u));
    peer(segment(TcpFlags::kPsh, 1, 0).text("no ack"));
    pass(milliseconds(100));
    peer(ack(70'000, 1).text("far"));
    peer(ack(0, 1));
    pass(milliseconds(100));
    peer(ack(0, 1));
    peer(rst(1));
    says(errno_name(stack().take_error(connection)));
    look_around();
    matches("blind_attacks");
}

TEST_F(Traces, NobodyListens) {
    peer(syn());
    peer(syn().text("data"));
    peer(fin(5, 9));
    peer(ack(5, 9).text("data"));
    peer(segment(0, 5, 0).text("data"));
    peer(rst(5));
    to_unicast = false;
    peer(syn());
    to_unicast = true;
    says("a listener");
    listens(1);
    peer(ack(1, 1));
    peer(rst(1));
    peer(segment(TcpFlags::kFin, 1, 0));
    to_unicast = false;
    peer(syn());
    to_unicast = true;
    peer(segment(TcpFlags::kSyn | TcpFlags::kFin, 0, 0).text("early"));
    look_around();
    matches("nobody");
}

TEST_F(Traces, AbortsAndUnreadData) {
    opens();
    peer(ack(1, 1).text("unread"));
    closes();
    look_around();
    says("again, aborted");
    pass(seconds(1));
    tuple.local.port = 1001;
    opens();
    write("abc");
    stack().abort(connection, now);
    then();
    says("again, and text comes after the close");
    pass(seconds(1));
    tuple.local.port = 1002;
    opens();
    closes();
    peer(ack(1, 2));
    look_around();
    peer(ack(1, 2).text("too late"));
    look_around();
    matches("aborts");
}

TEST_F(Traces, AnOrphanInFinWait2) {
    config.fin_timeout = seconds(7);
    opens();
    closes();
    peer(ack(1, 2));
    look_around();
    passes(seconds(6));
    look_around();
    passes(seconds(2));
    look_around();
    matches("fin_wait_2");
}

TEST_F(Traces, APassiveClose) {
    is_opened();
    peer(fin(1, 1));
    look();
    write("the rest");
    closes();
    look_around();
    passes(milliseconds(250));
    peer(ack(2, 9));
    look_around();
    peer(ack(2, 10));
    look_around();
    matches("passive_close");
}

TEST_F(Traces, ErrorsFromThePath) {
    opens();
    write(octets(4000));
    IcmpReport report;
    report.tuple = tuple;
    report.quoted_seq = SeqNum{our_iss} + 1;
    report.packet_too_big = true;
    report.mtu = 540;
    says(fmt::format("too big: {}", stack().on_icmp(report, now)));
    then();
    look();
    report.mtu = 600;
    says(fmt::format("a larger one: {}", stack().on_icmp(report, now)));
    report.quoted_seq = SeqNum{our_iss} + 4001;
    report.mtu = 200;
    says(fmt::format("not in flight: {}", stack().on_icmp(report, now)));
    report.quoted_seq = SeqNum{our_iss};
    says(fmt::format("acknowledged: {}", stack().on_icmp(report, now)));
    then();
    report.quoted_seq = SeqNum{our_iss} + 4000;
    report.packet_too_big = false;
    report.hard = true;
    report.error = Errc::network_unreachable;
    says(fmt::format("hard, established: {}", stack().on_icmp(report, now)));
    then();
    look();
    passes(seconds(3000));
    says(errno_name(stack().take_error(connection)));
    says("while opening");
    tuple.local.port = 1001;
    connection = stack().connect(tuple.local, tuple.remote, path_mtu, {}, now).value_or(connection);
    then();
    report.tuple = tuple;
    report.quoted_seq = SeqNum{our_iss};
    report.hard = false;
    says(fmt::format("soft: {}", stack().on_icmp(report, now)));
    report.hard = true;
    report.error = Errc::connection_refused;
    says(fmt::format("hard: {}", stack().on_icmp(report, now)));
    then();
    says(errno_name(stack().take_error(connection)));
    matches("icmp");
}

TEST_F(Traces, TheWindowFollowsTheReader) {
    ConnectionOptions options;
    options.receive_buffer = 4000;
    opens(syn_ack(1).mss(1000), options);
    look();
    std::uint32_t at = 1;
    for (int i = 0; i < 4; ++i) {
        peer(ack(at, 1).text(octets(1000)));
        at += 1000;
        pass(milliseconds(10));
    }
    look();
    peer(ack(at, 1).text("x"));
    read(500);
    read(600);
    read(1000);
    look();
    peer(ack(at, 1).text(octets(3000)));
    read();
    look();
    matches("receive_window");
}

TEST_F(Traces, TheWindowGrowsWithTheReader) {
    config.initial_receive_window = 8000;
    config.receive_buffer = 100'000;
    opens(syn_ack(1).mss(1000).wscale(2));
    std::uint32_t at = 1;
    for (int i = 0; i < 12; ++i) {
        peer(ack(at, 1).text(octets(3000)));
        at += 3000;
        pass(milliseconds(10));
        if (i != 5) {
            read();
        }
    }
    look();
    matches("window_autotuning");
}

TEST_F(Traces, TheUserTimeout) {
    ConnectionOptions options;
    options.user_timeout = milliseconds(2500);
    opens(syn_ack(1).mss(1000), options);
    write("abc");
    look();
    passes(seconds(10));
    says(errno_name(stack().take_error(connection)));
    says("while opening");
    tuple.local.port = 1001;
    connection =
        stack().connect(tuple.local, tuple.remote, path_mtu, options, now).value_or(connection);
    then();
    passes(seconds(10));
    says(errno_name(stack().take_error(connection)));
    says("before a closed window");
    tuple.local.port = 1002;
    opens(syn_ack(1).mss(1000).win(0), options);
    write("abc");
    passes(seconds(10));
    says(errno_name(stack().take_error(connection)));
    look_around();
    matches("user_timeout");
}

TEST_F(Traces, TimeWaitIsOpenedAnew) {
    config.timestamps = true;
    is_opened(syn().mss(1000).ts(100, 0));
    closes();
    peer(fin(1, 2).ts(110, stamp()));
    look_around();
    pass(seconds(1));
    says("an older SYN, a newer one");
    peer(syn().ts(105, 0));
    peer(segment(TcpFlags::kSyn, 1000, 0).mss(800).ts(120, 0));
    look_around();
    matches("time_wait_reuse");
}

}  // namespace
}  // namespace runnel::story
