// Reading of names, ports and URLs (RFC 3986 §3.2, hosts(5)).
#include "runnel/cli/names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

namespace runnel {

namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equal_names(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view without_brackets(std::string_view host) {
    const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
    return bracketed ? host.substr(1, host.size() - 2) : host;
}

struct HostPort {
    std::string_view host;
    std::optional<std::string_view> port;
};

/// What may stand in a host's name or literal.
bool is_host_text(std::string_view text) {
    static constexpr std::string_view kMore = ".-_:[]%";
    return std::all_of(text.begin(), text.end(), [](char c) {
        const char small = lower(c);
        return (small >= 'a' && small <= 'z') || (c >= '0' && c <= '9') ||
               kMore.find(c) != std::string_view::npos;
    });
}

/// RFC 3986 §3.1.
bool is_scheme(std::string_view text) {
    const auto letter = [](char c) { return lower(c) >= 'a' && lower(c) <= 'z'; };
    return !text.empty() && letter(text.front()) &&
           std::all_of(text.begin(), text.end(), [&](char c) {
               return letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
           });
}

/// Splits "host:port" with IPv6 in brackets; none when brackets don't match.
std::optional<HostPort> split_port(std::string_view text) {
    const std::size_t close = text.rfind(']');
    const std::size_t from = close == std::string_view::npos ? 0 : close;
    if ((text.starts_with('[')) != (close != std::string_view::npos)) {
        return std::nullopt;
    }
    const std::size_t colon = text.find(':', from);
    if (colon == std::string_view::npos) {
        return HostPort{text, std::nullopt};
    }
    return HostPort{text.substr(0, colon), text.substr(colon + 1)};
}

}  // namespace

std::optional<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    const bool valid = error == std::errc() && end == text.data() + text.size() && port != 0;
    return valid ? std::optional(port) : std::nullopt;
}

std::vector<IpAddress> resolve_name(std::string_view name, const std::string& hosts_file) {
    if (const auto literal = parse_ip_address(without_brackets(name))) {
        return {*literal};
    }
    std::vector<IpAddress> found;
    std::ifstream file(hosts_file);
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line.substr(0, line.find('#')));
        std::string address_text;
        words >> address_text;
        const auto address = parse_ip_address(address_text);
        if (!address) {
            continue;
        }
        for (std::string known; words >> known;) {
            if (equal_names(known, name)) {
                found.push_back(*address);
                break;
            }
        }
    }
    return found;
}

std::optional<Url> parse_url(std::string_view text) {
    Url url;
    url.scheme = "http";
    // Behind a path or query it belongs to them.
    if (const std::size_t mark = text.find("://"); mark < text.find_first_of("/?#")) {
        if (!is_scheme(text.substr(0, mark))) {
            return std::nullopt;
        }
        url.scheme = text.substr(0, mark);
        std::transform(url.scheme.begin(), url.scheme.end(), url.scheme.begin(), lower);
        text.remove_prefix(mark + 3);
    }
    text = text.substr(0, text.find('#'));
    const std::size_t slash = text.find_first_of("/?");
    std::string_view authority = text.substr(0, slash);
    url.target = slash == std::string_view::npos ? "/" : text.substr(slash);
    if (url.target.front() == '?') {
        url.target.insert(0, "/");
    }
    const bool printable = std::all_of(url.target.begin(), url.target.end(),
                                       [](char c) { return c > ' ' && c < '\x7f'; });
    const auto split = split_port(authority);
    if (!printable || !is_host_text(authority) || !split || without_brackets(split->host).empty() ||
        authority.find('@') != std::string_view::npos) {
        return std::nullopt;
    }
    url.host = without_brackets(split->host);
    url.port = 80;
    if (split->port) {
        const auto port = parse_port(*split->port);
        if (!port) {
            return std::nullopt;
        }
        url.port = *port;
    }
    url.authority = authority;
    return url;
}

namespace {

/// RFC 3986 §5.2.4, for a path that begins with a slash.
std::string without_dot_segments(std::string_view path) {
    std::vector<std::string_view> kept;
    bool ends_in_directory = false;
    while (!path.empty()) {
        path.remove_prefix(1);
        const std::size_t end = std::min(path.find('/'), path.size());
        const std::string_view segment = path.substr(0, end);
        path.remove_prefix(end);
        ends_in_directory = segment == "." || segment == "..";
        if (segment == "..") {
            if (!kept.empty()) {
                kept.pop_back();
            }
        } else if (segment != ".") {
            kept.push_back(segment);
        }
    }
    std::string result;
    for (const std::string_view segment : kept) {
        result += fmt::format("/{}", segment);
    }
    return ends_in_directory || result.empty() ? result + "/" : result;
}

}  // namespace

std::optional<Url> resolve_reference(const Url& base, std::string_view reference) {
    reference = reference.substr(0, reference.find('#'));
    const std::size_t colon = reference.find(':');
    if (colon != std::string_view::npos && colon < reference.find_first_of("/?")) {
        const bool hierarchical = reference.substr(colon).starts_with("://");
        return hierarchical ? parse_url(reference) : std::nullopt;
    }
    if (reference.starts_with("//")) {
        return parse_url(fmt::format("{}:{}", base.scheme, reference));
    }
    const std::string_view base_path =
        std::string_view(base.target).substr(0, base.target.find('?'));
    std::string path(reference.substr(0, reference.find('?')));
    std::string query(reference.substr(path.size()));
    if (path.empty()) {
        path = base_path;
        if (query.empty()) {
            query = base.target.substr(base_path.size());
        }
    } else if (path.front() != '/') {
        path = std::string(base_path.substr(0, base_path.rfind('/') + 1)) + path;
    }
    return parse_url(
        fmt::format("{}://{}{}{}", base.scheme, base.authority, without_dot_segments(path), query));
}

std::string file_name_of(const Url& url) {
    const std::string path = url.target.substr(0, url.target.find('?'));
    const std::string name = path.substr(path.rfind('/') + 1);
    return name == "." || name == ".." ? "" : name;
}

std::optional<ListenAddress> parse_listen_address(std::string_view text) {
    if (const auto port = parse_port(text)) {
        return ListenAddress{std::nullopt, *port};
    }
    const auto split = split_port(text);
    if (!split || !split->port) {
        return std::nullopt;
    }
    const auto port = parse_port(*split->port);
    const auto address = parse_ip_address(without_brackets(split->host));
    if (!port || (!address && !split->host.empty())) {
        return std::nullopt;
    }
    return ListenAddress{address, *port};
}

}  // namespace runnel
