// Sockets are reached through the directory's descriptor (/proc/self/fd/N/NAME): the directory that was
// checked is the one that is used, and a long path fits sockaddr_un.
#include "runnel/cli/control/directory.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

namespace runnel::control {

namespace {

constexpr std::string_view kSuffix = ".sock";
/// Sockets looked at in one directory.
constexpr std::size_t kMaxSockets = 4096;
constexpr int kBacklog = 16;

/// Our user's number outside of the user namespace that we may be in: `unshare -r` makes us 0, and yet the
/// user's other processes are to find us.
unsigned outside_uid() {
    const auto own = static_cast<unsigned long>(::geteuid());
    const std::unique_ptr<FILE, int (*)(FILE*)> map(std::fopen("/proc/self/uid_map", "re"),
                                                    &std::fclose);
    unsigned long inside = 0;
    unsigned long outside = 0;
    unsigned long count = 0;
    while (map != nullptr &&
           std::fscanf(map.get(), "%lu %lu %lu", &inside, &outside, &count) == 3) {
        if (own >= inside && own - inside < count) {
            return static_cast<unsigned>(outside + (own - inside));
        }
    }
    return static_cast<unsigned>(own);
}

sockaddr_un address_of(int directory, const std::string& name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = fmt::format("/proc/self/fd/{}/{}", directory, name);
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    return address;
}

FileDescriptor new_socket() {
    return FileDescriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

/// A connection to the socket of that name; errno says why there is none.
FileDescriptor connect_to(int directory, const std::string& name) {
    // Without blocking: a listener whose queue is full answers with EAGAIN.
    FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const sockaddr_un address = address_of(directory, name);
    if (!socket.valid() || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address),
                                     sizeof(address)) != 0) {
        return {};
    }
    return socket;
}

/// "123.sock", "123-2.sock": 123.
std::optional<pid_t> pid_in(std::string_view name) {
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    const std::string_view rest = name.substr(static_cast<std::size_t>(end - name.data()));
    const bool valid = error == std::errc() && pid > 0 && name.ends_with(kSuffix) &&
                       (rest == kSuffix || rest.starts_with('-'));
    return valid ? std::optional(pid) : std::nullopt;
}

std::vector<std::string> socket_names(int directory) {
    std::vector<std::string> names;
    FileDescriptor copy(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    DIR* stream = copy.valid() ? ::fdopendir(copy.get()) : nullptr;
    if (stream == nullptr) {
        return names;
    }
    (void)copy.release();
    while (const dirent* entry = ::readdir(stream)) {
        if (pid_in(entry->d_name) && names.size() < kMaxSockets) {
            names.emplace_back(entry->d_name);
        }
    }
    ::closedir(stream);
    std::sort(names.begin(), names.end());
    return names;
}

/// Removes a socket that refuses, if its process is gone too: one that is just being made does not have its
/// final name yet, and one of another PID namespace does not refuse.
bool remove_if_dead(int directory, const std::string& name) {
    const std::optional<pid_t> pid = pid_in(name);
    const bool gone = pid && (*pid == ::getpid() || (::kill(*pid, 0) != 0 && errno == ESRCH));
    return gone && ::unlinkat(directory, name.c_str(), 0) == 0;
}

}  // namespace

std::vector<std::string> directories() {
    std::vector<std::string> found;
    const auto add = [&found](std::string path) {
        if (std::find(found.begin(), found.end(), path) == found.end()) {
            found.push_back(std::move(path));
        }
    };
    const char* only = std::getenv("RUNNEL_CONTROL_DIR");
    if (only != nullptr && *only == '/') {
        return {only};
    }
    const char* runtime = std::getenv("XDG_RUNTIME_DIR");
    if (runtime != nullptr && *runtime == '/') {
        add(fmt::format("{}/runnel", runtime));
    }
    const unsigned uid = outside_uid();
    add(fmt::format("/run/user/{}/runnel", uid));
    add(fmt::format("/tmp/runnel-{}", uid));
    return found;
}

std::expected<FileDescriptor, std::string> open_directory(const std::string& path, bool make) {
    if (make && ::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
        return std::unexpected(fmt::format("can't make {}: {}", path, std::strerror(errno)));
    }
    FileDescriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!directory.valid()) {
        return std::unexpected(fmt::format("can't open {}: {}", path, std::strerror(errno)));
    }
    struct stat info{};
    if (::fstat(directory.get(), &info) != 0 || info.st_uid != ::geteuid()) {
        return std::unexpected(fmt::format("{} belongs to somebody else", path));
    }
    if ((info.st_mode & 077) != 0) {
        return std::unexpected(
            fmt::format("{} is open to others; `chmod 700 {}` if that is a mistake", path, path));
    }
    return directory;
}

