// What a checker sees of a stack from outside, and that looking wakes nobody.
#include "runnel/tcp/inspection.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace runnel::tcp {
namespace {

class InspectionTest : public ::testing::Test {
protected:
    InspectionTest() : pool_(1u << 20), recorder_(64) {}

    static FourTuple tuple(std::uint16_t port) {
        return {{IpAddress::v4(0x0a000001), port}, {IpAddress::v4(0x0a000002), 80}};
    }
    void drain() {
        OutgoingSegment out;
        while (stack_.poll_transmit(now_, out)) {
            last_ = out.header;
        }
    }
    void arrives(std::uint16_t port, unsigned flags, std::uint32_t seq) {
        ArrivingSegment segment;
        segment.tuple = tuple(port);
        segment.header.flags.bits = static_cast<std::uint16_t>(flags);
        segment.header.seq = SeqNum{seq};
        segment.header.ack = last_.seq + (last_.flags.syn() || last_.flags.fin() ? 1 : 0);
        segment.header.window = 1000;
        stack_.on_segment(std::move(segment), now_);
        drain();
    }
    ConnectionHandle opens(std::uint16_t port) {
        const auto handle =
            stack_.connect(tuple(port).local, tuple(port).remote, 1500, {}, now_).value();
        drain();
        arrives(port, TcpFlags::kSyn | TcpFlags::kAck, 100);
        return handle;
    }

    TcpConfig config_ = [] {
        TcpConfig config;
        config.timestamps = false;
        config.quick_acks = 7;
        return config;
    }();
    BufferPool pool_;
    FlightRecorder recorder_;
    Stack stack_{pool_, recorder_, config_, SipKey{1, 2}};
    Inspection inspection_{stack_};
    Instant now_{seconds(100).ns};
    TcpHeader last_;
};

TEST_F(InspectionTest, FindsWhatIsOnTheWireAndNothingElse) {
    EXPECT_EQ(inspection_.config().quick_acks, 7U);
    EXPECT_EQ(inspection_.find(tuple(1)), std::nullopt);
    const ConnectionHandle one = opens(1);
    const ConnectionHandle other = opens(2);
    EXPECT_EQ(inspection_.find(tuple(1)), one);
    EXPECT_EQ(inspection_.find(tuple(2)), other);
    EXPECT_EQ(inspection_.find(tuple(3)), std::nullopt);
    ASSERT_NE(inspection_.awake(one), nullptr);
    EXPECT_EQ(inspection_.awake(one)->tuple, tuple(1));
    EXPECT_EQ(inspection_.awake(ConnectionHandle{}), nullptr);
    EXPECT_FALSE(inspection_.look(ConnectionHandle{}, [](const Tcb&) { FAIL(); }));
}

TEST_F(InspectionTest, LooksAtSleepersAndLetsThemSleepOn) {
    const ConnectionHandle one = opens(1);
    (void)opens(2);
    now_ = now_ + seconds(2);
    arrives(2, TcpFlags::kAck | TcpFlags::kPsh, 101);
    for (int i = 0; i < 3; ++i) {
        std::vector<UserEvent> events;
        stack_.take_events(events);
        now_ = now_ + milliseconds(400);
        stack_.on_timeout(now_);
    }
    ASSERT_EQ(stack_.sizes().awake, 1U);
    EXPECT_EQ(inspection_.find(tuple(1)), one);
    EXPECT_EQ(inspection_.awake(one), nullptr);
    FourTuple seen;
    EXPECT_TRUE(inspection_.look(one, [&](const Tcb& tcb) { seen = tcb.tuple; }));
    EXPECT_EQ(seen, tuple(1));
    std::vector<std::uint16_t> all;
    inspection_.for_each([&](const Tcb& tcb) { all.push_back(tcb.tuple.local.port); });
    EXPECT_EQ(all, (std::vector<std::uint16_t>{1, 2}));
    std::vector<std::uint16_t> awake;
    inspection_.for_each_awake([&](const Tcb& tcb) { awake.push_back(tcb.tuple.local.port); });
    EXPECT_EQ(awake, (std::vector<std::uint16_t>{2}));
    EXPECT_EQ(stack_.sizes().awake, 1U);
}

TEST_F(InspectionTest, ShowsTimeWaitAsEntriesAndNotAsConnections) {
    const ConnectionHandle one = opens(1);
    stack_.close(one, now_);
    drain();
    arrives(1, TcpFlags::kFin | TcpFlags::kAck, 101);
    ASSERT_EQ(stack_.sizes().time_wait, 1U);
    EXPECT_EQ(inspection_.find(tuple(1)), std::nullopt);
    std::vector<FourTuple> entries;
    inspection_.for_each_time_wait(
        [&](const TimeWaitEntry& entry) { entries.push_back(entry.tuple); });
    EXPECT_EQ(entries, (std::vector<FourTuple>{tuple(1)}));
    inspection_.for_each([](const Tcb&) { FAIL() << "nobody is on the wire"; });
}

}  // namespace
}  // namespace runnel::tcp
