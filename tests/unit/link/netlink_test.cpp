// rtnetlink against the real kernel in a private namespace, and its messages as bytes.
#include "runnel/link/netlink.hpp"

#include <gtest/gtest.h>
#include <linux/rtnetlink.h>
#include <rapidcheck/gtest.h>

#include "kernel_peer.hpp"
#include "runnel/link/netlink_message.hpp"

namespace runnel {
namespace {

using namespace testing;

Cidr cidr(std::string_view text) {
    return parse_cidr(text).value();
}

/// The address the kernel would send from to reach `destination`; empty when it has no route.
std::string source_towards(std::string_view destination) {
    const IpAddress to = parse_ip_address(destination).value();
    const FileDescriptor socket(
        ::socket(to.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    if (to.is_v4()) {
        const sockaddr_in v4 = ipv4_endpoint(to.v4_value(), 9);
        std::memcpy(&address, &v4, sizeof(v4));
        size = sizeof(v4);
    } else {
        sockaddr_in6 v6{};
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(9);
        std::memcpy(&v6.sin6_addr, to.bytes().data(), 16);
        std::memcpy(&address, &v6, sizeof(v6));
        size = sizeof(v6);
    }
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) {
        return {};
    }
    size = sizeof(address);
    EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    if (to.is_v4()) {
        sockaddr_in v4{};
        std::memcpy(&v4, &address, sizeof(v4));
        return to_string(IpAddress::v4(ntohl(v4.sin_addr.s_addr)));
    }
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof(v6));
    return to_string(IpAddress::from_bytes(std::as_bytes(std::span(v6.sin6_addr.s6_addr))));
}

LinkResult<Netlink> with_pair() {
    auto netlink = Netlink::open();
    if (netlink) {
        const auto made = netlink->create_veth({.name = "a", .peer_name = "b"});
        EXPECT_TRUE(made.has_value()) << made.error().what;
        EXPECT_TRUE(netlink->set_up("b").has_value());
    }
    return netlink;
}

void interfaces() {
    auto netlink = Netlink::open();
    ASSERT_LINK_OK(netlink);
    auto all = netlink->list_interfaces();
    ASSERT_LINK_OK(all);
    ASSERT_GE(all->size(), 1U);
    EXPECT_EQ(all->front().name, "lo");
    EXPECT_TRUE(all->front().up) << "entering switches it on";
    const std::size_t before = all->size();

    MacAddress mac;
    mac.bytes = {std::byte{2}, std::byte{1}, std::byte{2},
                 std::byte{3}, std::byte{4}, std::byte{5}};
    VethOptions options;
    options.name = "left";
    options.peer_name = "right";
    options.mtu = 4000;
    options.peer_mac = mac;
    ASSERT_LINK_OK(netlink->create_veth(options));
    all = netlink->list_interfaces();
    ASSERT_LINK_OK(all);
    EXPECT_EQ(all->size(), before + 2);
    auto right = netlink->find_interface("right");
    ASSERT_LINK_OK(right);
    EXPECT_EQ(right->mtu, 4000U);
    EXPECT_EQ(right->mac, mac);
    EXPECT_EQ(right->kind, "veth");
    EXPECT_FALSE(right->up);

    ASSERT_LINK_OK(netlink->set_up("right"));
    EXPECT_TRUE(netlink->find_interface("right")->up);
    EXPECT_FALSE(netlink->find_interface("right")->running) << "its other end is off";
    ASSERT_LINK_OK(netlink->set_up("left"));
    EXPECT_TRUE(netlink->find_interface("right")->running);
    ASSERT_LINK_OK(netlink->set_up("right", false));
    EXPECT_FALSE(netlink->find_interface("right")->up);
    ASSERT_LINK_OK(netlink->set_mtu("right", 1280));
    ASSERT_LINK_OK(netlink->set_transmit_queue_length("right", 77));
    mac.bytes[5] = std::byte{9};
    ASSERT_LINK_OK(netlink->set_mac("right", mac));
    right = netlink->find_interface("right");
    EXPECT_EQ(right->mtu, 1280U);
    EXPECT_EQ(right->transmit_queue_length, 77U);
    EXPECT_EQ(right->mac, mac);
    ASSERT_LINK_OK(netlink->delete_interface("left"));
    EXPECT_EQ(netlink->list_interfaces()->size(), before);
}
TEST(Netlink, MakesChangesListsAndDeletesInterfaces) {
    IN_PRIVATE_NETWORK(false, interfaces);
}

void addresses_and_routes() {
    auto netlink = with_pair();
    ASSERT_LINK_OK(netlink);
    ASSERT_LINK_OK(netlink->set_up("a"));
    EXPECT_EQ(source_towards("10.1.2.9"), "");
    ASSERT_LINK_OK(netlink->add_address("a", cidr("10.1.2.3/24")));
    EXPECT_EQ(source_towards("10.1.2.9"), "10.1.2.3");
    EXPECT_EQ(source_towards("10.1.3.9"), "");
    ASSERT_LINK_OK(netlink->add_address("a", cidr("fd01::3/64")));
    EXPECT_EQ(source_towards("fd01::9"), "fd01::3");

    RouteOptions route;
    route.interface = "a";
    route.destination = cidr("192.0.2.77/25");  // bits behind the prefix are ours to clear
    route.gateway = parse_ip_address("10.1.2.1");
    ASSERT_LINK_OK(netlink->add_route(route));
    EXPECT_EQ(source_towards("192.0.2.5"), "10.1.2.3");
    EXPECT_EQ(source_towards("192.0.2.200"), "");
    route.destination = cidr("::/0");
    route.gateway = parse_ip_address("fd01::1");
    route.metric = 50;
    ASSERT_LINK_OK(netlink->add_route(route));
    EXPECT_EQ(source_towards("2001:db8::1"), "fd01::3");
    RouteOptions on_link;
    on_link.interface = "a";
    on_link.destination = cidr("198.51.100.0/24");
    ASSERT_LINK_OK(netlink->add_route(on_link));
    EXPECT_EQ(source_towards("198.51.100.1"), "10.1.2.3");

    ASSERT_LINK_OK(netlink->remove_address("a", cidr("10.1.2.3/24")));
    EXPECT_EQ(source_towards("10.1.2.9"), "");
}
TEST(Netlink, AddsAndRemovesAddressesAndRoutes) {
    IN_PRIVATE_NETWORK(false, addresses_and_routes);
}

void waiting_for_what_never_comes() {
    auto netlink = with_pair();
    ASSERT_LINK_OK(netlink);
    ASSERT_LINK_OK(netlink->add_address("a", cidr("fd01::3/64")));
    const auto never = netlink->wait_for_address(parse_ip_address("fd01::4").value());
    ASSERT_FALSE(never.has_value()) << "nobody has that address";
    EXPECT_NE(never.error().what.find("fd01::4"), std::string::npos);
}
TEST(Netlink, WaitingForAnAddressEnds) {
    IN_PRIVATE_NETWORK(false, waiting_for_what_never_comes);
}

void congestion_control_of_a_route() {
    auto netlink = with_pair();
    ASSERT_LINK_OK(netlink);
    ASSERT_LINK_OK(netlink->set_up("a"));
    ASSERT_LINK_OK(netlink->add_address("a", cidr("10.9.0.1/24")));
    RouteOptions route;
    route.interface = "a";
    route.destination = cidr("10.9.0.0/24");
    route.congestion_control = "reno";
    route.mtu = 1300;
    route.replace = true;
    ASSERT_LINK_OK(netlink->add_route(route));
    const FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const sockaddr_in to = ipv4_endpoint(kRunnel, 80);
    (void)::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to));
    std::array<char, 16> algorithm{};
    socklen_t size = algorithm.size();
    ASSERT_EQ(::getsockopt(socket.get(), IPPROTO_TCP, TCP_CONGESTION, algorithm.data(), &size), 0);
    EXPECT_STREQ(algorithm.data(), "reno");
    int mtu = 0;
    size = sizeof(mtu);
    ASSERT_EQ(::getsockopt(socket.get(), IPPROTO_IP, IP_MTU, &mtu, &size), 0);
    EXPECT_EQ(mtu, 1300);
}
TEST(Netlink, RouteCarriesCongestionControlAndMtu) {
    IN_PRIVATE_NETWORK(false, congestion_control_of_a_route);
}

