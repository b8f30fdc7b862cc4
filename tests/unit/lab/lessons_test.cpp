// Each lesson shows what it says: with the rule it goes right, and without it the damage is really there.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "runnel/lab/lesson.hpp"
#include "runnel/lab/show.hpp"
#include "runnel/report/capture_reader.hpp"
#include "runnel/report/text.hpp"

namespace runnel::lab {
namespace {

struct Seen {
    std::string_view lesson;
    std::string_view fact;
    std::string_view with;
    std::string_view without;
};

// What a person must see. Every lesson has at least one line whose two values differ (checked below).
constexpr Seen kSeen[] = {
    {"old-duplicate-syn", "orders the client gave", "1", "1"},
    {"old-duplicate-syn", "orders the server carried out", "1", "2"},
    {"random-isn", "the attacker guesses right", "no", "yes"},
    {"random-isn", "octets believed to be the trusted client's", "0", "17"},
    {"lost-syn", "SYNs sent", "3", "1"},
    {"lost-syn", "connected after", "3.03 s", "never (10 min)"},
    {"lost-syn-ack", "the client is connected", "yes", "no"},
    {"lost-syn-ack", "what it is told", "none", "Connection timed out"},
    {"lost-syn-ack", "SYNs the client sent", "2", "7"},
    {"simultaneous-open", "the left end is connected", "yes", "no"},
    {"simultaneous-open", "the right end is connected", "yes", "no"},
    {"fin-number", "FINs the client sent", "2", "1"},
    {"fin-number", "the server's program learns of the end", "yes", "never (10 min)"},
    {"four-messages", "octets that its reader got", "5,000", "0"},
    {"four-messages", "what the server's program is told", "none", "Broken pipe"},
    {"three-messages", "messages of the close", "3", "4"},
    {"three-messages", "the server has closed too", "yes", "yes"},
    {"time-wait", "opening again at once", "Address already in use", "allowed"},
    {"time-wait", "the second connection said", "PAY ANN 5;", "PAY ANN 5;"},
    {"time-wait", "the server read from it", "PAY ANN 5;", "PAY BOB 900;"},
    {"lost-last-ack", "FINs the server sent", "2", "2"},
    {"lost-last-ack", "answered at last by", "an ACK", "a reset"},
    {"paws", "opening again at once", "allowed", "allowed"},
    {"paws", "the server read from it", "PAY ANN 5;", "PAY BOB 900;"},
    {"cumulative-ack", "octets the sender believes to be there", "11,680", "11,680"},
    {"cumulative-ack", "octets the receiver's program has read", "11,680", "2,920"},
    {"sack", "segments sent again", "6", "6"},
    {"sack", "everything has arrived after", "482 ms", "968 ms"},
    {"fast-retransmit", "segments sent again", "1", "1"},
    {"fast-retransmit", "everything has arrived after", "50.8 ms", "270 ms"},
    {"connection-timed-out", "times the text was sent", "17", "1,201"},
    {"connection-timed-out", "what the program is told", "Connection timed out after 15 min 45 s",
     "nothing yet, after 20 min"},
    {"checksum", "read", "transfer 100", "transfer 101"},
    {"flow-control", "octets sent in vain", "0", "26,200"},
    {"zero-window", "octets read ten minutes later", "8,000", "3,000"},
    {"silly-window", "segments that refilled the buffer", "2", "1,491"},
    {"nagle", "segments that carried them", "7", "60"},
    {"nagle-delayed-ack", "the answer is there after", "20.0 ms", "80.0 ms"},
    {"urgent-pointer", "the stream as it is read", "abcdef", "abc!def"},
    {"urgent-pointer", "the urgent octet, read apart", "!", "none"},
    {"slow-start", "dropped at the slow link", "60", "846"},
    {"window-scale", "the largest window the sender saw", "369 KiB", "64.0 KiB"},
    {"window-scale", "2 MB have arrived after", "1.72 s", "6.71 s"},
    {"path-mtu", "octets that arrived within a minute", "6,000", "0"},
    {"syn-flood", "the client is told", "connected", "Connection timed out"},
    {"syn-flood", "after", "20.0 ms", "2 min 7 s"},
    {"syn-flood", "its text arrives", "yes", "no"},
    {"blind-reset", "what the client is told", "none", "Connection reset by peer"},
    {"blind-reset", "\"still here\" arrives", "yes", "no"},
    {"challenge-ack", "what the client is told", "none", "Connection reset by peer"},
    {"challenge-ack", "\"still here\" arrives", "yes", "no"},
    {"keep-alive", "what the client is told", "Connection timed out", "none"},
    {"keep-alive", "after", "1 min 0 s", "never (a day later ESTABLISHED)"},
    {"half-open", "what the client is told", "Connection reset by peer", "Connection timed out"},
    {"half-open", "after its next text by", "20.0 ms", "15 min 45 s"},
};

/// Each lesson is played once for all tests.
const Played& played_of(const Lesson& lesson) {
    static std::map<std::string_view, Played> all;
    const auto found = all.find(lesson.name);
    return found != all.end() ? found->second
                              : all.emplace(lesson.name, play(lesson)).first->second;
}

TEST(Lab, ThereAreAtLeastEighteenLessonsEachWithANameOfItsOwn) {
    std::set<std::string_view> names;
    for (const Lesson& lesson : lessons()) {
        names.insert(lesson.name);
        EXPECT_EQ(find_lesson(lesson.name), &lesson);
    }
    EXPECT_EQ(names.size(), lessons().size());
    EXPECT_GE(names.size(), 18U);
    EXPECT_EQ(find_lesson("no-such-lesson"), nullptr);
}

TEST(Lab, EachLessonShowsRightAndWrong) {
    for (const Lesson& lesson : lessons()) {
        SCOPED_TRACE(lesson.name);
        const Played& played = played_of(lesson);
        bool differs = false;
        for (const Seen& seen : kSeen) {
            if (seen.lesson == lesson.name) {
                EXPECT_EQ(played.with.fact(seen.fact), seen.with) << seen.fact;
                EXPECT_EQ(played.without.fact(seen.fact), seen.without) << seen.fact;
                differs = differs || seen.with != seen.without;
            }
        }
        EXPECT_TRUE(differs) << "nothing in the table above tells the two runs apart";
        ASSERT_EQ(played.with.facts.size(), played.without.facts.size());
        for (std::size_t i = 0; i < played.with.facts.size(); ++i) {
            EXPECT_EQ(played.with.facts[i].name, played.without.facts[i].name);
        }
    }
}

TEST(Lab, ALessonPlayedTwiceIsTheSameOctetForOctet) {
    const Lesson& lesson = *find_lesson("sack");
    const Played one = play(lesson), other = play(lesson);
    EXPECT_EQ(one.with.capture, other.with.capture);
    EXPECT_EQ(one.without.capture, other.without.capture);
}

TEST(Lab, TheTextFitsItsWidthAndCanBeAscii) {
    for (const std::size_t width : {std::size_t{72}, std::size_t{100}}) {
        report::LadderStyle style;
        style.width = width;
        style.ascii = true;
        for (const Lesson& lesson : lessons()) {
            const std::string text = lesson_text(played_of(lesson), style) + lesson_list(style);
            for (std::string_view rest = text; !rest.empty();) {
                const std::size_t end = std::min(rest.find('\n'), rest.size());
                const std::string_view line = rest.substr(0, end);
                EXPECT_LE(report::columns(line), width) << lesson.name << ": " << line;
                EXPECT_TRUE(std::ranges::all_of(line, [](char c) { return c > 0 && c < 127; }))
                    << lesson.name << ": " << line;
                rest.remove_prefix(std::min(end + 1, rest.size()));
            }
        }
    }
}

TEST(Lab, BothRunsAreInOneCaptureWithTheirReasons) {
    const std::vector<std::byte> bytes = lesson_capture(play(*find_lesson("lost-last-ack")));
    const auto capture = report::read_capture(bytes);
    ASSERT_TRUE(capture.has_value());
    EXPECT_FALSE(capture->problem.has_value());
    ASSERT_EQ(capture->interfaces.size(), 2U);
    EXPECT_EQ(capture->interfaces[0].name, "with the rule");
    EXPECT_EQ(capture->interfaces[1].name, "without it");
    bool lost = false, again = false;
    for (const report::CapturedPacket& packet : capture->packets) {
        for (const std::string_view comment : packet.comments) {
            lost = lost || comment == "lost on the way";
            again = again || comment.starts_with("accepted: tcp_accept_time_wait_fin");
        }
    }
    EXPECT_TRUE(lost);
    EXPECT_TRUE(again);
}

}  // namespace
}  // namespace runnel::lab
