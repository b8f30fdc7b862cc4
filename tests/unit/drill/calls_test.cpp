// Calls that tests/drill/calls plays: what differs from the script is a failure here, and what Runnel has not is
// skipped; never passed.
#include "drill_test.hpp"
#include "runnel/drill/runner.hpp"

namespace runnel::drill {
namespace {

/// "passed", or how and why not, with every difference.
std::string outcome(std::string_view text) {
    const Verdict verdict = run_script(parsed(text), {});
    std::string told = verdict.outcome == Verdict::Outcome::passed    ? "passed"
                       : verdict.outcome == Verdict::Outcome::skipped ? "skipped: "
                                                                      : "failed: ";
    told += verdict.reason;
    for (const std::string& detail : verdict.details) {
        told += " | " + detail;
    }
    return told;
}
std::string opened(std::string_view rest, std::string_view head = {}) {
    return outcome(std::string(head) + std::string(kOpen) + std::string(rest));
}
void expect_says(const std::string& told, std::string_view words) {
    EXPECT_NE(told.find(words), std::string::npos) << told;
}

std::string acked_stamp(std::string_view controls, std::string_view flags = "MSG_ERRQUEUE") {
    return opened(
        "+0 setsockopt(4, SOL_SOCKET, SO_TIMESTAMPING, "
        "[SOF_TIMESTAMPING_TX_ACK|SOF_TIMESTAMPING_SOFTWARE|SOF_TIMESTAMPING_OPT_ID|"
        "SOF_TIMESTAMPING_OPT_TSONLY], 4) = 0\n"
        "+0 write(4, ..., 100) = 100\n"
        "+0 > P. 1:101(100) ack 1\n"
        "+.1 < . 1:1(0) ack 101 win 65535\n"
        "+0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 0}], msg_flags=" +
        std::string(flags) + ", msg_control=[" + std::string(controls) + "]}, MSG_ERRQUEUE) = 0\n");
}

TEST(DrillCalls, ErrorQueueIsComparedFieldByField) {
    const std::string stamp = "{cmsg_level=SOL_SOCKET, cmsg_type=SCM_TIMESTAMPING, cmsg_data=";
    const std::string error = "{cmsg_level=SOL_IP, cmsg_type=IP_RECVERR, cmsg_data=";
    EXPECT_EQ(acked_stamp(stamp + "{scm_sec=0, scm_nsec=300000000}}," + error +
                          "{ee_errno=ENOMSG, ee_info=SCM_TSTAMP_ACK, ee_data=99}}"),
              "passed");
    expect_says(acked_stamp(stamp + "{scm_sec=0, scm_nsec=200000000}}"),
                "timestamp: expected 0.200000000, got 0.300000000");
    expect_says(acked_stamp(error + "{ee_errno=ENOMSG, ee_data=98}}"),
                "ee_data: expected 98, got 99");
    expect_says(acked_stamp(error + "{ee_type=3}}"), "ee_type: expected 3, got 0");
    expect_says(
        acked_stamp("{cmsg_level=SOL_IPV6, cmsg_type=IPV6_RECVERR, cmsg_data={ee_data=99}}"),
        "does not come with it");
    expect_says(acked_stamp("", "MSG_ERRQUEUE|MSG_TRUNC"), "msg_flags: expected");
}

TEST(DrillCalls, ControlMessagesThatNobodyHasAreSkipped) {
    expect_says(
        opened("+0 < P. 1:11(10) ack 1 win 65535\n+0 > . 1:1(0) ack 11\n"
               "+0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 10}], msg_flags=0, "
               "msg_control=[{cmsg_level=SOL_IP, cmsg_type=IP_TTL, cmsg_data=64}]}, 0) = 10\n"),
        "skipped: a control message of level 0");
    expect_says(opened("+0 < P. 1:11(10) ack 1 win 65535\n+0 > . 1:1(0) ack 11\n"
                       "+0 recvmsg(4, {msg_name(...)=..., msg_iov(1)=[{..., 10}], msg_flags=0, "
                       "msg_control=[{cmsg_level=SOL_TCP, cmsg_type=TCP_CM_INQ, cmsg_data=0}]}, 0) "
                       "= 10\n"),
                "TCP_INQ is off");
}

TEST(DrillCalls, StructuresOfOptionsAreCompared) {
    expect_says(opened("+0 getsockopt(4, SOL_TCP, TCP_INFO, {tcpi_snd_mss=999}, [104]) = 0\n"),
                "tcpi_snd_mss: expected 999, got 1000");
    expect_says(opened("+0 getsockopt(4, SOL_TCP, TCP_INFO, {tcpi_nothing=1}, [104]) = 0\n"),
                "TCP_INFO has no field tcpi_nothing");
    expect_says(
        opened("+0 getsockopt(4, SOL_SOCKET, SO_RCVTIMEO, {tv_sec=1, tv_usec=0}, [16]) = 0\n"),
        "tv_sec: expected 1, got 0");
    expect_says(opened("+0 setsockopt(3, SOL_TCP, TCP_MD5SIG, {tcpm_keylen=5}, 216) = 0\n"),
                "TCP_MD5SIG wants");
}

TEST(DrillCalls, BlockingOnesWaitAsLongAsTheyDo) {
    expect_says(opened("+0 setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=2}, 8) = 0\n"
                       "+0 close(4) = 0\n"),
                "close() blocks");
    expect_says(opened("+0 setsockopt(4, SOL_SOCKET, SO_RCVTIMEO, {tv_sec=0, tv_usec=300000}, 16) "
                       "= 0\n+0...+.2 read(4, ..., 10) = -1 EAGAIN (x)\n"),
                "read()");
    expect_says(opened("+0...+.1 recv(4, ..., 20, MSG_WAITALL) = 20\n"
                       "+.1 < P. 1:11(10) ack 1 win 65535\n+0 > . 1:1(0) ack 11\n"),
                "still blocks");
}

TEST(DrillCalls, OwnMarksAndRepeatedLines) {
    EXPECT_EQ(outcome("0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n"
                      "+0 < [times 3] 40000 > 9999 . 1:1(0) ack 1 win 10\n"
                      "+0 > [times 3] 9999 > 40000 R 1:1(0)\n"),
              "passed");
    expect_says(outcome("0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n"
                        "+0 < [times 3] 40000 > 9999 . 1:1(0) ack 1 win 10\n"
                        "+0 > [times 2] 9999 > 40000 R 1:1(0)\n"),
                "the script does not expect it");
    expect_says(outcome("0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n"
                        "+0 < [badsum] 40000 > 9999 . 1:1(0) ack 1 win 10\n"
                        "+0 > 9999 > 40000 R 1:1(0)\n"),
                "the host sends nothing");
}

// Numbers that no real script has are not multiplied beyond what a number holds.
TEST(DrillCalls, HugeNumbersAreBounded) {
    expect_says(acked_stamp("{cmsg_level=SOL_SOCKET, cmsg_type=SCM_TIMESTAMPING, "
                            "cmsg_data={scm_sec=9223372036854775807}}"),
                "timestamp: expected");
    EXPECT_EQ(opened("+0 setsockopt(4, SOL_SOCKET, SO_RCVTIMEO, {tv_sec=9223372036854775807, "
                     "tv_usec=0}, 16) = 0\n"),
              "passed");
    expect_says(outcome("0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n"
                        "+0 < [times 10000] 40000 > 9999 . 1:60001(60000) ack 1 win 10\n"),
                "more than 32 MiB");
}

TEST(DrillCalls, TolerancePercentIsOfTheTimeBetween) {
    const std::string late =
        "+0 setsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [1], 4) = 0\n"
        "+0 setsockopt(4, SOL_TCP, TCP_KEEPIDLE, [100], 4) = 0\n"
        "+99 > . 0:0(0) ack 1\n";
    expect_says(opened(late), "the host sends nothing");
    EXPECT_EQ(opened(late, "--tolerance_percent=2\n"), "passed");
}

TEST(DrillCalls, SysctlWhileTheScriptRuns) {
    const std::string second =
        "+0 < 40009 > 8080 S 0:0(0) win 65535 <mss 1000,sackOK,nop,nop>\n"
        "+0 > 8080 > 40009 S. 0:0(0) ack 1 <mss 1460,nop,nop,sackOK>\n";
    EXPECT_EQ(opened(second), "passed");
    expect_says(opened("+0 `sysctl -q net.ipv4.tcp_sack=0`\n" + second), "options: expected");
}

// What the scripts of Linux' own suites count on once their defaults.sh has run.
TEST(DrillCalls, DefaultsPinWhatScriptsCountOn) {
    EXPECT_EQ(
        outcome(
            "`../common/defaults.sh`\n"
            "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n"
            "+0 bind(3, ..., ...) = 0\n"
            "+0 setsockopt(3, SOL_TCP, TCP_FASTOPEN, [1], 4) = 0\n"
            "+0 listen(3, 1) = 0\n"
            "+.1 < S 0:10(10) win 32792 <mss 1460,FO 3021b9d889017eeb,nop,nop,sackOK,nop,wscale 7>\n"
            "+0 > S. 0:0(0) ack 11 <mss 1460,nop,nop,sackOK,nop,wscale 8>\n"
            "+0 accept(3, ..., ...) = 4\n"),
        "passed");
}

}  // namespace
}  // namespace runnel::drill
