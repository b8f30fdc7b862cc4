// The names scripts use for numbers, both ways, with Linux's values: symbols.def and errors.def; ICMP's names; what
// strerror says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace runnel::drill {

/// What a number stands for, when its name is asked.
enum class SymbolGroup : std::uint8_t {
    error,  ///< errno
    family,
    socket_type,
    protocol,
    level,          ///< of setsockopt
    socket_option,  ///< SO_*
    tcp_option,     ///< TCP_* of setsockopt
    tcp_control,    ///< TCP_CM_*
    md5_flag,
    ip_option,
    pmtu_mode,
    ipv6_option,
    message_flag,  ///< MSG_*
    open_flag,     ///< O_*
    fcntl,
    fd_flag,
    file_mode,
    poll_event,
    epoll_event,
    epoll_call,
    shutdown,
    ioctl,
    splice_flag,
    error_origin,  ///< SO_EE_*
    control_type,  ///< SCM_*
    timestamp_kind,
    timestamping,  ///< SOF_TIMESTAMPING_*
    tcp_info_option,
    ca_state,   ///< TCP_CA_*
    tcp_state,  ///< TCP_ESTABLISHED …
    address,
    limit,
    signal
};

/// The value of a name, errno's included; nothing when there is no such name.
[[nodiscard]] std::optional<std::int64_t> symbol_value(std::string_view name);
/// The group a name belongs to.
[[nodiscard]] std::optional<SymbolGroup> symbol_group(std::string_view name);
/// The name of a value, or the number in decimal when it has none.
[[nodiscard]] std::string symbol_name(SymbolGroup group, std::int64_t value);
/// Names joined by |, what has no name in hexadecimal at the end; "0" (or the name of 0) when nothing is set.
[[nodiscard]] std::string flags_text(SymbolGroup group, std::int64_t value);
/// A known name near this one, for hints; empty when none is.
[[nodiscard]] std::string_view nearest_symbol(std::string_view name);

/// The number of "EAGAIN", or nothing.
[[nodiscard]] std::optional<int> errno_number(std::string_view name);
/// What strerror says on Linux: "Resource temporarily unavailable"; "Unknown error N".
[[nodiscard]] std::string error_text(int number);

struct IcmpNumbers {
    std::uint8_t type = 0;
    std::uint8_t code = 0;

    bool operator==(const IcmpNumbers&) const = default;
};
/// ICMPv4's or ICMPv6's numbers of `unreachable` `port_unreachable`; `type_N` and `code_N` name themselves. An empty
/// code is 0. Nothing when that family has no such name.
[[nodiscard]] std::optional<IcmpNumbers> icmp_numbers(std::string_view type, std::string_view code,
                                                      bool v6);
/// The names scripts use for a message; the code's is empty when it is 0 and has no name.
[[nodiscard]] std::pair<std::string, std::string> icmp_names(IcmpNumbers numbers, bool v6);

}  // namespace runnel::drill
