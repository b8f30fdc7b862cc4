// Reading the capture that a command was given, and choosing its conversations.
#include "runnel/cli/capture_input.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "runnel/cli/exit_code.hpp"
#include "runnel/link/file_descriptor.hpp"
#include "runnel/report/packet_decoder.hpp"
#include "runnel/report/text.hpp"

namespace runnel {

namespace {

template <class... Args>
void complain(std::string_view command, fmt::format_string<Args...> text, Args&&... args) {
    fmt::print(stderr, "runnel {}: {}\n", command, fmt::format(text, std::forward<Args>(args)...));
}

constexpr std::size_t kReadSize = std::size_t{1} << 20;
/// Conversations listed when a filter fits none.
constexpr std::size_t kMaxListed = 20;

std::optional<std::vector<std::byte>> read_all(std::string_view command, int fd,
                                               const std::string& name) {
    std::vector<std::byte> bytes;
    struct stat status{};
    if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0 &&
        static_cast<std::uint64_t>(status.st_size) <= kMaxCaptureFile) {
        bytes.reserve(static_cast<std::size_t>(status.st_size) + 1);
    }
    std::size_t used = 0;
    for (;;) {
        const std::size_t room = bytes.capacity() - used;
        bytes.resize(used + (room == 0 ? kReadSize : std::min(room, kReadSize)));
        const ssize_t got = ::read(fd, bytes.data() + used, bytes.size() - used);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            complain(command, "can't read {}: {}", name, std::strerror(errno));
            return std::nullopt;
        }
        if (got == 0) {
            bytes.resize(used);
            return bytes;
        }
        used += static_cast<std::size_t>(got);
        if (used > kMaxCaptureFile) {
            complain(command,
                     "{} has more than {}. Try a part of it: editcap -c 1000000 {} part.pcapng",
                     name, report::bytes_text(kMaxCaptureFile), name);
            return std::nullopt;
        }
    }
}

std::optional<std::vector<std::byte>> read_file(std::string_view command, const std::string& path) {
    if (path == "-") {
        if (::isatty(STDIN_FILENO) != 0) {
            complain(command,
                     "reads a capture from standard input, which is a terminal. Try: "
                     "tcpdump -w - -c 20 tcp | runnel {} -",
                     command);
            return std::nullopt;
        }
        return read_all(command, STDIN_FILENO, "standard input");
    }
    const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.valid()) {
        complain(command, "can't open {}: {}", path, std::strerror(errno));
        return std::nullopt;
    }
    return read_all(command, file.get(), path);
}

// --- which conversations -------------------------------------------------------------------------------

struct Filter {
    std::optional<std::size_t> number;
    std::optional<IpAddress> address;
    std::optional<std::uint16_t> port;

    [[nodiscard]] bool fits(const Endpoint& endpoint) const {
        return (!address || *address == endpoint.address) && (!port || *port == endpoint.port);
    }
    [[nodiscard]] bool fits(const report::Conversation& conversation) const {
        if (number) {
            return *number == conversation.number;
        }
        return fits(conversation.left) || fits(conversation.right);
    }
};

template <class T>
std::optional<T> whole_number(std::string_view text) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() ? std::optional<T>(value)
                                                                    : std::nullopt;
}

// Nothing when it can't be understood.
std::optional<Filter> parse_filter(std::string_view text) {
    Filter filter;
    if (text.empty()) {
        return filter;
    }
    if (const auto number = whole_number<std::size_t>(text)) {
        filter.number = number;
        return filter;
    }
    if (const auto address = parse_ip_address(text)) {
        filter.address = address;
        return filter;
    }
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) {
        return std::nullopt;
    }
    filter.port = whole_number<std::uint16_t>(text.substr(colon + 1));
    std::string_view address = text.substr(0, colon);
    if (address.starts_with('[') && address.ends_with(']')) {
        address = address.substr(1, address.size() - 2);
    }
    if (!address.empty() && address != "*") {
        filter.address = parse_ip_address(address);
        if (!filter.address) {
            return std::nullopt;
        }
    }
    return filter.port ? std::optional<Filter>(filter) : std::nullopt;
}

