#include "runnel/drill/script_defaults.hpp"

#include <string_view>
#include <utility>

namespace runnel::drill {

namespace {

// Buffers are smaller than those of a Linux of today: scripts expect a window scale of 8.
constexpr std::pair<std::string_view, std::string_view> kValues[] = {
    {"tcp_rmem", "4096 540000 15728640"},
    {"tcp_wmem", "4096 262144 4194304"},
    {"tcp_timestamps", "1"},
    {"tcp_sack", "1"},
    {"tcp_syn_retries", "5"},
    {"tcp_synack_retries", "5"},
    {"tcp_reordering", "3"},
    {"tcp_slow_start_after_idle", "0"},
    {"tcp_syncookies", "1"},
    {"tcp_fastopen", "3"},
    {"tcp_fastopen_key", "a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4"},
};

}  // namespace

tcp::TcpConfig script_defaults() {
    tcp::TcpConfig config = tcp::profile_config(tcp::Profile::linux_like);
    for (const auto& [name, value] : kValues) {
        (void)tcp::set_by_name(config, name, value);
    }
    return config;
}

}  // namespace runnel::drill
