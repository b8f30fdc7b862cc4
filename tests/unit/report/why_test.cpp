#include "runnel/report/why.hpp"

#include <gtest/gtest.h>

namespace runnel::report {
namespace {

using tcp::ConnectionStatus;
using tcp::State;
using tcp::Timer;

ConnectionStatus established() {
    ConnectionStatus c;
    c.state = State::established;
    c.plan = Decision::tcp_hold_nothing_to_send;
    c.congestion_control = "newreno";
    c.rcv_wnd = 65535;
    return c;
}

TEST(Why, AnIdleConnectionWaitsForItsApplication) {
    const Explanation why = explain_connection(established(), {});
    EXPECT_EQ(why.sending,
              "The application: it has nothing to send, and all it has written is acknowledged.");
    EXPECT_EQ(why.receiving, "The peer: nothing waits to be read, and it may send 65,535 bytes.");
    EXPECT_EQ(why.timer, "No timer is armed: only the application or the peer changes anything.");
    EXPECT_EQ(why.sooner, "The application writes or closes, or the peer sends.");
}

TEST(Why, DataInFlightWaitsForAnAcknowledgement) {
    ConnectionStatus c = established();
    c.send_queue = 1;
    c.timer = Timer::retransmit;
    c.timer_deadline = Instant{} + milliseconds(200);
    c.rto = milliseconds(200);
    const Explanation why = explain_connection(c, {});
    EXPECT_EQ(why.sending,
              "The application: all it has written is sent; 1 byte of it is not acknowledged yet.");
    EXPECT_EQ(
        why.timer,
        "In 200 ms the retransmission timer fires: what is in flight is taken as lost and sent "
        "again, with a timeout of 400 ms.");
    EXPECT_EQ(why.sooner, "An acknowledgement comes.");
}

TEST(Why, TheCongestionWindowIsFull) {
    ConnectionStatus c = established();
    c.plan = Decision::tcp_hold_congestion_window;
    c.cwnd_segments = 10;
    c.send_queue = 50'000;
    c.unsent = 35'520;
    c.recovery_state = "recovery";
    EXPECT_EQ(
        explain_connection(c, {}).sending,
        "The congestion window (newreno): it has room for 10 segments, and as many are in the "
        "network; 35,520 bytes wait; it recovers from a loss.");
}

TEST(Why, ThePaceAndTheMarks) {
    ConnectionStatus c = established();
    c.plan = Decision::tcp_hold_pacing;
    c.pacing_rate = 1'250'000;
    c.send_queue = c.unsent = 3'000;
    c.recovery_state = "disorder";
    EXPECT_EQ(
        explain_connection(c, {}).sending,
        "The pacing (newreno): 1,250,000 bytes a second, so that the next segment may leave a "
        "little later; 3,000 bytes wait; something has arrived out of order.");
    c.plan = Decision::tcp_hold_congestion_window;
    c.cwnd_segments = 4;
    c.recovery_state = "cwr";
    c.has_ecn = true;
    c.delivered_marked = 2;
    EXPECT_EQ(
        explain_connection(c, {}).sending,
        "The congestion window (newreno): it has room for 4 segments, and as many are in the "
        "network; 3,000 bytes wait; the window goes down after a mark of congestion, or a loss that "
        "a probe has repaired; 2 segments of ours came marked (ECN).");
}

TEST(Why, ThePeersWindowIsClosed) {
    ConnectionStatus c = established();
    c.plan = Decision::tcp_hold_zero_window;
    c.send_queue = c.unsent = 1000;
    c.timer = Timer::persist;
    c.timer_deadline = Instant{} + seconds(3);
    c.probes = 1;
    const Explanation why = explain_connection(c, Instant{} + seconds(1));
    EXPECT_EQ(
        why.sending,
        "The peer's window: it is closed, and we are at its end; 1,000 bytes wait. Its application "
        "reads too slowly, or not at all.");
    EXPECT_EQ(
        why.timer,
        "In 2.00 s the persist timer fires: one more probe asks whether the peer's window has opened.");
    c.unsent = 0;
    EXPECT_NE(explain_connection(c, {}).sending.find("our FIN waits"), std::string::npos);
}

TEST(Why, NagleAndCork) {
    ConnectionStatus c = established();
    c.send_queue = 20;
    c.unsent = 10;
    c.plan = Decision::tcp_hold_nagle;
    EXPECT_NE(explain_connection(c, {}).sending.find("Nagle's algorithm: 10 bytes wait until"),
              std::string::npos);
    c.plan = Decision::tcp_hold_cork;
    EXPECT_NE(explain_connection(c, {}).sending.find("corked"), std::string::npos);
}

TEST(Why, ASlowReader) {
    ConnectionStatus c = established();
    c.receive_queue = 65535;
    c.rcv_wnd = 0;
    EXPECT_EQ(
        explain_connection(c, {}).receiving,
        "The application: 65,535 bytes wait to be read by it, and our window is closed until it "
        "reads.");
    c.peer_closed = true;
    EXPECT_NE(explain_connection(c, {}).receiving.find("the last ones"), std::string::npos);
    c.receive_queue = 0;
    c.peer_closed = false;
    c.out_of_order = 1448;
    EXPECT_NE(explain_connection(c, {}).receiving.find("1,448 bytes wait beyond a gap"),
              std::string::npos);
}

TEST(Why, ListenersAndTimeWait) {
    ConnectionStatus c;
    c.state = State::listen;
    c.receive_queue = 2;
    c.send_queue = 127;
    c.embryos = 1;
    EXPECT_EQ(
        explain_connection(c, {}).sending,
        "It listens: 2 of at most 128 connections wait to be accepted, 1 handshake is under way.");
    c.state = State::time_wait;
    c.timer = Timer::time_wait;
    c.timer_deadline = Instant{} + seconds(30);
    EXPECT_EQ(explain_connection(c, {}).timer,
              "In 30.0 s 2MSL has passed: the addresses are free again.");
}

// Whatever a snapshot says, there is an answer.
TEST(Why, EveryStateAndPlanHasASentence) {
    for (std::size_t state = 0; state < tcp::kStateCount; ++state) {
        for (std::size_t plan = 0; plan < kDecisionCount; ++plan) {
            ConnectionStatus c = established();
            c.state = static_cast<State>(state);
            c.plan = static_cast<Decision>(plan);
            const Explanation why = explain_connection(c, {});
            ASSERT_FALSE(why.sending.empty());
            ASSERT_TRUE(c.state == State::closed || !why.timer.empty());
        }
    }
}

}  // namespace
}  // namespace runnel::report
