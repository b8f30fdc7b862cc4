#include "runnel/drill/settings.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "runnel/drill/text.hpp"
#include "runnel/tcp/names.hpp"
#include "runnel/tcp/open/fast_open.hpp"

namespace runnel::drill {
namespace {

using Outcome = Result<void, Trouble>;

/// What becomes of an option.
enum class Use : std::uint8_t {
    setting,
    ignored,  ///< changes nothing that a script can see here
    foreign   ///< the script wants another machine, or code of its own
};
struct Known {
    std::string_view name;
    Use use;
};
constexpr Known kKnown[] = {
    {"ip_version", Use::setting},
    {"bind_port", Use::setting},
    {"connect_port", Use::setting},
    {"local_ip", Use::setting},
    {"gateway_ip", Use::setting},
    {"remote_ip", Use::setting},
    {"netmask_ip", Use::setting},
    {"mtu", Use::setting},
    {"mss", Use::setting},
    {"speed", Use::setting},
    {"tolerance_usecs", Use::setting},
    {"tolerance_percent", Use::setting},
    {"tcp_ts_tick_usecs", Use::setting},
    {"tcp_ts_ecr_scaled", Use::setting},
    {"ts_ecr_scaled", Use::setting},
    {"strict_segments", Use::setting},
    {"profile", Use::setting},
    {"batched", Use::setting},
    {"non_fatal", Use::setting},
    {"dry_run", Use::setting},
    {"verbose", Use::setting},
    {"code_format", Use::setting},
    {"code_command", Use::ignored},
    {"code_sockopt", Use::ignored},
    {"init_scripts", Use::ignored},
    {"local_linux_sll", Use::ignored},
    {"tun_dev", Use::ignored},
    {"tun_name", Use::ignored},
    {"persistent_tun_dev", Use::ignored},
    {"is_anyip", Use::ignored},
    {"send_omit_free", Use::ignored},
    {"debug", Use::ignored},
    {"hash", Use::ignored},
    {"wire_client", Use::foreign},
    {"wire_server", Use::foreign},
    {"wire_server_ip", Use::foreign},
    {"wire_server_port", Use::foreign},
    {"wire_client_dev", Use::foreign},
    {"wire_server_dev", Use::foreign},
    {"so_filename", Use::foreign},
    {"so_flags", Use::foreign},
    {"udp_encaps", Use::foreign},
    {"fm_filename", Use::foreign},
};

const Known* find(std::string_view name) {
    const auto* found = std::find_if(std::begin(kKnown), std::end(kKnown),
                                     [&](const Known& one) { return one.name == name; });
    return found == std::end(kKnown) ? nullptr : found;
}

Outcome wrong(const Option& option, std::string message, std::string hint = {},
              Trouble::Kind kind = Trouble::Kind::wrong) {
    Trouble made;
    made.kind = kind;
    made.at = option.at;
    made.message = std::move(message);
    made.hint = std::move(hint);
    return std::unexpected(std::move(made));
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

template <class T>
Outcome number(const Option& option, std::uint64_t least, std::uint64_t most, T&& use) {
    const auto value = whole_number(option.value);
    if (!value || *value < least || *value > most) {
        return wrong(option,
                     fmt::format("--{} wants a number from {} to {}, not \"{}\"", option.name,
                                 least, most, option.value),
                     fmt::format("as in: --{}={}", option.name, std::max<std::uint64_t>(least, 1)));
    }
    use(*value);
    return {};
}

Outcome flag(const Option& option, bool& out) {
    if (option.value.empty() || option.value == "1" || option.value == "true") {
        out = true;
        return {};
    }
    if (option.value == "0" || option.value == "false") {
        out = false;
        return {};
    }
    return wrong(option,
                 fmt::format("--{} is on (1) or off (0), not \"{}\"", option.name, option.value));
}

Outcome address(const Option& option, std::optional<IpAddress>& out, Settings& settings) {
    if (const auto cidr = parse_cidr(option.value)) {
        out = cidr->address;
        settings.prefix_length = cidr->prefix_length;
        return {};
    }
    out = parse_ip_address(option.value);
    if (!out) {
        return wrong(option,
                     fmt::format("--{} wants an address, not \"{}\"", option.name, option.value),
                     fmt::format("as in: --{}=192.168.0.1 or fd3d:fa7b:d17d::1", option.name));
    }
    return {};
}

Outcome netmask(const Option& option, Settings& settings) {
    if (const auto length = whole_number(option.value); length && *length <= 128) {
        settings.prefix_length = static_cast<std::uint8_t>(*length);
        return {};
    }
    const auto mask = parse_ip_address(option.value);
    if (mask) {
        unsigned ones = 0;
        bool ended = false, holes = false;
        for (const std::byte byte : mask->wire_bytes()) {
            for (unsigned bit = 8; bit > 0; --bit) {
                const bool set = ((std::to_integer<unsigned>(byte) >> (bit - 1)) & 1u) != 0;
                holes = holes || (set && ended);
                ended = ended || !set;
                ones += set ? 1 : 0;
            }
        }
        if (!holes) {
            settings.prefix_length = static_cast<std::uint8_t>(ones);
            return {};
        }
    }
    return wrong(option, fmt::format("--netmask_ip wants a mask, not \"{}\"", option.value),
                 "as in: --netmask_ip=255.255.0.0");
}

Outcome ip_version(const Option& option, Settings& settings) {
    if (option.value == "ipv4") {
        settings.ip_version = IpVersion::ipv4;
    } else if (option.value == "ipv6") {
        settings.ip_version = IpVersion::ipv6;
    } else if (option.value == "ipv4-mapped-ipv6") {
        settings.ip_version = IpVersion::ipv4_mapped_ipv6;
    } else {
        return wrong(option, fmt::format("there is no IP version \"{}\"", option.value),
                     "--ip_version is ipv4, ipv6 or ipv4-mapped-ipv6");
    }
    return {};
}

Outcome percent(const Option& option, Settings& settings) {
    const char* end = option.value.data() + option.value.size();
    double value = 0;
    const auto read = std::from_chars(option.value.data(), end, value, std::chars_format::fixed);
    if (read.ec != std::errc{} || read.ptr != end || !(value >= 0) || value > 100) {
        return wrong(option,
                     fmt::format("--tolerance_percent wants 0 to 100, not \"{}\"", option.value));
    }
    settings.tolerance_percent = value;
    return {};
}

Outcome non_fatal(const Option& option, Settings& settings) {
    std::string_view rest = option.value;
    NonFatal made;
    while (!rest.empty()) {
        const std::string_view one = rest.substr(0, rest.find(','));
        if (one == "packet") {
            made.packet = true;
        } else if (one == "syscall") {
            made.syscall = true;
        } else {
            return wrong(option, fmt::format("--non_fatal does not know \"{}\"", one),
                         "it is packet, syscall or both: --non_fatal=packet,syscall");
        }
        rest.remove_prefix(std::min(one.size() + 1, rest.size()));
    }
    settings.non_fatal = made;
    return {};
}

Outcome ports_and_sizes(const Option& option, Settings& settings, bool& mine) {
    mine = true;
    const auto port = [&](std::uint16_t& out) {
        return number(option, 1, 0xffff,
                      [&](std::uint64_t v) { out = static_cast<std::uint16_t>(v); });
    };
    if (option.name == "bind_port") {
        return port(settings.bind_port);
    }
    if (option.name == "connect_port") {
        return port(settings.connect_port);
    }
    if (option.name == "mtu") {
        return number(option, 68, 0xffff,
                      [&](std::uint64_t v) { settings.mtu = static_cast<std::uint32_t>(v); });
    }
    if (option.name == "mss") {
        return number(option, 1, 0xffff,
                      [&](std::uint64_t v) { settings.mss = static_cast<std::uint32_t>(v); });
    }
    if (option.name == "speed") {
        return number(option, 0, 1'000'000, [&](std::uint64_t v) { settings.speed_mbit = v; });
    }
    if (option.name == "tolerance_usecs") {
        return number(option, 0, 1'000'000'000, [&](std::uint64_t v) {
            settings.tolerance = microseconds(static_cast<std::int64_t>(v));
        });
    }
    if (option.name == "tcp_ts_tick_usecs") {
        return number(option, 0, 1'000'000, [&](std::uint64_t v) {
            settings.timestamp_tick.reset();
            if (v != 0) {
                settings.timestamp_tick = microseconds(static_cast<std::int64_t>(v));
            }
        });
    }
    mine = false;
    return {};
}

Outcome setting(const Option& option, Settings& settings) {
    bool mine = false;
    if (auto done = ports_and_sizes(option, settings, mine); mine) {
        return done;
    }
    const std::string& name = option.name;
    if (name == "ip_version") {
        return ip_version(option, settings);
    }
    if (name == "local_ip") {
        return address(option, settings.local_ip, settings);
    }
    if (name == "gateway_ip") {
        return address(option, settings.gateway_ip, settings);
    }
    if (name == "remote_ip") {
        return address(option, settings.remote_ip, settings);
    }
    if (name == "netmask_ip") {
        return netmask(option, settings);
    }
    if (name == "tolerance_percent") {
        return percent(option, settings);
    }
    if (name == "non_fatal") {
        return non_fatal(option, settings);
    }
    if (name == "profile") {
        settings.profile = tcp::profile_named(option.value);
        return settings.profile
                   ? Outcome{}
                   : wrong(option, fmt::format("--profile is modern, linux or rfc, not \"{}\"",
                                               option.value));
    }
    if (name == "code_format") {
        return option.value == "python" || option.value.empty()
                   ? Outcome{}
                   : wrong(option, fmt::format("code sections in {}", option.value), {},
                           Trouble::Kind::unsupported);
    }
    if (name == "strict_segments") {
        return flag(option, settings.strict_segments);
    }
    if (name == "batched") {
        return flag(option, settings.batched);
    }
    if (name == "dry_run") {
        return flag(option, settings.dry_run);
    }
    if (name == "verbose") {
        return flag(option, settings.verbose);
    }
    return flag(option, settings.scale_timestamp_echo);
}

}  // namespace

bool known_option(std::string_view name) {
    return find(name) != nullptr;
}

std::string option_hint(std::string_view name) {
    std::vector<std::string_view> names;
    for (const Known& known : kKnown) {
        names.push_back(known.name);
    }
    const std::string_view meant = nearest(name, names.data(), names.size());
    return meant.empty() ? std::string() : fmt::format("did you mean --{}?", meant);
}

Result<void, Trouble> apply_option(const Option& option, Settings& settings) {
    const Known* known = find(option.name);
    if (known == nullptr) {
        return wrong(option, fmt::format("there is no option --{}", option.name),
                     option_hint(option.name));
    }
    switch (known->use) {
        case Use::setting: return setting(option, settings);
        case Use::ignored: settings.ignored.push_back(option.name); return {};
        case Use::foreign: break;
    }
    return wrong(option, fmt::format("the option --{}", option.name), {},
                 Trouble::Kind::unsupported);
}

Defines suite_defines(const Settings& settings) {
    const bool v6 = settings.ip_version == IpVersion::ipv6;
    FourTuple tuple;
    tuple.local.address =
        settings.local_ip.value_or(*parse_ip_address(v6 ? "fd3d:fa7b:d17d::1" : "192.168.0.1"));
    tuple.remote.address =
        settings.remote_ip.value_or(*parse_ip_address(v6 ? "2001:db8::1" : "192.0.2.1"));
    const auto cookie = [&tuple](const SipKey& key) {
        std::string text;
        for (const std::byte octet : tcp::fast_open_cookie(key, tuple).cookie()) {
            text += fmt::format("{:02x}", std::to_integer<unsigned>(octet));
        }
        return text;
    };
    // a1a1a1a1-b2b2b2b2-c3c3c3c3-d4d4d4d4, each word in little endian.
    constexpr SipKey kUsual{0xb2b2b2b2a1a1a1a1, 0xd4d4d4d4c3c3c3c3};
    return {{"TFO_COOKIE", cookie(kUsual)},
            {"TFO_COOKIE_ZERO", cookie(SipKey{0, 0})},
            {"CMSG_LEVEL_IP", v6 ? "SOL_IPV6" : "SOL_IP"},
            {"CMSG_TYPE_RECVERR", v6 ? "IPV6_RECVERR" : "IP_RECVERR"}};
}

Result<Settings, Trouble> settings_of(const Script& script, std::span<const Option> more) {
    Settings settings;
    for (const Option& option : script.options) {
        if (auto done = apply_option(option, settings); !done) {
            Trouble trouble = std::move(done.error());
            trouble.file = script.file.text;
            trouble.line =
                fmt::format("--{}{}{}", option.name, option.value.empty() ? "" : "=", option.value);
            trouble.at.column = 1;
            return std::unexpected(std::move(trouble));
        }
    }
    for (const Option& option : more) {
        if (auto done = apply_option(option, settings); !done) {
            return std::unexpected(std::move(done.error()));
        }
    }
    return settings;
}

}  // namespace runnel::drill
