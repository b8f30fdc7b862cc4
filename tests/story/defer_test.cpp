// Stories of a listener who wants to hear of data only (TCP_DEFER_ACCEPT), and of tries counted by the user
// (TCP_SYNCNT).
#include "story.hpp"

namespace runnel::story {
namespace {

class Deferred : public Story {
protected:
    /// One second makes one timeout, three make two, seven three.
    void defers(std::uint8_t timeouts) {
        ConnectionOptions options;
        options.defer_accept = timeouts;
        listens(10, options);
    }
    bool accepts() {
        const auto got = stack().accept(listener, now);
        connection = got.value_or(connection);
        return got.has_value();
    }
};

TEST_F(Deferred, TheBareAckIsNotTold) {
    defers(2);
    arrives(syn());
    (void)sent_one();
    arrives(ack(1, 1));
    sends_nothing();
    EXPECT_EQ(count(Decision::tcp_drop_deferred_ack), 1u);
    EXPECT_FALSE(accepts());
    arrives(ack(1, 1).text("request"));
    ASSERT_TRUE(accepts());
    EXPECT_EQ(reads(), "request");
}

TEST_F(Deferred, DataWithTheAckIsToldAtOnce) {
    defers(2);
    arrives(syn());
    (void)sent_one();
    arrives(ack(1, 1).text("request"));
    EXPECT_TRUE(accepts());
}

TEST_F(Deferred, AFinIsTold) {
    defers(2);
    arrives(syn());
    (void)sent_one();
    arrives(ack(1, 1));
    arrives(fin(1, 1));
    ASSERT_TRUE(accepts());
    EXPECT_EQ(state(), State::close_wait);
}

TEST_F(Deferred, NothingIsRepeatedBeforeTheEndOfTheWait) {
    defers(3);
    arrives(syn());
    (void)sent_one();
    pass(milliseconds(100));
    arrives(ack(1, 1));
    // The first two timeouts pass in silence; with the third, at 7 s, the SYN,ACK asks once more.
    const auto again = next_timeout();
    ASSERT_EQ(again.size(), 1u);
    EXPECT_EQ(again[0].reason, Decision::tcp_retransmit_syn_ack);
    EXPECT_EQ((now - start).seconds(), 7);
    arrives(ack(1, 1));
    EXPECT_TRUE(accepts()) << "the wait is over";
}

TEST_F(Deferred, WithoutAnAckTheSynAckIsRepeatedAsEver) {
    defers(3);
    arrives(syn());
    (void)sent_one();
    EXPECT_EQ(next_timeout().size(), 1u);
    EXPECT_EQ((now - start).seconds(), 1);
}

TEST_F(Deferred, OneWhoNeverAnswersGoes) {
    config.synack_retries = 2;
    defers(1);
    arrives(syn());
    (void)sent_one();
    arrives(ack(1, 1));
    while (!next_timeout().empty()) {
    }
    EXPECT_EQ(stack().sizes().connections, 0u);
    EXPECT_LE((now - start).seconds(), 7);
}

TEST_F(Deferred, TheWaitMayBeLongerThanTheTries) {
    config.synack_retries = 1;
    defers(4);  // 1 + 2 + 4 + 8 s
    arrives(syn());
    (void)sent_one();
    arrives(ack(1, 1));
    (void)wait(seconds(14));
    EXPECT_EQ(stack().sizes().connections, 1u);
    arrives(ack(1, 1).text("late"));
    EXPECT_TRUE(accepts());
}

TEST_F(Deferred, AnOpenersAckWaitsForItsData) {
    ConnectionOptions options;
    options.defer_accept = 1;
    connects(options);
    arrives(syn_ack(1).mss(1000));
    sends_nothing();
    writes("request");
    const Sent third = sent_one();
    EXPECT_EQ(third.data, "request");
    EXPECT_EQ(third.ack, 1u);
}

TEST_F(Deferred, AnOpenersAckDoesNotWaitForEver) {
    ConnectionOptions options;
    options.defer_accept = 1;
    connects(options);
    arrives(syn_ack(1).mss(1000));
    sends_nothing();
    const auto third = next_timeout();
    ASSERT_EQ(third.size(), 1u);
    EXPECT_EQ(third[0].flags, "A");
    EXPECT_EQ((now - start).millis(), 200);
}

TEST_F(Deferred, TheUserCountsTheSyns) {
    ConnectionOptions options;
    options.syn_count = 2;
    connects(options);
    EXPECT_EQ(next_timeout().size(), 1u);
    EXPECT_EQ(next_timeout().size(), 1u);
    EXPECT_TRUE(next_timeout().empty());
    EXPECT_EQ((now - start).seconds(), 7);
    EXPECT_EQ(stack().take_error(connection), Errc::timed_out);
}

TEST_F(Deferred, AndTheSynAcks) {
    ConnectionOptions options;
    options.syn_count = 1;
    listens(10, options);
    arrives(syn());
    (void)sent_one();
    EXPECT_EQ(next_timeout().size(), 1u);
    EXPECT_TRUE(next_timeout().empty());
    EXPECT_EQ(stack().sizes().connections, 0u);
}

}  // namespace
}  // namespace runnel::story
