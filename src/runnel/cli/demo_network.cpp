// The demo's three ways, best first (DESIGN §7). Everything is made in a network namespace of the demo's own,
// which the kernel takes down with the last process in it, however that ends.
#include "runnel/cli/demo_network.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <sstream>

#include "runnel/link/netlink.hpp"
#include "runnel/link/network_namespace.hpp"
#include "runnel/tcp/state.hpp"

namespace runnel {

namespace {

constexpr const char* kKernelName = "kernel0";
constexpr const char* kRunnelName = "runnel0";

LinkResult<void> give_addresses(Netlink& netlink, const std::string& name,
                                const std::vector<Cidr>& addresses) {
    (void)quieten_ipv6(name);
    if (auto up = netlink.set_up(name); !up) {
        return up;
    }
    for (const Cidr& address : addresses) {
        if (auto added = netlink.add_address(name, address); !added) {
            return added;
        }
    }
    return {};
}

LinkResult<Device> open_tun(const DemoNetwork& network) {
    TunOptions options;
    options.name = kRunnelName;
    auto device = Device::open_tun(options);
    if (!device) {
        return device;
    }
    auto netlink = Netlink::open();
    if (!netlink) {
        return std::unexpected(std::move(netlink.error()));
    }
    if (auto done = give_addresses(*netlink, device->name(), network.other); !done) {
        return std::unexpected(std::move(done.error()));
    }
    return device;
}

/// Both ends of the pair lie in the same namespace; Runnel's has no address in the kernel.
LinkResult<Device> open_veth(const DemoNetwork& network) {
    auto netlink = Netlink::open();
    if (!netlink) {
        return std::unexpected(std::move(netlink.error()));
    }
    VethOptions veth;
    veth.name = kKernelName;
    veth.peer_name = kRunnelName;
    if (auto made = netlink->create_veth(veth); !made) {
        return std::unexpected(std::move(made.error()));
    }
    (void)netlink->set_ipv6_link_local(kRunnelName, false);
    (void)quieten_ipv6(kRunnelName);
    if (auto up = netlink->set_up(kRunnelName); !up) {
        return std::unexpected(std::move(up.error()));
    }
    if (auto done = give_addresses(*netlink, kKernelName, network.other); !done) {
        return std::unexpected(std::move(done.error()));
    }
    PacketOptions options;
    options.name = kRunnelName;
    return Device::open_packet(options);
}

/// Gives the kernel's connections with Runnel CUBIC, whatever this kernel's default is. By the routes: only
/// the machine's own namespace may choose any algorithm as its default.
void use_cubic(DemoNetwork& network, const char* interface) {
    if (auto value = read_sysctl("net.ipv4.tcp_congestion_control")) {
        network.congestion_control = *value;
    }
    auto netlink = Netlink::open();
    if (!netlink) {
        return;
    }
    for (const Cidr& own : network.runnel) {
        const bool v4 = own.address.family() == Family::ipv4;
        RouteOptions route;
        route.destination = {own.address, static_cast<std::uint8_t>(v4 ? 32 : 128)};
        route.interface = interface;
        route.congestion_control = "cubic";
        if (!netlink->add_route(route)) {
            return;
        }
    }
    network.congestion_control = "cubic";
}

/// "C0A80001:0050", words in the machine's byte order (proc(5)).
std::optional<Endpoint> parse_proc_endpoint(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos || (colon != 8 && colon != 32)) {
        return std::nullopt;
    }
    std::array<std::byte, 16> bytes{};
    const std::size_t words = colon / 8;
    for (std::size_t i = 0; i < words; ++i) {
        std::uint32_t word = 0;
        const char* begin = text.data() + i * 8;
        if (std::from_chars(begin, begin + 8, word, 16).ptr != begin + 8) {
            return std::nullopt;
        }
        std::memcpy(bytes.data() + i * 4, &word, 4);
    }
    std::uint16_t port = 0;
    std::from_chars(text.data() + colon + 1, text.data() + text.size(), port, 16);
    const Bytes address = Bytes(bytes).first(words * 4);
    return Endpoint{IpAddress::from_bytes(address), port};
}

/// The kernel's numbers of include/net/tcp_states.h.
std::string_view state_name(unsigned number) {
    using tcp::State;
    constexpr std::array kStates = {State::established, State::syn_sent,   State::syn_received,
                                    State::fin_wait_1,  State::fin_wait_2, State::time_wait,
                                    State::closed,      State::close_wait, State::last_ack,
                                    State::listen,      State::closing};
    return number >= 1 && number <= kStates.size() ? tcp::to_string(kStates[number - 1]) : "?";
}

void read_kernel_table(const char* path, std::vector<KernelSocket>& sockets) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    while (std::getline(file, line)) {
        std::istringstream words(line);
        std::string number, local_text, remote_text, state_text;
        words >> number >> local_text >> remote_text >> state_text;
        const auto local = parse_proc_endpoint(local_text);
        const auto remote = parse_proc_endpoint(remote_text);
        unsigned state = 0;
        std::from_chars(state_text.data(), state_text.data() + state_text.size(), state, 16);
        if (local && remote) {
            sockets.push_back({*local, *remote, std::string(state_name(state))});
        }
    }
}

}  // namespace

std::vector<KernelSocket> kernel_sockets() {
    std::vector<KernelSocket> sockets;
    read_kernel_table("/proc/net/tcp", sockets);
    read_kernel_table("/proc/net/tcp6", sockets);
    return sockets;
}

DemoNetwork open_demo_network(DemoWay best) {
    DemoNetwork network;
    network.runnel = {*parse_cidr("10.9.0.2/24"), *parse_cidr("fd09::2/64")};
    network.other = {*parse_cidr("10.9.0.1/24"), *parse_cidr("fd09::1/64")};
    if (best == DemoWay::wire) {
        return network;
    }
    network.own_user_namespace = ::geteuid() != 0;
    if (auto entered = enter_private_network(); !entered) {
        network.reasons.push_back(entered.error().what);
        return network;
    }
    if (best == DemoWay::tun) {
        auto device = open_tun(network);
        if (device) {
            network.way = DemoWay::tun;
            network.device.emplace(std::move(*device));
            use_cubic(network, kRunnelName);
            return network;
        }
        network.reasons.push_back(device.error().what);
    }
    auto device = open_veth(network);
    if (device) {
        network.way = DemoWay::veth;
        network.device.emplace(std::move(*device));
        use_cubic(network, kKernelName);
        return network;
    }
    network.reasons.push_back(device.error().what);
    return network;
}

}  // namespace runnel
