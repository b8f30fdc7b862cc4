// Profiles and names: every name has a value it takes and one it refuses, and what RFC 9293 demands
// of the profile that follows it to the letter.
#include "runnel/tcp/config.hpp"

#include <algorithm>
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace runnel::tcp {
namespace {

Errc set(TcpConfig& config, std::string_view name, std::string_view value) {
    const Status status = set_by_name(config, name, value);
    return status.has_value() ? Errc::ok : status.error();
}
Errc set(std::string_view name, std::string_view value) {
    TcpConfig config;
    return set(config, name, value);
}

/// When the SYN is given up: timeouts of 1, 2, 4 … s after `retries` retransmissions.
Duration given_up_after(Duration first, std::uint32_t retries) {
    Duration total;
    for (std::uint32_t i = 0; i <= retries; ++i) {
        total += first * (std::int64_t{1} << i);
    }
    return total;
}

TEST(Config, TheModernProfileIsTheDefault) {
    const TcpConfig config = profile_config(Profile::modern);
    EXPECT_EQ(config.rto_min, milliseconds(200));
    EXPECT_EQ(config.syn_linear_timeouts, 0U) << "SYNs at 1, 3, 7 s";
    EXPECT_EQ(given_up_after(config.syn_rto, config.syn_retries), seconds(127));
    EXPECT_EQ(config.initial_window_segments, 10U) << "RFC 6928";
}

TEST(Config, TheLinuxProfileHasTheValuesOf618) {
    const TcpConfig config = profile_config(Profile::linux_like);
    EXPECT_EQ(config.syn_linear_timeouts, 4U);
    EXPECT_TRUE(config.icmp_aborts_opening);
    EXPECT_EQ(config.receive_buffer, 33'554'432U);
    EXPECT_EQ(config.send_buffer, 4'194'304U);
    EXPECT_FALSE(config.rfc1337);
    EXPECT_EQ(config.challenge_ack_limit, 2'147'483'647U);
    EXPECT_EQ(config.msl * 2, seconds(60));
}

// Proves: MUST-23, SHLD-10, SHLD-11, MUST-28, MUST-40
TEST(Config, TheRfcProfileObeysTheLetter) {
    const TcpConfig config = profile_config(Profile::rfc);
    EXPECT_GE(config.rto_min, seconds(1)) << "RFC 6298 §2.4";
    EXPECT_GE(config.rto_max, seconds(60)) << "RFC 6298 §2.5";
    EXPECT_GE(given_up_after(config.syn_rto, config.syn_retries), seconds(180)) << "MUST-23";
    EXPECT_GE(given_up_after(config.syn_rto, config.synack_retries), seconds(180)) << "MUST-23";
    EXPECT_GE(config.retries1, 3U) << "SHLD-10";
    EXPECT_GE(given_up_after(config.rto_min, std::min(config.retries2, 10U)), seconds(100))
        << "SHLD-11";
    EXPECT_LT(config.delayed_ack_max, milliseconds(500)) << "MUST-40";
    EXPECT_GE(config.keepalive_time, seconds(7'200)) << "MUST-28";
    EXPECT_EQ(config.msl, seconds(120));
    EXPECT_FALSE(config.linux_rto);
}

TEST(Config, EveryProfileHasBoundsInOrder) {
    for (const Profile profile : {Profile::modern, Profile::linux_like, Profile::rfc}) {
        const TcpConfig config = profile_config(profile);
        EXPECT_LE(config.rto_min, config.rto_max);
        EXPECT_LE(config.delayed_ack_min, config.delayed_ack_max);
        EXPECT_LT(config.delayed_ack_max, milliseconds(500));
        EXPECT_LE(config.port_low, config.port_high);
    }
}

TEST(Config, TakesLinuxsNamesAndUnits) {
    TcpConfig config;
    EXPECT_EQ(set(config, "tcp_syn_retries", "3"), Errc::ok);
    EXPECT_EQ(config.syn_retries, 3U);
    EXPECT_EQ(set(config, "tcp_timestamps", "0"), Errc::ok);
    EXPECT_FALSE(config.timestamps);
    EXPECT_EQ(set(config, "tcp_fin_timeout", "30"), Errc::ok);
    EXPECT_EQ(config.fin_timeout, seconds(30));
    EXPECT_EQ(set(config, "tcp_rto_min_us", "5000"), Errc::ok);
    EXPECT_EQ(config.rto_min, milliseconds(5));
    EXPECT_EQ(set(config, "tcp_rto_max_ms", "10000"), Errc::ok);
    EXPECT_EQ(config.rto_max, seconds(10));
    EXPECT_EQ(set(config, "net.ipv4.tcp_keepalive_intvl", "7"), Errc::ok) << "sysctl's full name";
    EXPECT_EQ(config.keepalive_interval, seconds(7));
    EXPECT_EQ(set(config, "net.core.somaxconn", "17"), Errc::ok);
    EXPECT_EQ(config.somaxconn, 17U);
    EXPECT_EQ(set(config, "tcp_orphan_retries", "0"), Errc::ok);
    EXPECT_EQ(config.orphan_retries, 8U) << "as Linux reads 0";
    EXPECT_EQ(set(config, "initial_rto_ms", "3000"), Errc::ok);
    EXPECT_EQ(config.rto_initial, seconds(3));
    EXPECT_EQ(config.syn_rto, seconds(3));
    EXPECT_EQ(set(config, "tcp_congestion_control", "fixed"), Errc::ok);
    EXPECT_EQ(config.congestion_control, CongestionControl::fixed);
    EXPECT_EQ(set(config, "tcp_syn_linear_timeouts", "4"), Errc::ok);
    EXPECT_EQ(config.syn_linear_timeouts, 4U);
}

TEST(Config, TakesRangesAndTriples) {
    TcpConfig config;
    EXPECT_EQ(set(config, "ip_local_port_range", "2000 3000"), Errc::ok);
    EXPECT_EQ(config.port_low, 2'000);
    EXPECT_EQ(config.port_high, 3'000);
    EXPECT_EQ(set(config, "ip_local_port_range", "4000-4000"), Errc::ok);
    EXPECT_EQ(set(config, "ip_local_port_range", "5000\t5001"), Errc::ok) << "as sysctl prints it";
    EXPECT_EQ(config.port_low, 5'000);
    for (const char* bad :
         {"", "1", "0 5", "9 8", "1 65536", "1 2 3", "1 x", "a-b", "1 2 ", "-5"}) {
        EXPECT_EQ(set(config, "ip_local_port_range", bad), Errc::argument_invalid) << bad;
    }
    EXPECT_EQ(config.port_low, 5'000) << "a refused value changes nothing";
    EXPECT_EQ(set(config, "tcp_rmem", "4096 131072 33554432"), Errc::ok);
    EXPECT_EQ(config.receive_buffer, 33'554'432U);
    EXPECT_EQ(set(config, "tcp_wmem", "100000"), Errc::ok);
    EXPECT_EQ(config.send_buffer, 100'000U);
    EXPECT_EQ(set(config, "tcp_wmem", "1 2 3 4"), Errc::argument_invalid);
    EXPECT_EQ(set(config, "tcp_wmem", "4095"), Errc::argument_invalid);
    EXPECT_EQ(set(config, "tcp_wmem", "1073741825"), Errc::argument_invalid);
}

TEST(Config, RefusesWhatIsNoNumberOrOutOfBounds) {
    EXPECT_EQ(set("tcp_no_such_thing", "1"), Errc::option_not_supported);
    EXPECT_EQ(set("", "1"), Errc::option_not_supported);
    EXPECT_EQ(set("tcp_syn_retries", "128"), Errc::argument_invalid);
    for (const char* bad : {"", "x", "-1", "+1", "1x", " 1", "1 ", "0x", "0xg", "x1", "1.5",
                            "99999999999999999999"}) {
        EXPECT_EQ(set("tcp_syn_retries", bad), Errc::argument_invalid) << bad;
    }
    EXPECT_EQ(set("tcp_sack", "2"), Errc::argument_invalid);
    EXPECT_EQ(set("tcp_syn_linear_timeouts", "128"), Errc::argument_invalid);
    EXPECT_EQ(set("delayed_ack_max_ms", "500"), Errc::argument_invalid) << "MUST-40";
    EXPECT_EQ(set("tcp_congestion_control", "vegas"), Errc::argument_invalid);
}

TEST(Config, TakesHexadecimalAsSysctlDoes) {
    TcpConfig config;
    EXPECT_EQ(set(config, "tcp_fastopen", "0x603"), Errc::ok);
    EXPECT_EQ(config.fast_open, 0x603U);
    EXPECT_EQ(set(config, "tcp_syn_retries", "0X1f"), Errc::ok);
    EXPECT_EQ(config.syn_retries, 31U);
}

TEST(Config, KeepsPairsOfBoundsInOrder) {
    TcpConfig config;
    EXPECT_EQ(set(config, "tcp_rto_max_ms", "1000"), Errc::ok);
    EXPECT_EQ(set(config, "tcp_rto_min_us", "1000001"), Errc::argument_invalid);
    EXPECT_EQ(set(config, "tcp_rto_min_us", "1000000"), Errc::ok);
    EXPECT_EQ(set(config, "delayed_ack_min_ms", "201"), Errc::argument_invalid);
    EXPECT_EQ(set(config, "delayed_ack_max_ms", "39"), Errc::argument_invalid);
    EXPECT_EQ(set(config, "delayed_ack_max_ms", "400"), Errc::ok);
    EXPECT_EQ(set(config, "delayed_ack_min_ms", "400"), Errc::ok);
}

TEST(Config, EveryNameIsKnownOnceAndExplained) {
    std::set<std::string_view> seen;
    for (const ConfigName& name : config_names()) {
        EXPECT_TRUE(seen.insert(name.name).second) << name.name;
        EXPECT_GT(name.sentence.size(), 10U) << name.name;
        EXPECT_NE(set(name.name, "1"), Errc::option_not_supported) << name.name;
        EXPECT_EQ(set(name.name, "no"), Errc::argument_invalid) << name.name;
        EXPECT_EQ(set(name.name, "18446744073709551615"), Errc::argument_invalid) << name.name;
    }
    for (const char* name : {"tcp_syn_retries",
                             "tcp_synack_retries",
                             "tcp_timestamps",
                             "tcp_sack",
                             "tcp_window_scaling",
                             "tcp_retries1",
                             "tcp_retries2",
                             "tcp_orphan_retries",
                             "tcp_fin_timeout",
                             "tcp_keepalive_time",
                             "tcp_keepalive_intvl",
                             "tcp_keepalive_probes",
                             "tcp_rto_max_ms",
                             "tcp_rto_min_us",
                             "tcp_max_syn_backlog",
                             "somaxconn",
                             "tcp_syncookies",
                             "tcp_fastopen",
                             "tcp_fastopen_key",
                             "tcp_fastopen_blackhole_timeout_sec",
                             "tcp_abort_on_overflow",
                             "ip_local_port_range",
                             "tcp_rfc1337",
                             "tcp_tw_reuse",
                             "tcp_slow_start_after_idle",
                             "tcp_reordering",
                             "tcp_wmem",
                             "tcp_rmem",
                             "tcp_moderate_rcvbuf",
                             "tcp_challenge_ack_limit",
                             "tcp_invalid_ratelimit",
                             "tcp_max_tw_buckets",
                             "tcp_max_orphans",
                             "tcp_syn_linear_timeouts",
                             "tcp_init_cwnd",
                             "msl_ms",
                             "user_timeout_ms",
                             "initial_rto_ms"}) {
        EXPECT_TRUE(seen.contains(name)) << name;
    }
}

TEST(Config, FastOpenKeysAsLinuxWritesThem) {
    TcpConfig config;
    EXPECT_FALSE(config.fast_open_keys.has_value());
    ASSERT_TRUE(set_by_name(config, "tcp_fastopen_key", "03020100-07060504-0b0a0908-0f0e0d0c"));
    EXPECT_EQ(config.fast_open_keys->primary.k0, 0x0706'0504'0302'0100U);
    EXPECT_EQ(config.fast_open_keys->primary.k1, 0x0f0e'0d0c'0b0a'0908U);
    EXPECT_FALSE(config.fast_open_keys->backup.has_value());
    ASSERT_TRUE(set_by_name(config, "net.ipv4.tcp_fastopen_key",
                            "00000001-00000002-00000003-00000004,"
                            "00000005-00000006-00000007-00000008"));
    ASSERT_TRUE(config.fast_open_keys->backup.has_value());
    EXPECT_EQ(config.fast_open_keys->backup->k1, 0x0000'0008'0000'0007U);
    for (const char* bad :
         {"", "1-2-3-4", "03020100-07060504-0b0a0908", "03020100-07060504-0b0a0908-0f0e0d0c,",
          "03020100-07060504-0b0a0908-0f0e0d0c-0f0e0d0c", "0302010g-07060504-0b0a0908-0f0e0d0c"}) {
        EXPECT_FALSE(set_by_name(config, "tcp_fastopen_key", bad)) << bad;
    }
}

RC_GTEST_PROP(Config, NoTextBreaksIt, (const std::string& value)) {
    for (const ConfigName& name : config_names()) {
        TcpConfig config;
        (void)set_by_name(config, name.name, value);
        RC_ASSERT(config.rto_min <= config.rto_max);
        RC_ASSERT(config.rto_min > Duration{});
        RC_ASSERT(config.delayed_ack_min <= config.delayed_ack_max);
        RC_ASSERT(config.port_low <= config.port_high);
    }
}

}  // namespace
}  // namespace runnel::tcp
