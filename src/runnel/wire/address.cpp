#include "runnel/wire/address.hpp"

#include <algorithm>

#include "runnel/base/check.hpp"

namespace runnel {

namespace {

constexpr char kDigits[] = "0123456789abcdef";

void append_decimal(std::string& text, unsigned value) {
    char digits[5];
    std::size_t count = 0;
    do {
        digits[count++] = kDigits[value % 10];
        value /= 10;
    } while (value != 0);
    while (count > 0) {
        text += digits[--count];
    }
}

void append_hex(std::string& text, unsigned value) {
    bool started = false;
    for (int shift = 12; shift >= 0; shift -= 4) {
        const unsigned digit = (value >> shift) & 0xf;
        started = started || digit != 0 || shift == 0;
        if (started) {
            text += kDigits[digit];
        }
    }
}

// RFC 5952 §4: lower case, no leading zeros, `::` for the first of the longest runs of two or more zeros.
std::string ipv6_text(const std::array<std::byte, 16>& bytes) {
    std::array<unsigned, 8> groups{};
    for (std::size_t i = 0; i < 8; ++i) {
        groups[i] = (std::to_integer<unsigned>(bytes[2 * i]) << 8) |
                    std::to_integer<unsigned>(bytes[2 * i + 1]);
    }
    std::size_t best = 8;
    std::size_t best_length = 1;
    for (std::size_t i = 0; i < 8;) {
        std::size_t end = i;
        while (end < 8 && groups[end] == 0) {
            ++end;
        }
        if (end - i > best_length) {
            best = i;
            best_length = end - i;
        }
        i = end + 1;
    }
    std::string text;
    for (std::size_t i = 0; i < 8;) {
        if (i == best) {
            text += "::";
            i += best_length;
            continue;
        }
        if (!text.empty() && text.back() != ':') {
            text += ':';
        }
        append_hex(text, groups[i++]);
    }
    return text;
}

// A number below `limit` in `1..max_digits` decimal digits without a leading zero; advances `text`.
std::optional<unsigned> take_decimal(std::string_view& text, std::size_t max_digits,
                                     unsigned limit) {
    unsigned value = 0;
    std::size_t count = 0;
    while (count < text.size() && text[count] >= '0' && text[count] <= '9') {
        if (count == max_digits) {
            return std::nullopt;
        }
        value = value * 10 + static_cast<unsigned>(text[count] - '0');
        ++count;
    }
    if (count == 0 || (count > 1 && text[0] == '0') || value >= limit) {
        return std::nullopt;
    }
    text.remove_prefix(count);
    return value;
}

std::optional<std::uint32_t> parse_ipv4_text(std::string_view text) {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) {
        if (i > 0) {
            if (text.empty() || text.front() != '.') {
                return std::nullopt;
            }
            text.remove_prefix(1);
        }
        const auto octet = take_decimal(text, 3, 256);
        if (!octet) {
            return std::nullopt;
        }
        value = (value << 8) | *octet;
    }
    if (!text.empty()) {
        return std::nullopt;
    }
    return value;
}

// One to four hexadecimal digits; advances `text`.
std::optional<unsigned> take_group(std::string_view& text) {
    unsigned value = 0;
    std::size_t count = 0;
    for (; count < text.size(); ++count) {
        const char c = text[count];
        unsigned digit = 0;
        if (c >= '0' && c <= '9') {
            digit = static_cast<unsigned>(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            digit = static_cast<unsigned>(c - 'a') + 10;
        } else if (c >= 'A' && c <= 'F') {
            digit = static_cast<unsigned>(c - 'A') + 10;
        } else {
            break;
        }
        if (count == 4) {
            return std::nullopt;
        }
        value = (value << 4) | digit;
    }
    if (count == 0) {
        return std::nullopt;
    }
    text.remove_prefix(count);
    return value;
}

// The groups of one side of `::` (or of an address without one), at most eight. Only where `last` may
// the end be a dotted quad, which counts as two groups.
struct Groups {
    std::array<unsigned, 8> values{};
    std::size_t count = 0;
};

bool parse_groups(std::string_view text, bool last, Groups& groups) {
    if (text.empty()) {
        return true;
    }
    while (true) {
        if (last && text.find(':') == std::string_view::npos &&
            text.find('.') != std::string_view::npos) {
            const auto quad = parse_ipv4_text(text);
            if (!quad || groups.count > 6) {
                return false;
            }
            groups.values[groups.count++] = *quad >> 16;
            groups.values[groups.count++] = *quad & 0xffff;
            return true;
        }
        const auto group = take_group(text);
        if (!group || groups.count == 8) {
            return false;
        }
        groups.values[groups.count++] = *group;
        if (text.empty()) {
            return true;
        }
        if (text.front() != ':') {
            return false;
        }
        text.remove_prefix(1);
        if (text.empty()) {
            return false;
        }
    }
}

// RFC 4291 §2.2: eight groups, or fewer with one `::` that stands for at least one group of zeros.
std::optional<IpAddress> parse_ipv6_text(std::string_view text) {
    Groups head;
    Groups tail;
    const std::size_t gap = text.find("::");
    if (gap == std::string_view::npos) {
        if (!parse_groups(text, true, head) || head.count != 8) {
            return std::nullopt;
        }
    } else {
        if (!parse_groups(text.substr(0, gap), false, head)) {
            return std::nullopt;
        }
        if (!parse_groups(text.substr(gap + 2), true, tail)) {
            return std::nullopt;
        }
        if (head.count + tail.count > 7) {
            return std::nullopt;
        }
    }
    std::array<std::byte, 16> bytes{};
    const auto put = [&](std::size_t group, unsigned value) {
        bytes[2 * group] = static_cast<std::byte>(value >> 8);
        bytes[2 * group + 1] = static_cast<std::byte>(value & 0xff);
    };
    for (std::size_t i = 0; i < head.count; ++i) {
        put(i, head.values[i]);
    }
    for (std::size_t i = 0; i < tail.count; ++i) {
        put(8 - tail.count + i, tail.values[i]);
    }
    return IpAddress::v6(bytes);
}

}  // namespace

IpAddress IpAddress::from_bytes(Bytes bytes) {
    RUNNEL_CHECK(bytes.size() == 4 || bytes.size() == 16);
    if (bytes.size() == 4) {
        ByteReader reader(bytes);
        return v4(reader.u32());
    }
    IpAddress address;
    std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
    return address;
}

std::uint32_t IpAddress::v4_value() const {
    RUNNEL_CHECK(is_v4());
    ByteReader reader(Bytes(bytes_).last(4));
    return reader.u32();
}

bool IpAddress::is_unspecified() const {
    return is_v4() ? v4_value() == 0 : *this == IpAddress{};
}

bool IpAddress::is_multicast() const {
    return is_v4() ? (v4_value() >> 28) == 0xe : bytes_[0] == std::byte{0xff};
}

bool IpAddress::is_loopback() const {
    if (is_v4()) {
        return (v4_value() >> 24) == 127;
    }
    return std::all_of(bytes_.begin(), bytes_.begin() + 15,
                       [](std::byte b) { return b == std::byte{0}; }) &&
           bytes_[15] == std::byte{1};
}

bool IpAddress::is_link_local() const {
    if (is_v4()) {
        return (v4_value() >> 16) == 0xa9fe;  // RFC 3927
    }
    return bytes_[0] == std::byte{0xfe} && (bytes_[1] & std::byte{0xc0}) == std::byte{0x80};
}

bool IpAddress::is_limited_broadcast() const {
    return is_v4() && v4_value() == 0xffff'ffff;
}

bool Cidr::contains(const IpAddress& other) const {
    if (address.family() != other.family()) {
        return false;
    }
    const Bytes ours = address.wire_bytes();
    const Bytes theirs = other.wire_bytes();
    const std::size_t whole = prefix_length / 8U;
    RUNNEL_CHECK(whole <= ours.size());
    if (!std::equal(ours.begin(), ours.begin() + static_cast<std::ptrdiff_t>(whole),
                    theirs.begin())) {
        return false;
    }
    const unsigned rest = prefix_length % 8U;
    if (rest == 0) {
        return true;
    }
    RUNNEL_CHECK(whole < ours.size());
    const auto difference = std::to_integer<unsigned>(ours[whole] ^ theirs[whole]);
    return (difference >> (8 - rest)) == 0;
}

std::string to_string(const IpAddress& address) {
    if (!address.is_v4()) {
        return ipv6_text(address.bytes());
    }
    std::string text;
    for (const std::byte octet : address.wire_bytes()) {
        if (!text.empty()) {
            text += '.';
        }
        append_decimal(text, std::to_integer<unsigned>(octet));
    }
    return text;
}

std::string to_string(const Endpoint& endpoint) {
    std::string text = to_string(endpoint.address);
    if (!endpoint.address.is_v4()) {
        text = '[' + text + ']';
    }
    text += ':';
    append_decimal(text, endpoint.port);
    return text;
}

std::string to_string(const Cidr& cidr) {
    std::string text = to_string(cidr.address);
    text += '/';
    append_decimal(text, cidr.prefix_length);
    return text;
}

std::string to_string(const MacAddress& mac) {
    std::string text;
    for (const std::byte octet : mac.bytes) {
        if (!text.empty()) {
            text += ':';
        }
        text += kDigits[std::to_integer<unsigned>(octet >> 4)];
        text += kDigits[std::to_integer<unsigned>(octet & std::byte{0xf})];
    }
    return text;
}

std::optional<IpAddress> parse_ip_address(std::string_view text) {
    if (text.find(':') != std::string_view::npos) {
        return parse_ipv6_text(text);
    }
    const auto value = parse_ipv4_text(text);
    if (!value) {
        return std::nullopt;
    }
    return IpAddress::v4(*value);
}

std::optional<Cidr> parse_cidr(std::string_view text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) {
        return std::nullopt;
    }
    const auto address = parse_ip_address(text.substr(0, slash));
    if (!address) {
        return std::nullopt;
    }
    text.remove_prefix(slash + 1);
    const auto length = take_decimal(text, 3, address->is_v4() ? 33 : 129);
    if (!length || !text.empty()) {
        return std::nullopt;
    }
    return Cidr{*address, static_cast<std::uint8_t>(*length)};
}

}  // namespace runnel
