// run_ladder: what is shown and what is said for captures that are whole, damaged, missing or of something else.
#include "runnel/cli/ladder.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace runnel::testing {
namespace {

namespace fs = std::filesystem;

const std::string kCaptures = std::string(RUNNEL_SOURCE_DIR) + "/tests/data/captures/";

std::string text_of(const std::string& file) {
    std::ostringstream text;
    text << std::ifstream(file, std::ios::binary).rdbuf();
    return text.str();
}

struct Shown {
    int code = 0;
    std::string out;
    std::string err;
};

Shown show(const LadderOptions& options) {
    Shown shown;
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    shown.code = run_ladder(options);
    std::fflush(stdout);
    std::fflush(stderr);
    shown.out = ::testing::internal::GetCapturedStdout();
    shown.err = ::testing::internal::GetCapturedStderr();
    return shown;
}

LadderOptions of(const std::string& file) {
    LadderOptions options;
    options.file = file;
    return options;
}

/// A capture that is cut off, or something else, for the time of a test.
struct ScratchFile {
    explicit ScratchFile(const std::string& text) {
        std::string name = (fs::temp_directory_path() / "runnel-ladder-XXXXXX").string();
        ::close(::mkstemp(name.data()));
        path = name;
        std::ofstream(path, std::ios::binary) << text;
    }
    ~ScratchFile() { fs::remove(path); }
    std::string path;
};

TEST(Ladder, ShowsACapturesConnections) {
    const Shown shown = show(of(kCaptures + "kernel_cooked2.pcap"));
    EXPECT_EQ(shown.code, 0) << shown.err;
    EXPECT_TRUE(shown.out.starts_with("Connection 1 · 13 segments")) << shown.out;
    EXPECT_EQ(shown.err, "");
}

TEST(Ladder, ChoosesConversations) {
    LadderOptions options = of(kCaptures + "kernel_cooked2.pcap");
    for (const char* filter : {"1", "10.9.0.1", ":8080", "10.9.0.2:8080", "10.9.0.1:53782"}) {
        options.conversation = filter;
        const Shown shown = show(options);
        EXPECT_EQ(shown.code, 0) << filter << ": " << shown.err;
        EXPECT_NE(shown.out.find("Connection 1 "), std::string::npos) << filter;
    }
    for (const char* filter : {"2", ":81", "10.9.0.3", "[fd00::1]:80"}) {
        options.conversation = filter;
        const Shown shown = show(options);
        EXPECT_EQ(shown.code, 1) << filter;
        EXPECT_EQ(shown.out, "") << filter;
        EXPECT_NE(shown.err, "") << filter;
    }
    for (const char* filter : {"nonsense", ":99999", "1.2.3:80", "[fd00::1"}) {
        options.conversation = filter;
        const Shown shown = show(options);
        EXPECT_EQ(shown.code, 2) << filter;
        EXPECT_EQ(shown.out, "") << filter;
    }
}

TEST(Ladder, WritesAnObjectASegment) {
    LadderOptions options = of(kCaptures + "kernel_cooked2.pcap");
    options.json = true;
    const Shown shown = show(options);
    EXPECT_EQ(shown.code, 0);
    std::istringstream lines(shown.out);
    int count = 0;
    for (std::string line; std::getline(lines, line); ++count) {
        EXPECT_TRUE(line.starts_with("{\"conversation\":1,") && line.ends_with("}")) << line;
    }
    EXPECT_EQ(count, 13);
}

TEST(Ladder, StaysWithinAsciiAndItsWidth) {
    LadderOptions options = of(kCaptures + "runnel_serves_kernel.pcapng");
    options.ascii = true;
    options.width = 80;
    options.all = true;
    const Shown shown = show(options);
    EXPECT_EQ(shown.code, 0);
    for (const char c : shown.out) {
        ASSERT_TRUE(c == '\n' || (c >= ' ' && c <= '~')) << static_cast<int>(c);
    }
    std::istringstream lines(shown.out);
    for (std::string line; std::getline(lines, line);) {
        EXPECT_LE(line.size(), 80u) << line;
    }
}

TEST(Ladder, ShowsWhatComesBeforeTheDamage) {
    std::string bytes = text_of(kCaptures + "kernel_cooked2.pcap");
    constexpr std::size_t kFifthPacket = 475;
    constexpr std::size_t kCapturedLength = 8;
    for (std::size_t i = 0; i < 4; ++i) {
        bytes[kFifthPacket + kCapturedLength + i] = '\x7f';
    }
    const ScratchFile damaged(bytes);
    const Shown shown = show(of(damaged.path));
    EXPECT_EQ(shown.code, 1);
    EXPECT_TRUE(shown.out.starts_with("Connection 1 · 4 segments")) << shown.out;
    EXPECT_NE(shown.err.find("offset 475"), std::string::npos) << shown.err;
}

/// As tcpdump leaves it while it still runs: no failure, but it is said.
TEST(Ladder, SaysThatACaptureIsCutShort) {
    const ScratchFile cut(text_of(kCaptures + "kernel_cooked2.pcap").substr(0, 1000));
    const Shown shown = show(of(cut.path));
    EXPECT_EQ(shown.code, 0);
    EXPECT_TRUE(shown.out.starts_with("Connection 1 · 7 segments")) << shown.out;
    EXPECT_NE(shown.err.find("cut short at offset 926"), std::string::npos) << shown.err;
}

TEST(Ladder, SaysWhatIsWrong) {
    const ScratchFile text(
        "This is not a capture, but it is long enough to hold a header of one.\n");
    const ScratchFile empty("");
    const ScratchFile header(text_of(kCaptures + "kernel_cooked2.pcap").substr(0, 24));
    for (const std::string& file : {std::string("/no/such/file.pcap"), std::string("/"), text.path,
                                    empty.path, header.path}) {
        const Shown shown = show(of(file));
        EXPECT_EQ(shown.code, 1) << file;
        EXPECT_EQ(shown.out, "") << file;
        EXPECT_TRUE(shown.err.starts_with("runnel ladder: ")) << file << ": " << shown.err;
    }
}

}  // namespace
}  // namespace runnel::testing
