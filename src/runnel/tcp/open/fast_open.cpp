#include "runnel/tcp/open/fast_open.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "runnel/base/bytes.hpp"

namespace runnel::tcp {

namespace {

constexpr std::uint8_t kCookieSize = 8;
constexpr std::uint32_t kMostDoublings = 6;

bool same_octets(Bytes a, Bytes b) {
    if (a.size() != b.size()) {
        return false;
    }
    std::byte difference{};
    for (std::size_t i = 0; i < a.size(); ++i) {
        difference |= a[i] ^ b[i];
    }
    return difference == std::byte{};
}

}  // namespace

FastOpenOption fast_open_cookie(const SipKey& key, const FourTuple& tuple) {
    const Bytes client = tuple.remote.address.wire_bytes();
    const Bytes server = tuple.local.address.wire_bytes();
    std::array<std::byte, 32> message{};
    std::copy(client.begin(), client.end(), message.begin());
    std::copy(server.begin(), server.end(),
              message.begin() + static_cast<std::ptrdiff_t>(client.size()));
    const std::uint64_t hash = siphash(key, Bytes(message).first(client.size() + server.size()));
    FastOpenOption cookie;
    cookie.size = kCookieSize;
    for (unsigned i = 0; i < kCookieSize; ++i) {
        cookie.octets[i] = static_cast<std::byte>(hash >> (8 * i));
    }
    return cookie;
}

CookieCheck check_cookie(const FastOpenKeys& keys, const FourTuple& tuple,
                         const FastOpenOption& shown) {
    if (same_octets(shown.cookie(), fast_open_cookie(keys.primary, tuple).cookie())) {
        return CookieCheck::good;
    }
    if (keys.backup &&
        same_octets(shown.cookie(), fast_open_cookie(*keys.backup, tuple).cookie())) {
        return CookieCheck::old_key;
    }
    return CookieCheck::bad;
}

const FastOpenCache::Entry* FastOpenCache::find(const Path& path) {
    const auto found = entries_.find(path);
    if (found == entries_.end()) {
        return nullptr;
    }
    order_.splice(order_.begin(), order_, found->second.order);
    return &found->second.entry;
}

void FastOpenCache::learn(const Path& path, std::uint16_t mss, const FastOpen& state) {
    auto found = entries_.find(path);
    if (found == entries_.end()) {
        if (entries_.size() >= kMaxEntries) {
            entries_.erase(order_.back());
            order_.pop_back();
        }
        order_.push_front(path);
        found = entries_.emplace(path, Held{{}, order_.begin()}).first;
    }
    Entry& entry = found->second.entry;
    entry.mss = mss;
    const bool asked = state.offered && state.offered->size == 0;
    if (state.offered && state.answer && state.answer->size > 0) {
        entry.cookie = state.answer;  // §4.1.3: only what was asked for
    } else if (asked && !state.answer && !state.repeated && !entry.cookie) {
        // Asked for and not given: an old server may know only the experimental form (RFC 7413, appendix A.2).
        entry.try_experimental = state.offered->experimental ? 2 : 1;
    }
}

void FastOpenCache::pause(Instant now) {
    paused_at_ = now;
    ++pauses_;
}

bool FastOpenCache::paused(Duration timeout, Instant now) const {
    if (pauses_ == 0 || timeout.ns == 0) {
        return false;
    }
    const std::uint32_t doublings = std::min(pauses_ - 1, kMostDoublings);
    return now < paused_at_ + timeout * (std::int64_t{1} << doublings);
}

}  // namespace runnel::tcp
