#include "runnel/report/decision_report.hpp"

#include <gtest/gtest.h>

#include "runnel/tcp/state.hpp"
#include "runnel/wire/tcp_segment.hpp"

namespace runnel::report {
namespace {

// The texts of the decisions are other rooms'; what is made of them is looked up, not repeated.
std::string sentence_of(Decision decision) {
    return std::string(describe(decision).sentence);
}
std::string clause_of(Decision decision) {
    return std::string(describe(decision).clause);
}

TEST(DecisionReport, ACommentSaysVerbNameSentenceAndClause) {
    EXPECT_EQ(decision_comment(Decision::tcp_drop_checksum),
              "dropped: tcp_drop_checksum — " + sentence_of(Decision::tcp_drop_checksum) + " (" +
                  clause_of(Decision::tcp_drop_checksum) + ")");
}

TEST(DecisionReport, EveryDecisionMakesAComment) {
    for (std::size_t i = 0; i < kDecisionCount; ++i) {
        const auto decision = static_cast<Decision>(i);
        const std::string comment = decision_comment(decision);
        EXPECT_NE(comment.find(describe(decision).name), std::string::npos);
        EXPECT_FALSE(sentence_of(decision).empty()) << comment;
        EXPECT_FALSE(clause_of(decision).empty()) << comment;
    }
}

TEST(DecisionReport, TheTableHoldsWhatHappened) {
    FlightRecorder recorder(16);
    EXPECT_EQ(decision_table(recorder), "");
    EXPECT_EQ(decision_table_json(recorder), "[]");
    EventRecord event;
    event.decision = Decision::tcp_drop_checksum;
    for (int i = 0; i < 1200; ++i) {
        recorder.record(event);
    }
    event.decision = Decision::ip_drop_truncated;
    recorder.record(event);
    EXPECT_EQ(decision_table(recorder),
              "    1  ip_drop_truncated  " + sentence_of(Decision::ip_drop_truncated) + " " +
                  clause_of(Decision::ip_drop_truncated) + "\n" + "1,200  tcp_drop_checksum  " +
                  sentence_of(Decision::tcp_drop_checksum) + " " +
                  clause_of(Decision::tcp_drop_checksum) + "\n");
    EXPECT_TRUE(decision_table_json(recorder).starts_with(
        R"([{"name":"ip_drop_truncated","kind":"dropped","count":1,)"));
}

TEST(DecisionReport, AnEventIsOneLine) {
    EventRecord event;
    event.time = Instant{seconds(12).ns + 345'678};
    event.connection = 0x7'0000'0003;
    event.decision = Decision::tcp_drop_checksum;
    event.flags = TcpFlags::kSyn | TcpFlags::kAck;
    event.seq = 4294967295;
    event.ack = 7;
    event.window = 65535;
    event.inbound = 1;
    event.state = static_cast<std::uint8_t>(tcp::State::syn_sent);
    event.value = 42;
    EXPECT_EQ(event_line(event, Instant{seconds(12).ns}),
              "    0.000346 #3    ← SYN-SENT     dropped: tcp_drop_checksum " +
                  sentence_of(Decision::tcp_drop_checksum) + " [42] " +
                  clause_of(Decision::tcp_drop_checksum) +
                  "  SYN,ACK seq 4294967295 ack 7 win 65535 len 0");
    EventRecord bare;
    bare.decision = Decision::ip_drop_truncated;
    bare.state = 200;  // no state at all
    EXPECT_EQ(event_line(bare), "    0.000000 -     · -            dropped: ip_drop_truncated " +
                                    sentence_of(Decision::ip_drop_truncated) + " " +
                                    clause_of(Decision::ip_drop_truncated));
}

}  // namespace
}  // namespace runnel::report
