// From options to a running host, and the loop around a command's coroutine.
#include "runnel/cli/session.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>

#include "runnel/cli/control/server.hpp"
#include "runnel/cli/exit_code.hpp"
#include "runnel/cli/far_end.hpp"
#include "runnel/link/netlink.hpp"
#include "runnel/link/network_namespace.hpp"

namespace runnel {

namespace net = boost::asio;

namespace {

constexpr std::uint32_t kWireMtu = 1500;
/// How long a command that is over waits for its connections to close.
constexpr Duration kFinishLimit = seconds(3);

[[noreturn]] void give_up(const LinkError& error) {
    throw CommandError(error.kind == LinkErrorKind::no_permission ? kExitNoPermission : kExitFailed,
                       error.what);
}

template <class T>
T take(LinkResult<T> result) {
    if (!result) {
        give_up(result.error());
    }
    if constexpr (!std::is_void_v<T>) {
        return std::move(*result);
    }
}

bool interface_exists(const std::string& name) {
    if (name.empty()) {
        return false;
    }
    auto netlink = Netlink::open();
    return netlink && netlink->find_interface(name).has_value();
}

/// The kernel's side of an interface that runnel has just made.
void configure_kernel_side(const Device& device, const HostSettings& settings) {
    Netlink netlink = take(Netlink::open());
    const bool any_v6 =
        std::any_of(settings.addresses.begin(), settings.addresses.end(),
                    [](const Cidr& cidr) { return cidr.address.family() == Family::ipv6; });
    if (any_v6) {
        // Without IPv6 in the kernel IPv4 still works.
        (void)quieten_ipv6(device.name());
    }
    take(netlink.set_up(device.name()));
    for (const Cidr& other : kernel_ends(settings.addresses, settings.gateways)) {
        auto added = netlink.add_address(device.name(), other);
        if (!added && other.address.family() == Family::ipv4) {
            give_up(added.error());
        }
    }
}

/// Address `number` (below 2^16) of the prefix of `cidr`.
IpAddress address_of_prefix(const Cidr& cidr, unsigned host_bits, std::uint64_t number) {
    std::array<std::byte, 16> bytes = cidr.address.bytes();
    for (unsigned bit = 0; bit < host_bits; ++bit) {
        bytes[15 - bit / 8] &= static_cast<std::byte>(~(1u << (bit % 8)));
    }
    bytes[15] |= static_cast<std::byte>(number & 0xff);
    bytes[14] |= static_cast<std::byte>(number >> 8);
    return cidr.address.is_v4() ? IpAddress::from_bytes(Bytes(bytes).last(4))
                                : IpAddress::v6(bytes);
}

/// The kernel's address in the prefix of `own`; nothing where Runnel's own addresses leave no room for it.
std::optional<Cidr> kernel_end(const Cidr& own, const std::vector<Cidr>& all,
                               const std::vector<IpAddress>& gateways) {
    for (const IpAddress& gateway : gateways) {
        if (gateway.family() == own.address.family() && own.contains(gateway) &&
            gateway != own.address) {
            return Cidr{gateway, own.prefix_length};
        }
    }
    const unsigned host_bits = (own.address.is_v4() ? 32u : 128u) - own.prefix_length;
    const auto is_own = [&all](const IpAddress& address) {
        return std::any_of(all.begin(), all.end(),
                           [&address](const Cidr& cidr) { return cidr.address == address; });
    };
    // The first address of the prefix after the subnet's own that is not Runnel's; a prefix of two has no
    // address for the subnet (RFC 3021, RFC 6164), and the last of an IPv4 prefix is its broadcast.
    const std::uint64_t size = host_bits < 16 ? std::uint64_t{1} << host_bits : 65'536;
    const std::uint64_t begin = host_bits == 1 ? 0 : 1;
    const std::uint64_t end = own.address.is_v4() && host_bits > 1 ? size - 1 : size;
    for (std::uint64_t number = begin; number < end; ++number) {
        const IpAddress address = address_of_prefix(own, host_bits, number);
        if (!is_own(address)) {
            return Cidr{address, own.prefix_length};
        }
    }
    return std::nullopt;
}

}  // namespace

std::vector<Cidr> kernel_ends(const std::vector<Cidr>& own,
                              const std::vector<IpAddress>& gateways) {
    std::vector<Cidr> ends;
    for (const Cidr& address : own) {
        const bool reached = std::any_of(ends.begin(), ends.end(), [&address](const Cidr& end) {
            return end.prefix_length == address.prefix_length && end.contains(address.address);
        });
        if (reached) {
            continue;
        }
        if (const auto end = kernel_end(address, own, gateways)) {
            ends.push_back(*end);
        }
    }
    return ends;
}

Device open_link_device(const HostSettings& settings) {
    const LinkSpec& link = settings.link;
    switch (link.kind) {
        case LinkKind::tun:
        case LinkKind::tap: {
            const bool existed = interface_exists(link.name);
            TunOptions options;
            options.name = link.name;
            options.mtu = settings.mtu;
            Device device = take(link.kind == LinkKind::tun ? Device::open_tun(options)
                                                            : Device::open_tap(options));
            if (!existed) {
                configure_kernel_side(device, settings);
            }
            return device;
        }
        case LinkKind::packet: {
            PacketOptions options;
            options.name = link.name;
            return take(Device::open_packet(options));
        }
        case LinkKind::descriptor:
        case LinkKind::wire: break;
    }
    const std::uint32_t mtu = settings.mtu == 0 ? kWireMtu : settings.mtu;
    return take(Device::from_fd(link.fd, link.ethernet ? LinkLayer::ethernet : LinkLayer::raw_ip,
                                link.vnet_hdr, mtu));
}

Session::Session(const HostSettings& settings, std::string command)
    : settings_(settings), io_(std::make_unique<net::io_context>(1)) {
    ::signal(SIGPIPE, SIG_IGN);  // a closed stdout is an error of write(2), not the end
    DriverOptions options;
    options.host.tcp = settings_.tcp;
    options.seed = settings_.seed;
    if (settings_.link.kind == LinkKind::wire) {
        driver_ = std::make_unique<Driver>(*io_, options);
        open_wire();
    } else {
        Device device = open_link_device(settings_);
        driver_ = std::make_unique<Driver>(*io_, options);
        driver_->add_link(std::move(device));
    }
    if (!settings_.capture.empty()) {
        capture_ = std::make_unique<CaptureFile>(settings_.capture, *driver_);
    }
    add_addresses();
    if (far_end_ != nullptr) {
        far_end_->serve();
    }
    if (settings_.control) {
        control_ = std::make_unique<control::ControlServer>(*io_, std::move(command));
        control_->watch(*driver_, "runnel");
        if (far_end_ != nullptr) {
            control_->watch(far_end_->driver(), "far end");
        }
    }
}

Session::~Session() {
    control_.reset();
    capture_.reset();
    driver_->close();
    if (far_end_ != nullptr) {
        far_end_->close();
    }
    // Coroutines that wait elsewhere go with the io_context, and may hold slices of the hosts' memory.
    io_.reset();
}

void Session::open_wire() {
    const std::vector<Cidr> others = kernel_ends(settings_.addresses, settings_.gateways);
    const std::uint32_t mtu = settings_.mtu == 0 ? kWireMtu : settings_.mtu;
    far_end_ = std::make_unique<FarEnd>(*io_, *driver_, others, mtu);
}

void Session::add_addresses() {
    constexpr std::uint8_t kInterface = 0;
    for (const Cidr& address : settings_.addresses) {
        if (!driver_->host().add_address(kInterface, address, driver_->now())) {
            throw CommandError(kExitUsage, fmt::format("--address {}: a host can't have that",
                                                       to_string(address)));
        }
    }
    for (const IpAddress& gateway : settings_.gateways) {
        const Route route{.destination = {IpAddress::any(gateway.family()), 0},
                          .gateway = gateway,
                          .interface = kInterface};
        if (!driver_->host().add_route(route)) {
            throw CommandError(kExitUsage,
                               fmt::format("--gateway {}: it is in none of the addresses' "
                                           "prefixes",
                                           to_string(gateway)));
        }
    }
}

int Session::run(net::awaitable<int> task, std::function<void()> on_signal) {
    int result = kExitFailed;
    std::exception_ptr failure;
    bool signalled = false;
    net::signal_set signals(*io_, SIGINT, SIGTERM);
    std::function<void(const boost::system::error_code&, int)> on_arrival =
        [&](const boost::system::error_code& error, int number) {
            if (error) {
                return;
            }
            if (on_signal && !signalled) {
                signalled = true;
                on_signal();
                signals.async_wait(on_arrival);  // a second one ends it at once
                return;
            }
            result = 128 + number;
            io_->stop();
        };
    // A terminal that closes ends it like the others, unless nohup(1) has it ignored.
    struct sigaction hang_up{};
    if (::sigaction(SIGHUP, nullptr, &hang_up) == 0 && hang_up.sa_handler != SIG_IGN) {
        signals.add(SIGHUP);
    }
    signals.async_wait(on_arrival);
    const auto main_task = [this](net::awaitable<int> inner) -> net::awaitable<int> {
        const int code = co_await std::move(inner);
        co_await driver_->async_finish(kFinishLimit, net::as_tuple(net::use_awaitable));
        co_return code;
    };
    net::co_spawn(*io_, main_task(std::move(task)), [&](std::exception_ptr thrown, int code) {
        failure = thrown;
        result = code;
        io_->stop();
    });
    io_->run();
    if (failure) {
        std::rethrow_exception(failure);
    }
    return result;
}

}  // namespace runnel
