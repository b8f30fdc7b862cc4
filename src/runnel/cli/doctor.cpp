// `runnel doctor`: what this machine lets Runnel do, each thing tried and not guessed, and how to get the rest.
// Devices are tried in a private network of a child process, so that nothing of the machine's own is touched.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/if_ether.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "runnel/cli/commands.hpp"
#include "runnel/cli/common_options.hpp"
#include "runnel/cli/exit_code.hpp"
#include "runnel/link/device.hpp"
#include "runnel/link/netlink.hpp"
#include "runnel/link/network_namespace.hpp"
#include "runnel/report/json_writer.hpp"
#include "runnel/report/text.hpp"

namespace runnel {

namespace {

struct Finding {
    std::string_view id;
    std::string_view title;
    bool works = false;
    std::string found;   ///< what was seen
    std::string remedy;  ///< how to get it; empty when it works or nothing helps
};

std::string first_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

/// The number behind `key` in a file of /proc with lines "Key: value", in base `base`; 0 without it.
std::uint64_t proc_number(const std::string& path, std::string_view key, int base) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(key)) {
            return std::strtoull(line.c_str() + key.size(), nullptr, base);
        }
    }
    return 0;
}

bool has_capability(unsigned number) {
    return (proc_number("/proc/self/status", "CapEff:", 16) >> number & 1) != 0;
}

bool program_exists(const std::string& name) {
    for (const char* directory :
         {"/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/", "/usr/local/bin/"}) {
        if (::access((directory + name).c_str(), X_OK) == 0) {
            return true;
        }
    }
    return false;
}

// --- what is tried in a private network -----------------------------------------------------------------

constexpr std::size_t kMostText = 1024;

/// Runs `trial` in a child with a network of its own: its text, or why there is none.
LinkResult<std::string> try_in_private(LinkResult<std::string> (*trial)()) {
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) {
        return link_failure(errno, "no pipe");
    }
    const FileDescriptor reader(pipe[0]);
    FileDescriptor writer(pipe[1]);
    const pid_t child = ::fork();
    if (child == 0) {
        LinkResult<std::string> result = std::string();
        if (auto entered = enter_private_network(); !entered) {
            result = std::unexpected(entered.error());
        } else {
            result = trial();
        }
        const std::string text = result ? *result : result.error().what;
        (void)!::write(writer.get(), text.data(), std::min(text.size(), kMostText));
        ::_exit(result ? 0 : 1);
    }
    writer = {};
    if (child < 0) {
        return link_failure(errno, "no child process");
    }
    std::array<char, kMostText> buffer{};
    std::string text;
    ssize_t got = 0;
    while ((got = ::read(reader.get(), buffer.data(), buffer.size())) > 0) {
        text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    int status = 0;
    (void)::waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return std::unexpected(LinkError{LinkErrorKind::other, 0, text});
    }
    return text;
}

std::string offloads_text(const LinkCapabilities& capabilities) {
    if (capabilities.tso4 && capabilities.checksum_offload) {
        return "with 64 KB super-segments and partial checksums (virtio_net_hdr)";
    }
    return "without offloads: every packet is sent and checksummed by itself";
}

LinkResult<std::string> try_tun() {
    auto device = Device::open_tun({});
    if (!device) {
        return std::unexpected(device.error());
    }
    return "opens in a private network, " + offloads_text(device->capabilities());
}

LinkResult<std::string> try_packet() {
    auto netlink = Netlink::open();
    if (!netlink) {
        return std::unexpected(netlink.error());
    }
    VethOptions pair;
    pair.name = "rnlve0";
    pair.peer_name = "rnlve1";
    if (auto made = netlink->create_veth(pair); !made) {
        return std::unexpected(made.error());
    }
    auto device = Device::open_packet({.name = "rnlve1"});
    if (!device) {
        return std::unexpected(device.error());
    }
    return "opens on a veth pair in a private network, " + offloads_text(device->capabilities());
}

// --- the findings ---------------------------------------------------------------------------------------

Finding kernel() {
    utsname name{};
    (void)::uname(&name);
    Finding finding{"kernel", "kernel", false,
                    fmt::format("{} {}, {}", name.sysname, name.release, name.machine), ""};
    // openat2(2), which keeps `serve` below its directory, came with 5.6.
    unsigned major = 0;
    unsigned minor = 0;
    (void)std::sscanf(static_cast<const char*>(name.release), "%u.%u", &major, &minor);
    finding.works = major > 5 || (major == 5 && minor >= 6);
    finding.remedy = finding.works ? "" : "Linux 5.6 or later is needed for `serve`.";
    return finding;
}

