// Reading of the common options: each refusal says what was written, what would be right and where to look.
#include "runnel/cli/common_options.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdlib>

#include "runnel/cli/exit_code.hpp"
#include "runnel/tcp/names.hpp"

namespace runnel {

namespace {

constexpr const char* kGroup = "Host";

[[noreturn]] void usage(const std::string& message) {
    throw CommandError(kExitUsage, message);
}

std::optional<int> parse_number(std::string_view text) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool valid = error == std::errc() && end == text.data() + text.size();
    return valid ? std::optional(value) : std::nullopt;
}

void parse_descriptor(std::string_view text, LinkSpec& spec) {
    const std::size_t comma = text.find(',');
    const auto number = parse_number(text.substr(0, comma));
    if (!number || *number < 0) {
        usage(
            fmt::format("--link fd:{}: write fd:N[,ethernet][,vnet], N an open descriptor", text));
    }
    spec.fd = *number;
    std::string_view rest = comma == std::string_view::npos ? "" : text.substr(comma + 1);
    while (!rest.empty()) {
        const std::size_t next = rest.find(',');
        const std::string_view word = rest.substr(0, next);
        if (word == "ethernet") {
            spec.ethernet = true;
        } else if (word == "vnet") {
            spec.vnet_hdr = true;
        } else {
            usage(fmt::format("--link fd:{}: \"{}\" is neither \"ethernet\" nor \"vnet\"", text,
                              word));
        }
        rest = next == std::string_view::npos ? "" : rest.substr(next + 1);
    }
}

tcp::TcpConfig read_tcp(const HostArguments& arguments) {
    tcp::TcpConfig config =
        tcp::profile_config(tcp::profile_named(arguments.profile).value_or(tcp::Profile::modern));
    std::vector<std::string> settings = arguments.settings;
    if (!arguments.congestion_control.empty()) {
        settings.push_back("tcp_congestion_control=" + arguments.congestion_control);
    }
    for (const std::string& setting : settings) {
        const std::size_t equals = setting.find('=');
        if (equals == std::string::npos) {
            usage(
                fmt::format("--set {}: write --set KEY=VALUE, such as tcp_syn_retries=3", setting));
        }
        const std::string key = setting.substr(0, equals);
        const Status status = tcp::set_by_name(config, key, setting.substr(equals + 1));
        if (!status && status.error() == Errc::option_not_supported) {
            usage(fmt::format("--set {}: there is no \"{}\"; `--set list` lists what there is",
                              setting, key));
        }
        if (!status) {
            usage(fmt::format("--set {}: that is no value for {}; see `--set list`", setting, key));
        }
    }
    return config;
}

void print_settings() {
    for (const tcp::ConfigName& name : tcp::config_names()) {
        fmt::print("{:<32} {}\n", name.name, name.sentence);
    }
}

std::vector<Cidr> default_addresses(LinkKind kind, const std::string& link) {
    if (kind == LinkKind::packet || kind == LinkKind::descriptor) {
        usage(fmt::format(
            "--link {} needs --address, such as --address 10.9.0.2/24: only you know the "
            "network behind it",
            link));
    }
    return {*parse_cidr("10.9.0.2/24"), *parse_cidr("fd09::2/64")};
}

}  // namespace

