#include "runnel/link/netlink_message.hpp"

#include <algorithm>

#include "runnel/base/check.hpp"

namespace runnel {

NetlinkRequest::NetlinkRequest(std::uint16_t type, std::uint16_t flags)
    : type_(type), flags_(static_cast<std::uint16_t>(flags | NLM_F_REQUEST)) {
    bytes_.resize(NLMSG_ALIGN(sizeof(nlmsghdr)));
}

void NetlinkRequest::append(Bytes value) {
    bytes_.insert(bytes_.end(), value.begin(), value.end());
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
}

void NetlinkRequest::attribute(std::uint16_t type, Bytes value) {
    const std::size_t length = sizeof(nlattr) + value.size();
    RUNNEL_CHECK(length <= 0xffff);
    const nlattr head{static_cast<std::uint16_t>(length), type};
    append(std::as_bytes(std::span(&head, 1)));
    append(value);
}

void NetlinkRequest::attribute_text(std::uint16_t type, std::string_view text) {
    const std::string terminated(text);
    attribute(type, std::as_bytes(std::span(terminated.c_str(), terminated.size() + 1)));
}

std::size_t NetlinkRequest::begin_nested(std::uint16_t type) {
    const std::size_t mark = bytes_.size();
    const nlattr head{0, static_cast<std::uint16_t>(type | NLA_F_NESTED)};
    append(std::as_bytes(std::span(&head, 1)));
    return mark;
}

void NetlinkRequest::end_nested(std::size_t mark) {
    const std::size_t length = bytes_.size() - mark;
    RUNNEL_CHECK(length <= 0xffff);
    const auto value = static_cast<std::uint16_t>(length);
    std::memcpy(bytes_.data() + mark + offsetof(nlattr, nla_len), &value, sizeof(value));
}

Bytes NetlinkRequest::finish(std::uint32_t sequence) {
    const nlmsghdr head{static_cast<std::uint32_t>(bytes_.size()), type_, flags_, sequence, 0};
    std::memcpy(bytes_.data(), &head, sizeof(head));
    return bytes_;
}

std::string NetlinkAttribute::as_text() const {
    std::string text(value.size(), '\0');
    std::transform(value.begin(), value.end(), text.begin(),
                   [](std::byte b) { return static_cast<char>(b); });
    return text.substr(0, text.find('\0'));
}

std::optional<NetlinkAttribute> next_netlink_attribute(Bytes& rest) {
    const auto head = read_netlink_header<nlattr>(rest);
    if (!head || head->nla_len < sizeof(nlattr) || head->nla_len > rest.size()) {
        return std::nullopt;
    }
    const NetlinkAttribute found{static_cast<std::uint16_t>(head->nla_type & NLA_TYPE_MASK),
                                 rest.subspan(sizeof(nlattr), head->nla_len - sizeof(nlattr))};
    rest = rest.subspan(std::min<std::size_t>(NLA_ALIGN(head->nla_len), rest.size()));
    return found;
}

std::optional<NetlinkAttribute> find_netlink_attribute(Bytes attributes, std::uint16_t type) {
    while (const auto found = next_netlink_attribute(attributes)) {
        if (found->type == type) {
            return found;
        }
    }
    return std::nullopt;
}

}  // namespace runnel