Finding admin() {
    constexpr unsigned kNetAdmin = 12;
    const bool has = has_capability(kNetAdmin);
    return {"net_admin", "CAP_NET_ADMIN", has,
            has ? "held: interfaces, addresses and routes can be made here"
                : fmt::format("not held by user {}", ::geteuid()),
            has ? ""
                : "Run as root, in a network of your own (unshare -rn), or once: "
                  "sudo setcap cap_net_admin,cap_net_raw+ep $(command -v runnel)"};
}

Finding raw() {
    const FileDescriptor fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    const int error = errno;
    return {"packet_socket", "AF_PACKET socket", fd.valid(),
            fd.valid() ? "opens: --link packet:IFACE works on this machine's own interfaces"
                       : fmt::format("can't be opened: {}", std::strerror(error)),
            fd.valid() ? "" : "It needs CAP_NET_RAW: the same as for CAP_NET_ADMIN."};
}

Finding namespaces() {
    const auto checked = check_private_network();
    Finding finding{"namespaces", "private networks", checked.has_value(), "", ""};
    if (checked) {
        finding.found = ::geteuid() == 0 ? "can be made" : "can be made, in a user namespace";
        return finding;
    }
    finding.found = checked.error().what;
    finding.remedy =
        "In a container: --privileged, or --cap-add SYS_ADMIN --security-opt seccomp=unconfined. "
        "On Ubuntu: sysctl kernel.apparmor_restrict_unprivileged_userns=0";
    return finding;
}

Finding tun_file() {
    const FileDescriptor fd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
    const int error = errno;
    Finding finding{"tun_file", "/dev/net/tun", fd.valid(), "opens", ""};
    if (!fd.valid()) {
        finding.found = std::strerror(error);
        finding.remedy =
            error == ENOENT ? "sudo modprobe tun; in a container: --device /dev/net/tun"
                            : "sudo chmod 0666 /dev/net/tun; in a container: --device /dev/net/tun";
    }
    return finding;
}

Finding device(std::string_view id, std::string_view title, LinkResult<std::string> (*trial)()) {
    const auto tried = try_in_private(trial);
    return {id, title, tried.has_value(), tried ? *tried : tried.error().what,
            tried ? "" : "See what is missing above."};
}

Finding ping_range() {
    const std::string range = first_line("/proc/sys/net/ipv4/ping_group_range");
    unsigned long low = 1;
    unsigned long high = 0;
    (void)std::sscanf(range.c_str(), "%lu %lu", &low, &high);
    const bool works = low <= ::getegid() && ::getegid() <= high;
    return {
        "ping", "ping without privilege", works || ::geteuid() == 0,
        fmt::format("net.ipv4.ping_group_range is {} to {}, this group {}", low, high, ::getegid()),
        works || ::geteuid() == 0
            ? ""
            : "sudo sysctl net.ipv4.ping_group_range='0 2147483647', if you want to ping Runnel"};
}

Finding memory() {
    constexpr std::uint64_t kEnough = std::uint64_t{256} << 20;
    const std::uint64_t available = proc_number("/proc/meminfo", "MemAvailable:", 10) * 1024;
    const bool works = available >= kEnough;
    return {"memory", "memory", works, fmt::format("{} available", report::bytes_text(available)),
            works
                ? ""
                : "Buffers grow with traffic: free 256 MiB, or lower --set tcp_rmem and tcp_wmem."};
}

Finding receive_buffer() {
    // What Device asks for; root's SO_RCVBUFFORCE passes the limit, else a ring takes its place.
    const std::string limit = first_line("/proc/sys/net/core/rmem_max");
    return {"rmem_max", "packet receive buffer", true,
            limit.empty()
                ? "net.core.rmem_max belongs to the machine's own network; root needs none"
                : fmt::format("net.core.rmem_max {}; beyond it a shared ring is used", limit),
            ""};
}

Finding programs() {
    std::string there;
    std::string missing;
    for (const char* name : {"curl", "ip", "unshare", "tshark"}) {
        std::string& list = program_exists(name) ? there : missing;
        list += (list.empty() ? "" : ", ") + std::string(name);
    }
    return {"programs", "helpful programs", missing.empty(),
            missing.empty() ? there : fmt::format("missing: {}", missing),
            missing.empty()
                ? ""
                : "apt install curl iproute2 util-linux tshark (only examples and tests use them)"};
}

