// Each script of tests/drill as a test of its own, so that what measures the tests (scripts/mutate) can name those that
// notice a defect. `runnel drill tests/drill` plays the same.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "drill_test.hpp"
#include "runnel/drill/runner.hpp"

namespace runnel::drill {
namespace {

namespace fs = std::filesystem;

class ScriptTest : public ::testing::Test {
public:
    explicit ScriptTest(fs::path path) : path_(std::move(path)) {}

    void TestBody() override {
        std::ifstream file(path_, std::ios::binary);
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        const auto script = parse_script(path_.string(), text, {});
        ASSERT_TRUE(script) << script.error().text();
        const Verdict verdict = run_script(*script, {});
        EXPECT_EQ(verdict.outcome, Verdict::Outcome::passed)
            << path_.string() << ":" << verdict.at.line << ": " << verdict.reason;
    }

private:
    fs::path path_;
};

/// Called before main(), as TEST() does it.
bool register_scripts() {
    const fs::path top = RUNNEL_SOURCE_DIR "/tests/drill";
    std::vector<fs::path> paths;
    std::error_code error;
    for (fs::recursive_directory_iterator at(top, error), end; !error && at != end;
         at.increment(error)) {
        if (at->path().extension() == ".pkt") {
            paths.push_back(at->path());
        }
    }
    std::sort(paths.begin(), paths.end());
    for (const fs::path& path : paths) {
        const std::string name = path.lexically_relative(top).replace_extension().string();
        ::testing::RegisterTest("Scripts", name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                                [path]() -> ScriptTest* { return new ScriptTest(path); });
    }
    return !paths.empty();
}

const bool registered = register_scripts();

TEST(ScriptsOfTheTree, AreThere) {
    EXPECT_TRUE(registered);
}

}  // namespace
}  // namespace runnel::drill
