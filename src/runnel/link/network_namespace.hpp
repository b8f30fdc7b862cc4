// Private networks made for the purpose (network_namespaces(7), user_namespaces(7)): Runnel and the
// kernel's TCP can face each other there without touching the machine's own network. None has a name in
// the file system, so the kernel takes everything down when the last process or descriptor goes, even
// after SIGKILL.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>

#include "runnel/link/error.hpp"
#include "runnel/link/file_descriptor.hpp"

namespace runnel {

/// Moves the whole process into a network of its own with nothing but `lo`, switched on. Root gets a new
/// network namespace; an ordinary user gets a user namespace too, in which he is root. Call it first
/// thing: a process that already has threads can't enter a user namespace. It is tried in a child before,
/// so that after an error the process is as it was. The error says who forbids it and what to do.
LinkResult<void> enter_private_network();

/// Whether `enter_private_network` would work here; changes nothing.
[[nodiscard]] LinkResult<void> check_private_network();

/// A network namespace held by a descriptor.
class NetworkNamespace {
public:
    /// The one this thread is in.
    [[nodiscard]] static LinkResult<NetworkNamespace> current();
    /// A new empty one with `lo` switched on; this thread stays where it is. Needs CAP_SYS_ADMIN, which
    /// one has after `enter_private_network`.
    [[nodiscard]] static LinkResult<NetworkNamespace> create();
    /// The one that a process is in.
    [[nodiscard]] static LinkResult<NetworkNamespace> of_process(pid_t pid);

    [[nodiscard]] int fd() const { return fd_.get(); }

    /// Runs `task` with this thread inside, and comes back. Sockets and devices opened in there stay
    /// there. An exception out of `task` comes back too.
    LinkResult<void> run_inside(const std::function<void()>& task) const;

    /// Forks a child that lives inside, runs `task` and exits with its result; it is killed when its
    /// parent thread ends. Returns its pid; the caller waits for it.
    [[nodiscard]] LinkResult<pid_t> fork_inside(const std::function<int()>& task) const;

private:
    explicit NetworkNamespace(FileDescriptor fd) : fd_(std::move(fd)) {}
    FileDescriptor fd_;
};

/// Writes a network sysctl of the namespace this thread is in: `path` as in "net.ipv4.tcp_sack" or with
/// slashes; only names under "net".
LinkResult<void> write_sysctl(std::string_view path, std::string_view value);
/// Reads one, without the newline at its end.
[[nodiscard]] LinkResult<std::string> read_sysctl(std::string_view path);

/// Makes the kernel's end of a link quiet in IPv6: no duplicate address detection, no router
/// solicitation, and no router advertisement believed.
LinkResult<void> quieten_ipv6(std::string_view interface);

}  // namespace runnel
