// Bulk transfers over a wire that loses, reorders, repeats and damages frames: every octet must arrive, once
// and in order. Half of them begin close to the wrap of the sequence numbers (RFC 9293 §3.4).
#include <gtest/gtest.h>

#include "runnel/report/capture_reader.hpp"
#include "simulation/transfers.hpp"
#include "support/two_hosts.hpp"

namespace runnel::test {
namespace {

using sim::Outcome;

constexpr std::uint64_t kMebibyte = 1u << 20;

/// 5 % dropped, 5 % reordered, 1 % duplicated, single bits flipped in 0.1 %.
constexpr sim::Faults kBadWire{
    .drop = 50'000, .reorder = 50'000, .duplicate = 10'000, .flip = 1'000};

sim::WireConfig slow_wire() {
    sim::WireConfig wire;
    sim::DirectionConfig direction;
    direction.bytes_per_second = 12'500'000;
    direction.delay = milliseconds(5);
    direction.queue_bytes = 256 * 1024;
    wire.set_both(direction);
    return wire;
}

TransferConfig transfer_of(Family family, std::uint64_t seed) {
    TransferConfig config;
    config.listen = TwoHosts::at(1, family, 80);
    config.upload = kMebibyte;
    config.download = kMebibyte;
    config.seed = seed;
    return config;
}

/// Initial sequence numbers that the two ends of the first connection would choose.
struct InitialNumbers {
    std::uint32_t client = 0, server = 0;
};
InitialNumbers initial_numbers(const TwoHostsConfig& config, Family family) {
    TwoHosts hosts(config);
    const auto pair = hosts.establish(family);
    return {hosts.client_sockets().tcp_info(pair.client)->iss,
            hosts.server_sockets().tcp_info(pair.server)->iss};
}

/// How far a host's clock must be ahead for its number to become `target`: it ticks every 4 µs.
Duration clock_for(std::uint32_t number, std::uint32_t target) {
    return microseconds(4) * static_cast<std::int64_t>(target - number);
}

/// Numbers that wrap within the first 64 KiB.
void start_near_wrap(TwoHostsConfig& config, Family family) {
    sim::WireConfig clean = config.wire;
    clean.set_faults({});
    TwoHostsConfig probe = config;
    probe.wire = clean;
    const InitialNumbers numbers = initial_numbers(probe, family);
    Random place(config.world.seed);
    const auto before_wrap = [&] {
        return static_cast<std::uint32_t>(0) - static_cast<std::uint32_t>(place.below(65'536));
    };
    config.clock_offset[0] = clock_for(numbers.client, before_wrap());
    config.clock_offset[1] = clock_for(numbers.server, before_wrap());
}

/// What the wires did to frames, and how often a checksum caught it.
struct Damage {
    std::uint64_t frames = 0, dropped = 0, reordered = 0, duplicated = 0, flipped = 0, caught = 0;

    void add(TwoHosts& hosts) {
        for (unsigned side = 0; side < 2; ++side) {
            const sim::WireCounters& counters = hosts.world.wire(hosts.wire).counters(side);
            frames += counters.frames;
            dropped += counters.dropped;
            reordered += counters.reordered;
            duplicated += counters.duplicated;
            flipped += counters.flipped;
            caught += hosts.world.host(side == 0 ? hosts.client : hosts.server)
                          .recorder()
                          .count(Decision::tcp_drop_checksum);
        }
    }
};

/// One transfer in a world of its own; everything that can be wrong with it is reported.
void expect_exact_transfer(const TwoHostsConfig& config, const TransferConfig& wanted,
                           Damage* damage = nullptr) {
    TwoHosts hosts(config);
    Transfers transfers(hosts.world);
    ASSERT_TRUE(transfers.start(wanted));
    const Instant deadline = hosts.world.now() + seconds(3'600);
    const Outcome outcome = hosts.world.run_until([&] { return transfers.pump(); }, deadline);
    const auto& result = transfers.result(0);
    EXPECT_EQ(outcome, Outcome::satisfied);
    EXPECT_FALSE(result.mismatch) << "at octet " << result.mismatch_at;
    EXPECT_EQ(result.error, Errc::ok)
        << errno_name(result.error) << " on side " << result.error_side;
    EXPECT_EQ(result.received[0], wanted.download);
    EXPECT_EQ(result.received[1], wanted.upload);
    EXPECT_TRUE(result.exact(wanted));
    EXPECT_EQ(hosts.world.idle_timeouts(), 0u);
    for (unsigned side = 0; side < 2; ++side) {
        EXPECT_EQ(hosts.world.wire(hosts.wire).counters(side).oversize, 0u);
    }
    // Everything comes to an end, and nothing is kept.
    EXPECT_EQ(hosts.world.run_for(seconds(3'600)), Outcome::deadline);
    for (const sim::HostId host : {hosts.client, hosts.server}) {
        EXPECT_TRUE(hosts.table(host).empty());
        EXPECT_EQ(hosts.world.host(host).pool().bytes_in_use(), 0u);
    }
    if (damage != nullptr) {
        damage->add(hosts);
    }
}

class BadWire : public testing::TestWithParam<Family> {};

TEST_P(BadWire, HundredTransfersAreExact) {
    Damage damage;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        TwoHostsConfig config;
        config.world.seed = seed;
        config.wire = slow_wire();
        config.wire.set_faults(kBadWire);
        if (seed % 2 == 0) {
            start_near_wrap(config, GetParam());
        }
        ASSERT_NO_FATAL_FAILURE(
            expect_exact_transfer(config, transfer_of(GetParam(), seed), &damage));
        ASSERT_FALSE(HasFailure());
    }
    // The wire was as bad as it was meant to be: within a tenth of the probabilities.
    const auto share = [&](std::uint64_t count) {
        return static_cast<double>(count) / static_cast<double>(damage.frames);
    };
    EXPECT_GT(damage.frames, 100'000u);
    EXPECT_NEAR(share(damage.dropped), 0.05, 0.005);
    EXPECT_NEAR(share(damage.reordered), 0.0475, 0.005) << "of those that were not dropped";
    EXPECT_NEAR(share(damage.duplicated), 0.0095, 0.001);
    EXPECT_NEAR(share(damage.flipped), 0.001, 0.0003);
    EXPECT_GT(damage.caught, damage.flipped / 2) << "the rest hit the network header";
}

INSTANTIATE_TEST_SUITE_P(Families, BadWire, testing::Values(Family::ipv4, Family::ipv6),
                         [](const auto& family) {
                             return family.param == Family::ipv4 ? "ipv4" : "ipv6";
                         });

TEST(Transfer, StartsNearTheWrapWhenAskedTo) {
    for (const Family family : {Family::ipv4, Family::ipv6}) {
        TwoHostsConfig config;
        config.wire = slow_wire();
        start_near_wrap(config, family);
        const InitialNumbers numbers = initial_numbers(config, family);
        EXPECT_GE(numbers.client, 0u - 65'536u);
        EXPECT_GE(numbers.server, 0u - 65'536u);
    }
}

TEST(Transfer, CleanWireOfEveryKind) {
    for (const LinkLayer layer : {LinkLayer::raw_ip, LinkLayer::ethernet}) {
        for (const bool offload : {false, true}) {
            for (const std::uint32_t mtu : {1280u, 1500u, 9000u}) {
                for (const Family family : {Family::ipv4, Family::ipv6}) {
                    SCOPED_TRACE(testing::Message()
                                 << (layer == LinkLayer::ethernet ? "ethernet" : "raw")
                                 << (offload ? " offload" : "") << " mtu " << mtu << " ipv"
                                 << static_cast<int>(family));
                    TwoHostsConfig config;
                    config.wire = slow_wire();
                    config.wire.layer = layer;
                    config.wire.offload = offload;
                    config.wire.mtu = mtu;
                    expect_exact_transfer(config, transfer_of(family, mtu));
                }
            }
        }
    }
}

TEST(Transfer, LostSuperSegments) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        TwoHostsConfig config;
        config.world.seed = seed;
        config.wire = slow_wire();
        config.wire.offload = true;
        config.wire.set_faults({.drop = 50'000, .reorder = 50'000, .duplicate = 10'000});
        expect_exact_transfer(config, transfer_of(Family::ipv4, seed));
    }
}

TEST(Transfer, WithoutTheOptions) {
    // RFC 9293's bare protocol: no timestamps, window scale or SACK, on either side or on one.
    for (unsigned combination = 1; combination < 8; ++combination) {
        for (const bool both : {false, true}) {
            SCOPED_TRACE(testing::Message() << "without " << combination << (both ? " both" : ""));
            TwoHostsConfig config;
            config.world.seed = combination;
            config.wire = slow_wire();
            config.wire.set_faults({.drop = 20'000, .reorder = 20'000});
            for (unsigned side = both ? 0 : 1; side < 2; ++side) {
                config.host[side].tcp.timestamps = (combination & 1) == 0;
                config.host[side].tcp.window_scaling = (combination & 2) == 0;
                config.host[side].tcp.sack = (combination & 4) == 0;
            }
            expect_exact_transfer(config, transfer_of(Family::ipv4, combination));
        }
    }
}

TEST(Transfer, ManyAtOnceShareAHost) {
    TwoHostsConfig config;
    config.wire = slow_wire();
    config.wire.set_faults({.drop = 10'000, .reorder = 10'000, .duplicate = 1'000});
    TwoHosts hosts(config);
    Transfers transfers(hosts.world);
    for (std::uint16_t i = 0; i < 50; ++i) {
        TransferConfig one = transfer_of(i % 2 == 0 ? Family::ipv4 : Family::ipv6, i + 1u);
        one.listen.port = static_cast<std::uint16_t>(1000 + i);
        one.upload = 64 * 1024 * (i % 5);
        one.download = 50'000 + i;
        ASSERT_TRUE(transfers.start(one));
    }
    EXPECT_EQ(
        hosts.world.run_until([&] { return transfers.pump(); }, hosts.world.now() + seconds(3'600)),
        Outcome::satisfied);
    for (std::size_t i = 0; i < transfers.size(); ++i) {
        EXPECT_TRUE(transfers.result(i).exact(transfers.config(i))) << "transfer " << i;
    }
}

TEST(Transfer, LittleMemoryIsSharedAndNeverDeadlocks) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        for (const bool offload : {false, true}) {
            SCOPED_TRACE(testing::Message() << "seed " << seed << (offload ? " offload" : ""));
            TwoHostsConfig config;
            config.world.seed = seed;
            config.wire = slow_wire();
            config.wire.offload = offload;
            config.wire.set_faults({.drop = 10'000, .reorder = 10'000});
            for (HostConfig& host : config.host) {
                host.buffer_limit = 1u << 20;
            }
            TwoHosts hosts(config);
            Transfers transfers(hosts.world);
            for (std::uint16_t i = 0; i < 8; ++i) {
                TransferConfig one = transfer_of(Family::ipv4, seed * 10 + i);
                one.listen.port = static_cast<std::uint16_t>(1'000 + i);
                ASSERT_TRUE(transfers.start(one));
            }
            EXPECT_EQ(hosts.world.run_until([&] { return transfers.pump(); },
                                            hosts.world.now() + seconds(3'600)),
                      Outcome::satisfied);
            for (std::size_t i = 0; i < transfers.size(); ++i) {
                const auto& result = transfers.result(i);
                EXPECT_TRUE(result.exact(transfers.config(i)))
                    << "transfer " << i << ": " << errno_name(result.error) << " received "
                    << result.received[0] << " and " << result.received[1];
            }
            EXPECT_EQ(hosts.world.host(hosts.client).pool().limit(), 1u << 20);
        }
    }
}

/// The digest of all frames of a run.
std::uint64_t digest_of_run(std::uint64_t seed) {
    TwoHostsConfig config;
    config.world.seed = seed;
    config.world.digest = true;
    config.wire = slow_wire();
    config.wire.set_faults(kBadWire);
    TwoHosts hosts(config);
    Transfers transfers(hosts.world);
    TransferConfig wanted = transfer_of(Family::ipv4, seed);
    wanted.upload = 200'000;
    RUNNEL_CHECK(transfers.start(wanted).has_value());
    hosts.world.run_until([&] { return transfers.pump(); });
    return hosts.world.digest();
}

TEST(Capture, HoldsEveryPacketWithItsReason) {
    TwoHostsConfig config;
    config.wire = slow_wire();
    config.wire.set_faults({.drop = 20'000});
    TwoHosts hosts(config);
    std::vector<std::byte> file;
    hosts.world.capture(hosts.server, file);
    Transfers transfers(hosts.world);
    ASSERT_TRUE(transfers.start(transfer_of(Family::ipv6, 3)));
    EXPECT_EQ(hosts.world.run_until([&] { return transfers.pump(); }), Outcome::satisfied);
    hosts.world.run_for(seconds(10));
    const auto capture = report::read_capture(file);
    ASSERT_TRUE(capture);
    EXPECT_FALSE(capture->problem);
    const sim::WireCounters& in = hosts.world.wire(hosts.wire).counters(0);
    const sim::WireCounters& out = hosts.world.wire(hosts.wire).counters(1);
    EXPECT_EQ(capture->packets.size(), in.frames - in.dropped - in.queue_overflow + out.frames);
    for (const report::CapturedPacket& packet : capture->packets) {
        EXPECT_FALSE(packet.comments.empty());
        EXPECT_TRUE(view_segment(packet.bytes));
    }
}

TEST(Determinism, TheSameSeedGivesTheSameFrames) {
    EXPECT_EQ(digest_of_run(7), digest_of_run(7));
    EXPECT_NE(digest_of_run(7), digest_of_run(8));
}

/// A defect planted on purpose.
TEST(Oracle, SeesADamagedOctetWhoseChecksumWasMadeRight) {
    TwoHostsConfig config;
    config.wire = slow_wire();
    TwoHosts hosts(config);
    bool done = false;
    hosts.world.wire(hosts.wire).set_filter([&](unsigned side, MutableBytes packet, Instant) {
        const auto segment = view_segment(packet);
        if (side == 0 && segment && segment->payload.size() > 1'000 && !done) {
            // Two octets of one 16-bit word's place change places with another's: the sum stays.
            std::swap(packet[200], packet[400]);
            done = packet[200] != packet[400];
        }
        return true;
    });
    Transfers transfers(hosts.world);
    ASSERT_TRUE(transfers.start(transfer_of(Family::ipv4, 1)));
    hosts.world.run_until([&] { return transfers.pump(); }, hosts.world.now() + seconds(60));
    EXPECT_TRUE(done);
    EXPECT_TRUE(transfers.result(0).mismatch);
    EXPECT_EQ(transfers.result(0).mismatch_at, 200u - 20u - 32u);
}

}  // namespace
}  // namespace runnel::test
