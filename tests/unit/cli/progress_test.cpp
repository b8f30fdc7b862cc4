// The progress bar: what it says, and that it keeps within the terminal.
#include <gtest/gtest.h>

#include "runnel/cli/fetched_file.hpp"

namespace runnel::testing {
namespace {

TEST(Progress, SaysHowMuchOfHowMuchHowFastAndHowLong) {
    EXPECT_EQ(progress_line("file", 512, 1024, 256.0, 60),
              "file  50% [=====      ]  512 B of 1.0 KiB  256 B/s  2 s left");
    EXPECT_EQ(progress_line("file", 1024, 1024, 256.0, 49),
              "file 100% [========]  1.0 KiB of 1.0 KiB  256 B/s");
    EXPECT_EQ(progress_line("file", 2048, 0, 1024.0, 60), "file  2.0 KiB  1.0 KiB/s");
}

TEST(Progress, KeepsWithinItsColumns) {
    for (std::size_t columns = 1; columns < 200; ++columns) {
        for (const std::uint64_t done :
             {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 40}) {
            const std::string line =
                progress_line("a name that is much longer than there is room for", done,
                              std::uint64_t{1} << 40, done == 0 ? 0.0 : 1e-9, columns);
            EXPECT_LE(line.size(), columns) << line;
        }
    }
    EXPECT_EQ(progress_line("\x1b[31m", 1, 0, 1, 80).find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace runnel::testing
