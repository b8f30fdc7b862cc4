// SYN cookies (RFC 4987 §3.6): when a listener's backlog is full, everything that must be remembered of a SYN
// goes into the numbers of the SYN,ACK, and nothing is kept. The ACK brings them back: the ISN carries a
// keyed hash, a slow counter and the peer's segment size, the timestamp the other options (as in Linux).
#pragma once

#include <cstdint>
#include <optional>

#include "runnel/base/siphash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/wire/address.hpp"
#include "runnel/wire/seq_num.hpp"

namespace runnel::tcp {

/// The options of a SYN that a timestamp can carry: six bits of it.
struct CookieOptions {
    std::optional<std::uint8_t> window_scale;  ///< the peer's shift, 0..14
    bool sack = false;
    bool ecn = false;

    bool operator==(const CookieOptions&) const = default;
};

/// A cookie and the MSS it stands for.
struct SynCookie {
    SeqNum isn;
    std::uint16_t mss = 0;
};

class SynCookies {
public:
    /// The counter moves on once in so long; a cookie is good in the step it was made in and the next.
    static constexpr Duration kStep = seconds(64);
    /// Longest time from a cookie's making to its last use.
    static constexpr Duration kLife = kStep * 2;

    /// `key` is for cookies alone.
    explicit SynCookies(const SipKey& key);

    /// The cookie for a SYN with number `irs` from a peer who takes segments of `peer_mss` octets: it stands
    /// for the greatest size of the table that is not above it. None when all are above it: a segment
    /// larger than the peer takes would break RFC 9293 §3.7.1, MUST-16.
    [[nodiscard]] std::optional<SynCookie> make(const FourTuple& tuple, SeqNum irs,
                                                std::uint16_t peer_mss, Instant now) const;
    /// The MSS that the cookie `isn` stands for, or none: forged, too old, or another tuple's.
    [[nodiscard]] std::optional<std::uint16_t> check(const FourTuple& tuple, SeqNum irs, SeqNum isn,
                                                     Instant now) const;

private:
    enum class Part : std::uint8_t { cover, low };
    [[nodiscard]] std::uint32_t hash(const FourTuple& tuple, SeqNum irs, Part part,
                                     std::uint32_t count) const;

    SipKey key_;
};

/// The greatest clock value that is not after `clock` and carries `options` in its low six bits.
[[nodiscard]] std::uint32_t put_cookie_options(std::uint32_t clock, const CookieOptions& options);
/// What `put_cookie_options` has put there.
[[nodiscard]] CookieOptions take_cookie_options(std::uint32_t clock);

}  // namespace runnel::tcp
