// Pooled chunks, counted slices and the slab: what is let go comes back, what is gone is not found, and no
// limit is passed.
#include "runnel/base/buffer.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include <gtest/gtest.h>

#include "runnel/base/slab.hpp"

namespace runnel {
namespace {

TEST(BufferPool, ChunksComeBack) {
    BufferPool pool(2 * kSmallChunk);
    const std::byte* first = nullptr;
    {
        const ChunkRef chunk = pool.allocate(100);
        ASSERT_TRUE(chunk);
        first = chunk.data();
        EXPECT_EQ(pool.bytes_in_use(), kSmallChunk);
        const ChunkRef second_reference = chunk;
        EXPECT_FALSE(chunk.unique());
    }
    EXPECT_EQ(pool.bytes_in_use(), 0U);
    const ChunkRef again = pool.allocate(kSmallChunk);
    EXPECT_EQ(again.data(), first);
    EXPECT_TRUE(again.unique());
}

TEST(BufferPool, StopsAtItsLimit) {
    BufferPool pool(2 * kSmallChunk);
    const ChunkRef a = pool.allocate(1);
    ChunkRef b = pool.allocate(1);
    EXPECT_FALSE(pool.allocate(1));
    EXPECT_TRUE(pool.copy(as_bytes("x")).empty());
    b.reset();
    EXPECT_TRUE(pool.allocate(1));
    EXPECT_FALSE(pool.allocate(kLargeChunk)) << "a large chunk is charged whole";
}

TEST(Slice, CutsWithoutCopying) {
    BufferPool pool(1 << 20);
    Slice slice = pool.copy(as_bytes("segment arrives"));
    const Slice middle = slice.subslice(3, 4);
    EXPECT_EQ(middle.data(), slice.data() + 3);
    EXPECT_EQ(middle.size(), 4U);
    slice.remove_prefix(8);
    slice.truncate(3);
    EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(slice.data()), slice.size()), "arr");
    slice.truncate(0);
    EXPECT_TRUE(slice.empty());
    EXPECT_EQ(slice.data(), nullptr);
    EXPECT_EQ(pool.bytes_in_use(), kSmallChunk) << "the middle still pins the chunk";
}

TEST(Slice, ExtendsWithinItsChunk) {
    BufferPool pool(1 << 20);
    Slice slice = pool.copy(as_bytes("ab"));
    slice.chunk().data()[2] = std::byte{'c'};
    slice.extend(1);
    EXPECT_EQ(slice.size(), 3U);
    EXPECT_EQ(slice.bytes()[2], std::byte{'c'});
}

TEST(SliceDeathTest, DoesNotReachPastItsEnd) {
    BufferPool pool(1 << 20);
    const Slice slice = pool.copy(as_bytes("ab"));
    EXPECT_DEATH((void)slice.subslice(1, 2), "");
    EXPECT_DEATH((void)slice.subslice(3, 0), "");
}

struct Tenant {
    explicit Tenant(int n, int* alive) : number(n), alive_count(alive) { ++*alive_count; }
    Tenant(const Tenant&) = delete;
    Tenant& operator=(const Tenant&) = delete;
    ~Tenant() { --*alive_count; }
    int number;
    int* alive_count;
};

TEST(Slab, AnOldHandleFindsNoNewTenant) {
    int alive = 0;
    {
        Slab<Tenant> slab(10);
        const auto first = slab.emplace(1, &alive);
        slab.erase(first);
        const auto second = slab.emplace(2, &alive);
        EXPECT_EQ(first.index, second.index) << "the place is reused";
        EXPECT_EQ(slab.find(first), nullptr);
        ASSERT_NE(slab.find(second), nullptr);
        EXPECT_EQ(slab.find(second)->number, 2);
        EXPECT_EQ(slab.find(Handle<Tenant>{}), nullptr);
        EXPECT_EQ(slab.find(Handle<Tenant>::from_packed(second.packed())), slab.find(second));
        EXPECT_EQ(alive, 1);
    }
    EXPECT_EQ(alive, 0);
}

TEST(Slab, StopsAtItsLimitAndKeepsAddresses) {
    int alive = 0;
    Slab<Tenant> slab(1000);
    std::vector<Handle<Tenant>> handles;
    std::vector<Tenant*> addresses;
    for (int i = 0; i < 1000; ++i) {
        handles.push_back(slab.emplace(i, &alive));
        addresses.push_back(slab.find(handles.back()));
    }
    EXPECT_TRUE(slab.emplace(0, &alive).is_none());
    for (std::size_t i = 0; i < handles.size(); ++i) {
        EXPECT_EQ(slab.find(handles[i]), addresses[i]);
    }
    slab.for_each([&](Handle<Tenant> handle, Tenant& tenant) {
        if (tenant.number % 2 == 0) {
            slab.erase(handle);
        }
    });
    EXPECT_EQ(slab.size(), 500U);
    EXPECT_EQ(alive, 500);
}

TEST(Slab, IsWalkedInPieces) {
    int alive = 0;
    Slab<Tenant> slab(1000);
    for (int i = 0; i < 700; ++i) {
        (void)slab.emplace(i, &alive);
    }
    slab.for_each([&](Handle<Tenant> handle, Tenant& tenant) {
        if (tenant.number % 3 == 0) {
            slab.erase(handle);
        }
    });
    std::vector<int> seen;
    std::uint32_t at = 0;
    int pieces = 0;
    while (at < slab.end()) {
        const std::size_t before = seen.size();
        at = slab.visit(at, 64, [&](auto, Tenant& tenant) { seen.push_back(tenant.number); });
        EXPECT_LE(seen.size() - before, 64U);
        ++pieces;
    }
    EXPECT_EQ(seen.size(), slab.size());
    EXPECT_EQ(pieces, 12);  // three blocks of 256 places
    EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
    EXPECT_EQ(slab.visit(at, 64, [&](auto, Tenant&) { ADD_FAILURE(); }), at);
}

TEST(BufferPool, RefusesEveryNthAllocationWhenAskedTo) {
    BufferPool pool(1u << 20);
    pool.refuse_every(3, 2);
    std::string given;
    for (int i = 0; i < 9; ++i) {
        given += pool.allocate(100) ? 'y' : 'n';
    }
    EXPECT_EQ(given, "yynyynyyy");
    EXPECT_EQ(pool.refusals(), 2U);
    pool.refuse_every(1, 0);
    EXPECT_FALSE(pool.allocate(100));
    EXPECT_TRUE(pool.copy(as_bytes("x")).empty());
    pool.refuse_every(0, 0);
    EXPECT_TRUE(pool.allocate(100));
}

TEST(BufferPool, ASmallerLimitHoldsForWhatComes) {
    BufferPool pool(1u << 20);
    const ChunkRef held = pool.allocate(100);
    pool.set_limit(0);
    EXPECT_FALSE(pool.allocate(100));
    EXPECT_EQ(pool.bytes_in_use(), kSmallChunk);
    pool.set_limit(2 * kSmallChunk);
    EXPECT_TRUE(pool.allocate(100));
}

}  // namespace
}  // namespace runnel