std::expected<ListeningSocket, std::string> ListeningSocket::open() {
    std::string why = "there is no directory for it";
    for (const std::string& path : directories()) {
        auto directory = open_directory(path, true);
        if (!directory) {
            why = directory.error();
            continue;
        }
        ListeningSocket made;
        made.directory_ = std::move(*directory);
        const int at = made.directory_.get();
        for (const std::string& name : socket_names(at)) {
            if (!connect_to(at, name).valid() && errno == ECONNREFUSED) {
                (void)remove_if_dead(at, name);
            }
        }
        // The name that others look for appears when somebody listens behind it.
        const std::string hidden = fmt::format(".{}", ::getpid());
        (void)::unlinkat(at, hidden.c_str(), 0);
        made.socket_ = new_socket();
        const sockaddr_un address = address_of(at, hidden);
        if (!made.socket_.valid() ||
            ::bind(made.socket_.get(), reinterpret_cast<const sockaddr*>(&address),
                   sizeof(address)) != 0 ||
            ::listen(made.socket_.get(), kBacklog) != 0) {
            why = fmt::format("no socket in {}: {}", path, std::strerror(errno));
            continue;
        }
        for (int number = 1; number <= 16 && made.name_.empty(); ++number) {
            const std::string name = number == 1
                                         ? fmt::format("{}{}", ::getpid(), kSuffix)
                                         : fmt::format("{}-{}{}", ::getpid(), number, kSuffix);
            // Never over another's: a process of the same number in another PID namespace.
            if (::linkat(at, hidden.c_str(), at, name.c_str(), 0) == 0) {
                made.name_ = name;
            }
        }
        (void)::unlinkat(at, hidden.c_str(), 0);
        if (made.name_.empty()) {
            why = fmt::format("no free name in {}: {}", path, std::strerror(errno));
            continue;
        }
        made.path_ = fmt::format("{}/{}", path, made.name_);
        return made;
    }
    return std::unexpected(why);
}

ListeningSocket::~ListeningSocket() {
    if (!name_.empty() && directory_.valid()) {
        (void)::unlinkat(directory_.get(), name_.c_str(), 0);
    }
}

std::vector<Connected> connect_all(std::vector<std::string>& notes) {
    std::vector<Connected> found;
    for (const std::string& path : directories()) {
        struct stat info{};
        if (::lstat(path.c_str(), &info) != 0) {
            continue;
        }
        auto directory = open_directory(path, false);
        if (!directory) {
            notes.push_back(directory.error());
            continue;
        }
        for (const std::string& name : socket_names(directory->get())) {
            Connected one{connect_to(directory->get(), name), 0, fmt::format("{}/{}", path, name)};
            if (!one.socket.valid()) {
                const int error = errno;
                if (error == ECONNREFUSED) {
                    (void)remove_if_dead(directory->get(), name);
                } else if (error != ENOENT) {
                    notes.push_back(fmt::format("{}: {}", one.path, std::strerror(error)));
                }
                continue;
            }
            if (!same_user(one.socket.get(), &one.pid)) {
                notes.push_back(fmt::format("{} is another user's", one.path));
                continue;
            }
            found.push_back(std::move(one));
        }
    }
    return found;
}

bool same_user(int socket, int* pid) {
    ucred peer{};
    socklen_t size = sizeof(peer);
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return false;
    }
    if (pid != nullptr) {
        *pid = peer.pid;
    }
    return peer.uid == ::geteuid() || peer.uid == 0;
}

}  // namespace runnel::control