void add_host_options(CLI::App& command, HostArguments& arguments) {
    command
        .add_option("--link", arguments.link,
                    "Where the host's packets go: tun[:NAME], tap[:NAME], packet:IFACE, "
                    "fd:N[,ethernet][,vnet] or wire (an in-process peer)")
        ->type_name("LINK")
        ->group(kGroup);
    command
        .add_option("--address", arguments.addresses,
                    "The host's address with its prefix; repeatable, IPv4 and IPv6 "
                    "(default 10.9.0.2/24 and fd09::2/64)")
        ->type_name("CIDR")
        ->group(kGroup)
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command
        .add_option(
            "--gateway", arguments.gateways,
            "The router to everything else; also the kernel's own address on a TUN or TAP that "
            "runnel makes (default .1)")
        ->type_name("IP")
        ->group(kGroup)
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command.add_option("--mtu", arguments.mtu, "Greatest IP packet on the link, bytes")
        ->check(CLI::Range(576, 65535))
        ->group(kGroup);
    command.add_option("--cc", arguments.congestion_control, "Congestion control")->group(kGroup);
    command
        .add_option(
            "--set", arguments.settings,
            "Any configuration value, by Linux's name: tcp_syn_retries=3; `--set list` lists them")
        ->type_name("KEY=VALUE")
        ->group(kGroup)
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command.add_option("--profile", arguments.profile, "Defaults of the configuration")
        ->check(CLI::IsMember({"modern", "linux", "rfc"}))
        ->capture_default_str()
        ->group(kGroup);
    command
        .add_option("--seed", arguments.seed,
                    "Secrets (ISNs, ports) from a number, for repeatable runs")
        ->group(kGroup);
    command
        .add_flag("--no-control", arguments.no_control,
                  "No control socket: ss, stat, why and trace won't see this process")
        ->group(kGroup);
    command
        .add_option("-w", arguments.capture,
                    "Capture every packet with its reason into a pcapng file")
        ->type_name("FILE.pcapng")
        ->group(kGroup);
}

LinkSpec parse_link(const std::string& text) {
    LinkSpec spec;
    const std::size_t colon = text.find(':');
    const std::string kind = text.substr(0, colon);
    const bool has_name = colon != std::string::npos;
    spec.name = has_name ? text.substr(colon + 1) : "";
    if (kind == "wire" && !has_name) {
        spec.kind = LinkKind::wire;
    } else if (kind == "tun" || kind == "tap") {
        spec.kind = kind == "tun" ? LinkKind::tun : LinkKind::tap;
    } else if (kind == "packet" && !spec.name.empty()) {
        spec.kind = LinkKind::packet;
    } else if (kind == "fd" && has_name) {
        spec.kind = LinkKind::descriptor;
        parse_descriptor(spec.name, spec);
        spec.name.clear();
    } else {
        usage(
            fmt::format("--link {}: write tun[:NAME], tap[:NAME], packet:IFACE, "
                        "fd:N[,ethernet][,vnet] or wire",
                        text));
    }
    return spec;
}

HostSettings read_host_arguments(const HostArguments& arguments) {
    for (const std::string& setting : arguments.settings) {
        if (setting == "list") {
            print_settings();
            throw CommandError(kExitOk, "");
        }
    }
    HostSettings settings;
    settings.link = parse_link(arguments.link);
    for (const std::string& text : arguments.addresses) {
        const auto cidr = parse_cidr(text);
        if (!cidr) {
            usage(fmt::format(
                "--address {}: write an address with its prefix, such as 10.9.0.2/24 or "
                "fd09::2/64",
                text));
        }
        settings.addresses.push_back(*cidr);
    }
    if (settings.addresses.empty()) {
        settings.addresses = default_addresses(settings.link.kind, arguments.link);
    }
    for (const std::string& text : arguments.gateways) {
        const auto address = parse_ip_address(text);
        if (!address) {
            usage(fmt::format("--gateway {}: write an address, such as 10.9.0.1", text));
        }
        settings.gateways.push_back(*address);
    }
    settings.mtu = arguments.mtu;
    settings.tcp = read_tcp(arguments);
    settings.capture = arguments.capture;
    settings.seed = arguments.seed;
    settings.control = !arguments.no_control;
    return settings;
}

bool OutputOptions::use_color(bool terminal) const {
    if (color == "always") {
        return true;
    }
    const char* no_color = std::getenv("NO_COLOR");
    return color == "auto" && terminal && (no_color == nullptr || *no_color == '\0');
}

void add_output_options(CLI::App& command, OutputOptions& options) {
    command.add_flag("-j,--json", options.json, "Machine-readable output");
    command.add_option("--color", options.color, "Colours: auto, always or never")
        ->check(CLI::IsMember({"auto", "always", "never"}))
        ->capture_default_str();
}

}  // namespace runnel
