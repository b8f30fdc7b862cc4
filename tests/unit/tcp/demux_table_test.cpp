// The demux table against std::map, most of all its backward-shift deletion, and what its hash is
// for.
#include "runnel/tcp/demux/demux_table.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "runnel/tcp/demux/tuple_hash.hpp"

namespace runnel::tcp {
namespace {

constexpr SipKey kKey{0x0706'0504'0302'0100, 0x0f0e'0d0c'0b0a'0908};

FourTuple tuple(std::uint32_t n) {
    return {{IpAddress::v4(0x0a09'0002), 80},
            {IpAddress::v4(0x0a0a'0000 + (n >> 16)), static_cast<std::uint16_t>(n)}};
}

FourTuple tuple6(std::uint8_t last, std::uint16_t port) {
    std::array<std::byte, 16> address{std::byte{0xfd}};
    address[15] = std::byte{last};
    return {{IpAddress::v6(address), 443}, {IpAddress::v6(address), port}};
}

TEST(DemuxTable, FindsWhatWasInserted) {
    DemuxTable table(kKey);
    EXPECT_EQ(table.find(tuple(1)), std::nullopt) << "empty, it has no memory to look in";
    table.prefetch(tuple(1));
    EXPECT_FALSE(table.erase(tuple(1)));
    EXPECT_TRUE(table.insert(tuple(1), 0));
    EXPECT_TRUE(table.insert(tuple6(1, 1), ~std::uint32_t{0}));
    EXPECT_FALSE(table.insert(tuple(1), 7)) << "one connection a tuple (RFC 9293 §3.3.1)";
    EXPECT_EQ(table.find(tuple(1)), 0U);
    EXPECT_EQ(table.find(table.prefetch(tuple6(1, 1))), ~std::uint32_t{0});
    EXPECT_EQ(table.find(tuple6(1, 2)), std::nullopt);
    EXPECT_TRUE(table.replace(tuple(1), 8));
    EXPECT_EQ(table.find(tuple(1)), 8U);
    EXPECT_FALSE(table.replace(tuple(2), 8));
    EXPECT_EQ(table.size(), 2U);
    EXPECT_TRUE(table.erase(tuple(1)));
    EXPECT_EQ(table.find(tuple(1)), std::nullopt);
    EXPECT_EQ(table.size(), 1U);
}

TEST(DemuxTable, EveryPartOfATupleCounts) {
    DemuxTable table(kKey);
    const FourTuple base = tuple(0x1'0001);
    std::set<std::uint64_t> hashes{table.key(base).hash};
    FourTuple other = base;
    other.local.port = 81;
    hashes.insert(table.key(other).hash);
    other = base;
    other.remote.port = 2;
    hashes.insert(table.key(other).hash);
    other = base;
    other.local.address = IpAddress::v4(0x0a09'0003);
    hashes.insert(table.key(other).hash);
    other = base;
    other.remote.address = IpAddress::v4(0x0a0b'0001);
    hashes.insert(table.key(other).hash);
    hashes.insert(table.key({base.remote, base.local}).hash);
    EXPECT_EQ(hashes.size(), 6U);
    EXPECT_NE(table.key(base), DemuxTable(SipKey{1, 2}).key(base)) << "and so does the key";
}

TEST(DemuxTable, HashesTheTupleInNetworkOrder) {
    // SipHash-2-4 over local and remote address, local and remote port.
    const FourTuple t{{IpAddress::v4(0x0a09'0002), 80}, {IpAddress::v4(0xc000'0201), 0x1234}};
    const unsigned char message[] = {10, 9, 0, 2, 192, 0, 2, 1, 0, 80, 0x12, 0x34};
    EXPECT_EQ(tuple_hash(kKey, t), siphash(kKey, std::as_bytes(std::span(message))));
}

TEST(DemuxTable, HoldsManyAndShowsThemInOrder) {
    constexpr std::uint32_t kMany = 200'000;
    DemuxTable table(kKey);
    for (std::uint32_t i = 0; i < kMany; ++i) {
        ASSERT_TRUE(table.insert(tuple(i), kMany - i));
    }
    for (std::uint32_t i = 0; i < kMany; ++i) {
        ASSERT_EQ(table.find(tuple(i)), kMany - i);
        ASSERT_EQ(table.find(tuple(kMany + i)), std::nullopt);
    }
    for (std::uint32_t i = 0; i < kMany; i += 2) {
        ASSERT_TRUE(table.erase(tuple(i)));
    }
    for (std::uint32_t i = 0; i < kMany; ++i) {
        ASSERT_EQ(table.find(tuple(i)).has_value(), i % 2 == 1);
    }
    const std::vector<std::uint32_t> values = table.sorted_values();
    EXPECT_EQ(values.size(), kMany / 2);
    EXPECT_TRUE(std::is_sorted(values.begin(), values.end()));
    EXPECT_EQ(values.front(), 1U);
}

TEST(DemuxTable, GivesMemoryBackWhenLittleIsLeft) {
    DemuxTable table(kKey);
    constexpr std::uint32_t kMany = 10'000;
    for (std::uint32_t i = 0; i < kMany; ++i) {
        table.insert(tuple(i), i);
    }
    const std::size_t full = table.bytes_held();
    for (std::uint32_t i = 10; i < kMany; ++i) {
        ASSERT_TRUE(table.erase(tuple(i)));
    }
    EXPECT_LE(table.bytes_held(), full / 100);
    for (std::uint32_t i = 0; i < 20; ++i) {
        EXPECT_EQ(table.find(tuple(i)).has_value(), i < 10);
    }
}

// Three quarters of the places are taken at most, so that a walk ends soon; it grows by half, and shrinks to half when an
// eighth is taken, so that as many steps pass between two changes as entries are moved.
TEST(DemuxTable, GrowsAtThreeQuartersAndShrinksAtAnEighth) {
    DemuxTable table(kKey);
    constexpr std::size_t kEntry =
        12;  // bytes: this times the connections is what a million of them cost
    const auto places = [&] { return table.bytes_held() / kEntry; };
    EXPECT_EQ(places(), 0U);
    std::size_t expected = 0;
    for (std::uint32_t taken = 1; taken <= 200; ++taken) {
        ASSERT_TRUE(table.insert(tuple(taken), taken));
        if (taken * 4 > expected * 3) {
            expected = expected == 0 ? 16 : expected + expected / 2;
        }
        ASSERT_EQ(places(), expected) << taken;
    }
    for (std::uint32_t left = 199; left > 0; --left) {
        ASSERT_TRUE(table.erase(tuple(left + 1)));
        if (expected > 16 && left * 8 < expected) {
            expected = std::max<std::size_t>(16, expected / 2);
        }
        ASSERT_EQ(places(), expected) << left;
    }
    EXPECT_EQ(places(), 16U);
    EXPECT_EQ(table.find(tuple(1)), 1U);
}

// A small table with many deletions: runs wrap around the end of the array and holes fall anywhere.
RC_GTEST_PROP(DemuxTable, DoesWhatAMapDoes,
              (std::uint64_t key,
               const std::vector<std::tuple<std::uint8_t, std::uint8_t>>& steps)) {
    DemuxTable table(SipKey{key, ~key});
    std::map<std::uint32_t, std::uint32_t> model;
    std::uint32_t value = 0;
    for (const auto& [step, name] : steps) {
        const std::uint32_t n = name % 48;
        if (step % 3 != 0) {
            ++value;
            RC_ASSERT(table.insert(tuple(n), value) == model.emplace(n, value).second);
        } else {
            RC_ASSERT(table.erase(tuple(n)) == (model.erase(n) == 1));
        }
        RC_ASSERT(table.size() == model.size());
        for (std::uint32_t i = 0; i < 48; ++i) {
            const auto held = model.find(i);
            RC_ASSERT(table.find(tuple(i)) ==
                      (held == model.end() ? std::nullopt : std::optional(held->second)));
        }
    }
}

}  // namespace
}  // namespace runnel::tcp
