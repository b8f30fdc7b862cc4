// The three profiles and the table of names behind `--set`. Linux's names and bounds are those of
// its documentation (ip-sysctl) and of what a 6.18 kernel shows; the RFCs' are cited where they
// differ.
#include "runnel/tcp/config.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include "runnel/tcp/names.hpp"

namespace runnel::tcp {

namespace {

TcpConfig linux_config() {
    TcpConfig config;
    config.syn_linear_timeouts = 4;
    config.icmp_aborts_opening = true;
    config.challenge_ack_limit =
        0x7fff'ffff;                    // per host no limit since 6.0; per socket RFC 5961 §7's
    config.receive_buffer = 32U << 20;  // tcp_rmem[2] since 6.16
    config.pacing = false;              // BBR asks for it by itself
    config.rto_restart = false;
    config.prr_by_flight = false;
    config.linux_recovery = true;
    config.rtt_gain_by_flight = false;
    config.probe_for_rto = false;  // as a 6.18 kernel does it, whose RTO then comes
    config.mtu_probing = 0;
    config.mtu_needs_evidence = false;
    config.paws_tolerance = milliseconds(1);  // TCP_PAWS_WINDOW
    config.send_buffer = 4U << 20;            // tcp_wmem[2]
    config.initial_receive_window = 65'535;
    config.rfc1337 = false;
    config.fast_open_blackhole_timeout = {};  // since 5.14
    return config;
}

/// RFC 1122, 6298, 5681 and 9293 to the letter, where Linux and current practice went on.
TcpConfig rfc_config() {
    TcpConfig config;
    config.syn_retries =
        7;  // RFC 9293 MUST-23: R2 of a SYN at least 3 minutes; 7 give up after 255 s
    config.synack_retries = 7;
    config.syn_cookies = 0;
    config.fast_open = 0;         // RFC 7413 is experimental
    config.rto_min = seconds(1);  // RFC 6298 §2.4
    config.linux_rto = false;
    config.initial_window_segments = 3;          // RFC 5681 §3.1 for an MSS from 1096 to 2190
    config.delayed_ack_min = milliseconds(200);  // RFC 9293 §3.8.6.3, MUST-40: below 0.5 s
    config.delayed_ack_max = milliseconds(499);
    config.quick_acks = 0;
    config.ack_on_read = false;
    config.msl = seconds(120);  // RFC 9293 §3.4.1
    config.rfc1337 = false;     // RFC 9293 §3.10.7.4: an RST ends TIME-WAIT
    config.icmp_aborts = true;  // RFC 9293 §3.9.2.2, SHLD-26
    config.congestion_control = CongestionControl::new_reno;  // RFC 5681
    config.recovery = 0;                                      // RFC 6675
    config.tail_loss_probe = false;
    config.frto = false;
    config.rto_restart = false;
    config.pacing = false;
    config.ecn = 0;
    config.mtu_probing = 0;
    config.mtu_needs_evidence = false;
    config.paws_tolerance = {};
    config.send_buffer = 4U << 20;
    config.receive_buffer = 6U << 20;
    return config;
}

/// The whole of `text` as a number: decimal, or hexadecimal behind 0x, as Linux's sysctl takes them.
std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t value = 0;
    const bool hexadecimal = text.starts_with("0x") || text.starts_with("0X");
    text.remove_prefix(hexadecimal ? 2 : 0);
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value, hexadecimal ? 16 : 10);
    if (error != std::errc{} || stop != end || text.empty()) {
        return std::nullopt;
    }
    return value;
}

/// One to `kMost` numbers with blanks, a comma or a hyphen between them; nothing when it is not
/// that.
template <std::size_t kMost>
struct Numbers {
    std::array<std::uint64_t, kMost> values{};
    std::size_t count = 0;

