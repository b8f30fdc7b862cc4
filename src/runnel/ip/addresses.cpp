// The table of own addresses and the choice among them (RFC 6724 §5, the rules that apply to a host without
// home addresses, labels of other networks or temporary addresses).
#include "runnel/ip/addresses.hpp"

#include <algorithm>
#include <bit>

#include "runnel/ip/routes.hpp"
#include "runnel/wire/ipv6.hpp"

namespace runnel {

unsigned address_scope(const IpAddress& address) {
    constexpr unsigned kLinkLocal = 2;
    constexpr unsigned kGlobal = 14;
    if (address.is_multicast() && !address.is_v4()) {
        return std::to_integer<unsigned>(address.bytes()[1]) & 0xf;
    }
    return address.is_link_local() || address.is_loopback() ? kLinkLocal : kGlobal;
}

unsigned common_prefix_bits(const IpAddress& a, const IpAddress& b) {
    for (unsigned i = 0; i < 16; ++i) {
        const auto difference = std::to_integer<std::uint8_t>(a.bytes()[i] ^ b.bytes()[i]);
        if (difference != 0) {
            return i * 8 + static_cast<unsigned>(std::countl_zero(difference));
        }
    }
    return 128;
}

Status AddressTable::add(const LocalAddress& address) {
    if (find(address.address()) != nullptr) {
        return fail(Errc::address_in_use);
    }
    if (addresses_.size() >= kMaxAddresses) {
        return fail(Errc::too_many_open);
    }
    addresses_.push_back(address);
    LocalAddress& added = addresses_.back();
    added.group = added.address().is_v4() ? directed_broadcast_of(added.cidr)
                                          : solicited_node_multicast(added.address());
    return {};
}

Status AddressTable::remove(std::uint8_t interface, const IpAddress& address) {
    const auto gone =
        std::find_if(addresses_.begin(), addresses_.end(), [&](const LocalAddress& present) {
            return present.interface == interface && present.address() == address;
        });
    if (gone == addresses_.end()) {
        return fail(Errc::address_not_available);
    }
    addresses_.erase(gone);
    return {};
}

LocalAddress* AddressTable::find(const IpAddress& address) {
    for (LocalAddress& present : addresses_) {
        if (present.address() == address) {
            return &present;
        }
    }
    return nullptr;
}

const LocalAddress* AddressTable::find(const IpAddress& address) const {
    return const_cast<AddressTable*>(this)->find(address);
}

bool AddressTable::is_local(const IpAddress& address) const {
    const LocalAddress* present = find(address);
    return present != nullptr ? present->usable() : address.is_loopback();
}

bool AddressTable::is_directed_broadcast(const IpAddress& address) const {
    return std::any_of(addresses_.begin(), addresses_.end(),
                       [&address](const LocalAddress& present) {
                           // RFC 3021: a /31 has no broadcast address, and neither has a /32.
                           return present.group == address && present.address().is_v4() &&
                                  present.cidr.prefix_length < 31;
                       });
}

bool AddressTable::in_solicited_node_group(std::uint8_t interface, const IpAddress& group) const {
    return std::any_of(addresses_.begin(), addresses_.end(), [&](const LocalAddress& present) {
        return present.interface == interface && present.group == group &&
               !present.address().is_v4();
    });
}

namespace {

/// True when `a` is the better source for `destination` than `b`.
bool better_source(const LocalAddress& a, const LocalAddress& b, const IpAddress& destination,
                   std::uint8_t interface) {
    // Rule 1: prefer the same address.
    if (a.address() == destination) {
        return true;
    }
    if (b.address() == destination) {
        return false;
    }
    // Rule 2: prefer the appropriate scope.
    const unsigned scope_a = address_scope(a.address());
    const unsigned scope_b = address_scope(b.address());
    const unsigned scope = address_scope(destination);
    if (scope_a != scope_b) {
        return scope_a < scope_b ? scope_a >= scope : scope_b < scope;
    }
    // Rule 3: avoid deprecated addresses; an optimistic one ranks with them (RFC 4429 §3.1).
    if (a.state != b.state) {
        return a.state == AddressState::preferred;
    }
    // Rule 5: prefer the outgoing interface.
    if (a.interface != b.interface) {
        return a.interface == interface;
    }
    // Rule 8: the longest matching prefix, not counting bits after the source's own prefix.
    const auto matching = [&destination](const LocalAddress& candidate) {
        const unsigned own =
            candidate.cidr.prefix_length + (candidate.address().is_v4() ? 96U : 0U);
        return std::min(own, common_prefix_bits(candidate.address(), destination));
    };
    return matching(a) > matching(b);
}

}  // namespace

std::optional<IpAddress> AddressTable::choose_source(const IpAddress& destination,
                                                     std::uint8_t interface) const {
    const LocalAddress* best = nullptr;
    for (const LocalAddress& candidate : addresses_) {
        if (!candidate.usable() || candidate.address().family() != destination.family()) {
            continue;
        }
        // RFC 4291 §2.5.6: a link-local source has no meaning on another link.
        if (candidate.address().is_link_local() && candidate.interface != interface) {
            continue;
        }
        if (best == nullptr || better_source(candidate, *best, destination, interface)) {
            best = &candidate;
        }
    }
    if (best == nullptr) {
        return std::nullopt;
    }
    return best->address();
}

}  // namespace runnel
