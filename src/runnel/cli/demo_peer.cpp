// Blocking code over the kernel's sockets, in processes of its own: nothing here runs on the host's thread.
#include "runnel/cli/demo_peer.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <sstream>

#include "runnel/cli/exit_code.hpp"
#include "runnel/cli/sha256.hpp"

namespace runnel {

namespace {

constexpr const char* kCurlPaths[] = {"/usr/bin/curl", "/bin/curl", "/usr/local/bin/curl"};
constexpr std::size_t kBlock = 256 * 1024;
constexpr const char* kCurlTime = "30";  // seconds, so that a broken transfer can't hang the demo

const char* curl_path() {
    for (const char* path : kCurlPaths) {
        if (::access(path, X_OK) == 0) {
            return path;
        }
    }
    return nullptr;
}

[[noreturn]] void fail_command(const char* what) {
    throw CommandError(kExitFailed, fmt::format("{}: {}", what, std::strerror(errno)));
}

/// A child that dies with its parent's thread. `task` returns its exit code.
template <class Task>
pid_t start_child(Task task) {
    const pid_t parent = ::getpid();
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child < 0) {
        fail_command("fork");
    }
    if (child != 0) {
        return child;
    }
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::signal(SIGPIPE, SIG_DFL);
    int code = 1;
    if (::getppid() == parent) {
        try {
            code = task();
        } catch (...) {
            code = 1;
        }
    }
    ::_exit(code);
}

void end_child(pid_t child) {
    if (child > 0) {
        ::kill(child, SIGKILL);
        (void)::waitpid(child, nullptr, 0);
    }
}

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;
};

SocketAddress to_sockaddr(const Endpoint& endpoint) {
    SocketAddress address;
    const Bytes bytes = endpoint.address.wire_bytes();
    if (endpoint.address.is_v4()) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_port = htons(endpoint.port);
        std::memcpy(&in.sin_addr, bytes.data(), bytes.size());
        std::memcpy(&address.storage, &in, sizeof(in));
        address.size = sizeof(in);
    } else {
        sockaddr_in6 in6{};
        in6.sin6_family = AF_INET6;
        in6.sin6_port = htons(endpoint.port);
        std::memcpy(&in6.sin6_addr, bytes.data(), bytes.size());
        std::memcpy(&address.storage, &in6, sizeof(in6));
        address.size = sizeof(in6);
    }
    return address;
}

FileDescriptor open_socket(const Endpoint& endpoint) {
    const int family = endpoint.address.is_v4() ? AF_INET : AF_INET6;
    return FileDescriptor(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

bool write_all(int fd, Bytes bytes) {
    while (!bytes.empty()) {
        const ssize_t size = ::write(fd, bytes.data(), bytes.size());
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size <= 0) {
            return false;
        }
        bytes = bytes.subspan(static_cast<std::size_t>(size));
    }
    return true;
}

bool send_whole_file(int to, int fd, std::uint64_t size) {
    off_t offset = 0;
    while (static_cast<std::uint64_t>(offset) < size) {
        const ssize_t sent = ::sendfile(to, fd, &offset, size - static_cast<std::uint64_t>(offset));
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent <= 0) {
            return false;
        }
    }
    return true;
}

double now_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

// --- the clients ------------------------------------------------------------------------------------------

/// Reads `fd` to its end. `skip_header`: an HTTP header stands before the body.
struct Received {
    std::uint64_t bytes = 0;
    std::string sha256;
    std::string header;
};
Received read_to_end(int fd, bool skip_header) {
    Received received;
    Sha256 digest;
    std::vector<std::byte> buffer(kBlock);
    bool in_body = !skip_header;
    while (true) {
        const ssize_t size = ::read(fd, buffer.data(), buffer.size());
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size <= 0) {
            break;
        }
        Bytes bytes = Bytes(buffer).first(static_cast<std::size_t>(size));
        if (!in_body) {
            constexpr std::string_view kEnd = "\r\n\r\n";
            const std::size_t before = received.header.size();
            received.header.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
            const std::size_t end = received.header.find(kEnd);
            if (end == std::string::npos) {
                continue;
            }
            bytes = bytes.subspan(end + kEnd.size() - before);
            received.header.resize(end);
            in_body = true;
        }
        received.bytes += bytes.size();
        digest.update(bytes);
    }
    received.sha256 = digest.finish();
    return received;
}

