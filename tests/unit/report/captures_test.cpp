// Captures of real connections, by tcpdump, editcap and Runnel itself, each with the ladder that belongs to
// it: tests/data/captures/NAME.{pcap,pcapng} and NAME.ladder, made with
// `runnel ladder --width 100 --color never FILE`.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "runnel/report/capture_reader.hpp"
#include "runnel/report/conversation.hpp"
#include "runnel/report/ladder.hpp"
#include "support/packet_builder.hpp"

namespace runnel::report {
namespace {

std::string contents(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file) << path;
    return {std::istreambuf_iterator<char>(file), {}};
}

class Captures : public testing::TestWithParam<const char*> {};

TEST_P(Captures, HaveTheLadderThatIsKeptBesideThem) {
    const std::filesystem::path folder = RUNNEL_SOURCE_DIR "/tests/data/captures";
    const std::string file = contents(folder / GetParam());
    const auto capture = read_capture(as_bytes(file));
    ASSERT_TRUE(capture);
    EXPECT_FALSE(capture->problem);
    std::string text;
    for (const Conversation& conversation : find_conversations(*capture).list) {
        text += (text.empty() ? "" : "\n\n") + render_ladder(conversation, *capture, {});
    }
    EXPECT_EQ(text, contents((folder / GetParam()).replace_extension(".ladder")));
}

INSTANTIATE_TEST_SUITE_P(Kept, Captures,
                         testing::Values("kernel_cooked2.pcap", "kernel_syn_to_nowhere.pcap",
                                         "kernel_zero_window.pcapng",
                                         "runnel_serves_kernel.pcapng"));

}  // namespace
}  // namespace runnel::report
