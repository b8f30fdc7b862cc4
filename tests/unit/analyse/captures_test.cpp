// Captures by tcpdump between two kernels (tests/interop/explain_states.py made them, and compared the states
// with those that the kernels told), each with what `explain` says of it: tests/data/captures/explain/NAME.pcap and
// NAME.explain, made with `runnel explain --color never FILE`.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "runnel/analyse/explain.hpp"
#include "runnel/report/capture_reader.hpp"

namespace runnel::analyse {
namespace {

const std::filesystem::path kFolder = RUNNEL_SOURCE_DIR "/tests/data/captures/explain";

std::string contents(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file) << path;
    return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Captures, AreExplainedAsKeptBesideThem) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
        if (entry.path().extension() != ".pcap") {
            continue;
        }
        ++count;
        const std::string file = contents(entry.path());
        const auto capture = report::read_capture(std::as_bytes(std::span(file)));
        ASSERT_TRUE(capture);
        std::string text;
        for (const report::Conversation& conversation : report::find_conversations(*capture).list) {
            const Analysis analysis = analyse(conversation);
            EXPECT_EQ(analysis.count(Level::violates) + analysis.count(Level::unusual), 0U);
            text += explain_text(conversation, analysis, {});
        }
        EXPECT_EQ(text,
                  contents(std::filesystem::path(entry.path()).replace_extension(".explain")));
    }
    EXPECT_GE(count, 10U);
}

}  // namespace
}  // namespace runnel::analyse
