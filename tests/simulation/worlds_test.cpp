// Worlds drawn from a seed: wires, faults, configurations and workloads nobody thought of. Whatever they
// are, contents are exact, timeouts make progress, and in the end nothing is left.
#include <gtest/gtest.h>

#include <algorithm>

#include "simulation/run_digest.hpp"
#include "simulation/transfers.hpp"
#include "support/two_hosts.hpp"

namespace runnel::test {
namespace {

using sim::Outcome;

/// One of the values given.
template <class T>
T pick(Random& random, std::initializer_list<T> values) {
    return values.begin()[random.below(values.size())];
}

sim::DirectionConfig draw_direction(Random& random, bool offload) {
    sim::DirectionConfig direction;
    direction.bytes_per_second =
        pick<std::uint64_t>(random, {0, 100'000, 1'250'000, 12'500'000, 125'000'000});
    direction.delay = pick<Duration>(random, {Duration{}, microseconds(50), milliseconds(1),
                                              milliseconds(30), milliseconds(300)});
    direction.queue_bytes = pick<std::uint32_t>(random, {20'000, 64'000, 1'000'000});
    if (offload) {
        direction.queue_bytes = std::max(direction.queue_bytes, 150'000u);
    }
    const auto ppm = [&] { return pick<std::uint32_t>(random, {0, 0, 1'000, 10'000, 50'000}); };
    direction.faults.drop = ppm();
    direction.faults.reorder = ppm();
    direction.faults.duplicate = ppm();
    direction.faults.flip = offload ? 0 : ppm() / 10;
    direction.faults.reorder_delay = pick<Duration>(random, {milliseconds(1), milliseconds(50)});
    return direction;
}

tcp::TcpConfig draw_tcp(Random& random) {
    tcp::TcpConfig config;
    config.timestamps = random.chance(3, 4);
    config.window_scaling = random.chance(3, 4);
    config.sack = random.chance(3, 4);
    config.super_segments = random.chance(3, 4);
    config.window_autotuning = random.chance(3, 4);
    config.slow_start_after_idle = random.chance(1, 2);
    config.send_buffer = pick<std::uint32_t>(random, {5'000, 64'000, 1u << 20, 4u << 20});
    config.receive_buffer = pick<std::uint32_t>(random, {70'000, 1u << 20, 6u << 20});
    config.initial_receive_window = pick<std::uint32_t>(random, {3'000, 20'000, 64 * 1024});
    config.initial_window_segments = pick<std::uint32_t>(random, {1, 4, 10});
    config.quick_acks = pick<std::uint32_t>(random, {0, 2, 16});
    config.linux_rto = random.chance(3, 4);
    config.rto_min = pick<Duration>(random, {milliseconds(200), milliseconds(200), seconds(1)});
    config.duplicate_ack_threshold = pick<std::uint32_t>(random, {2, 3, 3, 6});
    config.msl = pick<Duration>(random, {seconds(1), seconds(30)});
    config.sleep_after = pick<Duration>(random, {milliseconds(10), seconds(1)});
    return config;
}

TwoHostsConfig draw_world(Random& random, std::uint64_t seed) {
    TwoHostsConfig config;
    config.world.seed = seed;
    config.world.digest = true;
    config.wire.layer = pick(random, {LinkLayer::raw_ip, LinkLayer::ethernet});
    config.wire.offload = random.chance(1, 3);
    config.wire.mtu = pick<std::uint32_t>(random, {1280, 1300, 1500, 9000, 65'535});
    for (sim::DirectionConfig& direction : config.wire.direction) {
        direction = draw_direction(random, config.wire.offload);
    }
    if (config.wire.mtu > 9'000) {
        for (sim::DirectionConfig& direction : config.wire.direction) {
            direction.queue_bytes = std::max(direction.queue_bytes, 150'000u);
        }
    }
    for (unsigned side = 0; side < 2; ++side) {
        config.host[side].tcp = draw_tcp(random);
        config.clock_offset[side] = Duration{static_cast<std::int64_t>(random.below(1ull << 44))};
    }
    return config;
}

std::uint64_t draw_size(Random& random) {
    const std::uint64_t most = pick<std::uint64_t>(random, {0, 1, 100, 1'460, 20'000, 500'000});
    return random.below(most + 1);
}

/// Ends some connections in the middle, each in its own way; those are not asked for their contents.
class Vandal {
public:
    Vandal(TwoHosts& hosts, Transfers& transfers, Random& random)
        : hosts_(hosts), transfers_(transfers) {
        for (std::size_t i = 0; i < transfers.size(); ++i) {
            if (random.chance(1, 8)) {
                victims_.push_back({.transfer = i,
                                    .side = static_cast<unsigned>(random.below(2)),
                                    .after = random.below(100'000),
                                    .abort = random.chance(1, 2)});
            }
        }
    }
    [[nodiscard]] bool spares(std::size_t transfer) const {
        return std::none_of(victims_.begin(), victims_.end(),
                            [&](const Victim& victim) { return victim.transfer == transfer; });
    }
    void act() {
        for (Victim& victim : victims_) {
            const SocketId id = transfers_.socket(victim.transfer, victim.side);
            if (victim.done || id.is_none() ||
                transfers_.result(victim.transfer).received[victim.side] < victim.after) {
                continue;
            }
            victim.done = true;
            const bool client = victim.side == 0;
            SocketLayer& sockets = client ? hosts_.client_sockets() : hosts_.server_sockets();
            const Instant now = client ? hosts_.client_now() : hosts_.server_now();
            (void)(victim.abort ? sockets.abort(id, now) : sockets.close(id, now));
            // Its other end sees the end or an error and is closed then, or here.
            others_.push_back({victim.transfer, 1 - victim.side});
        }
    }
    /// Closes what the other ends still hold.
    void tidy() {
        for (const auto& [transfer, side] : others_) {
            const SocketId id = transfers_.socket(transfer, side);
            if (!id.is_none()) {
                (void)(side == 0 ? hosts_.client_sockets().close(id, hosts_.client_now())
                                 : hosts_.server_sockets().close(id, hosts_.server_now()));
            }
        }
    }

private:
    struct Victim {
        std::size_t transfer = 0;
        unsigned side = 0;
        std::uint64_t after = 0;
        bool abort = false;
        bool done = false;
    };
    TwoHosts& hosts_;
    Transfers& transfers_;
    std::vector<Victim> victims_;
    std::vector<std::pair<std::size_t, unsigned>> others_;
};

/// Sets options of some sockets in the middle of things; none of them may touch the contents.
class Meddler {
public:
    Meddler(TwoHosts& hosts, Transfers& transfers, Random& random)
        : hosts_(hosts), transfers_(transfers) {
        for (std::size_t i = 0; i < transfers.size(); ++i) {
            while (random.chance(1, 2)) {
                Change change;
                change.transfer = i;
                change.side = static_cast<unsigned>(random.below(2));
                change.after = random.below(50'000);
                const auto [option, most] = pick<std::pair<SocketOption, std::uint64_t>>(
                    random, {{SocketOption::no_delay, 1},
                             {SocketOption::cork, 1},
                             {SocketOption::quick_ack, 1},
                             {SocketOption::oob_inline, 1},
                             {SocketOption::keepalive, 1},
                             {SocketOption::keepalive_idle, 3},
                             {SocketOption::keepalive_interval, 3},
                             {SocketOption::keepalive_count, 9},
                             {SocketOption::send_buffer, 300'000},
                             {SocketOption::receive_buffer, 300'000},
                             {SocketOption::traffic_class, 252},
                             {SocketOption::hop_limit, 200}});
                change.option = option;
                change.value = static_cast<std::int64_t>(random.below(most) + 1);
                changes_.push_back(change);
            }
        }
    }
    void act() {
        for (Change& change : changes_) {
            const SocketId id = transfers_.socket(change.transfer, change.side);
            if (change.done || id.is_none() ||
                transfers_.result(change.transfer).received[change.side] < change.after) {
                continue;
            }
            change.done = true;
            SocketLayer& sockets =
                change.side == 0 ? hosts_.client_sockets() : hosts_.server_sockets();
            (void)sockets.set_option(id, change.option, change.value,
                                     change.side == 0 ? hosts_.client_now() : hosts_.server_now());
        }
    }

private:
    struct Change {
        std::size_t transfer = 0;
        unsigned side = 0;
        std::uint64_t after = 0;
        SocketOption option{};
        std::int64_t value = 0;
        bool done = false;
    };
    TwoHosts& hosts_;
    Transfers& transfers_;
    std::vector<Change> changes_;
};

/// How often the connections are asked about themselves, in events.
constexpr std::uint64_t kLook = 16;

void start_transfers(TwoHosts& hosts, Transfers& transfers, Random& random, std::uint64_t seed) {
    const std::uint64_t count = random.below(8) + 1;
    for (std::uint64_t i = 0; i < count; ++i) {
        TransferConfig one;
        one.listen = hosts.at(1, random.chance(1, 2) ? Family::ipv4 : Family::ipv6,
                              static_cast<std::uint16_t>(1'000 + i));
        one.upload = draw_size(random);
        one.download = draw_size(random);
        one.seed = seed * 100 + i;
        one.largest_call = pick<std::size_t>(random, {1, 500, 5'000, 60'000});
        if (one.largest_call == 1) {
            one.upload = std::min<std::uint64_t>(one.upload, 3'000);
            one.download = std::min<std::uint64_t>(one.download, 3'000);
        }
        EXPECT_TRUE(transfers.start(one));
    }
}

/// Its digest.
std::uint64_t live_in_world(std::uint64_t seed) {
    Random random(seed);
    const TwoHostsConfig config = draw_world(random, seed);
    TwoHosts hosts(config);
    Transfers transfers(hosts.world);
    start_transfers(hosts, transfers, random, seed);
    Vandal vandal(hosts, transfers, random);
    Meddler meddler(hosts, transfers, random);
    RunDigest digest;
    std::uint64_t asked = 0;
    const auto all_over = [&] {
        transfers.pump();
        vandal.act();
        meddler.act();
        if (++asked % kLook == 0) {
            digest.look(hosts);
        }
        for (std::size_t i = 0; i < transfers.size(); ++i) {
            if (vandal.spares(i) && !transfers.result(i).done()) {
                return false;
            }
        }
        return true;
    };
    EXPECT_EQ(hosts.world.run_until(all_over, hosts.world.now() + seconds(20'000)),
              Outcome::satisfied);
    for (std::size_t i = 0; i < transfers.size(); ++i) {
        const auto& result = transfers.result(i);
        EXPECT_FALSE(result.mismatch) << "transfer " << i << " at " << result.mismatch_at;
        if (vandal.spares(i)) {
            EXPECT_TRUE(result.exact(transfers.config(i)))
                << "transfer " << i << ": " << errno_name(result.error) << " received "
                << result.received[0] << " of " << transfers.config(i).download << ", "
                << result.received[1] << " of " << transfers.config(i).upload;
        }
    }
    vandal.tidy();
    hosts.world.run_until(
        [&] {
            transfers.pump();
            vandal.act();
            vandal.tidy();
            return false;
        },
        hosts.world.now() + seconds(20'000));
    EXPECT_EQ(hosts.world.idle_timeouts(), 0u);
    EXPECT_EQ(hosts.world.lost_for_memory(), 0u);
    for (unsigned side = 0; side < 2; ++side) {
        EXPECT_EQ(hosts.world.wire(hosts.wire).counters(side).oversize, 0u);
        EXPECT_TRUE(hosts.table(side == 0 ? hosts.client : hosts.server).empty())
            << "side " << side << " keeps a connection in "
            << tcp::to_string(hosts.table(side)[0].state);
        EXPECT_EQ(hosts.world.host(side).pool().bytes_in_use(), 0u) << "side " << side;
    }
    digest.finish(hosts);
    return digest.value();
}

void live_in_worlds(std::uint64_t first, std::uint64_t count, DigestFile* digests = nullptr) {
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        SCOPED_TRACE(testing::Message() << "world seed " << seed);
        const std::uint64_t digest = live_in_world(seed);
        if (digests != nullptr) {
            digests->add(seed, digest);
        }
        if (testing::Test::HasFailure()) {
            return;  // one seed at a time is enough to look at
        }
    }
}

TEST(Worlds, ThreeHundredSeeds) {
    DigestFile digests("tests/simulation/digests.txt",
                       "simulation_tests --gtest_filter=Worlds.ThreeHundredSeeds");
    live_in_worlds(1, 300, &digests);
}
TEST(LongWorlds, TwentyThousandSeeds) {
    live_in_worlds(1'000, 20'000);
}

}  // namespace
}  // namespace runnel::test
