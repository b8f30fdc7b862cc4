// getsockopt and setsockopt: Linux's levels and names onto SocketLayer's options. What the layer doesn't have makes
// the script one to skip; what Linux would refuse is an errno like any other.
#include <algorithm>

#include <fmt/format.h>

#include "runnel/drill/calls.hpp"
#include "runnel/drill/symbols.hpp"

namespace runnel::drill {

namespace {

constexpr int kEbadf = 9;
constexpr std::int64_t kSolIp = 0, kSolSocket = 1, kSolTcp = 6, kSolIpv6 = 41;
constexpr std::int64_t kSoLinger = 13, kSoError = 4, kSoSndbuf = 7, kSoRcvbuf = 8;
constexpr std::int64_t kTcpInfo = 11, kTcpCongestion = 13, kTcpMaxseg = 2;

struct Known {
    std::int64_t level;
    std::int64_t name;
    SocketOption option;
};
constexpr Known kKnown[] = {
    {kSolSocket, 2, SocketOption::reuse_address},
    {kSolSocket, 15, SocketOption::reuse_port},
    {kSolSocket, 9, SocketOption::keepalive},
    {kSolSocket, 10, SocketOption::oob_inline},
    {kSolSocket, kSoLinger, SocketOption::linger},
    {kSolSocket, kSoSndbuf, SocketOption::send_buffer},
    {kSolSocket, kSoRcvbuf, SocketOption::receive_buffer},
    {kSolSocket, 32, SocketOption::send_buffer},     // SO_SNDBUFFORCE
    {kSolSocket, 33, SocketOption::receive_buffer},  // SO_RCVBUFFORCE
    {kSolSocket, kSoError, SocketOption::error},
    {kSolSocket, 30, SocketOption::accepting},
    {kSolSocket, 3, SocketOption::type},
    {kSolTcp, 1, SocketOption::no_delay},
    {kSolTcp, kTcpMaxseg, SocketOption::max_segment},
    {kSolTcp, 3, SocketOption::cork},
    {kSolTcp, 4, SocketOption::keepalive_idle},
    {kSolTcp, 5, SocketOption::keepalive_interval},
    {kSolTcp, 6, SocketOption::keepalive_count},
    {kSolTcp, 12, SocketOption::quick_ack},
    {kSolTcp, 18, SocketOption::user_timeout},
    {kSolIp, 1, SocketOption::traffic_class},
    {kSolIp, 2, SocketOption::hop_limit},
    {kSolIpv6, 67, SocketOption::traffic_class},
    {kSolIpv6, 16, SocketOption::hop_limit},
    {kSolIpv6, 26, SocketOption::v6_only},
};

const Known* known(std::int64_t level, std::int64_t name) {
    const auto found = std::find_if(std::begin(kKnown), std::end(kKnown), [&](const Known& one) {
        return one.level == level && one.name == name;
    });
    return found == std::end(kKnown) ? nullptr : found;
}

std::string option_text(std::int64_t level, std::int64_t name) {
    const SymbolGroup group = level == kSolSocket ? SymbolGroup::socket_option
                              : level == kSolTcp  ? SymbolGroup::tcp_option
                              : level == kSolIp   ? SymbolGroup::ip_option
                                                  : SymbolGroup::ipv6_option;
    return fmt::format("the socket option {} is not supported", symbol_name(group, name));
}

/// SO_LINGER's {onoff=1, linger=5} as the layer has it: seconds, or -1.
std::int64_t linger_of(const Expression& written, Arguments& arguments) {
    const Expression* on = field_of(written, "onoff", 0);
    const Expression* time = field_of(written, "linger", 1);
    on = on == nullptr ? written.field("l_onoff") : on;
    time = time == nullptr ? written.field("l_linger") : time;
    if (on == nullptr || time == nullptr) {
        arguments.fail("SO_LINGER wants {onoff=…, linger=…}");
        return -1;
    }
    return arguments.number_of(*on) != 0 ? arguments.number_of(*time) : -1;
}

}  // namespace

Reply Calls::setsockopt(CallState&, Arguments& arguments) {
    Descriptor* descriptor = find(arguments.fd(0));
    const std::int64_t level = arguments.number(1);
    const std::int64_t name = arguments.number(2);
    if (!arguments.ok()) {
        return arguments.reply();
    }
    if (descriptor == nullptr) {
        return Reply::failed(kEbadf);
    }
    const Expression& written = pointee(arguments.at(3));
    if (level == kSolTcp && name == kTcpCongestion) {
        return Reply::skip("setting TCP_CONGESTION is not supported");
    }
    const Known* option = known(level, name);
    if (option == nullptr || !descriptor->is_socket()) {
        return Reply::skip(option_text(level, name));
    }
    const std::int64_t value = option->option == SocketOption::linger
                                   ? linger_of(written, arguments)
                                   : arguments.number_of(written);
    if (!arguments.ok()) {
        return arguments.reply();
    }
    const Status set =
        machine_.sockets().set_option(descriptor->socket, option->option, value, machine_.now());
    return set ? Reply::ok(0) : Reply::failed(set.error());
}

Reply Calls::getsockopt(CallState&, Arguments& arguments) {
    Descriptor* descriptor = find(arguments.fd(0));
    const std::int64_t level = arguments.number(1);
    const std::int64_t name = arguments.number(2);
    if (!arguments.ok()) {
        return arguments.reply();
    }
    if (descriptor == nullptr) {
        return Reply::failed(kEbadf);
    }
    const Expression& written = pointee(arguments.at(3));
    if (level == kSolTcp && (name == kTcpInfo || name == kTcpCongestion)) {
        const bool open = written.is(Expression::Kind::ellipsis);
        return open ? Reply::ok(0) : Reply::skip("comparing that option's value is not supported");
    }
    const Known* option = known(level, name);
    if (option == nullptr || !descriptor->is_socket()) {
        return Reply::skip(option_text(level, name));
    }
    const auto got = machine_.sockets().get_option(descriptor->socket, option->option);
    if (!got) {
        return Reply::failed(got.error());
    }
    Reply reply;
    if (written.is(Expression::Kind::ellipsis)) {
        return reply;
    }
    std::int64_t value = *got;
    if (option->option == SocketOption::error) {
        value = value == 0 ? 0 : Reply::failed(static_cast<Errc>(value)).error;
    } else if (option->option == SocketOption::send_buffer ||
               option->option == SocketOption::receive_buffer) {
        value *= 2;  // Linux shows what it reckons for overhead too (socket(7))
    }
    const std::int64_t expected = option->option == SocketOption::linger
                                      ? linger_of(written, arguments)
                                      : arguments.number_of(written);
    if (expected != value) {
        reply.mismatches.push_back(fmt::format("expected [{}], got [{}]", expected, value));
    }
    return reply;
}

}  // namespace runnel::drill
