// States, their transitions and names as RFC 9293 has them, beside the table that the engine checks itself by.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>

#include "runnel/tcp/state.hpp"
#include "runnel/tcp/status.hpp"
#include "runnel/tcp/tcb.hpp"

namespace runnel::tcp {
namespace {

using S = State;

constexpr S state(std::size_t i) {
    return static_cast<S>(i);
}

TEST(States, HaveTheRfcsNames) {
    EXPECT_EQ(to_string(S::closed), "CLOSED");
    EXPECT_EQ(to_string(S::listen), "LISTEN");
    EXPECT_EQ(to_string(S::syn_sent), "SYN-SENT");
    EXPECT_EQ(to_string(S::syn_received), "SYN-RECEIVED");
    EXPECT_EQ(to_string(S::established), "ESTABLISHED");
    EXPECT_EQ(to_string(S::fin_wait_1), "FIN-WAIT-1");
    EXPECT_EQ(to_string(S::fin_wait_2), "FIN-WAIT-2");
    EXPECT_EQ(to_string(S::close_wait), "CLOSE-WAIT");
    EXPECT_EQ(to_string(S::closing), "CLOSING");
    EXPECT_EQ(to_string(S::last_ack), "LAST-ACK");
    EXPECT_EQ(to_string(S::time_wait), "TIME-WAIT");
    EXPECT_EQ(kStateCount, 11u);
}

// RFC 9293 §3.3.2, figure 5 and its notes, §3.10: from each state these and no others.
TEST(States, ChangeAsInFigure5) {
    const std::set<std::pair<S, S>> allowed = {
        {S::closed, S::listen},           {S::closed, S::syn_sent},
        {S::listen, S::syn_received},     {S::listen, S::syn_sent},
        {S::listen, S::closed},           {S::syn_sent, S::syn_received},
        {S::syn_sent, S::established},    {S::syn_sent, S::closed},
        {S::syn_received, S::listen},     {S::syn_received, S::established},
        {S::syn_received, S::fin_wait_1}, {S::syn_received, S::close_wait},
        {S::syn_received, S::closed},     {S::established, S::fin_wait_1},
        {S::established, S::close_wait},  {S::established, S::closed},
        {S::fin_wait_1, S::fin_wait_2},   {S::fin_wait_1, S::closing},
        {S::fin_wait_1, S::time_wait},    {S::fin_wait_1, S::closed},
        {S::fin_wait_2, S::time_wait},    {S::fin_wait_2, S::closed},
        {S::close_wait, S::last_ack},     {S::close_wait, S::closed},
        {S::closing, S::time_wait},       {S::closing, S::closed},
        {S::last_ack, S::closed},         {S::time_wait, S::closed},
        {S::time_wait, S::syn_received},  // RFC 6191
    };
    for (std::size_t from = 0; from < kStateCount; ++from) {
        for (std::size_t to = 0; to < kStateCount; ++to) {
            EXPECT_EQ(is_transition(state(from), state(to)),
                      allowed.contains({state(from), state(to)}))
                << to_string(state(from)) << " to " << to_string(state(to));
        }
    }
    for (const Transition& each : kTransitions) {
        EXPECT_FALSE(each.cause.empty());
    }
}

// §3.10.7.4: the seventh step takes text in three states; data and FIN leave in five; ESTABLISHED and all after it are
// synchronized.
TEST(States, SayWhatMayFlow) {
    const std::set<S> receive = {S::established, S::fin_wait_1, S::fin_wait_2};
    const std::set<S> send = {S::established, S::close_wait, S::fin_wait_1, S::closing,
                              S::last_ack};
    const std::set<S> unsynchronized = {S::closed, S::listen, S::syn_sent, S::syn_received};
    for (std::size_t i = 0; i < kStateCount; ++i) {
        EXPECT_EQ(receives_data(state(i)), receive.contains(state(i))) << to_string(state(i));
        EXPECT_EQ(sends_data(state(i)), send.contains(state(i))) << to_string(state(i));
        EXPECT_EQ(is_synchronized(state(i)), !unsynchronized.contains(state(i)));
    }
}

TEST(Names, OfTimersAsSsShowsThem) {
    EXPECT_STREQ(to_string(Timer::retransmit), "retransmit");
    EXPECT_STREQ(to_string(Timer::persist), "persist");
    EXPECT_STREQ(to_string(Timer::delayed_ack), "delayed-ack");
    EXPECT_STREQ(to_string(Timer::keepalive), "keepalive");
    EXPECT_STREQ(to_string(Timer::fin_wait_2), "fin-wait-2");
    EXPECT_STREQ(to_string(Timer::memory), "memory");
    EXPECT_STREQ(to_string(Timer::time_wait), "time-wait");
    EXPECT_STREQ(to_string(Timer::count_), "none");
}

TEST(Names, OfRecoverysStatesAsSsShowsThem) {
    EXPECT_STREQ(to_string(RecoveryState::open), "open");
    EXPECT_STREQ(to_string(RecoveryState::disorder), "disorder");
    EXPECT_STREQ(to_string(RecoveryState::recovery), "recovery");
    EXPECT_STREQ(to_string(RecoveryState::loss), "loss");
}

}  // namespace
}  // namespace runnel::tcp
