// The matrix as tests: the base variant whole, the others by a sample; the Long suites run all of it.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>

#include "matrix.hpp"

namespace runnel::matrix {
namespace {

constexpr Variant kBase{.name = "base"};
constexpr Variant kVariants[] = {
    {.name = "over the wrap", .wrap = true},
    {.name = "timestamps", .timestamps = true},
    {.name = "old timestamps over the wrap", .wrap = true, .timestamps = true, .stamp = -1},
    {.name = "same timestamps, delayed ACKs", .timestamps = true, .stamp = 0, .quick_acks = false},
    {.name = "our window closed", .window_zero = true},
    {.name = "our window closed over the wrap", .wrap = true, .window_zero = true},
    {.name = "a gap", .held = true},
    {.name = "a gap over the wrap, delayed ACKs", .wrap = true, .held = true, .quick_acks = false},
    {.name = "data waits for the window", .queued = true},
    {.name = "data waits for the window, timestamps", .timestamps = true, .queued = true},
    {.name = "a gap, and data waits", .held = true, .queued = true},
    {.name = "the user has gone", .user_gone = true},
    {.name = "delayed ACKs, keep-alive", .quick_acks = false, .keepalive = true},
};

/// A prime, so that a sample meets every value of every axis.
constexpr std::size_t kStride = 37;

/// Runs a variant and says how it went.
Tally run(const Variant& variant, Sample sample) {
    const auto begin = std::chrono::steady_clock::now();
    Tally all;
    for (std::size_t row = 0; row < kRows; ++row) {
        const Tally tally = run_row(static_cast<Row>(row), variant, sample);
        EXPECT_EQ(tally.wrong, 0u) << name_of(static_cast<Row>(row)) << "\n" << tally.first_wrong;
        all += tally;
    }
    const double took =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    const double share = 100.0 * static_cast<double>(all.single) / static_cast<double>(all.cases);
    std::printf("matrix: %-45.*s %7zu cases, %5.1f %% with one outcome, %zu wrong, %.1f s\n",
                static_cast<int>(variant.name.size()), variant.name.data(), all.cases, share,
                all.wrong, took);
    return all;
}

void run_all(bool whole) {
    Tally all;
    std::size_t offset = 0;
    for (const Variant& variant : kVariants) {
        all += run(variant, whole ? Sample{} : Sample{kStride, offset++});
    }
    EXPECT_GE(static_cast<double>(all.single), 0.95 * static_cast<double>(all.cases));
}

TEST(Matrix, EveryCellOfTheBaseVariant) {
    const Tally all = run(kBase, {});
    EXPECT_GE(all.cases, 266'112u);
    EXPECT_GE(static_cast<double>(all.single), 0.95 * static_cast<double>(all.cases));
}

TEST(Matrix, ASampleOfTheOtherVariants) {
    run_all(false);
}

TEST(LongMatrix, EveryCellOfEveryVariant) {
    run_all(true);
}

}  // namespace
}  // namespace runnel::matrix
