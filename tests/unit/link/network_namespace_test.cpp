// Private network namespaces: the machine's own is untouched, nothing stays behind, and a refusal says who
// refuses.
#include "runnel/link/network_namespace.hpp"

#include <signal.h>
#include <sys/stat.h>

#include <stdexcept>
#include <thread>

#include "private_network.hpp"

namespace runnel {
namespace {

using namespace testing;

/// Which network namespace this thread is in, by its inode.
ino_t where() {
    struct stat status{};
    EXPECT_EQ(::stat("/proc/thread-self/ns/net", &status), 0);
    return status.st_ino;
}

std::size_t interfaces_here() {
    auto netlink = Netlink::open();
    EXPECT_TRUE(netlink.has_value());
    const auto all = netlink->list_interfaces();
    EXPECT_TRUE(all.has_value());
    return all->size();
}

void entered() {
    auto netlink = Netlink::open();
    ASSERT_LINK_OK(netlink);
    const auto all = netlink->list_interfaces();
    ASSERT_LINK_OK(all);
    // Some kernels put idle tunnel interfaces into every new namespace.
    for (const InterfaceInfo& one : *all) {
        EXPECT_EQ(one.up, one.name == "lo") << one.name;
    }
}
TEST(NetworkNamespace, PrivateNetworkHasOnlyLoopback) {
    const ino_t outside = where();
    IN_PRIVATE_NETWORK(false, entered);
    EXPECT_EQ(where(), outside) << "trying and entering leave the parent where it was";
}

TEST(NetworkNamespace, CheckingChangesNothing) {
    const ino_t outside = where();
    const uid_t user = ::geteuid();
    (void)check_private_network();
    EXPECT_EQ(where(), outside);
    EXPECT_EQ(::geteuid(), user);
}

TEST(NetworkNamespace, AnOrdinaryUserIsRootInHisOwn) {
    EXPECT_TRUE(run_in_child([] {
        ASSERT_TRUE(become_ordinary_user());
        if (const auto possible = check_private_network(); !possible) {
            EXPECT_EQ(possible.error().kind, LinkErrorKind::no_permission);
            std::fprintf(stderr, "skipped: %s\n", possible.error().what.c_str());
            return;
        }
        const ino_t outside = where();
        ASSERT_LINK_OK(enter_private_network());
        EXPECT_NE(where(), outside);
        EXPECT_EQ(::geteuid(), 0U);
        auto netlink = Netlink::open();
        ASSERT_LINK_OK(netlink);
        ASSERT_LINK_OK(netlink->create_veth({.name = "a", .peer_name = "b"}));
        ASSERT_LINK_OK(write_sysctl("net.ipv4.tcp_sack", "0"));
        EXPECT_EQ(read_sysctl("net.ipv4.tcp_sack").value(), "0");
    }));
}

void forbidden_by_limit() {
    // As this process is the namespace's root, it may set the limit for itself.
    const FileDescriptor file(::open("/proc/sys/user/max_net_namespaces", O_WRONLY | O_CLOEXEC));
    if (!file.valid() || ::write(file.get(), "0", 1) != 1) {
        std::fprintf(stderr, "skipped: the limit can't be set\n");
        return;
    }
    const ino_t here = where();
    const auto refused = enter_private_network();
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().kind, LinkErrorKind::no_permission) << refused.error().what;
    EXPECT_NE(refused.error().what.find("max_net_namespaces"), std::string::npos)
        << refused.error().what;
    EXPECT_EQ(where(), here);
}
TEST(NetworkNamespace, RefusalNamesTheLimit) {
    EXPECT_TRUE(run_in_child([] {
        // In a user namespace, so that the limit is that namespace's and not the machine's.
        ASSERT_TRUE(become_ordinary_user());
        if (!enter_private_network()) {
            std::fprintf(stderr, "skipped: no user namespaces here\n");
            return;
        }
        forbidden_by_limit();
    }));
}

TEST(NetworkNamespace, ManyThreadsAndNoRootIsToldToComeEarlier) {
    EXPECT_TRUE(run_in_child([] {
        ASSERT_TRUE(become_ordinary_user());
        if (!check_private_network()) {
            return;
        }
        std::thread other([] { std::this_thread::sleep_for(std::chrono::milliseconds(300)); });
        const auto refused = enter_private_network();
        other.join();
        ASSERT_FALSE(refused.has_value());
        EXPECT_NE(refused.error().what.find("thread"), std::string::npos) << refused.error().what;
    }));
}

void inside_and_back() {
    const ino_t here = where();
    const auto other = NetworkNamespace::create();
    ASSERT_LINK_OK(other);
    EXPECT_EQ(where(), here);
    auto netlink = Netlink::open();
    ASSERT_LINK_OK(netlink);
    const std::size_t before = interfaces_here();
    VethOptions options;
    options.name = "near";
    options.peer_name = "far";
    options.peer_namespace = other->fd();
    ASSERT_LINK_OK(netlink->create_veth(options));
    EXPECT_EQ(interfaces_here(), before + 1) << "one end is there";
    EXPECT_FALSE(netlink->find_interface("far").has_value());

    ino_t inside = 0;
    std::optional<Netlink> other_netlink;
    ASSERT_LINK_OK(other->run_inside([&] {
        inside = where();
        EXPECT_EQ(interfaces_here(), before + 1);
        auto opened = Netlink::open();
        ASSERT_LINK_OK(opened);
        other_netlink.emplace(std::move(*opened));
    }));
    EXPECT_NE(inside, here);
    EXPECT_EQ(where(), here);
    ASSERT_TRUE(other_netlink.has_value());
    EXPECT_TRUE(other_netlink->find_interface("far").has_value())
        << "a socket stays where it was made";
    EXPECT_TRUE(other_netlink->find_interface("lo")->up);

    ASSERT_LINK_OK(netlink->move_to_namespace("near", other->fd()));
    EXPECT_EQ(interfaces_here(), before);

    EXPECT_THROW((void)other->run_inside([] { throw std::runtime_error("out"); }),
                 std::runtime_error);
    EXPECT_EQ(where(), here);
}
TEST(NetworkNamespace, RunsATaskInsideAndComesBack) {
    IN_PRIVATE_NETWORK(false, inside_and_back);
}

void forked_inside() {
    const auto other = NetworkNamespace::create();
    ASSERT_LINK_OK(other);
    const ino_t here = where();
    const auto child = other->fork_inside([here] { return where() != here ? 42 : 1; });
    ASSERT_LINK_OK(child);
    int status = 0;
    ASSERT_EQ(::waitpid(*child, &status, 0), *child);
    EXPECT_EQ(WEXITSTATUS(status), 42);

    const auto lasting = other->fork_inside([] {
        ::pause();
        return 0;
    });
    ASSERT_LINK_OK(lasting);
    // It may not have moved yet: wait for it.
    for (int i = 0; i < 200; ++i) {
        const auto its = NetworkNamespace::of_process(*lasting);
        ASSERT_LINK_OK(its);
        ino_t inode = 0;
        ASSERT_LINK_OK(its->run_inside([&] { inode = where(); }));
        if (inode != here) {
            break;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        ASSERT_LT(i, 199);
    }
    ::kill(*lasting, SIGKILL);
    ASSERT_EQ(::waitpid(*lasting, &status, 0), *lasting);
    EXPECT_FALSE(NetworkNamespace::of_process(*lasting).has_value());
}
TEST(NetworkNamespace, ForksAChildInside) {
    IN_PRIVATE_NETWORK(false, forked_inside);
}

void sysctls() {
    ASSERT_LINK_OK(write_sysctl("net.ipv4.ip_local_port_range", "40000\t40010"));
    EXPECT_EQ(read_sysctl("net/ipv4/ip_local_port_range").value(), "40000\t40010");
    EXPECT_FALSE(write_sysctl("kernel.hostname", "x").has_value());
    EXPECT_FALSE(write_sysctl("net/../kernel/hostname", "x").has_value());
    const auto none = read_sysctl("net.ipv4.nonesuch");
    ASSERT_FALSE(none.has_value());
    EXPECT_EQ(none.error().kind, LinkErrorKind::no_device);

    auto netlink = Netlink::open();
    ASSERT_LINK_OK(netlink);
    ASSERT_LINK_OK(netlink->create_veth({.name = "with.dot", .peer_name = "b"}));
    ASSERT_LINK_OK(quieten_ipv6("with.dot"));
    EXPECT_EQ(read_sysctl("net/ipv6/conf/with.dot/accept_ra").value(), "0");
    EXPECT_EQ(read_sysctl("net/ipv6/conf/with.dot/accept_dad").value(), "0");
}
TEST(NetworkNamespace, SysctlsAreTheNamespacesOwn) {
    const auto before = read_sysctl("net.ipv4.ip_local_port_range");
    IN_PRIVATE_NETWORK(false, sysctls);
    EXPECT_EQ(read_sysctl("net.ipv4.ip_local_port_range").value(), before.value());
}

}  // namespace
}  // namespace runnel