// --- what there is instead -------------------------------------------------------------------------------

std::string packets_text(const report::OtherPackets& others) {
    struct Kind {
        std::uint64_t count;
        std::string_view name;
    };
    const std::array kinds = {
        Kind{others.udp, "UDP"},     Kind{others.icmp, "ICMP"},
        Kind{others.arp, "ARP"},     Kind{others.fragments, "IP fragments"},
        Kind{others.other, "other"}, Kind{others.unreadable, "unreadable"},
    };
    std::string text;
    for (const Kind& kind : kinds) {
        if (kind.count != 0) {
            text += fmt::format("{}{} {}", text.empty() ? "" : ", ", report::count_text(kind.count),
                                kind.name);
        }
    }
    return text;
}

void complain_of_no_tcp(std::string_view command, const std::string& file,
                        const report::Capture& capture, const report::Conversations& found) {
    if (capture.packets.empty()) {
        complain(command, "{} holds no packets", file);
        return;
    }
    complain(command, "{} holds no TCP conversation among {} ({})", file,
             report::counted(capture.packets.size(), "packet"), packets_text(found.others));
    for (const report::CaptureInterface& interface : capture.interfaces) {
        if (!report::knows_link_type(interface.link_type)) {
            complain(command,
                     "its link type {} is one that Runnel doesn't know; it reads Ethernet, raw IP, "
                     "Linux cooked (SLL, SLL2) and BSD loopback captures",
                     interface.link_type);
            return;
        }
    }
}

void complain_of_no_fit(std::string_view command, const std::string& wanted,
                        const report::Conversations& found) {
    complain(command, "no conversation fits \"{}\". There {}:", wanted,
             found.list.size() == 1 ? "is 1"
                                    : fmt::format("are {}", report::count_text(found.list.size())));
    std::size_t listed = 0;
    for (const report::Conversation& conversation : found.list) {
        if (listed++ == kMaxListed) {
            fmt::print(stderr, "  …\n");
            return;
        }
        fmt::print(stderr, "  {}  {} → {}  {}\n", conversation.number, to_string(conversation.left),
                   to_string(conversation.right),
                   report::counted(conversation.segments.size(), "segment"));
    }
}

}  // namespace

CaptureInput read_capture_input(std::string_view command, const std::string& file,
                                const std::string& wanted) {
    CaptureInput input;
    const auto filter = parse_filter(wanted);
    if (!filter) {
        complain(
            command,
            "can't understand the conversation \"{}\". Try its number (2), an address (10.9.0.1), a "
            "port (:8080) or both (10.9.0.1:8080, [fd00::1]:80)",
            wanted);
        input.exit_code = kExitUsage;
        return input;
    }
    auto bytes = read_file(command, file);
    if (!bytes) {
        input.exit_code = kExitFailed;
        return input;
    }
    input.bytes = std::move(*bytes);
    auto capture = report::read_capture(input.bytes);
    if (!capture) {
        complain(command, "{} is no capture that Runnel can read: {}", file,
                 capture.error().message);
        input.exit_code = kExitFailed;
        return input;
    }
    input.capture = std::move(*capture);
    input.found = report::find_conversations(input.capture);
    if (input.found.list.empty()) {
        complain_of_no_tcp(command, file, input.capture, input.found);
        input.exit_code = kExitFailed;
        return input;
    }
    for (const report::Conversation& conversation : input.found.list) {
        if (filter->fits(conversation)) {
            input.chosen.push_back(&conversation);
        }
    }
    if (input.chosen.empty()) {
        complain_of_no_fit(command, wanted, input.found);
        input.exit_code = kExitFailed;
    }
    return input;
}

int tell_capture_problem(std::string_view command, const CaptureInput& input) {
    const auto& problem = input.capture.problem;
    if (!problem) {
        return input.exit_code;
    }
    complain(command, "{} at {}. What comes before is shown: {}",
             problem->truncated ? "the capture is cut short" : "damage",
             report::to_string(*problem), report::counted(input.capture.packets.size(), "packet"));
    return problem->truncated ? input.exit_code : int{kExitFailed};
}

}  // namespace runnel
