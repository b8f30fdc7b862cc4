#include "runnel/report/connection_table.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace runnel::report {
namespace {

using tcp::ConnectionStatus;
using tcp::State;

const Instant kNow{seconds(100).ns};

std::vector<ConnectionStatus> connections() {
    std::vector<ConnectionStatus> all(5);
    all[0].state = State::listen;
    all[0].tuple.local = {IpAddress::v4(0), 8080};
    all[0].tuple.remote = {IpAddress::v4(0), 0};
    all[0].send_queue = 4096;
    all[1].state = State::established;
    all[1].tuple = {{IpAddress::v4(0x0a090001), 8080}, {IpAddress::v4(0x0a090002), 41988}};
    all[1].handle = 0x1'0000'0002;
    all[1].send_queue = 1448;
    all[1].timer = tcp::Timer::retransmit;
    all[1].timer_deadline = kNow + milliseconds(204);
    all[1].retransmits = 2;
    all[1].congestion_control = "newreno";
    all[1].has_sack = true;
    all[1].rtt = microseconds(120);
    all[1].rto = milliseconds(204);
    all[1].ssthresh_segments = 0x7fff'ffff;
    all[1].cwnd_segments = 10;
    all[1].limited_by = tcp::Limit::receive_window;
    all[2].state = State::time_wait;
    all[2].tuple = {{*parse_ip_address("fd00::1"), 8080}, {*parse_ip_address("fd00::2"), 9}};
    all[2].timer = tcp::Timer::time_wait;
    all[2].timer_deadline = kNow - seconds(1);  // due, not yet fired
    all[3].state = State::syn_received;
    all[3].tuple = all[1].tuple;
    all[4].state = State::listen;
    all[4].tuple.local = {IpAddress(), 53};
    return all;
}

TEST(ConnectionTable, ShowsWhatIsConnectedUnlessAskedForMore) {
    EXPECT_EQ(connection_table(connections(), kNow, {}),
              "State        Recv-Q  Send-Q  Local Address:Port  Peer Address:Port\n"
              "ESTABLISHED       0    1448  10.9.0.1:8080       10.9.0.2:41988\n");
}

TEST(ConnectionTable, AllWithTimers) {
    TableOptions options;
    options.all = options.timers = true;
    EXPECT_EQ(
        connection_table(connections(), kNow, options),
        "State         Recv-Q  Send-Q  Local Address:Port  Peer Address:Port  Timer\n"
        "LISTEN             0    4096  0.0.0.0:8080        0.0.0.0:*          -\n"
        "ESTABLISHED        0    1448  10.9.0.1:8080       10.9.0.2:41988     timer:(retransmit,204ms,2)\n"
        "TIME-WAIT          0       0  [fd00::1]:8080      [fd00::2]:9        timer:(time-wait,0ms,0)\n"
        "SYN-RECEIVED       0       0  10.9.0.1:8080       10.9.0.2:41988     -\n"
        "LISTEN             0       0  [::]:53             [::]:*             -\n");
}

TEST(ConnectionTable, ListenersOnly) {
    TableOptions options;
    options.listening = true;
    options.header = false;
    EXPECT_EQ(connection_table(connections(), kNow, options),
              "LISTEN  0  4096  0.0.0.0:8080  0.0.0.0:*\n"
              "LISTEN  0     0  [::]:53       [::]:*\n");
}

TEST(ConnectionTable, InfoAndExtendedLines) {
    TableOptions options;
    options.info = options.extended = true;
    options.header = false;
    EXPECT_EQ(
        connection_table(connections(), kNow, options),
        "ESTABLISHED  0  1448  10.9.0.1:8080  10.9.0.2:41988\n"
        "      newreno sack rto:204 rtt:0.12/0 minrtt:0 mss:0 rcvmss:0 advmss:0 pmtu:0 cwnd:10 "
        "bytes_sent:0 bytes_acked:0 bytes_received:0 segs_out:0 segs_in:0 send 0bps recovery:open\n"
        "      handle:100000002 iss:0 snd.una:0 snd.nxt:0 snd.wnd:0 irs:0 rcv.nxt:0 rcv.wnd:0 "
        "mem:(r0,rb0,p0,o0,t1448,tb0) limited-by:receive window\n");
}

TEST(ConnectionTable, InfoTellsOfThePaceReorderingAndUndos) {
    auto some = connections();
    some.erase(some.begin());
    some.resize(1);
    some[0].pacing_rate = 1'250'000;
    some[0].delivery_rate = 125'000;
    some[0].delivery_app_limited = true;
    some[0].reordering = 12;
    some[0].reorderings = 2;
    some[0].undone = 1;
    some[0].recovery_state = "cwr";
    TableOptions options;
    options.info = true;
    const std::string text = connection_table(some, kNow, options);
    EXPECT_NE(text.find(" pacing_rate 10Mbps delivery_rate 1Mbps app_limited "), std::string::npos)
        << text;
    EXPECT_NE(text.find(" reordering:12 reord_seen:2 recovery:cwr undone:1\n"), std::string::npos)
        << text;
}

TEST(ConnectionTable, EmptyIsAHeaderOrNothing) {
    EXPECT_EQ(connection_table({}, kNow, {}),
              "State  Recv-Q  Send-Q  Local Address:Port  Peer Address:Port\n");
    EXPECT_EQ(connection_table_json({}, kNow, {}), "[]");
}

TEST(ConnectionTable, Json) {
    TableOptions options;
    options.listening = true;
    EXPECT_EQ(
        connection_table_json(connections(), kNow, options),
        R"([{"state":"LISTEN","receive_queue":0,"send_queue":4096,"local":"0.0.0.0:8080",)"
        R"("remote":"0.0.0.0:0","handle":"0","timer":null,"timers":[],"embryos":0,"last_event":0},)"
        R"({"state":"LISTEN","receive_queue":0,"send_queue":0,"local":"[::]:53",)"
        R"("remote":"[::]:0","handle":"0","timer":null,"timers":[],"embryos":0,"last_event":0}])");
    const std::string all = connection_table_json(connections(), kNow, {});
    EXPECT_NE(all.find(R"("timer":"retransmit","timer_remaining_ns":204000000,)"),
              std::string::npos);
    EXPECT_NE(all.find(R"("ssthresh_segments":null)"), std::string::npos);
}

}  // namespace
}  // namespace runnel::report
