// Connections that sleep while nothing happens differ in nothing that can be seen from those that never do:
// the same frames at the same times with the same reasons, the same answers to the same calls.
#include <gtest/gtest.h>

#include <string>

#include "runnel/base/random.hpp"
#include "support/two_hosts.hpp"

namespace runnel::test {
namespace {

struct Seen {
    std::string calls;                   ///< each call's answer, a line
    std::vector<std::byte> captures[2];  ///< with the reasons as comments
    std::uint64_t digest = 0;
    std::uint64_t decisions[2] = {};
    unsigned times_asleep = 0;  ///< steps after which a host's connection slept
};

/// A world of one connection, in which `seed` draws everything but `sleep_after`.
class Life {
public:
    Life(std::uint64_t seed, Duration sleep_after)
        : random_(seed), hosts_(configuration(seed, sleep_after)) {
        hosts_.world.capture(hosts_.client, seen_.captures[0]);
        hosts_.world.capture(hosts_.server, seen_.captures[1]);
    }

    Seen live(unsigned steps) {
        const SocketId listener = hosts_.listen(family_, 80);
        ends_[0] = hosts_.connect(family_, 80);
        hosts_.world.run_until([&] {
            if (ends_[1].is_none()) {
                ends_[1] = hosts_.server_sockets()
                               .accept(listener, hosts_.server_now())
                               .value_or(SocketId{});
            }
            return !ends_[1].is_none();
        });
        for (unsigned i = 0; i < steps; ++i) {
            step();
        }
        for (const unsigned side : {0U, 1U}) {
            note("close", sockets(side).close(ends_[side], now(side)).has_value());
        }
        wait(seconds(400));
        for (const unsigned side : {0U, 1U}) {
            note("left", hosts_.table(host(side)).size());
            seen_.decisions[side] = hosts_.world.host(host(side)).recorder().next_number();
        }
        seen_.digest = hosts_.world.digest();
        return std::move(seen_);
    }

private:
    TwoHostsConfig configuration(std::uint64_t seed, Duration sleep_after) {
        TwoHostsConfig config;
        config.world.seed = seed;
        config.world.digest = true;
        config.wire.offload = chance(2);
        config.wire.direction[0].delay = microseconds(1 + static_cast<std::int64_t>(pick(30'000)));
        config.wire.direction[1].delay = microseconds(1 + static_cast<std::int64_t>(pick(30'000)));
        if (chance(2)) {
            config.wire.set_faults({.drop = 20'000, .reorder = 10'000, .duplicate = 5'000});
        }
        for (HostConfig& host : config.host) {
            host.tcp.sleep_after = sleep_after;
            host.tcp.timestamps = !chance(3);
            host.tcp.sack = !chance(3);
            host.tcp.receive_buffer = chance(4) ? 20'000U : host.tcp.receive_buffer;
        }
        family_ = chance(2) ? Family::ipv4 : Family::ipv6;
        return config;
    }
    void step() {
        const auto side = static_cast<unsigned>(pick(2));
        switch (pick(12)) {
            case 0:
            case 1:
            case 2: send(side, 1 + pick(chance(3) ? 100'000 : 300), {.more = chance(8)}); break;
            case 3:
            case 4:
            case 5: receive(side); break;
            case 6: wait(microseconds(100 + static_cast<std::int64_t>(pick(500'000)))); break;
            case 7: wait(milliseconds(static_cast<std::int64_t>(pick(20'000)))); break;
            case 8: look(side); break;
            case 9: change_option(side); break;
            case 10:
                if (chance(6)) {
                    send(side, 1, {.urgent = true});
                } else {
                    receive(1 - side);
                    receive(side);
                    wait(seconds(3));
                }
                break;
            default:
                if (chance(12)) {
                    note("shutdown", sockets(side)
                                         .shutdown(ends_[side], ShutdownHow::send, now(side))
                                         .has_value());
                }
        }
        for (const unsigned end : {0U, 1U}) {
            const tcp::TableSizes sizes = hosts_.world.host(host(end)).tcp().sizes();
            seen_.times_asleep += sizes.awake < sizes.connections ? 1U : 0U;
        }
    }
    void send(unsigned side, std::uint64_t count, MessageFlags flags) {
        const std::vector<std::byte> bytes(count, static_cast<std::byte>(count));
        const auto sent = sockets(side).send(ends_[side], bytes, flags, now(side));
        note("send",
             sent ? static_cast<std::int64_t>(*sent) : -static_cast<std::int64_t>(sent.error()));
    }
    void receive(unsigned side) {
        std::vector<std::byte> into(1 + pick(200'000));
        const auto got = sockets(side).receive(ends_[side], into, {}, now(side));
        note("receive",
             got ? static_cast<std::int64_t>(*got) : -static_cast<std::int64_t>(got.error()));
    }
    void change_option(unsigned side) {
        static constexpr std::pair<SocketOption, std::int64_t> kChanges[] = {
            {SocketOption::keepalive, 1}, {SocketOption::keepalive_idle, 2},
            {SocketOption::no_delay, 1},  {SocketOption::cork, 1},
            {SocketOption::cork, 0},      {SocketOption::quick_ack, 1},
            {SocketOption::keepalive, 0}, {SocketOption::user_timeout, 30'000},
            {SocketOption::hop_limit, 9}, {SocketOption::send_buffer, 30'000},
        };
        const auto& [option, value] = kChanges[pick(std::size(kChanges))];
        note("option", sockets(side).set_option(ends_[side], option, value, now(side)).has_value());
        note("shows", sockets(side).get_option(ends_[side], option).value_or(-1));
    }
    void look(unsigned side) {
        const auto s = sockets(side).tcp_info(ends_[side]);
        ASSERT_TRUE(s.has_value());
        for (const std::uint64_t number : {std::uint64_t{static_cast<unsigned>(s->state)},
                                           std::uint64_t{s->snd_una},
                                           std::uint64_t{s->snd_nxt},
                                           std::uint64_t{s->rcv_nxt},
                                           s->snd_wnd,
                                           s->rcv_wnd,
                                           std::uint64_t{s->snd_mss},
                                           std::uint64_t{s->rcv_mss},
                                           std::uint64_t{s->cwnd_segments},
                                           std::uint64_t{s->ssthresh_segments},
                                           static_cast<std::uint64_t>(s->rtt.ns),
                                           static_cast<std::uint64_t>(s->rto.ns),
                                           static_cast<std::uint64_t>(s->rtt_min.ns),
                                           static_cast<std::uint64_t>(s->timer_deadline.ns),
                                           std::uint64_t{s->timers},
                                           s->bytes_sent,
                                           s->bytes_acked,
                                           s->bytes_received,
                                           s->bytes_retransmitted,
                                           std::uint64_t{s->segments_sent},
                                           std::uint64_t{s->segments_received},
                                           static_cast<std::uint64_t>(s->last_data_sent.ns),
                                           s->last_event,
                                           static_cast<std::uint64_t>(s->last_data_received.ns)}) {
            note("info", number);
        }
        note("readiness", sockets(side).readiness(ends_[side]).bits);
        note("available", sockets(side).available(ends_[side]).value_or(77));
        note("error", sockets(side).get_option(ends_[side], SocketOption::error).value_or(-1));
    }
    void wait(Duration duration) {
        hosts_.world.run_for(duration);
        std::vector<ReadyEvent> events;
        for (const unsigned side : {0U, 1U}) {
            sockets(side).take_ready(events);
            for (const ReadyEvent& event : events) {
                note("event", event.readiness.bits);
            }
        }
    }
    template <class T>
    void note(const char* what, T value) {
        seen_.calls += what + (" " + std::to_string(value)) + "\n";
    }
    [[nodiscard]] std::uint64_t pick(std::uint64_t below) { return random_.next() % below; }
    [[nodiscard]] bool chance(std::uint64_t one_in) { return pick(one_in) == 0; }
    SocketLayer& sockets(unsigned side) { return hosts_.world.sockets(host(side)); }
    [[nodiscard]] sim::HostId host(unsigned side) const {
        return side == 0 ? hosts_.client : hosts_.server;
    }
    [[nodiscard]] Instant now(unsigned side) const { return hosts_.world.now(host(side)); }

    Random random_;
    Family family_ = Family::ipv4;
    Seen seen_;
    TwoHosts hosts_;
    SocketId ends_[2];
};

TEST(Dormant, SleepingShowsInNothingButMemory) {
    unsigned asleep = 0;
    for (std::uint64_t seed = 1; seed <= 150; ++seed) {
        const Seen awake = Life(seed, seconds(1'000'000)).live(80);
        const Seen sleepy = Life(seed, milliseconds(seed % 3 == 0 ? 1'000 : 1)).live(80);
        EXPECT_EQ(awake.times_asleep, 0U);
        asleep += sleepy.times_asleep;
        ASSERT_EQ(awake.calls, sleepy.calls) << "seed " << seed;
        ASSERT_EQ(awake.digest, sleepy.digest) << "seed " << seed;
        for (const unsigned side : {0U, 1U}) {
            ASSERT_EQ(awake.decisions[side], sleepy.decisions[side]) << "seed " << seed;
            ASSERT_TRUE(awake.captures[side] == sleepy.captures[side]) << "seed " << seed;
        }
    }
    EXPECT_GT(asleep, 150U * 10) << "else this test shows nothing";
}

}  // namespace
}  // namespace runnel::test
