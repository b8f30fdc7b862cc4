// The path MTU table: lookups touch one set of four entries.
#include "runnel/ip/path_mtu.hpp"

#include <algorithm>

namespace runnel {

std::size_t PathMtuTable::set_of(const IpAddress& destination) const {
    return static_cast<std::size_t>(siphash(key_, destination.bytes()) % kSets) * kWays;
}

const PathMtuTable::Entry* PathMtuTable::find(const IpAddress& destination) const {
    if (entries_.empty()) {
        return nullptr;
    }
    const std::size_t set = set_of(destination);
    for (std::size_t i = set; i < set + kWays; ++i) {
        if (entries_[i].mtu != 0 && entries_[i].destination == destination) {
            return &entries_[i];
        }
    }
    return nullptr;
}

void PathMtuTable::set(const IpAddress& destination, std::uint32_t mtu, bool fragment,
                       Instant expires) {
    if (entries_.empty()) {
        entries_.resize(kSets * kWays);
    }
    const std::size_t set = set_of(destination);
    std::size_t place = set;
    for (std::size_t i = set; i < set + kWays; ++i) {
        const Entry& entry = entries_[i];
        if (entry.mtu != 0 && entry.destination == destination) {
            place = i;
            break;
        }
        if (entries_[place].mtu == 0) {
            continue;
        }
        if (entry.mtu == 0 || entry.expires < entries_[place].expires) {
            place = i;
        }
    }
    entries_[place] = {destination, mtu, fragment, expires};
    next_expiry_ = std::min(next_expiry_, expires);
}

bool PathMtuTable::on_timeout(Instant now) {
    if (now < next_expiry_) {
        return false;
    }
    bool forgotten = false;
    next_expiry_ = Instant::never();
    for (Entry& entry : entries_) {
        if (entry.mtu == 0) {
            continue;
        }
        if (entry.expires <= now) {
            entry = {};
            forgotten = true;
        } else {
            next_expiry_ = std::min(next_expiry_, entry.expires);
        }
    }
    return forgotten;
}

std::uint32_t mtu_plateau_below(std::uint32_t length) {
    constexpr std::uint32_t kPlateaus[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296};
    for (const std::uint32_t plateau : kPlateaus) {
        if (plateau < length) {
            return plateau;
        }
    }
    return 68;  // RFC 791 §3.2: every path takes this much
}

}  // namespace runnel
