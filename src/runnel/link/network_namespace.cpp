#include "runnel/link/network_namespace.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "runnel/link/netlink.hpp"

namespace runnel {

namespace {

/// The first bytes of a small file of the kernel's; none when it can't be read.
std::optional<std::string> read_small_file(const std::string& path) {
    const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.valid()) {
        return std::nullopt;
    }
    std::array<char, 256> buffer{};
    const ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
    if (size < 0) {
        return std::nullopt;
    }
    std::string text(buffer.data(), static_cast<std::size_t>(size));
    while (!text.empty() && text.back() == '\n') {
        text.pop_back();
    }
    return text;
}

/// Writes the whole text in one call, as these files want it; 0 or the errno.
int write_small_file(const std::string& path, std::string_view text) {
    const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file.valid()) {
        return errno;
    }
    return ::write(file.get(), text.data(), text.size()) < 0 ? errno : 0;
}

/// Why an ordinary user may not have a namespace here: each known lock has a file that tells.
std::string_view namespace_advice(int number) {
    if (number == EINVAL) {
        return "A process with several threads can't enter a user namespace: do it before any "
               "thread is started.";
    }
    if (number == ENOSYS) {
        return "This kernel is built without namespaces.";
    }
    if (read_small_file("/proc/sys/kernel/unprivileged_userns_clone") == "0") {
        return "User namespaces are closed to ordinary users here: run as root, or let root do "
               "`sysctl kernel.unprivileged_userns_clone=1`.";
    }
    if (read_small_file("/proc/sys/user/max_user_namespaces") == "0") {
        return "User namespaces are switched off here: run as root, or let root do "
               "`sysctl user.max_user_namespaces=10000`.";
    }
    if (number == ENOSPC || number == EUSERS) {
        return "The limit of namespaces is reached: see /proc/sys/user/max_net_namespaces and "
               "/proc/sys/user/max_user_namespaces, and user_namespaces(7) on nesting.";
    }
    if (read_small_file("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1") {
        return "AppArmor takes the rights away inside user namespaces here (Ubuntu 24.04): run as "
               "root, or let root do `sysctl kernel.apparmor_restrict_unprivileged_userns=0`.";
    }
    return "A container's seccomp profile or a security module forbids it: run as root, or start "
           "the container with --cap-add=SYS_ADMIN.";
}

constexpr std::string_view kNamespaceWhat = "Can't make a private network namespace";

std::unexpected<LinkError> namespace_failure(int number, std::string_view step) {
    return link_failure(
        number == ENOSPC || number == EUSERS ? LinkErrorKind::no_permission : kind_of_errno(number),
        number, fmt::format("{} ({})", kNamespaceWhat, step), namespace_advice(number));
}

LinkResult<void> switch_loopback_on() {
    auto netlink = Netlink::open();
    if (!netlink) {
        return std::unexpected(std::move(netlink.error()));
    }
    return netlink->set_up("lo");
}

/// Does it, in this process: after an error halfway the process is good for nothing more.
LinkResult<void> enter_now() {
    if (::unshare(CLONE_NEWNET) == 0) {
        return switch_loopback_on();
    }
    if (errno != EPERM) {
        return namespace_failure(errno, "unshare(CLONE_NEWNET)");
    }
    const uid_t user = ::geteuid();
    const gid_t group = ::getegid();
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
        return namespace_failure(errno, "unshare(CLONE_NEWUSER | CLONE_NEWNET)");
    }
    // user_namespaces(7): setgroups is denied before an ordinary user may map his group. The file does
    // not exist before Linux 3.19, where nothing needs denying.
    if (const int number = write_small_file("/proc/self/setgroups", "deny");
        number != 0 && number != ENOENT) {
        return namespace_failure(number, "/proc/self/setgroups");
    }
    if (const int number = write_small_file("/proc/self/uid_map", fmt::format("0 {} 1\n", user))) {
        return namespace_failure(number, "/proc/self/uid_map");
    }
    if (const int number = write_small_file("/proc/self/gid_map", fmt::format("0 {} 1\n", group))) {
        return namespace_failure(number, "/proc/self/gid_map");
    }
    return switch_loopback_on();
}

/// What a child writes to its parent when it failed: the numbers, then the sentence.
struct ChildReport {
    LinkErrorKind kind;
    int number;
    std::array<char, 1000> sentence;
};

}  // namespace

LinkResult<void> check_private_network() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return link_failure(errno, "Can't make a pipe");
    }
    FileDescriptor read_end(ends[0]);
    FileDescriptor write_end(ends[1]);
    const pid_t child = ::fork();
    if (child < 0) {
        return link_failure(errno, "Can't fork to try a private namespace");
    }
    if (child == 0) {
        const auto entered = enter_now();
        if (entered) {
            ::_exit(0);
        }
        ChildReport report{entered.error().kind, entered.error().number, {}};
        entered.error().what.copy(report.sentence.data(), report.sentence.size() - 1);
        // One write below PIPE_BUF: all of it or nothing.
        (void)!::write(write_end.get(), &report, sizeof(report));
        ::_exit(1);
    }
    write_end.reset();
    ChildReport report{};
    ssize_t size = 0;
    do {
        size = ::read(read_end.get(), &report, sizeof(report));
    } while (size < 0 && errno == EINTR);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (size == static_cast<ssize_t>(sizeof(report))) {
        return std::unexpected(
            LinkError{report.kind, report.number, std::string(report.sentence.data())});
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return link_failure(LinkErrorKind::other, 0,
                            "Can't make a private network namespace: the trial process died");
    }
    return {};
}

