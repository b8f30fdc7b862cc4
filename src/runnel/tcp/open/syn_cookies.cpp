#include "runnel/tcp/open/syn_cookies.hpp"

#include <array>
#include <span>

#include "runnel/base/bytes.hpp"
#include "runnel/tcp/demux/tuple_hash.hpp"

namespace runnel::tcp {

namespace {

// The segment sizes that peers announce most often, least first; two bits' worth each.
constexpr std::array<std::uint16_t, 4> kSizesV4 = {536, 1300, 1440, 1460};
constexpr std::array<std::uint16_t, 4> kSizesV6 = {1220, 1420, 1440, 8940};

std::span<const std::uint16_t> sizes_of(const FourTuple& tuple) {
    return tuple.local.address.is_v4() ? kSizesV4 : kSizesV6;
}

// 8 bits of counter above 24 bits of hash, to which the index into the sizes is added. Another hash, added
// to it all, hides the counter, so that the numbers of other tuples can't be guessed from one's own.
constexpr unsigned kCountShift = 24;
constexpr std::uint32_t kLowMask = (std::uint32_t{1} << kCountShift) - 1;
constexpr std::uint32_t kCountMask = 0xff;

std::uint32_t count_of(Instant now) {
    return static_cast<std::uint32_t>(now.ns / SynCookies::kStep.ns);
}

// Of the timestamp: four bits of shift (15: no window scaling), one of SACK, one of ECN.
constexpr std::uint32_t kShiftMask = 0xf;
constexpr std::uint32_t kNoScaling = 0xf;
constexpr std::uint32_t kSackBit = 0x10;
constexpr std::uint32_t kEcnBit = 0x20;
constexpr std::uint32_t kOptionMask = 0x3f;

}  // namespace

SynCookies::SynCookies(const SipKey& key) : key_(key) {}

std::uint32_t SynCookies::hash(const FourTuple& tuple, SeqNum irs, Part part,
                               std::uint32_t count) const {
    std::array<std::byte, 17> message{};
    ByteWriter writer(message);
    writer.u64(tuple_hash(key_, tuple));
    writer.u32(irs.value);
    writer.u32(count);
    writer.u8(static_cast<std::uint8_t>(part));
    return static_cast<std::uint32_t>(siphash(key_, message));
}

std::optional<SynCookie> SynCookies::make(const FourTuple& tuple, SeqNum irs,
                                          std::uint16_t peer_mss, Instant now) const {
    const auto sizes = sizes_of(tuple);
    std::size_t index = sizes.size();
    do {
        if (index == 0) {
            return std::nullopt;
        }
        --index;
    } while (sizes[index] > peer_mss);
    const std::uint32_t count = count_of(now);
    const std::uint32_t low =
        (hash(tuple, irs, Part::low, count) + static_cast<std::uint32_t>(index)) & kLowMask;
    const std::uint32_t open = (count << kCountShift) | low;
    return SynCookie{SeqNum{open + hash(tuple, irs, Part::cover, 0)}, sizes[index]};
}

std::optional<std::uint16_t> SynCookies::check(const FourTuple& tuple, SeqNum irs, SeqNum isn,
                                               Instant now) const {
    const std::uint32_t open = isn.value - hash(tuple, irs, Part::cover, 0);
    const std::uint32_t count = count_of(now);
    const std::uint32_t age = (count - (open >> kCountShift)) & kCountMask;
    if (age > 1) {
        return std::nullopt;  // RFC 4987 §3.6: made lately
    }
    const std::uint32_t index = (open - hash(tuple, irs, Part::low, count - age)) & kLowMask;
    const auto sizes = sizes_of(tuple);
    return index < sizes.size() ? std::optional(sizes[index]) : std::nullopt;
}

std::uint32_t put_cookie_options(std::uint32_t clock, const CookieOptions& options) {
    std::uint32_t bits = options.window_scale ? *options.window_scale & kShiftMask : kNoScaling;
    bits |= (options.sack ? kSackBit : 0) | (options.ecn ? kEcnBit : 0);
    const std::uint32_t value = (clock & ~kOptionMask) | bits;
    // Never ahead of the clock: what follows must not look older (RFC 7323 §5).
    return bits > (clock & kOptionMask) ? value - (kOptionMask + 1) : value;
}

CookieOptions take_cookie_options(std::uint32_t clock) {
    CookieOptions options;
    if ((clock & kShiftMask) != kNoScaling) {
        options.window_scale = static_cast<std::uint8_t>(clock & kShiftMask);
    }
    options.sack = (clock & kSackBit) != 0;
    options.ecn = (clock & kEcnBit) != 0;
    return options;
}

}  // namespace runnel::tcp
