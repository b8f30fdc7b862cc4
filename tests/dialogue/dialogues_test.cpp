// Dialogues drawn from seeds, of one stack with a user and a peer who may do anything: whatever they say, nothing is
// left in the end; and all that the stack said, told and wrote down is what it was when digests.txt was written.
#include <gtest/gtest.h>

#include "dialogue/dialogue.hpp"

namespace runnel::test {
namespace {

constexpr int kTurns = 250;
/// So many seeds make one line of the file, under the first of them.
constexpr std::uint64_t kGroup = 10;

TEST(Dialogues, RunAsTheyDid) {
    DigestFile digests("tests/dialogue/digests.txt",
                       "dialogue_tests --gtest_filter=Dialogues.RunAsTheyDid");
    for (std::uint64_t group = 0; group < 2'000; group += kGroup) {
        Digest digest;
        for (std::uint64_t seed = group; seed < group + kGroup; ++seed) {
            SCOPED_TRACE(testing::Message() << "dialogue seed " << seed);
            digest.add(Dialogue(seed).run(kTurns));
            if (HasFailure()) {
                return;
            }
        }
        digests.add(group, digest.value());
        if (HasFailure()) {
            return;
        }
    }
}

TEST(LongDialogues, LeaveNothingBehind) {
    for (std::uint64_t seed = 10'001; seed <= 60'000; ++seed) {
        SCOPED_TRACE(testing::Message() << "dialogue seed " << seed);
        (void)Dialogue(seed).run(kTurns);
        if (HasFailure()) {
            return;
        }
    }
}

}  // namespace
}  // namespace runnel::test
