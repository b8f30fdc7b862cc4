#include "runnel/link/netlink.hpp"

#include <fmt/format.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include "runnel/link/netlink_message.hpp"

namespace runnel {

namespace {

// One datagram of a dump is at most 32 KiB (the kernel's NLMSG_GOODSIZE rules); larger is refused.
constexpr std::size_t kAnswerBuffer = 64 * 1024;
// An answer comes at once or never: the kernel works inside our own send call.
constexpr int kAnswerTimeoutSeconds = 5;
// Datagrams read for one request; a dump of 16 K interfaces stays below.
constexpr unsigned kMaxAnswerDatagrams = 4096;

// Two seconds in all.
constexpr unsigned kAddressTries = 2000;
constexpr long kAddressPauseNanoseconds = 1'000'000;

constexpr std::string_view kPermissionAdvice =
    "Changing the network needs CAP_NET_ADMIN: run as root, or in a private namespace (unshare "
    "-rn).";

std::string_view advice_for(int number) {
    return number == EPERM || number == EACCES ? kPermissionAdvice : std::string_view{};
}

std::uint8_t netlink_family(const IpAddress& address) {
    return address.is_v4() ? AF_INET : AF_INET6;
}

/// The address with the bits behind the prefix cleared: the kernel refuses a route that has them.
IpAddress network_of(const Cidr& cidr) {
    std::array<std::byte, 16> bytes{};
    const Bytes wire = cidr.address.wire_bytes();
    for (std::size_t i = 0; i < wire.size(); ++i) {
        const int kept = static_cast<int>(cidr.prefix_length) - static_cast<int>(8 * i);
        const unsigned mask = kept >= 8 ? 0xffU : kept <= 0 ? 0U : (0xff00U >> kept) & 0xffU;
        bytes[i] = wire[i] & static_cast<std::byte>(mask);
    }
    return IpAddress::from_bytes(Bytes(bytes).first(wire.size()));
}

InterfaceInfo parse_interface(const ifinfomsg& head, Bytes attributes) {
    InterfaceInfo info;
    info.index = static_cast<unsigned>(head.ifi_index);
    info.up = (head.ifi_flags & IFF_UP) != 0;
    info.running = (head.ifi_flags & IFF_LOWER_UP) != 0;
    while (const auto attribute = next_netlink_attribute(attributes)) {
        switch (attribute->type) {
            case IFLA_IFNAME: info.name = attribute->as_text(); break;
            case IFLA_MTU: info.mtu = attribute->as_u32().value_or(0); break;
            case IFLA_TXQLEN: info.transmit_queue_length = attribute->as_u32().value_or(0); break;
            case IFLA_ADDRESS:
                if (attribute->value.size() == info.mac.bytes.size()) {
                    std::memcpy(info.mac.bytes.data(), attribute->value.data(),
                                attribute->value.size());
                }
                break;
            case IFLA_LINKINFO:
                if (const auto kind = find_netlink_attribute(attribute->value, IFLA_INFO_KIND)) {
                    info.kind = kind->as_text();
                }
                break;
            default: break;
        }
    }
    return info;
}

LinkResult<void> check_interface_name(std::string_view interface) {
    if (!interface.empty() && interface.size() < IFNAMSIZ) {
        return {};
    }
    return link_failure(LinkErrorKind::no_device, 0,
                        fmt::format("\"{}\" can't be an interface's name", interface),
                        "A name has 1 to 15 characters.");
}

}  // namespace

LinkResult<Netlink> Netlink::open() {
    FileDescriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (!socket.valid()) {
        return link_failure(errno, "Can't open an rtnetlink socket");
    }
    // Both are refinements (a message with the error, and the error without our own request echoed
    // in full): a kernel without them still answers.
    const int on = 1;
    (void)::setsockopt(socket.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
    (void)::setsockopt(socket.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
    const timeval timeout{kAnswerTimeoutSeconds, 0};
    (void)::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    return Netlink(std::move(socket));
}

LinkResult<void> Netlink::transact(NetlinkRequest& request, const std::string& what,
                                   const Handler& handler) {
    const std::uint32_t sequence = ++sequence_;
    const Bytes bytes = request.finish(sequence);
    if (::send(socket_.get(), bytes.data(), bytes.size(), 0) < 0) {
        return link_failure(errno, what, advice_for(errno));
    }
    for (unsigned i = 0; i < kMaxAnswerDatagrams; ++i) {
        auto done = read_answer(sequence, what, handler);
        if (!done) {
            return std::unexpected(std::move(done.error()));
        }
        if (*done) {
            return {};
        }
    }
    return link_failure(EMSGSIZE, what, "The kernel's answer has no end.");
}

/// Reads one datagram; true when the request's answer is complete.
LinkResult<bool> Netlink::read_answer(std::uint32_t sequence, const std::string& what,
                                      const Handler& handler) {
    std::vector<std::byte> buffer(kAnswerBuffer);
    const ssize_t size = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_TRUNC);
    if (size < 0) {
        if (errno == EINTR) {
            return false;
        }
        return link_failure(errno, what, "The kernel did not answer an rtnetlink request.");
    }
    if (static_cast<std::size_t>(size) > buffer.size()) {
        return link_failure(EMSGSIZE, what);
    }
    Bytes rest = Bytes(buffer).first(static_cast<std::size_t>(size));
    while (const auto head = read_netlink_header<nlmsghdr>(rest)) {
        if (head->nlmsg_len < sizeof(nlmsghdr) || head->nlmsg_len > rest.size()) {
            break;
        }
        const Bytes payload = rest.subspan(NLMSG_HDRLEN, head->nlmsg_len - NLMSG_HDRLEN);
        rest = rest.subspan(std::min<std::size_t>(NLMSG_ALIGN(head->nlmsg_len), rest.size()));
        if (head->nlmsg_seq != sequence) {
            continue;  // of an earlier request that gave up waiting
        }
        if (head->nlmsg_type == NLMSG_DONE) {
            return true;
        }
        if (head->nlmsg_type != NLMSG_ERROR) {
            if (handler) {
                handler(head->nlmsg_type, payload);
            }
            continue;
        }
        const auto error = read_netlink_header<nlmsgerr>(payload);
        if (!error) {
            return link_failure(EPROTO, what);
        }
        if (error->error == 0) {
            return true;
        }
        std::string sentence = what;
        if ((head->nlmsg_flags & NLM_F_ACK_TLVS) != 0) {
            const auto said =
                find_netlink_attribute(netlink_attributes<nlmsgerr>(payload), NLMSGERR_ATTR_MSG);
            if (said) {
                sentence += fmt::format(" (the kernel says: {})", said->as_text());
            }
        }
        return link_failure(-error->error, sentence, advice_for(-error->error));
    }
    return false;
}

LinkResult<std::vector<InterfaceInfo>> Netlink::list_interfaces() {
    NetlinkRequest request(RTM_GETLINK, NLM_F_DUMP);
    request.header(ifinfomsg{});
    std::vector<InterfaceInfo> found;
    auto done = transact(request, "Can't list the interfaces", [&](std::uint16_t type, Bytes body) {
        const auto head = read_netlink_header<ifinfomsg>(body);
        if (type == RTM_NEWLINK && head) {
            found.push_back(parse_interface(*head, netlink_attributes<ifinfomsg>(body)));
        }
    });
    if (!done) {
        return std::unexpected(std::move(done.error()));
    }
    return found;
}

LinkResult<InterfaceInfo> Netlink::find_interface(std::string_view interface) {
    if (auto valid = check_interface_name(interface); !valid) {
        return std::unexpected(std::move(valid.error()));
    }
    NetlinkRequest request(RTM_GETLINK, NLM_F_ACK);
    request.header(ifinfomsg{});
    request.attribute_text(IFLA_IFNAME, interface);
    InterfaceInfo found;
    const std::string what = fmt::format("Can't find the interface \"{}\"", interface);
    auto done = transact(request, what, [&](std::uint16_t type, Bytes body) {
        const auto head = read_netlink_header<ifinfomsg>(body);
        if (type == RTM_NEWLINK && head) {
            found = parse_interface(*head, netlink_attributes<ifinfomsg>(body));
        }
    });
    if (done) {
        return found;
    }
    if (done.error().kind != LinkErrorKind::no_device) {
        return std::unexpected(std::move(done.error()));
    }
    // The commonest mistake is a misspelt name: say which there are.
    std::string advice = "This network namespace has:";
    if (const auto all = list_interfaces()) {
        for (const InterfaceInfo& one : *all) {
            advice += " " + one.name;
        }
    }
    return link_failure(LinkErrorKind::no_device, done.error().number, what, advice + ".");
}

LinkResult<void> Netlink::change_link(std::string_view interface, const std::string& what,
                                      const std::function<void(NetlinkRequest&)>& fill,
                                      unsigned flags, unsigned change) {
    auto info = find_interface(interface);
    if (!info) {
        return std::unexpected(std::move(info.error()));
    }
    NetlinkRequest request(RTM_NEWLINK, NLM_F_ACK);
    ifinfomsg head{};
    head.ifi_index = static_cast<int>(info->index);
    head.ifi_flags = flags;
    head.ifi_change = change;
    request.header(head);
    if (fill) {
        fill(request);
    }
    return transact(request, what);
}

LinkResult<void> Netlink::set_up(std::string_view interface, bool up) {
    return change_link(interface, fmt::format("Can't switch {} {}", interface, up ? "on" : "off"),
                       {}, up ? IFF_UP : 0, IFF_UP);
}

LinkResult<void> Netlink::set_mtu(std::string_view interface, std::uint32_t mtu) {
    return change_link(interface, fmt::format("Can't set the MTU of {} to {}", interface, mtu),
                       [&](NetlinkRequest& r) { r.attribute_number(IFLA_MTU, mtu); });
}

LinkResult<void> Netlink::set_mac(std::string_view interface, const MacAddress& mac) {
    return change_link(interface,
                       fmt::format("Can't set the address of {} to {}", interface, to_string(mac)),
                       [&](NetlinkRequest& r) { r.attribute(IFLA_ADDRESS, mac.bytes); });
}

LinkResult<void> Netlink::set_transmit_queue_length(std::string_view interface,
                                                    std::uint32_t length) {
    return change_link(interface,
                       fmt::format("Can't set the transmit queue of {} to {}", interface, length),
                       [&](NetlinkRequest& r) { r.attribute_number(IFLA_TXQLEN, length); });
}

LinkResult<void> Netlink::set_ipv6_link_local(std::string_view interface, bool generate) {
    const std::uint8_t mode = generate ? IN6_ADDR_GEN_MODE_EUI64 : IN6_ADDR_GEN_MODE_NONE;
    auto fill = [mode](NetlinkRequest& r) {
        const std::size_t families = r.begin_nested(IFLA_AF_SPEC);
        const std::size_t inet6 = r.begin_nested(AF_INET6);
        r.attribute_number(IFLA_INET6_ADDR_GEN_MODE, mode);
        r.end_nested(inet6);
        r.end_nested(families);
    };
    return change_link(interface, fmt::format("Can't set how {} makes IPv6 addresses", interface),
                       fill);
}

LinkResult<void> Netlink::move_to_namespace(std::string_view interface, int namespace_fd) {
    return change_link(
        interface, fmt::format("Can't move {} to another network namespace", interface),
        [&](NetlinkRequest& r) { r.attribute_number(IFLA_NET_NS_FD, namespace_fd); });
}

LinkResult<void> Netlink::change_address(std::uint16_t type, std::uint16_t flags,
                                         const InterfaceInfo& interface, const Cidr& address,
                                         const AddressOptions& options, const std::string& what) {
    NetlinkRequest request(type, static_cast<std::uint16_t>(flags | NLM_F_ACK));
    ifaddrmsg head{};
    head.ifa_family = netlink_family(address.address);
    head.ifa_prefixlen = address.prefix_length;
    head.ifa_index = interface.index;
    if (!address.address.is_v4() && !options.duplicate_address_detection) {
        head.ifa_flags = IFA_F_NODAD;
    }
    request.header(head);
    request.attribute(IFA_LOCAL, address.address.wire_bytes());
    request.attribute(IFA_ADDRESS, options.peer.value_or(address.address).wire_bytes());
    return transact(request, what);
}

LinkResult<void> Netlink::add_address(std::string_view interface, const Cidr& address,
                                      const AddressOptions& options) {
    auto info = find_interface(interface);
    if (!info) {
        return std::unexpected(std::move(info.error()));
    }
    auto done = change_address(
        RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, *info, address, options,
        fmt::format("Can't add the address {} to {}", to_string(address), interface));
    if (done && info->up && !address.address.is_v4() && !options.duplicate_address_detection) {
        (void)wait_for_address(address.address);
    }
    return done;
}

bool Netlink::is_local(const IpAddress& address) {
    NetlinkRequest request(RTM_GETROUTE, NLM_F_ACK);
    rtmsg head{};
    head.rtm_family = netlink_family(address);
    head.rtm_dst_len = address.is_v4() ? 32 : 128;
    request.header(head);
    request.attribute(RTA_DST, address.wire_bytes());
    bool local = false;
    const auto done = transact(request, "Can't look up a route", [&](std::uint16_t, Bytes body) {
        const auto answer = read_netlink_header<rtmsg>(body);
        local = answer && answer->rtm_type == RTN_LOCAL;
    });
    return done && local;
}

LinkResult<void> Netlink::wait_for_address(const IpAddress& address) {
    for (unsigned i = 0; i < kAddressTries; ++i) {
        if (is_local(address)) {
            return {};
        }
        const timespec pause{0, kAddressPauseNanoseconds};
        (void)::nanosleep(&pause, nullptr);
    }
    return link_failure(LinkErrorKind::other, 0,
                        fmt::format("The kernel takes no packets for {} yet", to_string(address)),
                        "Is its interface switched on?");
}

LinkResult<void> Netlink::remove_address(std::string_view interface, const Cidr& address) {
    auto info = find_interface(interface);
    if (!info) {
        return std::unexpected(std::move(info.error()));
    }
    return change_address(
        RTM_DELADDR, 0, *info, address, {},
        fmt::format("Can't remove the address {} from {}", to_string(address), interface));
}

LinkResult<void> Netlink::add_route(const RouteOptions& route) {
    auto info = find_interface(route.interface);
    if (!info) {
        return std::unexpected(std::move(info.error()));
    }
    const unsigned mode = route.replace ? NLM_F_REPLACE : NLM_F_EXCL;
    NetlinkRequest request(RTM_NEWROUTE,
                           static_cast<std::uint16_t>(NLM_F_ACK | NLM_F_CREATE | mode));
    rtmsg head{};
    head.rtm_family = netlink_family(route.destination.address);
    head.rtm_dst_len = route.destination.prefix_length;
    head.rtm_table = RT_TABLE_MAIN;
    head.rtm_protocol = RTPROT_STATIC;
    head.rtm_scope = route.gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
    head.rtm_type = RTN_UNICAST;
    request.header(head);
    const IpAddress network = network_of(route.destination);
    if (route.destination.prefix_length > 0) {
        request.attribute(RTA_DST, network.wire_bytes());
    }
    if (route.gateway) {
        request.attribute(RTA_GATEWAY, route.gateway->wire_bytes());
    }
    request.attribute_number(RTA_OIF, info->index);
    if (route.metric) {
        request.attribute_number(RTA_PRIORITY, *route.metric);
    }
    if (!route.congestion_control.empty() || route.mtu != 0) {
        const std::size_t metrics = request.begin_nested(RTA_METRICS);
        if (route.mtu != 0) {
            request.attribute_number(RTAX_MTU, route.mtu);
        }
        if (!route.congestion_control.empty()) {
            request.attribute_text(RTAX_CC_ALGO, route.congestion_control);
        }
        request.end_nested(metrics);
    }
    const std::string via = route.gateway ? " via " + to_string(*route.gateway) : "";
    return transact(request, fmt::format("Can't add a route to {}/{}{} over {}", to_string(network),
                                         route.destination.prefix_length, via, route.interface));
}

LinkResult<void> Netlink::create_veth(const VethOptions& options) {
    for (const std::string& name : {options.name, options.peer_name}) {
        if (auto valid = check_interface_name(name); !valid) {
            return valid;
        }
    }
    NetlinkRequest request(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
    auto describe_end = [&](const std::string& name, const std::optional<MacAddress>& mac) {
        request.header(ifinfomsg{});
        request.attribute_text(IFLA_IFNAME, name);
        if (options.mtu != 0) {
            request.attribute_number(IFLA_MTU, options.mtu);
        }
        if (mac) {
            request.attribute(IFLA_ADDRESS, mac->bytes);
        }
    };
    describe_end(options.name, options.mac);
    const std::size_t link_info = request.begin_nested(IFLA_LINKINFO);
    request.attribute_text(IFLA_INFO_KIND, "veth");
    const std::size_t data = request.begin_nested(IFLA_INFO_DATA);
    const std::size_t peer = request.begin_nested(VETH_INFO_PEER);
    describe_end(options.peer_name, options.peer_mac);
    if (options.peer_namespace) {
        request.attribute_number(IFLA_NET_NS_FD, *options.peer_namespace);
    }
    request.end_nested(peer);
    request.end_nested(data);
    request.end_nested(link_info);
    return transact(request, fmt::format("Can't make the veth pair {} and {}", options.name,
                                         options.peer_name));
}

LinkResult<void> Netlink::delete_interface(std::string_view interface) {
    auto info = find_interface(interface);
    if (!info) {
        return std::unexpected(std::move(info.error()));
    }
    NetlinkRequest request(RTM_DELLINK, NLM_F_ACK);
    ifinfomsg head{};
    head.ifi_index = static_cast<int>(info->index);
    request.header(head);
    return transact(request, fmt::format("Can't delete the interface {}", interface));
}

}  // namespace runnel