    static std::optional<Numbers> parse(std::string_view text) {
        constexpr std::string_view kBetween = " \t,-";
        Numbers numbers;
        while (!text.empty()) {
            const std::size_t end = std::min(text.find_first_of(kBetween), text.size());
            const auto value = number(text.substr(0, end));
            if (!value || numbers.count == kMost) {
                return std::nullopt;
            }
            numbers.values[numbers.count++] = *value;
            text.remove_prefix(end);
            const std::size_t next = text.find_first_not_of(kBetween);
            if (!text.empty() && next == std::string_view::npos) {
                return std::nullopt;  // ends in a separator
            }
            text.remove_prefix(text.empty() ? 0 : next);
        }
        return numbers.count == 0 ? std::nullopt : std::optional(numbers);
    }
};

using SetNumber = bool (*)(TcpConfig&, std::uint64_t);
using SetText = bool (*)(TcpConfig&, std::string_view);

/// A field by name: a number within bounds, or a text with rules of its own. The setter may refuse
/// what does not go with another field.
struct Field {
    ConfigName name;
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    SetNumber set_number = nullptr;
    SetText set_text = nullptr;
};

template <auto kMember>
bool set_integer(TcpConfig& config, std::uint64_t value) {
    using Value = std::remove_reference_t<decltype(config.*kMember)>;
    config.*kMember = static_cast<Value>(value);
    return true;
}
template <auto kMember, std::int64_t kUnit>
bool set_duration(TcpConfig& config, std::uint64_t value) {
    config.*kMember = Duration{static_cast<std::int64_t>(value) * kUnit};
    return true;
}

constexpr std::int64_t kMilli = 1'000'000;
constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kMostInt = 0x7fff'ffff;

template <auto kMember>
constexpr Field flag(std::string_view name, std::string_view sentence) {
    return {{name, sentence}, 0, 1, &set_integer<kMember>};
}
template <auto kMember>
constexpr Field count(std::string_view name, std::uint64_t low, std::uint64_t high,
                      std::string_view sentence) {
    return {{name, sentence}, low, high, &set_integer<kMember>};
}
template <auto kMember, std::int64_t kUnit>
constexpr Field time(std::string_view name, std::uint64_t low, std::uint64_t high,
                     std::string_view sentence) {
    return {{name, sentence}, low, high, &set_duration<kMember, kUnit>};
}
constexpr Field numeric(std::string_view name, std::uint64_t low, std::uint64_t high, SetNumber set,
                        std::string_view sentence) {
    return {{name, sentence}, low, high, set};
}
constexpr Field text(std::string_view name, SetText set, std::string_view sentence) {
    return {{name, sentence}, 0, 0, nullptr, set};
}

