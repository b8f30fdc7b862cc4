// getsockopt and setsockopt by Linux's numbers and octets. What SocketLayer doesn't have makes the script one to skip,
// unless it expects just that ENOPROTOOPT; what Linux would refuse is an errno like any other.
#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include <fmt/format.h>

#include "runnel/drill/calls.hpp"
#include "runnel/drill/evaluate.hpp"
#include "runnel/drill/symbols.hpp"
#include "runnel/drill/tcp_info_names.hpp"

namespace runnel::drill {

namespace {

constexpr int kEbadf = 9, kEnodev = 19, kEinval = 22, kEnoprotoopt = 92;
constexpr std::int64_t kSolIp = 0, kSolSocket = 1, kSolTcp = 6, kSolIpv6 = 41;
constexpr std::int64_t kSoLinger = 13, kSoRcvtimeo = 20, kSoSndtimeo = 21, kSoBindToDevice = 25,
                       kSoTimestamp = 29, kSoTimestampNs = 35, kSoTimestamping = 37,
                       kSoTimestampNew = 63, kSoTimestampNsNew = 64, kSoTimestampingNew = 65,
                       kSoRcvtimeoNew = 66, kSoSndtimeoNew = 67;
constexpr std::int64_t kTcpInfo = 11, kTcpCongestion = 13, kTcpMd5 = 14, kTcpMd5Ext = 32;
constexpr std::int64_t kRxSoftware = 0x8, kRxHardware = 0x4;
constexpr std::size_t kMaxOption = 256;
constexpr std::int64_t kLongest = 1'000'000'000;  ///< seconds of a timeout; more is none
/// Of the only interface, as packetdrill's.
constexpr std::string_view kDevice = "tun0";

/// What is set and read back, and is of no consequence in this world.
struct Kept {
    std::int64_t level;
    std::int64_t name;
    std::int64_t value;  ///< until it is set
};
constexpr Kept kKept[] = {
    {kSolSocket, 1, 0},   // SO_DEBUG
    {kSolSocket, 5, 0},   // SO_DONTROUTE: the other end is always on the link
    {kSolSocket, 6, 0},   // SO_BROADCAST
    {kSolSocket, 11, 0},  // SO_NO_CHECK
    {kSolSocket, 15, 0},  // SO_REUSEPORT: as SO_REUSEADDR
    {kSolSocket, 29, 0},  // SO_TIMESTAMP
    {kSolSocket, 35, 0},  // SO_TIMESTAMPNS
    {kSolSocket, 40, 0},  // SO_RXQ_OVFL
    {kSolSocket, 43, 0},  // SO_LOCK_FILTER
    {kSolSocket, 46, 0},  // SO_BUSY_POLL
    {kSolSocket, 49, 0},  // SO_INCOMING_CPU
    {kSolSocket, 63, 0},  // SO_TIMESTAMP_NEW
    {kSolSocket, 64, 0},  // SO_TIMESTAMPNS_NEW
    {kSolTcp, 17, 0},     // TCP_THIN_DUPACK: nothing in Linux either, since 4.20
    {kSolTcp, 27, 0},     // TCP_SAVE_SYN
    {kSolIp, 10, 1},      // IP_MTU_DISCOVER: DF is always set, and a smaller path always believed
    {kSolIp, 15, 0},      // IP_FREEBIND
    {kSolIp, 24, 0},      // IP_BIND_ADDRESS_NO_PORT
    {kSolIpv6, 23, 1},    // IPV6_MTU_DISCOVER
    {kSolIpv6, 33, 0},    // IPV6_FLOWINFO_SEND
    {kSolIpv6, 70, 0},    // IPV6_AUTOFLOWLABEL
};

const Kept* kept(std::int64_t level, std::int64_t name) {
    const auto found = std::ranges::find_if(
        kKept, [&](const Kept& one) { return one.level == level && one.name == name; });
    return found == std::end(kKept) ? nullptr : found;
}

bool is_timeout(std::int64_t level, std::int64_t name) {
    return level == kSolSocket && (name == kSoRcvtimeo || name == kSoSndtimeo ||
                                   name == kSoRcvtimeoNew || name == kSoSndtimeoNew);
}

bool is_md5(std::int64_t level, std::int64_t name) {
    return level == kSolTcp && (name == kTcpMd5 || name == kTcpMd5Ext);
}

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

/// SO_RCVTIMEO's {tv_sec=1, tv_usec=0}.
std::array<std::int64_t, 2> timeval_of(const Expression& written, Arguments& arguments) {
    const Expression* whole = field_of(written, "tv_sec", 0);
    const Expression* part = field_of(written, "tv_usec", 1);
    if (whole == nullptr || part == nullptr) {
        arguments.fail("a timeout is written as {tv_sec=…, tv_usec=…}");
        return {};
    }
    return {arguments.number_of(*whole), arguments.number_of(*part)};
}

/// A string, or an array of octets.
std::vector<std::byte> octets_of(const Expression& written, Arguments& arguments) {
    std::vector<std::byte> octets;
    if (written.is(Expression::Kind::string)) {
        const Bytes text = as_bytes(written.text);
        octets.assign(text.begin(), text.end());
    } else {
        for (const Expression& part : written.parts) {
            octets.push_back(static_cast<std::byte>(arguments.number_of(part) & 0xff));
        }
    }
    return octets;
}

/// struct tcp_md5sig: sockaddr_storage, flags, prefix length, key length, interface, 80 octets of key.
std::vector<std::byte> md5_of(const Expression& written, Arguments& arguments) {
    constexpr std::size_t kFlags = 128, kPrefix = 129, kLength = 130, kKey = 136, kSize = 216;
    std::vector<std::byte> bytes(kSize);
    const Expression* name = field_of(written, "tcpm_addr", 0);
    const Expression* key = written.field("tcpm_key");
    if (name == nullptr || key == nullptr) {
        arguments.fail("TCP_MD5SIG wants {tcpm_addr={…}, tcpm_keylen=…, tcpm_key=\"…\"}");
        return bytes;
    }
    const auto peer = socket_name_of(*name);
    if (!peer || !peer->address) {
        arguments.fail("TCP_MD5SIG wants an address with sa_family and sin_addr");
        return bytes;
    }
    const bool v4 = peer->address->is_v4();
    const auto family = static_cast<std::uint16_t>(peer->family.value_or(v4 ? 2 : 10));
    std::memcpy(bytes.data(), &family, sizeof family);
    std::ranges::copy(peer->address->wire_bytes(), bytes.begin() + (v4 ? 4 : 8));
    const auto small = [&](const char* field, std::size_t at) {
        if (const Expression* found = written.field(field)) {
            bytes[at] = static_cast<std::byte>(arguments.number_of(*found) & 0xff);
        }
    };
    small("tcpm_flags", kFlags);
    small("tcpm_prefixlen", kPrefix);
    const std::vector<std::byte> octets = octets_of(*key, arguments);
    const Expression* length = written.field("tcpm_keylen");
    const auto size =
        static_cast<std::uint16_t>(length == nullptr ? octets.size() : arguments.size_of(*length));
    std::memcpy(bytes.data() + kLength, &size, sizeof size);
    std::copy_n(octets.begin(), std::min(octets.size(), kSize - kKey), bytes.begin() + kKey);
    return bytes;
}

/// The option's octets as the script writes them; nothing where it writes a structure that nobody knows.
std::optional<std::vector<std::byte>> value_of(const Expression& pointer, std::int64_t level,
                                               std::int64_t name, std::size_t size,
                                               Arguments& arguments) {
    const Expression& written = pointee(pointer);
    std::vector<std::byte> value;
    if (is_linger(level, name)) {
        for (const std::int64_t part : linger_of(written, arguments)) {
            append(value, part, 4);
        }
    } else if (is_timeout(level, name)) {
        for (const std::int64_t part : timeval_of(written, arguments)) {
            append(value, part, 8);
        }
    } else if (is_md5(level, name)) {
        return md5_of(written, arguments);
    } else if (written.is(Expression::Kind::string)) {
        value = octets_of(written, arguments);
        value.resize(size);
    } else if (written.is(Expression::Kind::structure)) {
        return std::nullopt;
    } else if (written.is(Expression::Kind::array)) {
        for (const Expression& part : written.parts) {
            append(value, arguments.number_of(part), 4);
        }
        value.resize(std::min(value.size(), size));
    } else {
        append(value, arguments.number_of(written), size);
    }
    return value;
}

}  // namespace

/// What is the descriptor's business, not the socket's.
std::optional<Reply> Calls::set_own_option(Descriptor& descriptor, std::int64_t level,
                                           std::int64_t name, Bytes value) {
    if (is_timeout(level, name)) {
        std::int64_t whole = 0, part = 0;
        std::memcpy(&whole, value.data(), sizeof whole);
        std::memcpy(&part, value.data() + 8, sizeof part);
        if (part < 0 || part >= 1'000'000) {
            return Reply::failed(33);  // EDOM
        }
        const bool receiving = name == kSoRcvtimeo || name == kSoRcvtimeoNew;
        (receiving ? descriptor.receive_timeout : descriptor.send_timeout) =
            whole < 0 || whole > kLongest ? Duration{} : seconds(whole) + microseconds(part);
        return Reply::ok(0);
    }
    if (level != kSolSocket && kept(level, name) == nullptr) {
        return std::nullopt;
    }
    if (level == kSolSocket && name == kSoBindToDevice) {
        const std::string text(reinterpret_cast<const char*>(value.data()), value.size());
        const std::string device = text.substr(0, text.find('\0'));
        return device.empty() || device == kDevice ? Reply::ok(0) : Reply::failed(kEnodev);
    }
    const std::int64_t number = value.empty() ? 0 : number_in(value);
    const bool stamps = name == kSoTimestamp || name == kSoTimestampNs || name == kSoTimestampNew ||
                        name == kSoTimestampNsNew;
    const bool stamping = name == kSoTimestamping || name == kSoTimestampingNew;
    if (level == kSolSocket && (stamps || stamping)) {
        const bool wanted = stamps ? number != 0 : (number & (kRxSoftware | kRxHardware)) != 0;
        descriptor.arrivals = wanted ? &arrivals_.emplace_back() : nullptr;
        if (stamping) {
            return std::nullopt;  // the socket has to know of it too
        }
    }
    if (kept(level, name) == nullptr) {
        return std::nullopt;
    }
    if (value.size() < sizeof(std::int32_t) && level != kSolIp) {
        return Reply::failed(kEinval);
    }
    if (level == kSolSocket && name == 15) {
        const std::int32_t reuse = 1;
        (void)machine_.sockets().set_linux_option(
            descriptor.socket, kSolSocket, 2, std::as_bytes(std::span(&reuse, 1)), machine_.now());
    }
    descriptor.kept[{level, name}] = number;
    return Reply::ok(0);
}

std::optional<std::vector<std::byte>> Calls::own_option(const Descriptor& descriptor,
                                                        std::int64_t level,
                                                        std::int64_t name) const {
    std::vector<std::byte> value;
    if (is_timeout(level, name)) {
        const bool receiving = name == kSoRcvtimeo || name == kSoRcvtimeoNew;
        const std::int64_t ns =
            (receiving ? descriptor.receive_timeout : descriptor.send_timeout).ns;
        append(value, ns / 1'000'000'000, 8);
        append(value, ns % 1'000'000'000 / 1000, 8);
        return value;
    }
    if (const Kept* known = kept(level, name)) {
        const auto found = descriptor.kept.find({level, name});
        append(value, found == descriptor.kept.end() ? known->value : found->second, 4);
        return value;
    }
    return std::nullopt;
}

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
    const auto value = value_of(arguments.at(3), level, name, size, arguments);
    if (!value) {
        return unsupported(*state.call, level, name);
    }
    if (!arguments.ok()) {
        return arguments.reply();
    }
    if (const auto own = set_own_option(*descriptor, level, name, *value)) {
        return *own;
    }
    const int error =
        machine_.sockets().set_linux_option(descriptor->socket, static_cast<int>(level),
                                            static_cast<int>(name), *value, machine_.now());
    if (error == 0 && is_md5(level, name)) {
        tcp::Md5Key key;
        key.bytes.assign(value->begin() + 136,
                         value->begin() + 136 + (number_in(Bytes(*value).subspan(130, 2)) & 0xff));
        md5_key_ = key;
    }
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
    auto value = own_option(*descriptor, level, name);
    if (!value) {
        value.emplace(static_cast<std::size_t>(std::clamp<std::int64_t>(room, 0, kMaxOption)));
        const OptionReply got =
            machine_.sockets().get_linux_option(descriptor->socket, static_cast<int>(level),
                                                static_cast<int>(name), *value, machine_.now());
        if (got.error == kEnoprotoopt) {
            return unsupported(*state.call, level, name);
        }
        if (got.error != 0) {
            return Reply::failed(got.error);
        }
        value->resize(std::min(value->size(), got.size));
    }
    return compare_option(written, level, name, *value, arguments, *descriptor);
}

Reply Calls::compare_option(const Expression& written, std::int64_t level, std::int64_t name,
                            Bytes value, Arguments& arguments, const Descriptor& descriptor) {
    Reply reply;
    const auto differs = [&reply](std::string_view what, const auto& expected, const auto& seen) {
        if (expected != seen) {
            reply.mismatches.push_back(fmt::format("{}expected {}, got {}", what, expected, seen));
        }
    };
    if (written.is(Expression::Kind::ellipsis)) {
        return reply;
    }
    if (written.is(Expression::Kind::string)) {
        std::string text(reinterpret_cast<const char*>(value.data()), value.size());
        text.resize(std::min(text.size(), text.find('\0')));
        differs("", written.text, text);
        return reply;
    }
    if (is_linger(level, name)) {
        const auto expected = linger_of(written, arguments);
        if (value.size() >= 8) {
            differs("onoff: ", expected[0], number_in(value.first(4)));
            differs("linger: ", expected[1], number_in(value.subspan(4)));
        }
        return reply;
    }
    if (is_timeout(level, name)) {
        const auto expected = timeval_of(written, arguments);
        differs("tv_sec: ", expected[0], number_in(value.first(8)));
        differs("tv_usec: ", expected[1], number_in(value.subspan(8)));
        return reply;
    }
    if (level == kSolTcp && name == kTcpInfo) {
        const auto info = machine_.sockets().linux_tcp_info(descriptor.socket, machine_.now());
        for (const Field& field : written.fields) {
            const auto got = info ? tcp_info_value(*info, field.name) : std::nullopt;
            if (!got) {
                arguments.fail(fmt::format("TCP_INFO has no field {}", field.name));
            } else if (!field.value.is(Expression::Kind::ellipsis)) {
                differs(field.name + ": ", fmt::format("{}", arguments.number_of(field.value)),
                        code_text(*got));
            }
        }
        return reply;
    }
    if (written.is(Expression::Kind::structure)) {
        return Reply::skip("comparing that option's structure is not supported");
    }
    differs("", fmt::format("[{}]", arguments.number_of(written)),
            fmt::format("[{}]", number_in(value)));
    return reply;
}

}  // namespace runnel::drill
