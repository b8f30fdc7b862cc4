// getsockopt and setsockopt by Linux's numbers and octets. What SocketLayer doesn't have makes the script one to skip,
// unless it expects just that ENOPROTOOPT; what Linux would refuse is an errno like any other.
#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>

#include "runnel/drill/calls.hpp"
#include "runnel/drill/symbols.hpp"

namespace runnel::drill {

namespace {

constexpr int kEbadf = 9, kEnoprotoopt = 92;
constexpr std::int64_t kSolIp = 0, kSolSocket = 1, kSolTcp = 6, kSolIpv6 = 41;
constexpr std::int64_t kSoLinger = 13, kTcpInfo = 11, kTcpCongestion = 13;
constexpr std::size_t kMaxOption = 256;

Reply unsupported(const Syscall& call, std::int64_t level, std::int64_t name) {
    if (call.error == "ENOPROTOOPT") {
        return Reply::failed(kEnoprotoopt);
    }
    const SymbolGroup group = level == kSolSocket ? SymbolGroup::socket_option
                              : level == kSolTcp  ? SymbolGroup::tcp_option
                              : level == kSolIp   ? SymbolGroup::ip_option
                                                  : SymbolGroup::ipv6_option;
    return Reply::skip(
        fmt::format("the socket option {} is not supported",
                    level == kSolIp || level == kSolSocket || level == kSolTcp || level == kSolIpv6
                        ? symbol_name(group, name)
                        : fmt::format("{} of level {}", name, level)));
}

void append(std::vector<std::byte>& bytes, std::int64_t value, std::size_t size) {
    std::array<std::byte, 8> raw{};
    std::memcpy(raw.data(), &value, raw.size());  // as the machine has it, like the real call
    bytes.insert(bytes.end(), raw.begin(),
                 raw.begin() + static_cast<std::ptrdiff_t>(std::min(size, raw.size())));
}

std::int64_t number_in(Bytes bytes) {
    std::int32_t value = 0;
    std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
    return value;
}

/// SO_LINGER's {onoff=1, linger=5}: its two numbers.
std::array<std::int64_t, 2> linger_of(const Expression& written, Arguments& arguments) {
    const Expression* on = field_of(written, "onoff", 0);
    const Expression* time = field_of(written, "linger", 1);
    on = on == nullptr ? written.field("l_onoff") : on;
    time = time == nullptr ? written.field("l_linger") : time;
    if (on == nullptr || time == nullptr) {
        arguments.fail("SO_LINGER wants {onoff=…, linger=…}");
        return {};
    }
    return {arguments.number_of(*on), arguments.number_of(*time)};
}

bool is_linger(std::int64_t level, std::int64_t name) {
    return level == kSolSocket && name == kSoLinger;
}

}  // namespace

Reply Calls::setsockopt(CallState& state, Arguments& arguments) {
    Descriptor* descriptor = find(arguments.fd(0));
    const std::int64_t level = arguments.number(1);
    const std::int64_t name = arguments.number(2);
    const auto size =
        static_cast<std::size_t>(std::clamp<std::int64_t>(arguments.number(4, 4), 0, kMaxOption));
    if (!arguments.ok()) {
        return arguments.reply();
    }
    if (descriptor == nullptr) {
        return Reply::failed(kEbadf);
    }
    if (!descriptor->is_socket()) {
        return Reply::skip("setsockopt() of what is no socket is not supported");
    }
    const Expression& written = pointee(arguments.at(3));
    std::vector<std::byte> value;
    if (is_linger(level, name)) {
        for (const std::int64_t part : linger_of(written, arguments)) {
            append(value, part, 4);
        }
    } else if (written.is(Expression::Kind::string)) {
        const Bytes text = as_bytes(written.text);
        value.assign(text.begin(), text.end());
        value.resize(size);
    } else if (written.is(Expression::Kind::structure)) {
        return unsupported(*state.call, level, name);
    } else {
        append(value, arguments.number_of(written), size);
    }
    if (!arguments.ok()) {
        return arguments.reply();
    }
    const int error = machine_.sockets().set_linux_option(
        descriptor->socket, static_cast<int>(level), static_cast<int>(name), value, machine_.now());
    if (error == kEnoprotoopt) {
        return unsupported(*state.call, level, name);
    }
    if (level == kSolTcp && name == kTcpCongestion && error != 0 && state.call->error.empty()) {
        return Reply::skip(fmt::format("there is no congestion control \"{}\" here", written.text));
    }
    return error == 0 ? Reply::ok(0) : Reply::failed(error);
}

Reply Calls::getsockopt(CallState& state, Arguments& arguments) {
    Descriptor* descriptor = find(arguments.fd(0));
    const std::int64_t level = arguments.number(1);
    const std::int64_t name = arguments.number(2);
    const Expression& written = pointee(arguments.at(3));
    const Expression& length = pointee(arguments.at(4));
    const std::int64_t room = length.is(Expression::Kind::ellipsis) ? std::int64_t{kMaxOption}
                                                                    : arguments.number_of(length);
    if (!arguments.ok()) {
        return arguments.reply();
    }
    if (descriptor == nullptr) {
        return Reply::failed(kEbadf);
    }
    if (!descriptor->is_socket()) {
        return Reply::skip("getsockopt() of what is no socket is not supported");
    }
    std::vector<std::byte> value(
        static_cast<std::size_t>(std::clamp<std::int64_t>(room, 0, kMaxOption)));
    const OptionReply got = machine_.sockets().get_linux_option(
        descriptor->socket, static_cast<int>(level), static_cast<int>(name), value, machine_.now());
    if (got.error == kEnoprotoopt) {
        return unsupported(*state.call, level, name);
    }
    if (got.error != 0) {
        return Reply::failed(got.error);
    }
    value.resize(std::min(value.size(), got.size));
    Reply reply;
    if (written.is(Expression::Kind::ellipsis)) {
        return reply;
    }
    if (written.is(Expression::Kind::string)) {
        const std::string text(
            reinterpret_cast<const char*>(value.data()),
            value.empty() ? 0 : strnlen(reinterpret_cast<const char*>(value.data()), value.size()));
        if (text != written.text) {
            reply.mismatches.push_back(
                fmt::format("expected \"{}\", got \"{}\"", written.text, text));
        }
        return reply;
    }
    if (is_linger(level, name)) {
        const auto expected = linger_of(written, arguments);
        if (value.size() < 8 || expected[0] != number_in(Bytes(value).first(4)) ||
            expected[1] != number_in(Bytes(value).subspan(4))) {
            reply.mismatches.push_back("the linger time differs");
        }
        return reply;
    }
    if (written.is(Expression::Kind::structure) || (level == kSolTcp && name == kTcpInfo)) {
        return Reply::skip("comparing that option's structure is not supported");
    }
    const std::int64_t expected = arguments.number_of(written);
    if (expected != number_in(value)) {
        reply.mismatches.push_back(
            fmt::format("expected [{}], got [{}]", expected, number_in(value)));
    }
    return reply;
}

}  // namespace runnel::drill
