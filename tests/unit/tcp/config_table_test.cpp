// Every numeric setting: its default, its bounds, and that it reaches its own field in its own unit and no
// other's. The numbers are those of the documentation, written down a second time.
#include "runnel/tcp/config.hpp"

#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace runnel::tcp {
namespace {

using Reader = std::function<std::uint64_t(const TcpConfig&)>;

struct Setting {
    const char* name;
    std::uint64_t standard;  ///< in the setting's unit
    std::uint64_t low, high;
    Reader read;
};

template <class T>
Reader number(T TcpConfig::* field) {
    return [field](const TcpConfig& c) { return static_cast<std::uint64_t>(c.*field); };
}
Reader time(Duration TcpConfig::* field, std::int64_t unit) {
    return [field, unit](const TcpConfig& c) {
        EXPECT_EQ((c.*field).ns % unit, 0);
        return static_cast<std::uint64_t>((c.*field).ns / unit);
    };
}

using C = TcpConfig;
constexpr std::int64_t kMicro = 1'000, kMilli = 1'000'000, kSecond = 1'000'000'000;
constexpr std::uint64_t kInt = 2'147'483'647;

const std::vector<Setting>& settings() {
    static const std::vector<Setting> kSettings = {
        {"tcp_syn_retries", 6, 0, 127, number(&C::syn_retries)},
        {"tcp_synack_retries", 5, 0, 127, number(&C::synack_retries)},
        {"syn_rto_ms", 1000, 1, 120'000, time(&C::syn_rto, kMilli)},
        {"tcp_max_syn_backlog", 1024, 1, 1'048'576, number(&C::max_syn_backlog)},
        {"tcp_syncookies", 1, 0, 2, number(&C::syn_cookies)},
        {"tcp_fastopen", 1, 0, 65'535, number(&C::fast_open)},
        {"tcp_fastopen_blackhole_timeout_sec", 3600, 0, 1'000'000,
         time(&C::fast_open_blackhole_timeout, kSecond)},
        {"somaxconn", 4096, 1, 1'048'576, number(&C::somaxconn)},
        {"tcp_abort_on_overflow", 0, 0, 1, number(&C::abort_on_overflow)},
        {"tcp_timestamps", 1, 0, 1, number(&C::timestamps)},
        {"tcp_window_scaling", 1, 0, 1, number(&C::window_scaling)},
        {"tcp_sack", 1, 0, 1, number(&C::sack)},
        {"tcp_min_snd_mss", 48, 48, 65'535, number(&C::minimum_mss)},
        {"tcp_rto_min_us", 200'000, 1, 120'000'000, time(&C::rto_min, kMicro)},
        {"tcp_rto_max_ms", 120'000, 1'000, 120'000, time(&C::rto_max, kMilli)},
        {"initial_rto_ms", 1000, 1, 120'000, time(&C::rto_initial, kMilli)},
        {"linux_rto", 1, 0, 1, number(&C::linux_rto)},
        {"tcp_retries2", 15, 1, 255, number(&C::retries2)},
        {"tcp_init_cwnd", 10, 1, 1'000, number(&C::initial_window_segments)},
        {"tcp_reordering", 3, 1, 300, number(&C::duplicate_ack_threshold)},
        {"tcp_slow_start_after_idle", 1, 0, 1, number(&C::slow_start_after_idle)},
        {"delayed_ack_min_ms", 40, 1, 200, time(&C::delayed_ack_min, kMilli)},
        {"delayed_ack_max_ms", 200, 40, 499, time(&C::delayed_ack_max, kMilli)},
        {"quick_acks", 16, 0, 255, number(&C::quick_acks)},
        {"ack_on_read", 1, 0, 1, number(&C::ack_on_read)},
        {"icmp_aborts_opening", 0, 0, 1, number(&C::icmp_aborts_opening)},
        {"tcp_syn_linear_timeouts", 0, 0, 127, number(&C::syn_linear_timeouts)},
        {"tcp_challenge_ack_limit", 1000, 0, kInt, number(&C::challenge_ack_limit)},
        {"tcp_invalid_ratelimit", 500, 0, kInt, time(&C::invalid_ack_interval, kMilli)},
        {"tcp_wmem", 134'217'728, 4096, 1'073'741'824, number(&C::send_buffer)},
        {"tcp_rmem", 67'107'840, 4096, 1'073'741'824, number(&C::receive_buffer)},
        {"initial_receive_window", 65'536, 536, 1'073'741'824, number(&C::initial_receive_window)},
        {"tcp_moderate_rcvbuf", 1, 0, 1, number(&C::window_autotuning)},
        {"tcp_keepalive_time", 7200, 1, 32'767, time(&C::keepalive_time, kSecond)},
        {"tcp_keepalive_intvl", 75, 1, 32'767, time(&C::keepalive_interval, kSecond)},
        {"tcp_keepalive_probes", 9, 1, 127, number(&C::keepalive_probes)},
        {"tcp_fin_timeout", 60, 0, 3'600, time(&C::fin_timeout, kSecond)},
        {"msl_ms", 30'000, 0, 600'000, time(&C::msl, kMilli)},
        {"tcp_rfc1337", 1, 0, 1, number(&C::rfc1337)},
        {"tcp_tw_reuse", 1, 0, 1, number(&C::time_wait_reuse)},
        {"user_timeout_ms", 0, 0, kInt, time(&C::user_timeout, kMilli)},
        {"max_connections", 1'048'576, 1, 16'777'216, number(&C::max_connections)},
        {"tcp_max_tw_buckets", 262'144, 0, 16'777'216, number(&C::max_time_wait)},
        {"tcp_max_orphans", 65'536, 0, 16'777'216, number(&C::max_orphans)},
        {"super_segments", 1, 0, 1, number(&C::super_segments)},
        {"ip_default_ttl", 64, 1, 255, number(&C::hop_limit)},
    };
    return kSettings;
}

bool takes(TcpConfig& config, const char* name, std::uint64_t value) {
    return set_by_name(config, name, std::to_string(value)).has_value();
}

TEST(ConfigTable, TheDefaultsAreTheDocumentedOnes) {
    for (const Setting& setting : settings()) {
        EXPECT_EQ(setting.read(TcpConfig{}), setting.standard) << setting.name;
        EXPECT_EQ(setting.read(profile_config(Profile::modern)), setting.standard) << setting.name;
    }
    const TcpConfig config;
    EXPECT_EQ(config.port_low, 32'768);
    EXPECT_EQ(config.port_high, 60'999);
    EXPECT_EQ(config.orphan_retries, 8u);
    EXPECT_EQ(config.congestion_control, CongestionControl::cubic);
    EXPECT_EQ(profile_config(Profile::linux_like).congestion_control, CongestionControl::cubic);
    EXPECT_EQ(profile_config(Profile::rfc).congestion_control, CongestionControl::new_reno);
}

TEST(ConfigTable, EachTakesItsBoundsAndNothingBeyond) {
    for (const Setting& setting : settings()) {
        for (const std::uint64_t value : {setting.low, setting.high}) {
            TcpConfig config;
            EXPECT_TRUE(takes(config, setting.name, value)) << setting.name << " " << value;
            EXPECT_EQ(setting.read(config), value) << setting.name;
        }
        TcpConfig config;
        EXPECT_FALSE(takes(config, setting.name, setting.high + 1)) << setting.name;
        if (setting.low > 0) {
            EXPECT_FALSE(takes(config, setting.name, setting.low - 1)) << setting.name;
        }
        EXPECT_EQ(setting.read(config), setting.standard) << setting.name;
    }
    TcpConfig config;
    EXPECT_TRUE(takes(config, "tcp_orphan_retries", 255));
    EXPECT_EQ(config.orphan_retries, 255u);
    EXPECT_FALSE(takes(config, "tcp_orphan_retries", 256));
    EXPECT_TRUE(takes(config, "tcp_orphan_retries", 1));
    EXPECT_EQ(config.orphan_retries, 1u);
}

/// A pair of settings must stay in order, so each is tried beside the other's neighbour.
TEST(ConfigTable, PairsMayMeetButNotCross) {
    TcpConfig config;
    EXPECT_TRUE(takes(config, "tcp_rto_max_ms", 1000));
    EXPECT_FALSE(takes(config, "tcp_rto_min_us", 1'000'001));
    EXPECT_TRUE(takes(config, "tcp_rto_min_us", 1'000'000));
    EXPECT_TRUE(takes(config, "tcp_rto_max_ms", 5000));
    EXPECT_TRUE(takes(config, "tcp_rto_min_us", 4'000'000));
    EXPECT_FALSE(takes(config, "tcp_rto_max_ms", 3999));
    EXPECT_TRUE(takes(config, "tcp_rto_max_ms", 4000));
    EXPECT_TRUE(takes(config, "delayed_ack_max_ms", 499));
    EXPECT_TRUE(takes(config, "delayed_ack_min_ms", 499));
    EXPECT_FALSE(takes(config, "delayed_ack_max_ms", 498));
    EXPECT_TRUE(takes(config, "initial_rto_ms", 7));
    EXPECT_EQ(config.syn_rto, milliseconds(7)) << "it holds for the SYN as well";
}

TEST(ConfigTable, NoSettingTouchesAnothersField) {
    for (const Setting& changed : settings()) {
        TcpConfig config;
        const std::uint64_t value = changed.standard == changed.low ? changed.high : changed.low;
        ASSERT_TRUE(takes(config, changed.name, value)) << changed.name;
        for (const Setting& other : settings()) {
            const bool both = std::string_view(changed.name) == "initial_rto_ms" &&
                              std::string_view(other.name) == "syn_rto_ms";
            if (&other != &changed && !both) {
                EXPECT_EQ(other.read(config), other.standard) << changed.name << ", " << other.name;
            }
        }
    }
}

TEST(ConfigTable, TheProfilesDifferInWhatTheyName) {
    const TcpConfig rfc = profile_config(Profile::rfc);
    EXPECT_EQ(rfc.syn_retries, 7u);
    EXPECT_EQ(rfc.synack_retries, 7u);
    EXPECT_EQ(rfc.rto_min, seconds(1));
    EXPECT_EQ(rfc.initial_window_segments, 3u);
    EXPECT_EQ(rfc.delayed_ack_min, milliseconds(200));
    EXPECT_EQ(rfc.delayed_ack_max, milliseconds(499));
    EXPECT_EQ(rfc.quick_acks, 0u);
    EXPECT_EQ(rfc.msl, seconds(120));
    EXPECT_FALSE(rfc.rfc1337);
    const TcpConfig as_linux = profile_config(Profile::linux_like);
    EXPECT_EQ(as_linux.initial_receive_window, 65'535u);
    EXPECT_EQ(as_linux.syn_retries, 6u);
}

}  // namespace
}  // namespace runnel::tcp
