// Whole traces, continued: urgent data, attacks, closes, errors from the path, windows and patience.
#include "trace.hpp"

namespace runnel::story {
namespace {

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
    const Endpoint remote = tuple.remote;
    tuple.remote = tuple.local;
    peer(syn());
    tuple.remote = remote;
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
