// Names and URLs: literals and /etc/hosts until Runnel has a resolver of its own (hosts(5), RFC 3986).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/wire/address.hpp"

namespace runnel {

/// The addresses of `name`: a literal's own (IPv6 with or without brackets), else those of `hosts_file` in
/// its order. Empty when it is unknown.
[[nodiscard]] std::vector<IpAddress> resolve_name(std::string_view name,
                                                  const std::string& hosts_file = "/etc/hosts");

struct Url {
    std::string scheme;  ///< lower case
    std::string host;    ///< without brackets
    std::uint16_t port = 0;
    std::string target;     ///< path and query, at least "/"
    std::string authority;  ///< host and port as in a Host header
    [[nodiscard]] std::string text() const { return scheme + "://" + authority + target; }
};

/// An http or other URL, or none when it can't be one. Without a scheme it is http.
[[nodiscard]] std::optional<Url> parse_url(std::string_view text);

/// What a Location header means on a page of `base` (RFC 3986 §5.2); none when it can't be a URL.
[[nodiscard]] std::optional<Url> resolve_reference(const Url& base, std::string_view reference);

/// The last name of a URL's path, for a file to be called after; empty when there is none that can.
[[nodiscard]] std::string file_name_of(const Url& url);

/// "PORT", "ADDRESS:PORT" or "[V6]:PORT"; the address is empty when only a port is given.
struct ListenAddress {
    std::optional<IpAddress> address;
    std::uint16_t port = 0;
};
[[nodiscard]] std::optional<ListenAddress> parse_listen_address(std::string_view text);

/// 1 to 65535.
[[nodiscard]] std::optional<std::uint16_t> parse_port(std::string_view text);

}  // namespace runnel
