// What to write when --link is missing: three examples that work on this machine as they stand, chosen by
// looking at what it allows (DESIGN §8).
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <string>

#include "runnel/cli/exit_code.hpp"
#include "runnel/cli/session.hpp"
#include "runnel/link/file_descriptor.hpp"
#include "runnel/link/network_namespace.hpp"

namespace runnel {

namespace {

struct Example {
    std::string_view what;
    std::string command;
};

/// How this program is called from a shell here.
std::string program() {
    std::array<char, 4096> path{};
    const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
    return size > 0 ? std::string(path.data(), static_cast<std::size_t>(size)) : "runnel";
}

bool tun_opens() {
    return FileDescriptor(::open("/dev/net/tun", O_RDWR | O_CLOEXEC)).valid();
}

bool program_exists(std::string_view name) {
    for (const std::string_view directory : {"/usr/bin/", "/bin/", "/usr/local/bin/"}) {
        const std::string path = std::string(directory) + std::string(name);
        if (::access(path.c_str(), X_OK) == 0) {
            return true;
        }
    }
    return false;
}

std::array<Example, 3> wire_examples(const std::string& self, std::string_view command) {
    if (command == "serve") {
        return {{{"a visitor at the other end of a wire inside this process",
                  self + " serve --link wire --listen 80 /etc"},
                 {"the same over IPv6 alone",
                  self + " serve --link wire --address fd09::2/64 --listen 80 /etc"},
                 {"echo, captured",
                  self + " serve --link wire --listen 7 --echo -w /tmp/echo.pcapng"}}};
    }
    if (command == "nc") {
        return {{{"echo at the other end of a wire inside this process",
                  "echo hello | " + self + " nc -N --link wire 10.9.0.1 7"},
                 {"the same over IPv6", "echo hello | " + self + " nc -N --link wire fd09::1 7"},
                 {"an endless stream of letters",
                  self + " nc --link wire 10.9.0.1 19 < /dev/null | head"}}};
    }
    return {{{"from the other end of a wire inside this process",
              self + " get --link wire http://10.9.0.1/"},
             {"the same over IPv6, captured",
              self + " get --link wire -w /tmp/get.pcapng 'http://[fd09::1]/'"},
             {"1 GiB of nothing", self + " get --link wire -o /dev/null http://10.9.0.1/zeros"}}};
}

/// In a private network namespace: `body` runs in a shell there.
std::string in_namespace(const std::string& body) {
    return "unshare -rn sh -c '" + body + "'";
}

/// The first two with the kernel's TCP as the peer, over a TUN or, without one, a veth pair.
void use_kernel(std::array<Example, 3>& examples, const std::string& self, std::string_view command,
                bool tun) {
    const std::string link = tun ? "--link tun" : "--link packet:veth1 --address 10.9.0.2/24";
    const std::string prepare =
        tun ? ""
            : "ip link add veth0 type veth peer name veth1; ip link set veth1 addrgenmode none; "
              "ip addr add 10.9.0.1/24 dev veth0; ip link set veth0 up; ip link set veth1 up; ";
    const std::string_view where = tun ? "over a TUN device" : "over a veth pair";
    static std::array<std::string, 2> texts;
    texts[0] = fmt::format("the kernel's TCP in a private network, {}", where);
    texts[1] = fmt::format("the same, with a capture");
    const auto put = [&](std::size_t i, const std::string& body) {
        examples[i] = {texts[i], in_namespace(prepare + body)};
    };
    if (command == "serve" && program_exists("curl")) {
        const std::string client = " & sleep 1; curl -s http://10.9.0.2/; wait";
        put(0, self + " serve " + link + " --listen 80 --exit-after 1 ." + client);
        put(1, self + " serve " + link + " --listen 80 --exit-after 1 -w /tmp/serve.pcapng ." +
                   client);
    } else if (command != "serve" && program_exists("python3")) {
        const std::string server = "python3 -m http.server 8000 & sleep 1; ";
        const std::string stop = "; kill $!";
        if (command == "nc") {
            const std::string request = "printf \"GET / HTTP/1.0\\r\\n\\r\\n\" | ";
            put(0, server + request + self + " nc " + link + " 10.9.0.1 8000" + stop);
            put(1, server + request + self + " nc " + link + " -w /tmp/nc.pcapng 10.9.0.1 8000" +
                       stop);
        } else {
            put(0, server + self + " get " + link + " http://10.9.0.1:8000/" + stop);
            put(1, server + self + " get " + link + " -w /tmp/get.pcapng http://10.9.0.1:8000/" +
                       stop);
        }
    }
}

}  // namespace

void refuse_without_link(std::string_view command) {
    const std::string self = program();
    std::array<Example, 3> examples = wire_examples(self, command);
    const bool namespaces = check_private_network().has_value() && program_exists("unshare");
    if (namespaces && (tun_opens() || program_exists("ip"))) {
        use_kernel(examples, self, command, tun_opens());
    }
    std::string text = fmt::format(
        "`{}` needs a host of its own: say by --link where its packets go.\nThese work here:\n",
        command);
    for (const Example& example : examples) {
        text += fmt::format("\n  # {}\n  {}\n", example.what, example.command);
    }
    throw CommandError(kExitUsage, text);
}

}  // namespace runnel