bool set_rto_min(TcpConfig& config, std::uint64_t micros) {
    const Duration value = microseconds(static_cast<std::int64_t>(micros));
    if (value > config.rto_max) {
        return false;
    }
    config.rto_min = value;
    return true;
}
bool set_rto_max(TcpConfig& config, std::uint64_t millis) {
    const Duration value = milliseconds(static_cast<std::int64_t>(millis));
    if (value < config.rto_min) {
        return false;
    }
    config.rto_max = value;
    return true;
}
bool set_initial_rto(TcpConfig& config, std::uint64_t millis) {
    config.rto_initial = config.syn_rto = milliseconds(static_cast<std::int64_t>(millis));
    return true;
}
bool set_delayed_ack_min(TcpConfig& config, std::uint64_t millis) {
    const Duration value = milliseconds(static_cast<std::int64_t>(millis));
    if (value > config.delayed_ack_max) {
        return false;
    }
    config.delayed_ack_min = value;
    return true;
}
bool set_delayed_ack_max(TcpConfig& config, std::uint64_t millis) {
    const Duration value = milliseconds(static_cast<std::int64_t>(millis));
    if (value < config.delayed_ack_min) {
        return false;
    }
    config.delayed_ack_max = value;
    return true;
}
bool set_orphan_retries(TcpConfig& config, std::uint64_t value) {
    config.orphan_retries = value == 0 ? 8 : static_cast<std::uint32_t>(value);  // as Linux reads 0
    return true;
}
bool set_port_range(TcpConfig& config, std::string_view value) {
    const auto ports = Numbers<2>::parse(value);
    if (!ports || ports->count != 2 || ports->values[0] < 1 || ports->values[1] > 65'535 ||
        ports->values[0] > ports->values[1]) {
        return false;
    }
    config.port_low = static_cast<std::uint16_t>(ports->values[0]);
    config.port_high = static_cast<std::uint16_t>(ports->values[1]);
    return true;
}
/// "least default greatest", of which the last counts; one number alone is the greatest.
std::optional<std::uint32_t> buffer_size(std::string_view value) {
    constexpr std::uint64_t kLeast = 4096;
    constexpr std::uint64_t kMost = std::uint64_t{1} << 30;
    const auto sizes = Numbers<3>::parse(value);
    if (!sizes) {
        return std::nullopt;
    }
    const std::uint64_t greatest = sizes->values[sizes->count - 1];
    if (greatest < kLeast || greatest > kMost) {
        return std::nullopt;
    }
    return static_cast<std::uint32_t>(greatest);
}
bool set_send_buffer(TcpConfig& config, std::string_view value) {
    const auto size = buffer_size(value);
    config.send_buffer = size.value_or(config.send_buffer);
    return size.has_value();
}
bool set_receive_buffer(TcpConfig& config, std::string_view value) {
    const auto size = buffer_size(value);
    config.receive_buffer = size.value_or(config.receive_buffer);
    return size.has_value();
}
/// Eight hexadecimal digits four times, with hyphens between them: 32-bit numbers whose octets are the key's, least
/// first (Linux).
std::optional<SipKey> fast_open_key(std::string_view text) {
    constexpr std::size_t kDigits = 8;
    std::array<std::uint64_t, 4> words{};
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string_view digits = text.substr(0, kDigits);
        const char* end = digits.data() + digits.size();
        const auto [stop, error] = std::from_chars(digits.data(), end, words[i], 16);
        if (error != std::errc{} || stop != end || digits.size() != kDigits) {
            return std::nullopt;
        }
        text.remove_prefix(kDigits);
        const bool last = i + 1 == words.size();
        if (last ? !text.empty() : !text.starts_with('-')) {
            return std::nullopt;
        }
        text.remove_prefix(last ? 0 : 1);
    }
    return SipKey{words[0] | words[1] << 32, words[2] | words[3] << 32};
}
bool set_fast_open_key(TcpConfig& config, std::string_view value) {
    const std::size_t comma = value.find(',');
    const auto primary = fast_open_key(value.substr(0, comma));
    const bool two = comma != std::string_view::npos;
    const auto backup = two ? fast_open_key(value.substr(comma + 1)) : std::nullopt;
    if (!primary || (two && !backup)) {
        return false;
    }
    config.fast_open_keys = FastOpenKeys{*primary, backup};
    return true;
}
bool set_congestion_control(TcpConfig& config, std::string_view value) {
    const auto control = congestion_control_named(value == "new_reno" ? "reno" : value);
    config.congestion_control = control.value_or(config.congestion_control);
    return control.has_value();
}

/// tcp_early_retrans: 0 to 2 meant early retransmit (RFC 5827), which is gone; 3 and 4 the tail-loss probe.
bool set_early_retrans(TcpConfig& config, std::uint64_t value) {
    config.tail_loss_probe = value >= 3;
    return true;
}
bool set_frto(TcpConfig& config, std::uint64_t value) {
    config.frto = value != 0;
    return true;
}

using C = TcpConfig;

