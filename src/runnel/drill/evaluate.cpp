#include "runnel/drill/evaluate.hpp"

#include <fmt/format.h>

#include "runnel/drill/symbols.hpp"

namespace runnel::drill {
namespace {

using Kind = Expression::Kind;
using Number = Result<std::int64_t, Trouble>;

Number wrong(const Expression& expression, std::string message, std::string hint = {}) {
    return std::unexpected(expression_trouble(expression, std::move(message), std::move(hint)));
}

Number call_value(const Expression& call) {
    const bool short_one = call.text == "htons" || call.text == "ntohs";
    if (short_one || call.text == "htonl" || call.text == "ntohl") {
        if (call.parts.size() != 1) {
            return wrong(call, fmt::format("{} has one argument", call.text));
        }
        Number value = integer_of(call.parts.front());
        if (!value) {
            return value;
        }
        const std::int64_t most = short_one ? 0xffff : 0xffffffff;
        if (*value < 0 || *value > most) {
            return wrong(call, fmt::format("the argument of {} is from 0 to {}", call.text, most));
        }
        return value;
    }
    if (call.text == "inet_addr") {
        const auto address = address_of(call);
        if (!address) {
            return std::unexpected(address.error());
        }
        return static_cast<std::int64_t>(address->v4_value());
    }
    Trouble unknown =
        expression_trouble(call, fmt::format("the function {}() in an expression", call.text));
    unknown.kind = Trouble::Kind::unsupported;
    return std::unexpected(std::move(unknown));
}

/// The number behind an optional value; false and `trouble` when it is none.
template <class T>
bool narrowed(const Expression& value, std::int64_t most, std::optional<T>& out,
              std::optional<Trouble>& trouble) {
    if (value.is(Kind::ellipsis)) {
        return true;
    }
    const auto number = integer_of(value);
    if (!number) {
        trouble = number.error();
        return false;
    }
    if (*number < 0 || *number > most) {
        trouble = expression_trouble(value, fmt::format("this is from 0 to {}", most));
        return false;
    }
    out = static_cast<T>(*number);
    return true;
}

bool name_field(const Field& field, SocketName& out, std::optional<Trouble>& trouble) {
    const std::string& name = field.name;
    const Expression& value = field.value;
    if (name == "sa_family" || name == "sin_family" || name == "sin6_family") {
        return narrowed(value, 0xffff, out.family, trouble);
    }
    if (name == "sin_port" || name == "sin6_port") {
        return narrowed(value, 0xffff, out.port, trouble);
    }
    if (name == "sin6_flowinfo") {
        return narrowed(value, 0xffffffff, out.flow_info, trouble);
    }
    if (name == "sin6_scope_id") {
        return narrowed(value, 0xffffffff, out.scope_id, trouble);
    }
    if (name == "sin_addr" || name == "sin6_addr" ||
        (name.empty() && value.is(Kind::call) && value.text == "inet_pton")) {
        if (value.is(Kind::ellipsis)) {
            return true;
        }
        auto address = address_of(value);
        if (!address) {
            trouble = std::move(address.error());
            return false;
        }
        out.address = *address;
        return true;
    }
    // FreeBSD's lengths say nothing that the family doesn't.
    if (name == "sa_len" || name == "sin_len" || name == "sin6_len" || name == "sin_zero" ||
        (name.empty() && value.is(Kind::ellipsis))) {
        return true;
    }
    trouble = expression_trouble(
        value,
        name.empty() ? "a socket address has names for its fields"
                     : fmt::format("a socket address has no field {}", name),
        "as in: {sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr(\"192.0.2.1\")}");
    return false;
}

}  // namespace

Trouble expression_trouble(const Expression& expression, std::string message, std::string hint) {
    Trouble made;
    made.at = expression.at;
    made.message = std::move(message);
    made.hint = std::move(hint);
    return made;
}

Result<std::int64_t, Trouble> integer_of(const Expression& expression) {
    switch (expression.kind) {
        case Kind::integer: return expression.integer;
        case Kind::symbol: {
            if (const auto value = symbol_value(expression.text)) {
                return *value;
            }
            const std::string_view meant = nearest_symbol(expression.text);
            return wrong(expression,
                         fmt::format("nothing is known of the name {}", expression.text),
                         meant.empty() ? "" : fmt::format("did you mean {}?", meant));
        }
        case Kind::either: {
            std::int64_t all = 0;
            for (const Expression& part : expression.parts) {
                const Number value = integer_of(part);
                if (!value) {
                    return value;
                }
                all |= *value;
            }
            return all;
        }
        case Kind::negative: {
            Number value = integer_of(expression.parts.front());
            if (value) {
                *value = static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(*value));
            }
            return value;
        }
        case Kind::call: return call_value(expression);
        case Kind::ellipsis: return wrong(expression, "here a number is needed, not ...");
        case Kind::real:
            return wrong(expression,
                         fmt::format("here a whole number is needed, not {}", expression.text));
        case Kind::string: return wrong(expression, "here a number is needed, not a string");
        case Kind::array: return wrong(expression, "here a number is needed, not an array");
        case Kind::structure: return wrong(expression, "here a number is needed, not a structure");
        case Kind::address_of: return wrong(expression, "here a number is needed, not an address");
    }
    return wrong(expression, "here a number is needed");
}

Result<IpAddress, Trouble> address_of(const Expression& expression) {
    const Expression* text = &expression;
    if (expression.is(Kind::call)) {
        const bool pton = expression.text == "inet_pton";
        if (!pton && expression.text != "inet_addr") {
            const Number value = integer_of(expression);
            if (!value) {
                return std::unexpected(value.error());
            }
            return IpAddress::v4(static_cast<std::uint32_t>(*value));
        }
        if (expression.parts.size() < (pton ? 2u : 1u)) {
            return std::unexpected(
                expression_trouble(expression, fmt::format("{} wants an address", expression.text),
                                   pton ? R"(as in: inet_pton(AF_INET6, "2001:db8::1", &sin6_addr))"
                                        : R"(as in: inet_addr("192.0.2.1"))"));
        }
        text = &expression.parts[pton ? 1 : 0];
    }
    if (text->is(Kind::string)) {
        const auto address = parse_ip_address(text->text);
        const bool v4_only = expression.is(Kind::call) && expression.text == "inet_addr";
        if (!address || (v4_only && !address->is_v4())) {
            return std::unexpected(expression_trouble(
                *text,
                fmt::format("\"{}\" is no {} address", text->text, v4_only ? "IPv4" : "IP")));
        }
        return *address;
    }
    const Number value = integer_of(*text);
    if (!value) {
        return std::unexpected(value.error());
    }
    return IpAddress::v4(static_cast<std::uint32_t>(*value));
}

Result<SocketName, Trouble> socket_name_of(const Expression& structure) {
    SocketName out;
    if (structure.is(Kind::ellipsis)) {
        return out;
    }
    if (!structure.is(Kind::structure)) {
        return std::unexpected(expression_trouble(
            structure, "here a socket address is needed, or ...",
            "as in: {sa_family=AF_INET, sin_port=htons(8080), sin_addr=inet_addr(\"192.0.2.1\")}"));
    }
    for (const Field& field : structure.fields) {
        std::optional<Trouble> trouble;
        if (!name_field(field, out, trouble)) {
            return std::unexpected(std::move(*trouble));
        }
    }
    return out;
}

}  // namespace runnel::drill
