// ICMP's types and codes by the names scripts use (RFC 792, RFC 1812, RFC 4443).
#include <fmt/format.h>

#include "runnel/drill/symbols.hpp"
#include "runnel/drill/text.hpp"

namespace runnel::drill {
namespace {

struct Type {
    std::string_view name;
    std::uint8_t number;
    bool v6;
};
constexpr Type kTypes[] = {
    {"echo_reply", 0, false},          {"unreachable", 3, false},
    {"source_quench", 4, false},       {"redirect", 5, false},
    {"echo_request", 8, false},        {"time_exceeded", 11, false},
    {"parameter_problem", 12, false},  {"timestamp_request", 13, false},
    {"timestamp_reply", 14, false},    {"information_request", 15, false},
    {"information_reply", 16, false},  {"address_mask_request", 17, false},
    {"address_mask_reply", 18, false}, {"unreachable", 1, true},
    {"packet_too_big", 2, true},       {"time_exceeded", 3, true},
    {"parameter_problem", 4, true},    {"echo_request", 128, true},
    {"echo_reply", 129, true},
};

struct Code {
    std::string_view name;
    std::uint8_t type;
    std::uint8_t number;
    bool v6;
};
constexpr Code kCodes[] = {
    {"net_unreachable", 3, 0, false},
    {"host_unreachable", 3, 1, false},
    {"protocol_unreachable", 3, 2, false},
    {"port_unreachable", 3, 3, false},
    {"frag_needed", 3, 4, false},
    {"source_route_failed", 3, 5, false},
    {"net_unknown", 3, 6, false},
    {"host_unknown", 3, 7, false},
    {"source_host_isolated", 3, 8, false},
    {"net_prohibited", 3, 9, false},
    {"host_prohibited", 3, 10, false},
    {"net_unreachable_for_tos", 3, 11, false},
    {"host_unreachable_for_tos", 3, 12, false},
    {"packet_filtered", 3, 13, false},
    {"precedence_violation", 3, 14, false},
    {"precedence_cutoff", 3, 15, false},
    {"ttl_exceeded", 11, 0, false},
    {"reassembly_time_exceeded", 11, 1, false},
    {"net_unreachable", 1, 0, true},
    {"admin_prohibited", 1, 1, true},
    {"beyond_scope", 1, 2, true},
    {"host_unreachable", 1, 3, true},
    {"port_unreachable", 1, 4, true},
    {"policy_failed", 1, 5, true},
    {"reject_route", 1, 6, true},
    // Other names people use for the same; the first name of a number is its name.
    {"no_route", 1, 0, true},
    {"address_unreachable", 1, 3, true},
    {"hop_limit_exceeded", 3, 0, true},
    {"reassembly_time_exceeded", 3, 1, true},
    {"bad_header", 4, 0, true},
    {"unknown_next_header", 4, 1, true},
    {"unknown_option", 4, 2, true},
};

std::optional<std::uint8_t> numbered(std::string_view text, std::string_view prefix) {
    if (!text.starts_with(prefix) || text.size() == prefix.size() ||
        text.size() > prefix.size() + 3) {
        return std::nullopt;
    }
    unsigned value = 0;
    for (const char c : text.substr(prefix.size())) {
        if (!is_digit(c)) {
            return std::nullopt;
        }
        value = value * 10 + static_cast<unsigned>(c - '0');
    }
    return value > 0xff ? std::nullopt : std::optional(static_cast<std::uint8_t>(value));
}

std::optional<std::uint8_t> type_number(std::string_view name, bool v6) {
    for (const Type& type : kTypes) {
        if (type.name == name && type.v6 == v6) {
            return type.number;
        }
    }
    return numbered(name, "type_");
}

std::optional<std::uint8_t> code_number(std::uint8_t type, std::string_view name, bool v6) {
    for (const Code& code : kCodes) {
        if (code.name == name && code.type == type && code.v6 == v6) {
            return code.number;
        }
    }
    return numbered(name, "code_");
}

}  // namespace

std::optional<IcmpNumbers> icmp_numbers(std::string_view type, std::string_view code, bool v6) {
    const auto number = type_number(type, v6);
    if (!number) {
        return std::nullopt;
    }
    if (code.empty()) {
        return IcmpNumbers{*number, 0};
    }
    const auto detail = code_number(*number, code, v6);
    return detail ? std::optional(IcmpNumbers{*number, *detail}) : std::nullopt;
}

std::pair<std::string, std::string> icmp_names(IcmpNumbers numbers, bool v6) {
    std::pair<std::string, std::string> out{fmt::format("type_{}", numbers.type),
                                            fmt::format("code_{}", numbers.code)};
    for (const Type& type : kTypes) {
        if (type.number == numbers.type && type.v6 == v6) {
            out.first = type.name;
            break;
        }
    }
    for (const Code& code : kCodes) {
        if (code.type == numbers.type && code.number == numbers.code && code.v6 == v6) {
            out.second = code.name;
            return out;
        }
    }
    if (numbers.code == 0) {
        out.second.clear();
    }
    return out;
}

}  // namespace runnel::drill