constexpr std::array kFields = {
    // Opening
    count<&C::syn_retries>("tcp_syn_retries", 0, 127,
                           "SYN retransmissions before connect gives up"),
    count<&C::synack_retries>("tcp_synack_retries", 0, 127,
                              "SYN,ACK retransmissions before a half-open connection is dropped"),
    count<&C::syn_linear_timeouts>("tcp_syn_linear_timeouts", 0, 127,
                                   "tries of a SYN a second apart before the others"),
    time<&C::syn_rto, kMilli>("syn_rto_ms", 1, 120'000, "first timeout of a SYN, in ms"),
    count<&C::max_syn_backlog>("tcp_max_syn_backlog", 1, 1U << 20,
                               "half-open connections of a listener"),
    count<&C::syn_cookies>("tcp_syncookies", 0, 2,
                           "SYN cookies: 0 never, 1 when a listener's backlog is full, 2 always"),
    count<&C::fast_open>("tcp_fastopen", 0, 0xffff,
                         "Fast Open (RFC 7413): 1 client, 2 server, 4 and 0x200 without cookies, "
                         "0x400 every listener; the sum of them"),
    text(
        "tcp_fastopen_key", &set_fast_open_key,
        "key of Fast Open cookies, 8-8-8-8 hexadecimal digits; a comma and the old key may follow"),
    time<&C::fast_open_blackhole_timeout, kSecond>(
        "tcp_fastopen_blackhole_timeout_sec", 0, 1'000'000,
        "pause of Fast Open where SYNs with data seem to be swallowed, in s; 0: none"),
    count<&C::somaxconn>("somaxconn", 1, 1U << 20, "greatest backlog of a listener"),
    flag<&C::abort_on_overflow>("tcp_abort_on_overflow", "1: a full accept queue answers with RST"),
    flag<&C::timestamps>("tcp_timestamps", "timestamps option (RFC 7323)"),
    flag<&C::window_scaling>("tcp_window_scaling", "window scale option (RFC 7323)"),
    flag<&C::sack>("tcp_sack", "selective acknowledgments (RFC 2018)"),
    text("ip_local_port_range", &set_port_range, "ephemeral ports, \"low high\" or low-high"),
    count<&C::minimum_mss>("tcp_min_snd_mss", 48, 65'535,
                           "least segment size ever used, in octets"),
    // Retransmission
    numeric("tcp_rto_min_us", 1, 120'000'000, &set_rto_min, "least retransmission timeout, in us"),
    numeric("tcp_rto_max_ms", 1'000, 120'000, &set_rto_max,
            "greatest retransmission timeout, in ms"),
    numeric("initial_rto_ms", 1, 120'000, &set_initial_rto,
            "timeout before a round trip has been measured, the SYN's included, in ms"),
    flag<&C::linux_rto>("linux_rto", "1: RTO as Linux computes it; 0: by RFC 6298 to the letter"),
    flag<&C::rtt_gain_by_flight>(
        "rtt_gain_by_flight",
        "1: SRTT by RFC 7323 appendix G; 0: an eighth of each sample (Linux)"),
    count<&C::retries1>("tcp_retries1", 1, 255, "timeouts before the path is asked for anew (R1)"),
    count<&C::retries2>("tcp_retries2", 1, 255, "timeouts before a connection is given up (R2)"),
    numeric("tcp_orphan_retries", 0, 255, &set_orphan_retries,
            "timeouts before a closed connection is given up; 0: 8"),
    count<&C::initial_window_segments>("tcp_init_cwnd", 1, 1'000, "initial window, in segments"),
    count<&C::duplicate_ack_threshold>("tcp_reordering", 1, 300, "duplicate ACKs that mean a loss"),
    text("tcp_congestion_control", &set_congestion_control,
         "cubic, bbr, dctcp, reno, or fixed for tests"),
    flag<&C::slow_start_after_idle>("tcp_slow_start_after_idle",
                                    "idle for an RTO: slow start again"),
    count<&C::recovery>(
        "tcp_recovery", 0, 7,
        "1 RACK (RFC 8985), 2 its window is fixed, 4 it counts no duplicates; the sum"),
    numeric("tcp_early_retrans", 0, 4, &set_early_retrans, "3 and 4: tail-loss probes (RFC 8985)"),
    numeric("tcp_frto", 0, 2, &set_frto, "1, 2: spurious timeouts are found by F-RTO (RFC 5682)"),
    flag<&C::probe_for_rto>(
        "probe_for_rto", "a tail-loss probe takes the place of an RTO that would come before it"),
    flag<&C::linux_recovery>(
        "linux_recovery",
        "thresholds of the window, growth by the ACK that ends a repair, as Linux"),
    flag<&C::prr_by_flight>(
        "prr_by_flight", "PRR begins at what was in flight (RFC 9937), not at the window (Linux)"),
    flag<&C::rto_restart>("rto_restart",
                          "the RTO runs from the oldest segment when few are out (RFC 7765)"),
    count<&C::max_reordering>("tcp_max_reordering", 3, 65'535,
                              "greatest reordering learnt, in segments"),
    flag<&C::hystart>("hystart", "slow start ends when the round trip grows (RFC 9406)"),
    flag<&C::pacing>("pacing", "segments are spread over the round trip"),
    count<&C::pacing_slow_start>("tcp_pacing_ss_ratio", 1, 1'000,
                                 "pacing in slow start, in % of window by round trip"),
    count<&C::pacing_avoidance>("tcp_pacing_ca_ratio", 1, 1'000, "the same afterwards"),
    count<&C::ecn>(
        "tcp_ecn", 0, 5,
        "0 no ECN, 1 ask and accept, 2 accept, 3 ask for AccECN, 4 ask for ECN and accept "
        "AccECN, 5 accept AccECN"),
    flag<&C::ecn_fallback>("tcp_ecn_fallback", "a SYN sent again asks for no ECN"),
    count<&C::accecn_option>("tcp_ecn_option", 0, 2,
                             "AccECN's option: 0 never, 1 when needed, 2 also as beacons"),
    count<&C::mtu_probing>(
        "tcp_mtu_probing", 0, 2,
        "search for the path MTU (RFC 4821): 1 where a black hole shows, 2 always"),
    count<&C::base_mss>("tcp_base_mss", 48, 65'535, "segment size with which such a search begins"),
    count<&C::mtu_probe_floor>("tcp_mtu_probe_floor", 48, 65'535, "least segment size of a search"),
    count<&C::mtu_probe_threshold>("tcp_probe_threshold", 1, 65'535,
                                   "a search is over when so few octets are open"),
    time<&C::mtu_probe_interval, kSecond>(
        "tcp_probe_interval", 0, 1'000'000,
        "larger sizes are tried again after so long, in s; 0: never"),
    flag<&C::mtu_needs_evidence>(
        "mtu_needs_evidence", "ICMP is believed about what has got through only once that is lost"),
    time<&C::paws_tolerance, kMilli>("paws_tolerance_ms", 0, 1'000,
                                     "a timestamp older by so little is a late segment's, in ms"),
    // Acknowledging
    numeric("delayed_ack_min_ms", 1, 499, &set_delayed_ack_min, "least delay of an ACK, in ms"),
    numeric("delayed_ack_max_ms", 1, 499, &set_delayed_ack_max, "greatest delay of an ACK, in ms"),
    count<&C::quick_acks>("quick_acks", 0, 255, "segments acknowledged at once at the start"),
    flag<&C::ack_on_read>("ack_on_read",
                          "a delayed ACK goes when the reader has taken all (Linux)"),
    count<&C::challenge_ack_limit>("tcp_challenge_ack_limit", 0, kMostInt,
                                   "challenge ACKs a second, for the whole host (RFC 5961)"),
    time<&C::invalid_ack_interval, kMilli>("tcp_invalid_ratelimit", 0, kMostInt,
                                           "least time between answers to invalid segments, in ms"),
    // Buffers
    text("tcp_wmem", &set_send_buffer, "send buffer in bytes; of several numbers the last"),
    text("tcp_rmem", &set_receive_buffer, "receive buffer in bytes; of several numbers the last"),
    count<&C::initial_receive_window>("initial_receive_window", 536, 1U << 30,
                                      "receive window at the start, in bytes"),
    flag<&C::window_autotuning>("tcp_moderate_rcvbuf", "the receive window grows with the reader"),
    flag<&C::send_buffer_autotuning>("send_buffer_autotuning",
                                     "the send buffer grows with the congestion window"),
    // Idle and closing
    time<&C::keepalive_time, kSecond>("tcp_keepalive_time", 1, 32'767,
                                      "idle time before the first keep-alive probe, in s"),
    time<&C::keepalive_interval, kSecond>("tcp_keepalive_intvl", 1, 32'767,
                                          "time between keep-alive probes, in s"),
    count<&C::keepalive_probes>("tcp_keepalive_probes", 1, 127,
                                "unanswered keep-alive probes before the connection is given up"),
    time<&C::fin_timeout, kSecond>("tcp_fin_timeout", 0, 3'600,
                                   "stay of a closed connection in FIN-WAIT-2, in s"),
    time<&C::msl, kMilli>("msl_ms", 0, 600'000,
                          "maximum segment lifetime, half of TIME-WAIT, in ms"),
    flag<&C::rfc1337>("tcp_rfc1337", "an RST does not end TIME-WAIT (RFC 1337)"),
    flag<&C::time_wait_reuse>("tcp_tw_reuse", "a new SYN may end TIME-WAIT (RFC 6191)"),
    time<&C::user_timeout, kMilli>(
        "user_timeout_ms", 0, kMostInt,
        "data unacknowledged for so long ends a connection, in ms; 0: by R2"),
    flag<&C::icmp_aborts>("icmp_aborts", "hard ICMP errors end established connections too"),
    flag<&C::icmp_aborts_opening>("icmp_aborts_opening",
                                  "soft ICMP errors end what is not established yet (RFC 5461)"),
    time<&C::sleep_after, kMilli>("sleep_after_ms", 0, 3'600'000,
                                  "a connection quiet for so long is packed to save memory, in ms"),
    count<&C::max_connections>("max_connections", 1, 1U << 24, "connections of the host"),
    count<&C::max_time_wait>("tcp_max_tw_buckets", 0, 1U << 24, "connections in TIME-WAIT"),
    count<&C::max_orphans>("tcp_max_orphans", 0, 1U << 24,
                           "closed connections that are not done yet"),
    // Segments
    flag<&C::super_segments>("super_segments", "up to 64 KB handed to the link at once"),
    count<&C::hop_limit>("ip_default_ttl", 1, 255, "hop limit of what is sent"),
};

constexpr auto kNames = [] {
    std::array<ConfigName, kFields.size()> names;
    for (std::size_t i = 0; i < names.size(); ++i) {
        names[i] = kFields[i].name;
    }
    return names;
}();

}  // namespace

TcpConfig profile_config(Profile profile) {
    switch (profile) {
        case Profile::modern: break;
        case Profile::linux_like: return linux_config();
        case Profile::rfc: return rfc_config();
    }
    return {};
}

Status set_by_name(TcpConfig& config, std::string_view name, std::string_view value) {
    for (const std::string_view prefix : {"net.ipv4.", "net.core."}) {
        if (name.starts_with(prefix)) {
            name.remove_prefix(prefix.size());
        }
    }
    const auto field = std::find_if(kFields.begin(), kFields.end(),
                                    [&](const Field& f) { return f.name.name == name; });
    if (field == kFields.end()) {
        return fail(Errc::option_not_supported);
    }
    bool taken = false;
    if (field->set_text != nullptr) {
        taken = field->set_text(config, value);
    } else if (const auto n = number(value)) {
        taken = *n >= field->low && *n <= field->high && field->set_number(config, *n);
    }
    return taken ? Status{} : fail(Errc::argument_invalid);
}

std::span<const ConfigName> config_names() {
    return kNames;
}

}  // namespace runnel::tcp