std::string url_of(const PeerRequest& request) {
    return fmt::format("http://{}{}", to_string(request.server), request.target);
}

/// Becomes curl. Its body goes to stdout, its figures to stderr, both of which the caller has set.
void become_curl(const PeerRequest& request) {
    const std::string url = url_of(request);
    const std::string source = fmt::format("/proc/self/fd/{}", request.body_fd);
    std::vector<const char*> words = {"curl",
                                      "-sS",
                                      "--fail",
                                      "--noproxy",
                                      "*",
                                      "-q",
                                      "--max-time",
                                      kCurlTime,
                                      "--globoff",
                                      "-w",
                                      "%{stderr}time=%{time_total}\n"};
    // -q counts only as the first word.
    std::swap(words[1], words[5]);
    if (request.upload) {
        words.insert(words.end(), {"-T", source.c_str()});
        (void)::fcntl(request.body_fd, F_SETFD, 0);
    }
    if (request.close_asked) {
        words.insert(words.end(), {"-H", "Connection: close"});
    }
    words.push_back(url.c_str());
    words.push_back(nullptr);
    ::execv(curl_path(), const_cast<char* const*>(words.data()));
    ::_exit(127);
}

struct Pipe {
    FileDescriptor read_end;
    FileDescriptor write_end;
    Pipe() {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
            fail_command("pipe");
        }
        read_end = FileDescriptor(ends[0]);
        write_end = FileDescriptor(ends[1]);
    }
};

/// Runs curl and digests what it prints; the result's lines go to `out`.
int run_curl(const PeerRequest& request, int out) {
    Pipe body;
    Pipe messages;
    const pid_t child = start_child([&]() -> int {
        ::dup2(body.write_end.get(), STDOUT_FILENO);
        ::dup2(messages.write_end.get(), STDERR_FILENO);
        become_curl(request);
        return 127;
    });
    body.write_end.reset();
    messages.write_end.reset();
    const Received received = read_to_end(body.read_end.get(), false);
    std::string text;
    std::array<char, 4096> buffer{};
    for (ssize_t size = 0;
         (size = ::read(messages.read_end.get(), buffer.data(), buffer.size())) > 0;) {
        text.append(buffer.data(), static_cast<std::size_t>(size));
    }
    int status = 0;
    (void)::waitpid(child, &status, 0);
    const bool worked = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    const std::string result =
        fmt::format("worked={}\nbytes={}\nsha256={}\n{}", worked ? 1 : 0,
                    request.upload ? request.body_size : received.bytes, received.sha256, text);
    return write_all(out, as_bytes(result)) ? 0 : 1;
}

/// The same by our own client.
int run_own_client(const PeerRequest& request, int out) {
    const double begin = now_seconds();
    FileDescriptor socket = open_socket(request.server);
    const SocketAddress address = to_sockaddr(request.server);
    const auto* generic = reinterpret_cast<const sockaddr*>(&address.storage);
    std::string error;
    Received received;
    if (::connect(socket.get(), generic, address.size) != 0) {
        error = std::strerror(errno);
    } else {
        std::string head =
            fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
                        request.upload ? "PUT" : "GET", request.target, to_string(request.server));
        head +=
            request.upload ? fmt::format("Content-Length: {}\r\n\r\n", request.body_size) : "\r\n";
        bool sent = write_all(socket.get(), as_bytes(head));
        sent = sent && (!request.upload ||
                        send_whole_file(socket.get(), request.body_fd, request.body_size));
        if (!sent) {
            error = std::strerror(errno);
        }
        received = read_to_end(socket.get(), true);
        if (error.empty() && !received.header.starts_with("HTTP/1.1 2")) {
            error = "the server did not answer 200";
        }
    }
    const std::string result =
        fmt::format("worked={}\nbytes={}\nsha256={}\ntime={}\n{}\n", error.empty() ? 1 : 0,
                    request.upload ? request.body_size : received.bytes, received.sha256,
                    now_seconds() - begin, error);
    return write_all(out, as_bytes(result)) ? 0 : 1;
}

}  // namespace