LinkResult<void> enter_private_network() {
    if (auto possible = check_private_network(); !possible) {
        return possible;
    }
    return enter_now();
}

LinkResult<NetworkNamespace> NetworkNamespace::current() {
    FileDescriptor fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) {
        return link_failure(errno, "Can't open /proc/thread-self/ns/net", "Is /proc mounted?");
    }
    return NetworkNamespace(std::move(fd));
}

LinkResult<NetworkNamespace> NetworkNamespace::create() {
    auto home = current();
    if (!home) {
        return home;
    }
    // unshare and setns move this thread only, whatever other threads there are.
    if (::unshare(CLONE_NEWNET) != 0) {
        return namespace_failure(errno, "unshare(CLONE_NEWNET)");
    }
    auto made = current();
    auto loopback = switch_loopback_on();
    if (::setns(home->fd(), CLONE_NEWNET) != 0) {
        return link_failure(errno, "Can't come back from a new network namespace");
    }
    if (!loopback) {
        return std::unexpected(std::move(loopback.error()));
    }
    return made;
}

LinkResult<NetworkNamespace> NetworkNamespace::of_process(pid_t pid) {
    FileDescriptor fd(::open(fmt::format("/proc/{}/ns/net", pid).c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) {
        return link_failure(errno,
                            fmt::format("Can't open the network namespace of process {}", pid));
    }
    return NetworkNamespace(std::move(fd));
}

LinkResult<void> NetworkNamespace::run_inside(const std::function<void()>& task) const {
    auto home = current();
    if (!home) {
        return std::unexpected(std::move(home.error()));
    }
    if (::setns(fd_.get(), CLONE_NEWNET) != 0) {
        return link_failure(errno, "Can't enter a network namespace",
                            "It needs CAP_SYS_ADMIN there: be root, or its maker.");
    }
    try {
        task();
    } catch (...) {
        (void)::setns(home->fd(), CLONE_NEWNET);
        throw;
    }
    if (::setns(home->fd(), CLONE_NEWNET) != 0) {
        return link_failure(errno, "Can't come back from a network namespace");
    }
    return {};
}

LinkResult<pid_t> NetworkNamespace::fork_inside(const std::function<int()>& task) const {
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child < 0) {
        return link_failure(errno, "Can't fork");
    }
    if (child > 0) {
        return child;
    }
    // Between fork and prctl the parent may have gone: then nobody would kill this child.
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != parent ||
        ::setns(fd_.get(), CLONE_NEWNET) != 0) {
        ::_exit(126);
    }
    ::_exit(task());
}

namespace {

LinkResult<std::string> sysctl_path(std::string_view path) {
    std::string inside(path);
    if (inside.find('/') == std::string::npos) {
        std::replace(inside.begin(), inside.end(), '.', '/');
    }
    if (!inside.starts_with("net/") || inside.find("..") != std::string::npos) {
        return link_failure(LinkErrorKind::not_supported, 0,
                            fmt::format("\"{}\" is not a sysctl of the network", path));
    }
    return "/proc/sys/" + inside;
}

}  // namespace

LinkResult<void> write_sysctl(std::string_view path, std::string_view value) {
    auto file = sysctl_path(path);
    if (!file) {
        return std::unexpected(std::move(file.error()));
    }
    const int number = write_small_file(*file, value);
    if (number == 0) {
        return {};
    }
    const bool read_only = number == EROFS;
    return link_failure(read_only ? LinkErrorKind::no_permission : kind_of_errno(number), number,
                        fmt::format("Can't write {} to {}", value, *file),
                        read_only ? "Containers often mount /proc/sys read-only." : "");
}

LinkResult<std::string> read_sysctl(std::string_view path) {
    auto file = sysctl_path(path);
    if (!file) {
        return file;
    }
    auto text = read_small_file(*file);
    if (!text) {
        return link_failure(errno, fmt::format("Can't read {}", *file));
    }
    return std::move(*text);
}

LinkResult<void> quieten_ipv6(std::string_view interface) {
    // With slashes, since an interface's name may hold a dot.
    for (const std::string_view key :
         {"accept_dad", "dad_transmits", "accept_ra", "router_solicitations"}) {
        auto done = write_sysctl(fmt::format("net/ipv6/conf/{}/{}", interface, key), "0");
        if (!done) {
            return done;
        }
    }
    return {};
}

}  // namespace runnel