void refusals() {
    auto netlink = with_pair();
    ASSERT_LINK_OK(netlink);
    const auto missing_one = netlink->set_up("c");
    ASSERT_FALSE(missing_one.has_value());
    EXPECT_EQ(missing_one.error().kind, LinkErrorKind::no_device);
    EXPECT_NE(missing_one.error().what.find("\"c\""), std::string::npos);
    EXPECT_NE(missing_one.error().what.find(" lo"), std::string::npos) << missing_one.error().what;

    EXPECT_FALSE(netlink->set_up("").has_value());
    EXPECT_FALSE(netlink->set_up("a-name-far-too-long").has_value());
    const auto twice = netlink->create_veth({.name = "a", .peer_name = "d"});
    ASSERT_FALSE(twice.has_value());
    EXPECT_EQ(twice.error().kind, LinkErrorKind::busy);

    ASSERT_LINK_OK(netlink->add_address("a", cidr("10.1.2.3/24")));
    const auto again = netlink->add_address("a", cidr("10.1.2.3/24"));
    ASSERT_FALSE(again.has_value());
    EXPECT_EQ(again.error().kind, LinkErrorKind::busy);
    EXPECT_EQ(again.error().number, EEXIST);
    EXPECT_NE(again.error().what.find("10.1.2.3/24"), std::string::npos);

    RouteOptions route;
    route.interface = "b";
    route.destination = cidr("192.0.2.0/24");
    route.gateway = parse_ip_address("172.16.0.1");
    const auto unreachable = netlink->add_route(route);
    ASSERT_FALSE(unreachable.has_value());
    EXPECT_NE(unreachable.error().what.find("the kernel says: "), std::string::npos)
        << unreachable.error().what;
    route.gateway.reset();
    route.congestion_control = "nonesuch";
    const auto no_such_algorithm = netlink->add_route(route);
    ASSERT_FALSE(no_such_algorithm.has_value());
}
TEST(Netlink, RefusalsSayWhatWhereAndWhy) {
    IN_PRIVATE_NETWORK(false, refusals);
}

