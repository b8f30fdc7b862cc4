// Expressions to numbers and addresses. Trouble names the place; the caller adds the file when it knows it.
#pragma once

#include <optional>

#include "runnel/base/result.hpp"
#include "runnel/drill/script.hpp"
#include "runnel/drill/trouble.hpp"
#include "runnel/wire/address.hpp"

namespace runnel::drill {

/// A number of literals, symbols, |, -x, and htons(), htonl(), ntohs(), ntohl(), inet_addr(). Values are
/// in host order: htons(8080) is 8080, inet_addr("192.0.2.1") 0xc0000201. A real is trouble; so is an ellipsis.
[[nodiscard]] Result<std::int64_t, Trouble> integer_of(const Expression& expression);

/// A symbol known neither to Linux nor to Runnel is trouble of kind `wrong`, with the nearest name as its hint.
[[nodiscard]] Trouble expression_trouble(const Expression& expression, std::string message,
                                         std::string hint = {});

/// What {sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr("192.0.2.1")} (sin6_… for IPv6) says. What is
/// left out or `...` is absent: the caller's defaults. A bare inet_pton(AF_INET6, "…", &sin6_addr) counts too.
struct SocketName {
    std::optional<std::int64_t> family;  ///< AF_*, AF_UNSPEC included
    std::optional<std::uint16_t> port;
    std::optional<IpAddress> address;
    std::optional<std::uint32_t> flow_info;
    std::optional<std::uint32_t> scope_id;

    bool operator==(const SocketName&) const = default;
};
[[nodiscard]] Result<SocketName, Trouble> socket_name_of(const Expression& structure);

/// inet_addr("…"), inet_pton(AF, "…", …), a "string", a symbol or a number (IPv4).
[[nodiscard]] Result<IpAddress, Trouble> address_of(const Expression& expression);

}  // namespace runnel::drill
