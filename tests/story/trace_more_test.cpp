// Whole traces, continued: what is rarer. Lost SYNs, other families and path sizes, halves of segments,
// listeners that overflow or close, profiles, options changed on the way, and the user's side of it all.
#include "trace.hpp"

namespace runnel::story {
namespace {

TEST_F(Traces, TheSynIsLostTwice) {
    connection = stack().connect(tuple.local, tuple.remote, path_mtu, {}, now).value_or(connection);
    then();
    write("early");
    passes(milliseconds(3500));
    peer(syn_ack(1).mss(1000));
    look();
    write(octets(5000));
    look();
    pass(milliseconds(80));
    peer(ack(1, 6));
    look();
    peer(ack(1, 1006));
    look();
    matches("syn_lost");
}

TEST_F(Traces, VersionSixWithoutOptions) {
    const auto v6 = [](std::uint8_t last) {
        std::array<std::byte, 16> bytes{std::byte{0x20}, std::byte{1}, std::byte{0x0d},
                                        std::byte{0xb8}};
        bytes[15] = std::byte{last};
        return IpAddress::v6(bytes);
    };
    tuple = {{v6(1), 1000}, {v6(2), 2000}};
    opens(syn_ack(1));
    look();
    write(octets(3000));
    look();
    matches("version_six");
}

TEST_F(Traces, PathsOfManySizes) {
    for (const std::uint32_t mtu : {60u, 88u, 576u, 9000u, 65'535u, 200'000u}) {
        path_mtu = mtu;
        tuple.local.port = static_cast<std::uint16_t>(tuple.local.port + 1);
        opens(syn_ack(1).mss(65'535));
        look();
        stack().abort(connection, now);
        then();
    }
    path_mtu = 1500;
    for (const std::uint16_t segment : {std::uint16_t{100}, std::uint16_t{5000}}) {
        tuple.local.port = static_cast<std::uint16_t>(tuple.local.port + 1);
        ConnectionOptions options;
        options.maximum_segment = segment;
        opens(syn_ack(1).mss(1), options);
        look();
        tuple.local.port = static_cast<std::uint16_t>(tuple.local.port + 1);
        opens(syn_ack(1).mss(1200), options);
        look();
    }
    matches("path_sizes");
}

TEST_F(Traces, IdleBringsTheWindowBack) {
    opens();
    write(octets(60'000));
    for (std::uint32_t at = 5001; at <= 60'001; at += 5000) {
        pass(milliseconds(10));
        peer(ack(1, at));
    }
    look();
    says("shorter than the RTO, then longer");
    pass(milliseconds(100));
    write(octets(1000));
    peer(ack(1, 61'001));
    look();
    pass(seconds(2));
    write(octets(30'000));
    look();
    pass(milliseconds(10));
    peer(ack(1, 62'001));
    look();
    matches("idle");
}

TEST_F(Traces, HalvesOfSegments) {
    opens(syn_ack(1).mss(1000).sack_ok());
    write(octets(9500));
    pass(milliseconds(40));
    says("half a segment acknowledged, half a segment sacked");
    peer(ack(1, 501));
    look();
    peer(ack(1, 501).sack(3501, 4501));
    look();
    peer(ack(1, 501).sack(5001, 8001).sack(3501, 4501));
    look();
    pass(milliseconds(10));
    peer(ack(1, 2251).sack(5001, 8501).sack(3501, 4501));
    look();
    passes(milliseconds(400));
    look();
    peer(ack(1, 5001).sack(5001, 9501));
    look();
    peer(ack(1, 9501));
    look();
    matches("halves");
}

TEST_F(Traces, ALargerThresholdOfDuplicates) {
    config.duplicate_ack_threshold = 5;
    opens();
    write(octets(10'000));
    pass(milliseconds(40));
    for (int i = 0; i < 6; ++i) {
        peer(ack(1, 1));
    }
    look();
    says("a timeout in the middle of it: its duplicates are no news");
    passes(milliseconds(400));
    for (int i = 0; i < 6; ++i) {
        peer(ack(1, 1));
    }
    look();
    peer(ack(1, 5001));
    look();
    for (int i = 0; i < 6; ++i) {
        peer(ack(1, 5001));
    }
    look();
    peer(ack(1, 10'001));
    look();
    matches("more_duplicates");
}

TEST_F(Traces, AListenerOverflows) {
    config.max_syn_backlog = 3;
    listens(1);
    for (const int port : {2000, 2001, 2002, 2003}) {
        from(port);
        peer(syn());
    }
    for (const int port : {2000, 2001, 2002}) {
        from(port);
        peer(ack(1, 1));
    }
    look_ready();
    look_around();
    says("one is taken: there is room again, and with a greater backlog more");
    stack().set_backlog(listener, 2);
    connection = stack().accept(listener, now).value_or(connection);
    look_ready();
    peer(ack(1, 1).text("x"));
    from(2001);
    peer(ack(1, 1).text("y"));
    from(2003);
    peer(syn());
    peer(ack(1, 1));
    look_around();
    stack().set_backlog(listener, 1'000'000);
    look_around();
    connection = stack().accept(listener, now).value_or(connection);
    says(stack().accept(listener, now).has_value() ? "a third" : "no third");
    look_ready();
    look_around();
    matches("listener_overflows");
}

TEST_F(Traces, AListenerOverflowsAloud) {
    config.abort_on_overflow = true;
    listens(1);
    for (const int port : {2000, 2001}) {
        from(port);
        peer(syn());
    }
    from(2000);
    peer(ack(1, 1));
    from(2002);  // the backlog of embryos has room again
    peer(syn());
    for (const int port : {2001, 2002}) {
        from(port);
        peer(ack(1, 1));
    }
    look_around();
    matches("listener_aborts");
}

TEST_F(Traces, AListenerCloses) {
    listens(5);
    for (const int port : {2000, 2001, 2002}) {
        from(port);
        peer(syn());
    }
    from(2000);
    peer(ack(1, 1).text("unread"));
    from(2001);
    peer(ack(1, 1));
    peer(rst(1));
    look_around();
    stack().close_listener(listener, now);
    then();
    look_around();
    from(2002);
    peer(ack(1, 1));
    peer(syn());
    look_around();
    matches("listener_closes");
}

TEST_F(Traces, TooManyOrphans) {
    config.max_orphans = 1;
    for (const int port : {2000, 2001, 2002}) {
        from(port);
        opens();
        write("abc");
        closes();
    }
    look_around();
    matches("orphans");
}

TEST_F(Traces, AnOrphanWhosePeerIsGone) {
    config.orphan_retries = 2;
    opens();
    write("abc");
    closes();
    passes(seconds(60));
    look_around();
    matches("orphan_peer_gone");
}

TEST_F(Traces, TheRfcProfile) {
    config = profile_config(Profile::rfc);
    config.timestamps = false;
    opens();
    look();
    write(octets(5000));
    look();
    pass(milliseconds(200));
    peer(ack(1, 3001));
    look();
    passes(seconds(4));
    look();
    peer(ack(1, 5001).text("abc"));
    passes(seconds(1));
    peer(ack(4, 5001).text("def"));
    passes(seconds(1));
    look();
    closes_sending();
    peer(fin(7, 5002));
    look_around();
    peer(rst(8));
    look_around();
    matches("profile_rfc");
}

TEST_F(Traces, TheLinuxProfile) {
    config = profile_config(Profile::linux_like);
    config.timestamps = false;
    connection = stack().connect(tuple.local, tuple.remote, path_mtu, {}, now).value_or(connection);
    then();
    passes(seconds(200));
    look_around();
    matches("profile_linux");
}

TEST_F(Traces, TheUsersSide) {
    connection = stack().connect(tuple.local, tuple.remote, path_mtu, {}, now).value_or(connection);
    then();
    look_ready();
    pass(milliseconds(10));
    peer(syn_ack(1).mss(1000).win(2000));
    look_ready();
    peer(ack(1, 1).text("abcdef").urg(3));
    look_ready();
    ReceiveFlags peek;
    peek.peek = true;
    read(4, peek);
    look_ready();
    read(1);
    read(4);
    look_ready();
    read(10, peek);
    ReceiveFlags out_of_band;
    out_of_band.urgent = out_of_band.peek = true;
    read(1, out_of_band);
    out_of_band.peek = false;
    read(1, out_of_band);
    read(1, out_of_band);
    look_ready();
    read();
    look_ready();
    peer(fin(7, 1));
    look_ready();
    read();
    closes_sending();
    look_ready();
    write("x");
    peer(ack(8, 2));
    look_ready();
    read();
    matches("users_side");
}

TEST_F(Traces, UrgentInline) {
    ConnectionOptions options;
    options.urgent_inline = true;
    opens(syn_ack(1).mss(1000), options);
    peer(ack(1, 1).text("ab").urg(4));
    look_ready();
    read();
    peer(ack(3, 1).text("cdef"));
    look_ready();
    read();
    look_ready();
    ReceiveFlags out_of_band;
    out_of_band.urgent = true;
    read(1, out_of_band);
    const auto slices = stack().receive_slices(connection, 2, now);
    says(fmt::format("slices: {}", slices.has_value() ? slices->size() : 0));
    look_ready();
    read();
    look_ready();
    matches("urgent_inline");
}

TEST_F(Traces, TheSendBufferFillsAndEmpties) {
    ConnectionOptions options;
    options.send_buffer = 9000;
    opens(syn_ack(1).mss(1000), options);
    look_ready();
    write(octets(6000));
    look_ready();
    write(octets(6000));
    look_ready();
    write("more");
    pass(milliseconds(10));
    peer(ack(1, 2001));
    look_ready();
    peer(ack(1, 3001));
    look_ready();
    peer(ack(1, 4001));
    look_ready();
    matches("send_buffer");
}

TEST_F(Traces, OptionsChangeOnTheWay) {
    opens();
    write("a");
    write("b");
    ConnectionOptions options = *stack().options(connection);
    options.no_delay = true;
    options.keepalive = true;
    options.keepalive_time = seconds(3);
    options.traffic_class = 0x20;
    options.hop_limit = 9;
    (void)stack().set_options(connection, options, now);
    says("no delay, keep-alive");
    then();
    peer(ack(1, 3));
    look();
    options.keepalive = false;
    (void)stack().set_options(connection, options, now);
    says("no keep-alive");
    then();
    look();
    passes(seconds(5));
    options.ack_mode = AckMode::quick;
    (void)stack().set_options(connection, options, now);
    for (std::uint32_t at = 1; at < 25; ++at) {
        peer(ack(at, 3).text("x"));
    }
    look();
    matches("options");
}

TEST_F(Traces, TheUserWantsNoMore) {
    opens();
    peer(ack(1, 1).text("abc"));
    (void)stack().shutdown_receive(connection, now);
    says("shutdown of receiving");
    then();
    look_ready();
    read();
    peer(ack(4, 1).text("def"));
    look();
    read();
    peer(fin(7, 1));
    look();
    matches("no_more_receives");
}

TEST_F(Traces, ClosedBeforeItIsOpen) {
    connection = stack().connect(tuple.local, tuple.remote, path_mtu, {}, now).value_or(connection);
    then();
    closes();
    look_around();
    says("in SYN-RECEIVED of a simultaneous open");
    tuple.local.port = 1001;
    connection = stack().connect(tuple.local, tuple.remote, path_mtu, {}, now).value_or(connection);
    then();
    write("abc");
    peer(syn());
    closes_sending();
    look();
    peer(ack(1, 1));
    look();
    peer(ack(1, 5));
    look();
    matches("closed_early");
}

TEST_F(Traces, BothCloseAtOnceAndSegmentsAreLost) {
    opens();
    closes_sending();
    pass(milliseconds(10));
    peer(fin(1, 1));
    look();
    passes(milliseconds(300));
    peer(fin(1, 1));
    peer(fin(1, 2));
    look_around();
    pass(seconds(1));
    peer(fin(1, 2));
    look_around();
    matches("simultaneous_close");
}

TEST_F(Traces, FourGapsAndTimestamps) {
    config.timestamps = true;
    is_opened(syn().mss(1000).sack_ok().ts(100, 0));
    for (std::uint32_t at = 11; at < 120; at += 20) {
        peer(ack(at, 1).text("xxxxxxxxxx").ts(110 + at, stamp()));
    }
    look();
    says("a text that spans gaps, and one that touches two of them");
    peer(ack(15, 1).text(octets(40)).ts(300, stamp()));
    peer(ack(81, 1).text(octets(10)).ts(300, stamp()));
    peer(ack(1, 1).text(octets(75)).ts(300, stamp()));
    look();
    read();
    matches("four_gaps");
}

TEST_F(Traces, TextBeyondTheWindow) {
    ConnectionOptions options;
    options.receive_buffer = 2000;
    opens(syn_ack(1).mss(1000), options);
    peer(ack(1, 1).text(octets(1500)));
    peer(ack(1501, 1).text(octets(1000)));
    look();
    peer(fin(2501, 1));
    peer(ack(2001, 1).text("x"));
    pass(seconds(1));
    peer(ack(2001, 1).text("x"));
    pass(seconds(1));
    peer(fin(2001, 1));
    read(1000);
    look();
    read();
    peer(fin(2001, 1).text("rest"));
    look();
    matches("beyond_the_window");
}

}  // namespace
}  // namespace runnel::story
