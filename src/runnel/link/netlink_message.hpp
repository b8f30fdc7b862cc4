// Netlink messages as bytes (netlink(7)): a writer that appends a fixed header and nested attributes,
// and a reader that walks the attributes of an answer with every length checked. Host byte order.
#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "runnel/base/bytes.hpp"

namespace runnel {

/// One request under construction.
class NetlinkRequest {
public:
    /// `type` is RTM_*, `flags` NLM_F_*; NLM_F_REQUEST is always set.
    NetlinkRequest(std::uint16_t type, std::uint16_t flags);

    /// Appends a fixed header (ifinfomsg, ifaddrmsg, rtmsg), padded to four bytes.
    template <class T>
    void header(const T& value) {
        static_assert(std::is_trivially_copyable_v<T>);
        append(std::as_bytes(std::span(&value, 1)));
    }
    void attribute(std::uint16_t type, Bytes value);
    /// With its terminating zero, as the kernel wants names.
    void attribute_text(std::uint16_t type, std::string_view text);
    template <class T>
    void attribute_number(std::uint16_t type, T value) {
        static_assert(std::is_integral_v<T>);
        attribute(type, std::as_bytes(std::span(&value, 1)));
    }

    /// An attribute that holds attributes: everything appended until `end_nested(mark)`.
    [[nodiscard]] std::size_t begin_nested(std::uint16_t type);
    void end_nested(std::size_t mark);

    /// The bytes to send, with the length and `sequence` filled in.
    [[nodiscard]] Bytes finish(std::uint32_t sequence);
    [[nodiscard]] std::uint16_t type() const { return type_; }

private:
    void append(Bytes value);

    std::uint16_t type_;
    std::uint16_t flags_;
    std::vector<std::byte> bytes_;
};

/// Copies a fixed header off the front of `payload`; none when it is too short.
template <class T>
[[nodiscard]] std::optional<T> read_netlink_header(Bytes payload) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (payload.size() < sizeof(T)) {
        return std::nullopt;
    }
    T value;
    std::memcpy(&value, payload.data(), sizeof(T));
    return value;
}

/// What follows a fixed header of type T: its attributes.
template <class T>
[[nodiscard]] Bytes netlink_attributes(Bytes payload) {
    const std::size_t offset = NLMSG_ALIGN(sizeof(T));
    return payload.size() < offset ? Bytes{} : payload.subspan(offset);
}

struct NetlinkAttribute {
    std::uint16_t type = 0;
    Bytes value;

    [[nodiscard]] std::optional<std::uint32_t> as_u32() const {
        return read_netlink_header<std::uint32_t>(value);
    }
    /// Without the terminating zero.
    [[nodiscard]] std::string as_text() const;
};

/// Takes the next attribute off the front of `rest`; none at the end or where a length is wrong.
[[nodiscard]] std::optional<NetlinkAttribute> next_netlink_attribute(Bytes& rest);
/// The first attribute of that type.
[[nodiscard]] std::optional<NetlinkAttribute> find_netlink_attribute(Bytes attributes,
                                                                     std::uint16_t type);

}  // namespace runnel
