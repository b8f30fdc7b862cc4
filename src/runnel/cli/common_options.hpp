// The options that every command with a host of its own has in common (DESIGN §8), as CLI11 fills them in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runnel/tcp/config.hpp"
#include "runnel/wire/address.hpp"

namespace CLI {
class App;
}

namespace runnel {

/// As written on the command line; checked by `read_host_arguments`.
struct HostArguments {
    std::string link;
    std::vector<std::string> addresses;
    std::vector<std::string> gateways;
    std::uint32_t mtu = 0;  ///< 0: the link's own
    std::string congestion_control;
    std::vector<std::string> settings;
    std::string capture;
    std::optional<std::uint64_t> seed;
    std::string profile = "modern";
    bool no_control = false;
};

enum class LinkKind : std::uint8_t { wire, tun, tap, packet, descriptor };

/// "tun", "tap:NAME", "packet:IFACE", "fd:N[,ethernet][,vnet]" taken apart.
struct LinkSpec {
    LinkKind kind = LinkKind::tun;
    std::string name;
    int fd = -1;
    bool ethernet = false;
    bool vnet_hdr = false;
};

/// The same, understood.
struct HostSettings {
    LinkSpec link;
    std::vector<Cidr> addresses;
    std::vector<IpAddress> gateways;
    std::uint32_t mtu = 0;
    tcp::TcpConfig tcp;
    std::string capture;
    std::optional<std::uint64_t> seed;
    bool control = true;  ///< a control socket for ss, stat, why and trace
};

/// Adds the options to a subcommand, in a group of their own.
void add_host_options(CLI::App& command, HostArguments& arguments);

/// Throws CommandError with code 2 and a sentence when something is wrong. A missing --link is the caller's
/// to deal with.
[[nodiscard]] HostSettings read_host_arguments(const HostArguments& arguments);

[[nodiscard]] LinkSpec parse_link(const std::string& text);

/// --color auto|always|never, and NO_COLOR; `terminal`: whether the output is one.
struct OutputOptions {
    bool json = false;
    std::string color = "auto";
    [[nodiscard]] bool use_color(bool terminal) const;
};
void add_output_options(CLI::App& command, OutputOptions& options);

}  // namespace runnel