bool has_curl() {
    return curl_path() != nullptr;
}

KernelClient::KernelClient(const PeerRequest& request, bool curl) {
    Pipe result;
    child_ = start_child([&] {
        return curl ? run_curl(request, result.write_end.get())
                    : run_own_client(request, result.write_end.get());
    });
    result_ = std::move(result.read_end);
}

KernelClient::~KernelClient() {
    end_child(child_);
}

PeerResult KernelClient::parse_result(const std::string& text) const {
    PeerResult result;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const std::size_t equals = line.find('=');
        const std::string key = line.substr(0, equals);
        const std::string value = equals == std::string::npos ? "" : line.substr(equals + 1);
        if (key == "worked") {
            result.worked = value == "1";
        } else if (key == "bytes") {
            result.bytes = std::strtoull(value.c_str(), nullptr, 10);
        } else if (key == "sha256") {
            result.sha256 = value;
        } else if (key == "time") {
            result.seconds = std::strtod(value.c_str(), nullptr);
        } else if (!line.empty() && result.error.empty()) {
            result.error = line;
        }
    }
    return result;
}

// --- the server -------------------------------------------------------------------------------------------

namespace {

/// Reads a request's header, answers, and closes after the client has.
void answer_one(int client, int fd, std::uint64_t size) {
    std::string request;
    std::array<char, 4096> buffer{};
    constexpr std::size_t kMostHeader = 16 * 1024;
    while (request.find("\r\n\r\n") == std::string::npos && request.size() < kMostHeader) {
        const ssize_t got = ::read(client, buffer.data(), buffer.size());
        if (got <= 0) {
            return;
        }
        request.append(buffer.data(), static_cast<std::size_t>(got));
    }
    const std::string head = fmt::format(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n"
        "Connection: close\r\n\r\n",
        size);
    if (write_all(client, as_bytes(head)) && send_whole_file(client, fd, size)) {
        (void)::shutdown(client, SHUT_WR);
        while (::read(client, buffer.data(), buffer.size()) > 0) {
        }
    }
}

int serve_all(const std::vector<FileDescriptor>& listeners, int fd, std::uint64_t size) {
    ::signal(SIGPIPE, SIG_IGN);
    std::vector<pollfd> waits;
    for (const FileDescriptor& listener : listeners) {
        waits.push_back({listener.get(), POLLIN, 0});
    }
    while (true) {
        if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) {
            return 1;
        }
        for (const pollfd& wait : waits) {
            if ((wait.revents & POLLIN) != 0) {
                const FileDescriptor client(::accept4(wait.fd, nullptr, nullptr, SOCK_CLOEXEC));
                if (client.valid()) {
                    answer_one(client.get(), fd, size);
                }
            }
        }
    }
}

}  // namespace

KernelServer::KernelServer(const std::vector<Endpoint>& locals, int fd, std::uint64_t size) {
    std::vector<FileDescriptor> listeners;
    for (const Endpoint& local : locals) {
        FileDescriptor listener = open_socket(local);
        const int on = 1;
        (void)::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        const SocketAddress address = to_sockaddr(local);
        const auto* generic = reinterpret_cast<const sockaddr*>(&address.storage);
        if (::bind(listener.get(), generic, address.size) != 0 ||
            ::listen(listener.get(), SOMAXCONN) != 0) {
            fail_command("the kernel's server can't listen");
        }
        listeners.push_back(std::move(listener));
    }
    child_ = start_child([&] { return serve_all(listeners, fd, size); });
}

KernelServer::~KernelServer() {
    end_child(child_);
}

}  // namespace runnel
