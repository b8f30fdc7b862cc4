// Whole scripts through the runner: what passes, what fails and how it is told. The behaviour of TCP itself is asked
// by tests/drill/**.pkt; here it is the runner that is under test, so each script that fails differs in one thing
// from one that passes.
#include "runnel/drill/runner.hpp"

#include <chrono>

#include "drill_test.hpp"

namespace runnel::drill {
namespace {

Verdict run(std::string_view text, const RunOptions& options = {}) {
    return run_script(parsed(text), options);
}
Verdict opened(std::string_view rest, const RunOptions& options = {}) {
    return run(std::string(kOpen) + std::string(rest), options);
}
::testing::AssertionResult passes(const Verdict& verdict) {
    if (verdict.outcome == Verdict::Outcome::passed) {
        return ::testing::AssertionSuccess();
    }
    auto result = ::testing::AssertionFailure() << verdict.at.line << ": " << verdict.reason;
    for (const std::string& detail : verdict.details) {
        result << "\n  " << detail;
    }
    return result;
}
/// The reason and every difference in one line.
std::string failure(const Verdict& verdict) {
    std::string text = verdict.outcome == Verdict::Outcome::failed    ? "failed: "
                       : verdict.outcome == Verdict::Outcome::skipped ? "skipped: "
                                                                      : "passed";
    text += verdict.reason;
    for (const std::string& detail : verdict.details) {
        text += " | " + detail;
    }
    return text;
}
bool says(const Verdict& verdict, std::string_view words) {
    return failure(verdict).find(words) != std::string::npos;
}

TEST(Runner, PlaysAConnectionFromOpenToClose) {
    EXPECT_TRUE(
        passes(opened("+0 write(4, ..., 500) = 500\n"
                      "+0 > P. 1:501(500) ack 1\n"
                      "+.1 < . 1:1(0) ack 501 win 65535\n"
                      "+0 close(4) = 0\n"
                      "+0 > F. 501:501(0) ack 1\n"
                      "+.1 < F. 1:1(0) ack 502 win 65535\n"
                      "+0 > . 502:502(0) ack 2\n")));
}

TEST(Runner, FailsWhereThePacketDiffers) {
    const Verdict verdict = opened("+0 write(4, ..., 500) = 500\n+0 > P. 1:502(501) ack 1\n");
    EXPECT_TRUE(says(verdict, "length: expected 501, seen 500")) << failure(verdict);
    EXPECT_EQ(verdict.reason, "the host's packet differs: length: expected 501, seen 500");
    EXPECT_EQ(verdict.at.line, 9u);
    EXPECT_FALSE(verdict.decisions.empty());
    ASSERT_FALSE(verdict.ladder.empty());
    EXPECT_FALSE(verdict.ladder.back().right);
}

TEST(Runner, TellsEachKindOfDifference) {
    const std::string write = "+0 write(4, ..., 500) = 500\n";
    EXPECT_TRUE(says(opened(write + "+0 > . 1:501(500) ack 1\n"), "flags: expected ., seen P."));
    EXPECT_TRUE(says(opened(write + "+0 > P. 2:502(500) ack 1\n"), "sequence number: expected 2"));
    EXPECT_TRUE(says(opened(write + "+0 > P. 1:501(500) ack 2\n"), "ack: expected 2, seen 1"));
    EXPECT_TRUE(says(opened(write + "+0 > P. 1:501(500) ack 1 win 1\n"), "win: expected 1"));
    EXPECT_TRUE(says(opened(write + "+0 > P. 1:501(500) ack 1 <nop,nop>\n"), "options: expected"));
    EXPECT_TRUE(says(opened(write + "+0 > [ce] P. 1:501(500) ack 1\n"), "ECN mark: expected ce"));
    EXPECT_TRUE(says(opened(write + "+0 > udp (500)\n"), "it is TCP"));
}

TEST(Runner, MergesSegmentsUpToTheLine) {
    const std::string write = "+0 write(4, ..., 3000) = 3000\n";
    EXPECT_TRUE(passes(opened(write + "+0 > P. 1:3001(3000) ack 1\n")));
    EXPECT_TRUE(
        passes(opened(write + "+0 > . 1:2001(2000) ack 1\n+0 > P. 2001:3001(1000) ack 1\n")));
    RunOptions strict;
    strict.strict = true;
    EXPECT_TRUE(says(opened(write + "+0 > P. 1:3001(3000) ack 1\n", strict),
                     "length: expected 3000, seen 1000"));
}

TEST(Runner, TimesCount) {
    const std::string lost = "+0 write(4, ..., 100) = 100\n+0 > P. 1:101(100) ack 1\n";
    EXPECT_TRUE(passes(opened(lost + "* > P. 1:101(100) ack 1\n")));
    EXPECT_TRUE(passes(opened(lost + "+.2~+.4 > P. 1:101(100) ack 1\n")));
    EXPECT_TRUE(says(opened(lost + "+1 > P. 1:101(100) ack 1\n"), "it comes too early"));
    EXPECT_TRUE(says(opened(lost + "+.1 > P. 1:101(100) ack 1\n"), "the host sends nothing"));
}

TEST(Runner, SilenceAtTheEndIsChecked) {
    const std::string write = "+0 write(4, ..., 100) = 100\n";
    EXPECT_TRUE(says(opened(write), "the script does not expect it"));
    RunOptions lenient;
    lenient.silence = false;
    EXPECT_TRUE(passes(opened(write, lenient)));
}

TEST(Runner, ResultsAndErrnoAreCompared) {
    EXPECT_TRUE(says(opened("+0 write(4, ..., 100) = 99\n"), "result: expected 99, got = 100"));
    EXPECT_TRUE(says(opened("+0 shutdown(3, 7) = -1 EBADF\n"), "got = -1 EINVAL"));
    EXPECT_TRUE(
        passes(opened("+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0\n"
                      "+0 read(4, ..., 100) = -1 EAGAIN (Resource temporarily unavailable)\n")));
    EXPECT_TRUE(passes(opened("+0 close(77) = -1 EBADF\n")));
    EXPECT_TRUE(says(opened("+0 setsockopt(4, SOL_TCP, TCP_REPAIR, [1], 4) = 0\n"), "skipped: "));
}

TEST(Runner, BlockingCallsReturnAtTheirTime) {
    EXPECT_TRUE(
        passes(opened("+0...+.5 read(4, ..., 100) = 10\n"
                      "+.5 < P. 1:11(10) ack 1 win 65535\n"
                      "+0 > . 1:1(0) ack 11\n")));
    EXPECT_TRUE(says(opened("+0...+.3 read(4, ..., 100) = 10\n"
                            "+.5 < P. 1:11(10) ack 1 win 65535\n"),
                     "still blocks"));
    EXPECT_TRUE(says(opened("+0 read(4, ..., 100) = 10\n"), "read() blocks"));
}

TEST(Runner, AnActiveOpenHasTheHostsNumbers) {
    EXPECT_TRUE(
        passes(run("0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n"
                   "+0...+.1 connect(3, ..., ...) = 0\n"
                   "+0 > S 0:0(0) <...>\n"
                   "+.1 < S. 700:700(0) ack 1 win 65535 <mss 1000>\n"
                   "+0 > . 1:1(0) ack 701\n")));
}

TEST(Runner, TimestampsAreMapped) {
    EXPECT_TRUE(
        passes(run("0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n"
                   "+0 bind(3, ..., ...) = 0\n"
                   "+0 listen(3, 1) = 0\n"
                   "+.1 < S 0:0(0) win 65535 <mss 1000,sackOK,TS val 200 ecr 0>\n"
                   "+0 > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 100 ecr 200>\n"
                   "+.1 < . 1:1(0) ack 1 win 65535 <nop,nop,TS val 300 ecr 100>\n"
                   "+0 accept(3, ..., ...) = 4\n"
                   "+0 write(4, ..., 10) = 10\n"
                   "+0 > P. 1:11(10) ack 1 <nop,nop,TS val 200 ecr 300>\n")));
}

TEST(Runner, Ipv6AndMappedAddresses) {
    for (const char* version : {"ipv6", "ipv4-mapped-ipv6"}) {
        std::string text = "--ip_version=" + std::string(version) + "\n" + std::string(kOpen);
        if (version == std::string_view("ipv6")) {
            text.replace(text.find("mss 1460"), 8, "mss 1440");
        }
        EXPECT_TRUE(passes(run(text))) << version;
    }
}

TEST(Runner, CodeSectionsSeeTcpInfo) {
    EXPECT_TRUE(passes(opened("+0 %{ assert tcpi_snd_mss == 1000, tcpi_snd_mss }%\n")));
    EXPECT_TRUE(says(opened("+0 %{ assert tcpi_snd_mss == 999 }%\n"), "failed"));
    EXPECT_TRUE(says(opened("+0 %{ assert tcpi_unheard_of == 1 }%\n"), "skipped"));
}

TEST(Runner, ShellLinesConfigureTheHost) {
    const std::string syn = std::string(kOpen.substr(0, kOpen.find("+.1 < S")));
    EXPECT_TRUE(passes(run("`sysctl -q net.ipv4.tcp_timestamps=0`\n" + syn +
                           "+.1 < S 0:0(0) win 65535 <mss 1000,sackOK,TS val 200 ecr 0>\n"
                           "+0 > S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK>\n")));
    const Verdict unknown =
        run("`sysctl -q net.ipv4.no_such=0`\n0 socket(..., SOCK_STREAM, 0) = 3\n");
    EXPECT_TRUE(passes(unknown));
    EXPECT_EQ(unknown.notes.size(), 1u);
}

TEST(Runner, TheSameScriptTwiceGivesTheSameBytes) {
    std::vector<std::byte> captures[2];
    std::string texts[2];
    for (int i = 0; i < 2; ++i) {
        RunOptions options;
        options.capture = &captures[i];
        const Verdict verdict = opened(
            "+0 write(4, ..., 3000) = 3000\n+0 > P. 1:3001(3000) ack 1\n"
            "* > . 1:1001(1000) ack 1\n",
            options);
        for (const LadderRow& row : verdict.ladder) {
            texts[i] += row.seen + "\n";
        }
    }
    EXPECT_FALSE(captures[0].empty());
    EXPECT_EQ(captures[0], captures[1]);
    EXPECT_EQ(texts[0], texts[1]);
}

TEST(Runner, AnHourPassesInMilliseconds) {
    const auto begin = std::chrono::steady_clock::now();
    const Verdict verdict = opened("+3600 write(4, ..., 10) = 10\n+0 > P. 1:11(10) ack 1\n");
    const auto took = std::chrono::steady_clock::now() - begin;
    EXPECT_TRUE(passes(verdict));
    EXPECT_GE(verdict.time, seconds(3600));
#ifdef __OPTIMIZE__
    EXPECT_LT(took, std::chrono::milliseconds(50));
#else
    (void)took;
#endif
}

}  // namespace
}  // namespace runnel::drill
