// What was learnt about path MTUs (RFC 1191, RFC 8201): a small set-associative table from destination to
// bytes, whose entries are forgotten after a time so that a path that got wider is noticed.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "runnel/base/siphash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/wire/address.hpp"

namespace runnel {

class PathMtuTable {
public:
    /// 1024 destinations; the oldest of a set of four makes room.
    static constexpr std::size_t kSets = 256;
    static constexpr std::size_t kWays = 4;

    explicit PathMtuTable(const SipKey& key) : key_(key) {}

    struct Entry {
        IpAddress destination;
        std::uint32_t mtu = 0;  ///< bytes of an IP packet; 0: the place is free
        /// The path takes less than the floor: fragments must be allowed (Linux's "lock").
        bool fragment = false;
        Instant expires = Instant::never();
    };

    [[nodiscard]] const Entry* find(const IpAddress& destination) const;
    void set(const IpAddress& destination, std::uint32_t mtu, bool fragment, Instant expires);
    [[nodiscard]] Instant next_timeout() const { return next_expiry_; }
    /// Forgets what has expired; true if anything has.
    bool on_timeout(Instant now);

private:
    [[nodiscard]] std::size_t set_of(const IpAddress& destination) const;

    SipKey key_;
    std::vector<Entry> entries_;  ///< empty until the first is set
    Instant next_expiry_ = Instant::never();
};

/// The next smaller of RFC 1191 §7.1's plateaus below `length`, for routers that report no MTU.
[[nodiscard]] std::uint32_t mtu_plateau_below(std::uint32_t length);

}  // namespace runnel