std::vector<Finding> examine() {
    std::vector<Finding> findings = {kernel(), namespaces(), tun_file(), admin(), raw()};
    findings.push_back(device("tun", "TUN device", try_tun));
    findings.push_back(device("packet", "packet socket on veth", try_packet));
    findings.push_back(ping_range());
    findings.push_back(receive_buffer());
    findings.push_back(memory());
    findings.push_back(programs());
    return findings;
}

bool works(const std::vector<Finding>& findings, std::string_view id) {
    for (const Finding& finding : findings) {
        if (finding.id == id) {
            return finding.works;
        }
    }
    return false;
}

/// How a --link can be used here: "directly", "private" (in `unshare -rn`), or "no".
const char* way_of(const std::vector<Finding>& findings, std::string_view link) {
    if (link == "wire") {
        return "directly";
    }
    const bool is_packet = link == "packet";
    const bool direct = is_packet ? works(findings, "packet_socket")
                                  : works(findings, "tun_file") && works(findings, "net_admin");
    if (direct) {
        return "directly";
    }
    return works(findings, is_packet ? "packet" : "tun") ? "private" : "no";
}

constexpr std::array<std::string_view, 4> kLinkKinds = {"wire", "tun", "tap", "packet"};

void print_json(const std::vector<Finding>& findings) {
    std::string text;
    report::JsonWriter writer(text);
    writer.begin_object();
    writer.text("version", RUNNEL_VERSION);
    writer.begin_array("findings");
    for (const Finding& finding : findings) {
        writer.begin_object();
        writer.text("id", finding.id);
        writer.boolean("works", finding.works);
        writer.text("found", finding.found);
        if (!finding.remedy.empty()) {
            writer.text("remedy", finding.remedy);
        }
        writer.end_object();
    }
    writer.end_array();
    writer.begin_object("links");
    for (const std::string_view link : kLinkKinds) {
        writer.text(link, way_of(findings, link));
    }
    writer.end_object();
    writer.end_object();
    fmt::print("{}\n", text);
}

void print_text(const std::vector<Finding>& findings, bool color) {
    const auto mark = [color](bool yes) {
        const char* word = yes ? "yes" : "no ";
        return color ? fmt::format("\x1b[{}m{}\x1b[0m", yes ? 32 : 31, word) : std::string(word);
    };
    fmt::print("runnel {}: what this machine lets it do\n\n", RUNNEL_VERSION);
    for (const Finding& finding : findings) {
        fmt::print("{}  {:<23} {}\n", mark(finding.works), finding.title, finding.found);
        if (!finding.remedy.empty()) {
            fmt::print("{:28} -> {}\n", "", finding.remedy);
        }
    }
    fmt::print("\n");
    for (const std::string_view link : kLinkKinds) {
        const std::string_view way = way_of(findings, link);
        const char* sentence = "does not work here";
        if (link == "wire") {
            sentence = "works, without any privilege: the peer is in the same process";
        } else if (way == "directly") {
            sentence = "works";
        } else if (way == "private") {
            sentence = "works in a network of your own: unshare -rn runnel ...";
        }
        fmt::print("--link {:<7} {}\n", link, sentence);
    }
}

}  // namespace

void add_doctor(CLI::App& program, int& exit_code) {
    auto output = std::make_shared<OutputOptions>();
    CLI::App* command = program.add_subcommand(
        "doctor", "Tell what this machine lets Runnel do, and how to get the rest");
    add_output_options(*command, *output);
    command->footer(
        "Everything is tried, in a private network of a child process where devices are made; nothing\n"
        "is changed. Exit codes: 0 Runnel can face the kernel's TCP here, 77 only --link wire works.\n\n"
        "Example:\n"
        "  runnel doctor");
    command->callback([output, &exit_code] {
        const std::vector<Finding> findings = examine();
        if (output->json) {
            print_json(findings);
        } else {
            print_text(findings, output->use_color(::isatty(STDOUT_FILENO) != 0));
        }
        const bool faces_kernel = way_of(findings, "tun") != std::string_view("no") ||
                                  way_of(findings, "packet") != std::string_view("no");
        exit_code = faces_kernel ? kExitOk : kExitNoPermission;
    });
}

}  // namespace runnel