TEST(Netlink, AnOrdinaryUserIsToldWhatToTry) {
    if (::geteuid() != 0) {
        GTEST_SKIP() << "only root can become an ordinary user";
    }
    EXPECT_TRUE(run_in_child([] {
        ASSERT_LINK_OK(enter_private_network());
        ASSERT_TRUE(become_ordinary_user());
        auto netlink = Netlink::open();
        ASSERT_LINK_OK(netlink);
        EXPECT_TRUE(netlink->list_interfaces().has_value());
        const auto refused = netlink->set_mtu("lo", 1500);
        ASSERT_FALSE(refused.has_value());
        EXPECT_EQ(refused.error().kind, LinkErrorKind::no_permission);
        EXPECT_NE(refused.error().what.find("CAP_NET_ADMIN"), std::string::npos);
    }));
}

TEST(NetlinkMessage, RequestIsLaidOutAsNetlinkSays) {
    NetlinkRequest request(RTM_NEWLINK, NLM_F_ACK);
    request.attribute_number<std::uint32_t>(IFLA_MTU, 1500);
    const std::size_t mark = request.begin_nested(IFLA_LINKINFO);
    request.attribute_text(IFLA_INFO_KIND, "veth");
    request.end_nested(mark);
    const Bytes bytes = request.finish(7);
    // 16 of header, 8 of a number, 4 of a nest, 4 + 5 of a text padded to 12.
    ASSERT_EQ(bytes.size(), 16U + 8U + 4U + 12U);
    const auto head = read_netlink_header<nlmsghdr>(bytes);
    EXPECT_EQ(head->nlmsg_len, bytes.size());
    EXPECT_EQ(head->nlmsg_flags, NLM_F_ACK | NLM_F_REQUEST);
    EXPECT_EQ(head->nlmsg_seq, 7U);
    const Bytes attributes = bytes.subspan(16);
    EXPECT_EQ(find_netlink_attribute(attributes, IFLA_MTU)->as_u32(), 1500U);
    const auto nested = find_netlink_attribute(attributes, IFLA_LINKINFO);
    ASSERT_TRUE(nested.has_value());
    EXPECT_EQ(nested->value.size(), 12U);
    EXPECT_EQ(find_netlink_attribute(nested->value, IFLA_INFO_KIND)->as_text(), "veth");
    EXPECT_FALSE(find_netlink_attribute(attributes, IFLA_ADDRESS).has_value());
}

RC_GTEST_PROP(NetlinkMessage, AnyBytesAreWalkedWithinTheirBounds, ()) {
    const auto raw =
        *rc::gen::container<std::vector<std::uint8_t>>(rc::gen::arbitrary<std::uint8_t>());
    const Bytes all = std::as_bytes(std::span(raw));
    Bytes rest = all;
    std::size_t steps = 0;
    while (const auto attribute = next_netlink_attribute(rest)) {
        ++steps;
        RC_ASSERT(attribute->value.size() + 4 <= all.size());
        RC_ASSERT(attribute->value.empty() ||
                  (attribute->value.data() >= all.data() &&
                   attribute->value.data() + attribute->value.size() <= all.data() + all.size()));
    }
    RC_ASSERT(steps <= all.size() / 4);
}

}  // namespace
}  // namespace runnel
