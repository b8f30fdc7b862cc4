#include "runnel/cli/sim/flag_scenario.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "runnel/cli/exit_code.hpp"
#include "runnel/cli/sim/scenario_fields.hpp"
#include "runnel/cli/sim/units.hpp"

namespace runnel::sim_command {

namespace {

constexpr std::uint64_t kEndless = std::uint64_t{1}
                                   << 50;  ///< octets that no run gets to the end of
constexpr std::uint64_t kAnyRateQueue = 1'000'000;

[[noreturn]] void refuse(std::string sentence) {
    throw CommandError(kExitUsage, std::move(sentence));
}

template <class Parse>
auto flag(const char* name, const std::string& text, const char* fallback, const char* wanted,
          Parse parse) {
    const auto value = parse(text.empty() ? std::string_view(fallback) : std::string_view(text));
    if (!value) {
        refuse(fmt::format("{} wants {}, not {}", name, wanted, text));
    }
    return *value;
}
Duration time_flag(const char* name, const std::string& text, const char* fallback) {
    const Duration value =
        flag(name, text, fallback, "a time such as 50ms or 1.5s", parse_duration);
    if (value.ns < 0) {
        refuse(fmt::format("{} can't be negative", name));
    }
    return value;
}
std::uint32_t share_flag(const char* name, const std::string& text) {
    return flag(name, text, "0", "a share such as 1% or 300ppm", parse_share);
}

/// "1bdp", "0.5bdp" of what the line holds, "100p" packets, or a size.
std::uint32_t queue_bytes(const FlagTexts& flags, std::uint64_t rate, Duration rtt,
                          std::uint32_t mtu) {
    const std::string text = flags.queue.empty() ? "1bdp" : flags.queue;
    std::uint64_t bytes = kAnyRateQueue;
    const auto counted = [&](std::string_view unit) -> std::optional<double> {
        double number = 0;
        const char* end = text.data() + text.size() - unit.size();
        if (!text.ends_with(unit) || end == text.data()) {
            return std::nullopt;
        }
        const auto [stop, error] = std::from_chars(text.data(), end, number);
        return error == std::errc{} && stop == end && number >= 0 && number <= 1e6
                   ? std::optional(number)
                   : std::nullopt;
    };
    if (const auto lines = counted("bdp")) {
        if (rate != 0) {
            bytes = static_cast<std::uint64_t>(*lines * static_cast<double>(rate) *
                                               static_cast<double>(rtt.ns) / 1e9);
        }
    } else if (const auto packets = counted("p")) {
        bytes = static_cast<std::uint64_t>(*packets * mtu);
    } else if (const auto size = parse_size(text)) {
        bytes = *size;
    } else {
        refuse(
            fmt::format("--queue wants 1bdp, 100p (packets) or a size such as 64kb, not {}", text));
    }
    // A line that can't hold two packets carries next to nothing, which nobody means.
    return static_cast<std::uint32_t>(
        std::clamp<std::uint64_t>(bytes, 2ULL * mtu, std::uint64_t{1} << 31));
}

std::vector<tcp::CongestionControl> controllers(const std::string& text, tcp::Profile profile) {
    if (text.empty()) {
        return {tcp::profile_config(profile).congestion_control};
    }
    std::vector<tcp::CongestionControl> found;
    std::string_view rest = text;
    while (true) {
        const std::size_t end = std::min(rest.find(','), rest.size());
        const std::string_view name = rest.substr(0, end);
        const auto known = tcp::congestion_control_named(name);
        if (!known) {
            std::string names;
            for (const auto& one : kControllers.names) {
                names += fmt::format("{}{}", names.empty() ? "" : ", ", one.first);
            }
            refuse(
                fmt::format("Runnel has no congestion control {} yet; --cc takes {}", name, names));
        }
        found.push_back(*known);
        if (end == rest.size()) {
            return found;
        }
        rest.remove_prefix(end + 1);
    }
}

void add_settings(const FlagTexts& flags, sim::HostSpec& host) {
    if (!flags.profile.empty()) {
        const auto known = tcp::profile_named(flags.profile);
        if (!known) {
            refuse(fmt::format("--profile is modern, linux or rfc, not {}", flags.profile));
        }
        host.profile = *known;
    }
    for (const std::string& setting : flags.settings) {
        const std::size_t equals = setting.find('=');
        const auto names = tcp::config_names();
        const auto known = std::find_if(names.begin(), names.end(), [&](const auto& one) {
            return one.name == std::string_view(setting).substr(0, equals);
        });
        const std::string value = equals == std::string::npos ? "" : setting.substr(equals + 1);
        const auto number = parse_size(value);
        tcp::TcpConfig config = tcp::profile_config(host.profile);
        if (known == names.end() || !number || !tcp::set_by_name(config, known->name, value)) {
            refuse(fmt::format("--set wants NAME=NUMBER such as tcp_sack=0, not {}", setting));
        }
        host.knobs.push_back({known->name, *number});
    }
}

void add_fault(sim::Scenario& scenario, sim::FaultKind kind, std::uint32_t share, Duration most) {
    if (share == 0) {
        return;
    }
    sim::Fault fault;
    fault.kind = kind;
    fault.ways = sim::Ways::forth;
    fault.until = scenario.limit;
    fault.intensity = share;
    fault.a = most.ns;
    fault.seed = scenario.seed * 64 + scenario.faults.size() + 1;
    scenario.faults.push_back(fault);
}

void add_flows(const FlagTexts& flags, sim::Scenario& scenario) {
    const std::uint32_t count = flags.flows.value_or(1);
    const auto size = flags.size.empty() ? kEndless
                                         : flag("--size", flags.size, "",
                                                "a number of octets such as 10mb", parse_size);
    const auto ccs = controllers(flags.cc, scenario.hosts.front().profile);
    for (std::uint32_t i = 0; i < count; ++i) {
        sim::Flow flow;
        flow.id = static_cast<std::uint8_t>(i);
        flow.v6 = flags.v6;
        flow.congestion_control = ccs[i % ccs.size()];
        flow.up = size;
        flow.call = 64 * 1024;
        flow.seed = scenario.seed * 64 + i;
        scenario.flows.push_back(flow);
    }
}

}  // namespace

bool FlagTexts::any() const {
    return !text().empty();
}

std::string FlagTexts::text() const {
    std::string line;
    const auto add = [&](const char* name, const std::string& value) {
        if (!value.empty()) {
            line += fmt::format(" {} {}", name, value);
        }
    };
    add("--rate", rate);
    add("--rtt", rtt);
    add("--jitter", jitter);
    add("--queue", queue);
    add("--duration", duration);
    add("--size", size);
    add("--loss", loss);
    add("--reorder", reorder);
    add("--duplicate", duplicate);
    add("--corrupt", corrupt);
    add("--cc", cc);
    add("--profile", profile);
    for (const std::string& setting : settings) {
        add("--set", setting);
    }
    add("--flows", flows ? fmt::format("{}", *flows) : "");
    add("--mtu", mtu ? fmt::format("{}", *mtu) : "");
    line += codel ? " --codel" : "";
    line += ecn ? " --ecn" : "";
    line += v6 ? " --ipv6" : "";
    return line.empty() ? line : line.substr(1);
}

sim::Scenario scenario_of(const FlagTexts& flags, std::uint64_t seed) {
    sim::Scenario scenario;
    scenario.seed = seed;
    // Without a size the time is the end, as with iperf3; with one it is only a bound.
    const bool timed = flags.size.empty() || !flags.duration.empty();
    scenario.open_ended = timed;
    scenario.limit = timed ? time_flag("--duration", flags.duration, "10s") : seconds(3'600);
    const std::uint64_t rate =
        flag("--rate", flags.rate, "100mbit", "a rate such as 100mbit", parse_rate);
    const Duration rtt = time_flag("--rtt", flags.rtt, "20ms");
    sim::LinkSpec link;
    link.a = 0;
    link.b = 1;
    link.mtu = flags.mtu.value_or(1500);
    if (flags.v6 && link.mtu < 1280) {
        refuse("IPv6 needs an --mtu of 1280 or more (RFC 8200 §5)");
    }
    sim::WaySpec& way = link.way[0];
    way.rate = rate;
    way.delay = rtt / 2;
    way.jitter = time_flag("--jitter", flags.jitter, "0");
    way.queue = flags.codel || flags.ecn ? sim::QueueKind::codel : sim::QueueKind::drop_tail;
    way.ecn = flags.ecn;
    way.queue_bytes = queue_bytes(flags, rate, rtt, link.mtu);
    link.way[1] = way;
    scenario.links.push_back(link);
    for (const sim::NodeId id : {sim::NodeId{0}, sim::NodeId{1}}) {
        sim::HostSpec host;
        host.id = id;
        host.memory = 256U << 20;
        host.ring = 4'096;
        add_settings(flags, host);
        scenario.hosts.push_back(host);
    }
    add_flows(flags, scenario);
    add_fault(scenario, sim::FaultKind::drop, share_flag("--loss", flags.loss), {});
    add_fault(scenario, sim::FaultKind::reorder, share_flag("--reorder", flags.reorder), rtt / 4);
    add_fault(scenario, sim::FaultKind::duplicate, share_flag("--duplicate", flags.duplicate),
              rtt / 4);
    add_fault(scenario, sim::FaultKind::corrupt_bit, share_flag("--corrupt", flags.corrupt), {});
    return scenario;
}

}  // namespace runnel::sim_command
