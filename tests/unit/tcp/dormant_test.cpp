// What keeps a connection awake, and that packing loses nothing of one that may sleep. That the difference
// shows in no segment is for tests/simulation/dormant_test.cpp.
#include <gtest/gtest.h>

#include <functional>

#include "runnel/tcp/dormant/connection_table.hpp"

namespace runnel::tcp {
namespace {

/// As after an exchange of some data, long ago.
void make_quiet(Tcb& tcb) {
    tcb.tuple = {{IpAddress::v4(0x0a00'0001), 80}, {IpAddress::v4(0x0a00'0002), 40'000}};
    tcb.state = State::established;
    tcb.snd.iss = first_seq(SeqNum{0xffff'ff00});
    tcb.snd.una = tcb.snd.nxt = tcb.snd.iss + 10'001;
    tcb.send.start(tcb.snd.una);
    tcb.rcv.irs = first_seq(SeqNum{77});
    tcb.rcv.nxt = tcb.rcv.irs + 501;
    tcb.rcv.right_edge = tcb.rcv.nxt + 65'535;
}

TEST(Dormant, OnlyAQuietConnectionSleeps) {
    const TcpConfig config;
    BufferPool pool(1u << 20);
    const std::pair<const char*, std::function<void(Tcb&)>> reasons[] = {
        {"opening", [](Tcb& t) { t.state = State::syn_received; }},
        {"our FIN is out", [](Tcb& t) { t.state = State::fin_wait_1; }},
        {"in the accept queue", [](Tcb& t) { t.listener = 1; }},
        {"embryo", [](Tcb& t) { t.embryo = true; }},
        {"orphan", [](Tcb& t) { t.orphan = true; }},
        {"off the wire", [](Tcb& t) { t.detached = true; }},
        {"data to send", [&](Tcb& t) { t.send.append(pool, as_bytes("x"), 100); }},
        {"data to read", [&](Tcb& t) { (void)t.receive.append(pool, pool.copy(as_bytes("x"))); }},
        {"data beyond a gap",
         [&](Tcb& t) {
             SliceList payload;
             payload.push_back(pool.copy(as_bytes("x")));
             t.reassembler.insert(pool, t.rcv.nxt + 5, std::move(payload));
         }},
        {"unacknowledged", [](Tcb& t) { t.snd.nxt += 1; }},
        {"an ACK owed", [](Tcb& t) { t.ack.need_delayed(); }},
        {"a FIN to send", [](Tcb& t) { t.fin_queued = true; }},
        {"a FIN beyond a gap", [](Tcb& t) { t.fin_known = true; }},
        {"an error to tell", [](Tcb& t) { t.error = Errc::timed_out; }},
        {"a report to tell", [](Tcb& t) { t.report = ErrorReport::Reason::icmp; }},
        {"an event to tell", [](Tcb& t) { t.event_queued = true; }},
        {"its turn to send", [](Tcb& t) { t.ready_queued = true; }},
        {"a reset to send", [](Tcb& t) { t.reset_due = true; }},
        {"a probe to send", [](Tcb& t) { t.probe_due = true; }},
        {"a keep-alive to send", [](Tcb& t) { t.keepalive_due = true; }},
        {"a keep-alive out", [](Tcb& t) { t.probes_out = 1; }},
        {"held data to send", [](Tcb& t) { t.override_hold = true; }},
        {"a D-SACK to send", [](Tcb& t) { t.duplicate_pending = true; }},
        {"urgent data to send", [](Tcb& t) { t.urgent_to_send = true; }},
        {"urgent data to come", [](Tcb& t) { t.urgent_mark = UrgentMark::announced; }},
        {"recovery", [](Tcb& t) { t.recovery.state = RecoveryState::disorder; }},
        {"duplicate ACKs", [](Tcb& t) { t.recovery.duplicate_acks = 1; }},
        {"a timer", [](Tcb& t) { t.timers.arm(Timer::delayed_ack, Instant{5}); }},
        {"a timer before keep-alive",
         [](Tcb& t) {
             t.timers.arm(Timer::keepalive, Instant{6});
             t.timers.arm(Timer::persist, Instant{5});
         }},
        {"a timer after keep-alive",
         [](Tcb& t) {
             t.timers.arm(Timer::keepalive, Instant{4});
             t.timers.arm(Timer::persist, Instant{5});
         }},
    };
    Tcb quiet(config);
    make_quiet(quiet);
    EXPECT_TRUE(is_quiet(quiet));
    quiet.timers.arm(Timer::keepalive, Instant{5});
    EXPECT_TRUE(is_quiet(quiet));
    for (const auto& [what, happens] : reasons) {
        Tcb tcb(config);
        make_quiet(tcb);
        happens(tcb);
        EXPECT_FALSE(is_quiet(tcb)) << what;
    }
}

TEST(Dormant, NumbersFarBehindStayBehind) {
    const TcpConfig config;
    Tcb before(config);
    make_quiet(before);
    // Terabytes later: what has been left behind is further away than an offset reaches.
    before.snd.una = before.snd.nxt = before.snd.iss + (std::uint64_t{1} << 42);
    before.send = SendBuffer();
    before.send.start(before.snd.una);
    before.recovery.point = before.snd.iss;
    before.snd.small_end = before.snd.iss;
    before.snd.wl2 = before.snd.una;
    before.snd.wl1 = before.rcv.nxt + 3;
    OptionsTable options;
    DormantTcb dormant;
    pack(before, options, dormant);
    Tcb after(config);
    unpack(dormant, before.handle, config, after);
    EXPECT_EQ(after.snd.una, before.snd.una);
    EXPECT_EQ(after.snd.iss, before.snd.iss);
    EXPECT_EQ(after.send.begin(), before.snd.una);
    EXPECT_LT(after.recovery.point, after.snd.una);
    EXPECT_LT(after.snd.small_end, after.snd.una);
    EXPECT_EQ(after.snd.wl2, before.snd.wl2);
    EXPECT_EQ(after.snd.wl1, before.snd.wl1);
    EXPECT_TRUE(is_quiet(after));
}

TEST(Dormant, OneCopyOfEachDifferentSetOfOptions) {
    OptionsTable table;
    ConnectionOptions no_delay;
    no_delay.no_delay = true;
    const ConnectionOptions* first = table.hold(no_delay);
    EXPECT_EQ(table.hold(no_delay), first);
    EXPECT_NE(table.hold({}), first);
    EXPECT_EQ(table.size(), 2U);
    table.let_go(first);
    EXPECT_TRUE(first->no_delay) << "someone holds it still";
    table.let_go(first);
    EXPECT_EQ(table.size(), 1U);
}

TEST(Dormant, SleepsAndComesAgainWithItsHandleAndItsKeepalive) {
    const TcpConfig config;
    TimerWheel wheel;
    ConnectionTable table(config, wheel);
    Connection* connection = table.emplace();
    make_quiet(connection->tcb);
    connection->tcb.user.keepalive = true;
    connection->tcb.timers.arm(Timer::keepalive, Instant{} + seconds(100));
    wheel.schedule(connection->node, Instant{} + seconds(1));
    const auto handle = ConnectionHandle::from_packed(connection->tcb.handle);
    table.sleep(*connection);
    EXPECT_EQ(table.awake(), 0U);
    EXPECT_EQ(table.size(), 1U);
    EXPECT_EQ(table.find_awake(handle), nullptr);
    EXPECT_TRUE(table.options(handle)->keepalive);
    EXPECT_EQ(wheel.next_deadline(), Instant{} + seconds(100)) << "its keep-alive still comes";
    EXPECT_TRUE(table.look(handle, [](const Tcb& tcb) {
        EXPECT_EQ(tcb.timers.deadline(Timer::keepalive), Instant{} + seconds(100));
    }));
    EXPECT_EQ(table.awake(), 0U) << "whoever only looks doesn't wake it";

    connection = table.find(handle, Instant{} + seconds(50));
    ASSERT_NE(connection, nullptr);
    EXPECT_EQ(connection->tcb.handle, handle.packed());
    EXPECT_EQ(connection->node.owner, handle.packed());
    EXPECT_EQ(connection->tcb.timers.deadline(Timer::keepalive), Instant{} + seconds(100));
    EXPECT_EQ(wheel.size(), 1U);
    EXPECT_EQ(wheel.next_deadline(), Instant{} + seconds(50) + config.sleep_after)
        << "woken for nothing it goes to sleep again";
    table.erase(*connection);
    EXPECT_EQ(table.find(handle, Instant{}), nullptr);
    EXPECT_FALSE(table.look(handle, [](const Tcb&) {}));
    EXPECT_EQ(wheel.size(), 0U);
}

TEST(Dormant, WokenByItsKeepaliveItIsDue) {
    const TcpConfig config;
    TimerWheel wheel;
    ConnectionTable table(config, wheel);
    Connection* connection = table.emplace();
    make_quiet(connection->tcb);
    connection->tcb.timers.arm(Timer::keepalive, Instant{} + seconds(100));
    table.sleep(*connection);
    unsigned woken = 0;
    wheel.expire(Instant{} + seconds(100), [&](TimerNode& node) {
        connection =
            table.find(ConnectionHandle::from_packed(node.owner), Instant{} + seconds(100));
        ASSERT_NE(connection, nullptr);
        EXPECT_TRUE(connection->tcb.timers.due(Timer::keepalive, Instant{} + seconds(100)));
        ++woken;
    });
    EXPECT_EQ(woken, 1U);
}

TEST(Dormant, ATableMayGoWhileConnectionsSleep) {
    const TcpConfig config;
    TimerWheel wheel;
    {
        ConnectionTable table(config, wheel);
        for (const bool sleeps : {false, true}) {
            Connection* connection = table.emplace();
            make_quiet(connection->tcb);
            connection->tcb.timers.arm(Timer::keepalive, Instant{7});
            wheel.schedule(connection->node, Instant{7});
            if (sleeps) {
                table.sleep(*connection);
            }
        }
        EXPECT_EQ(wheel.size(), 2U);
    }
    EXPECT_EQ(wheel.size(), 0U);
}

}  // namespace
}  // namespace runnel::tcp
