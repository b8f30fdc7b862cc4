// TCP_INFO in Linux's terms. Where a comment says "6.18", that kernel was asked over loopback.
#include "unit/socket/socket_fixture.hpp"

namespace runnel::test {
namespace {

struct InfoTest : Sockets {
    TcpInfo info(SocketId id) { return sockets.linux_tcp_info(id, now()).value_or(TcpInfo{}); }
};

TEST_F(InfoTest, OfASocketThatHasDoneNothing) {  // 6.18 shows the same
    const TcpInfo fresh = info(stream());
    EXPECT_EQ(fresh.tcpi_state, 7);
    EXPECT_EQ(fresh.tcpi_rto, 1'000'000u);
    EXPECT_EQ(fresh.tcpi_ato, 0u);
    EXPECT_EQ(fresh.tcpi_snd_mss, 536u);
    EXPECT_EQ(fresh.tcpi_rtt, 0u);
    EXPECT_EQ(fresh.tcpi_rttvar, 250'000u);
    EXPECT_EQ(fresh.tcpi_min_rtt, 4'294'967'295u);
    EXPECT_EQ(fresh.tcpi_snd_cwnd, 10u);
    EXPECT_EQ(fresh.tcpi_snd_ssthresh, 0x7fff'ffffu);
    EXPECT_EQ(fresh.tcpi_reordering, 3u);
    EXPECT_EQ(fresh.tcpi_pacing_rate, ~std::uint64_t{0});
    EXPECT_EQ(fresh.tcpi_options, 0);
    EXPECT_TRUE(fresh.tcpi_delivery_rate_app_limited);
    EXPECT_EQ(error_of(sockets.linux_tcp_info(datagram(), now())), Errc::option_not_supported);
}

TEST_F(InfoTest, OfAListenerTellsItsQueue) {  // 6.18: unacked and sacked
    const SocketId listening = listener(self4);
    EXPECT_EQ(info(listening).tcpi_state, 10);
    EXPECT_EQ(info(listening).tcpi_unacked, 0u);
    EXPECT_EQ(info(listening).tcpi_sacked, 8u);
    EXPECT_EQ(info(listening).tcpi_rto, 0u);
    connect(stream(), self4);
    run();
    EXPECT_EQ(info(listening).tcpi_unacked, 1u);
}

TEST_F(InfoTest, AfterTheHandshake) {
    const Pair ends = pair();
    const TcpInfo client = info(ends.client), server = info(ends.server);
    // 6.18: SYN and ACK out, one in; the server has no SYN,ACK to its name, both of ours came in.
    EXPECT_EQ(client.tcpi_segs_out, 2u);
    EXPECT_EQ(client.tcpi_segs_in, 1u);
    EXPECT_EQ(server.tcpi_segs_out, 0u);
    EXPECT_EQ(server.tcpi_segs_in, 2u);
    EXPECT_EQ(client.tcpi_bytes_acked, 1u);
    EXPECT_EQ(server.tcpi_bytes_acked, 0u);
    for (const TcpInfo& end : {client, server}) {
        EXPECT_EQ(end.tcpi_state, 1);
        EXPECT_EQ(end.tcpi_options, kTcpiOptTimestamps | kTcpiOptSack | kTcpiOptWscale);
        EXPECT_EQ(end.tcpi_delivered, 1u);
        EXPECT_EQ(end.tcpi_rcv_mss, 536u);
        EXPECT_EQ(end.tcpi_ato, 0u);
        EXPECT_EQ(end.tcpi_last_data_sent, 0u);
        EXPECT_EQ(end.tcpi_last_data_recv, 0u);
        EXPECT_EQ(end.tcpi_unacked, 0u);
        EXPECT_EQ(end.tcpi_data_segs_out, 0u);
        EXPECT_EQ(end.tcpi_busy_time, 0u);
        EXPECT_EQ(end.tcpi_advmss, 65'535u - 60 - 12);
    }
}

TEST_F(InfoTest, CountsDataAndBothFins) {
    const Pair ends = pair();
    machine.run_to(now() + milliseconds(50));
    EXPECT_EQ(send(ends.client, "hundreds"), Errc::ok);
    run();
    EXPECT_EQ(receive(ends.server), "hundreds");
    machine.run_to(now() + milliseconds(300));
    TcpInfo client = info(ends.client), server = info(ends.server);
    EXPECT_EQ(client.tcpi_bytes_acked, 9u);
    EXPECT_EQ(client.tcpi_bytes_sent, 8u);
    EXPECT_EQ(client.tcpi_data_segs_out, 1u);
    EXPECT_EQ(client.tcpi_delivered, 2u);
    EXPECT_EQ(client.tcpi_last_data_sent, 300u);
    EXPECT_EQ(client.tcpi_last_data_recv, 350u);
    EXPECT_EQ(server.tcpi_bytes_received, 8u);
    EXPECT_EQ(server.tcpi_data_segs_in, 1u);
    EXPECT_EQ(server.tcpi_ato, 40'000u);
    EXPECT_EQ(server.tcpi_last_data_recv, 300u);

    EXPECT_EQ(error_of(sockets.shutdown(ends.client, ShutdownHow::send, now())), Errc::ok);
    run();
    client = info(ends.client), server = info(ends.server);
    EXPECT_EQ(server.tcpi_state, 8);
    EXPECT_EQ(server.tcpi_bytes_received, 9u);  // 6.18: the FIN counts
    EXPECT_EQ(client.tcpi_state, 5);
    EXPECT_EQ(client.tcpi_bytes_acked, 10u);
    EXPECT_EQ(client.tcpi_delivered, 3u);
    EXPECT_EQ(client.tcpi_data_segs_out, 1u) << "a FIN is no data";
    EXPECT_EQ(error_of(sockets.shutdown(ends.server, ShutdownHow::send, now())), Errc::ok);
    run();
    EXPECT_EQ(info(ends.client).tcpi_state, 7) << "TIME-WAIT is CLOSED to its owner";
    EXPECT_EQ(info(ends.server).tcpi_state, 7);
    EXPECT_EQ(info(ends.server).tcpi_bytes_acked, 1u);
}

TEST_F(InfoTest, PacingRateAsLinuxComputesIt) {
    tcp::ConnectionStatus s;
    s.state = tcp::State::established;
    s.handle = 1;
    s.snd_mss = 1'000;
    s.cwnd_segments = 10;
    s.ssthresh_segments = 0x7fff'ffff;
    s.rtt = milliseconds(100);
    const tcp::TcpConfig config;
    EXPECT_EQ(make_tcp_info(s, config, now()).tcpi_pacing_rate, 200'000u);
    s.ssthresh_segments = 12;  // near the end of slow start: 1.2 times
    EXPECT_EQ(make_tcp_info(s, config, now()).tcpi_pacing_rate, 120'000u);
    s.segments_out = 20;
    EXPECT_EQ(make_tcp_info(s, config, now()).tcpi_pacing_rate, 240'000u);
    s.pacing_rate = 500'000;  // a pace that is kept is the one that counts
    EXPECT_EQ(make_tcp_info(s, config, now()).tcpi_pacing_rate, 500'000u);
}

TEST_F(InfoTest, TellsTheRateOfDeliveryAndWhetherItIsALowerBound) {
    tcp::ConnectionStatus s;
    s.state = tcp::State::established;
    s.handle = 1;
    EXPECT_TRUE(make_tcp_info(s, tcp::TcpConfig(), now()).tcpi_delivery_rate_app_limited);
    s.delivery_rate = 70'000;
    const TcpInfo full = make_tcp_info(s, tcp::TcpConfig(), now());
    EXPECT_EQ(full.tcpi_delivery_rate, 70'000u);
    EXPECT_FALSE(full.tcpi_delivery_rate_app_limited);
    s.delivery_app_limited = true;
    EXPECT_TRUE(make_tcp_info(s, tcp::TcpConfig(), now()).tcpi_delivery_rate_app_limited);
}

TEST_F(InfoTest, EachStateOfRecoveryHasLinuxsNumber) {
    tcp::ConnectionStatus s;
    s.state = tcp::State::established;
    s.handle = 1;
    std::uint8_t number = 0;
    for (const char* name : {"open", "disorder", "cwr", "recovery", "loss"}) {
        s.recovery_state = name;
        EXPECT_EQ(make_tcp_info(s, tcp::TcpConfig(), now()).tcpi_ca_state, number++) << name;
    }
}

}  // namespace
}  // namespace runnel::test
