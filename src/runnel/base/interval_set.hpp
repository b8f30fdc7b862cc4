// A bounded set of 64-bit numbers as sorted, disjoint, half-open ranges that never touch: what has arrived
// out of order, what a peer has acknowledged selectively. The number of ranges has a limit, and an insert
// that would pass it is refused, so that a peer can't make the set grow (law 5).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <boost/container/small_vector.hpp>

#include "runnel/base/check.hpp"

namespace runnel {

/// The numbers from `begin` up to, not including, `end`.
struct Interval {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    constexpr bool operator==(const Interval&) const = default;
    [[nodiscard]] constexpr std::uint64_t size() const { return end - begin; }
};

/// At most `kCapacity` ranges; the first `kInline` of them need no allocation.
template <std::size_t kCapacity, std::size_t kInline = (kCapacity < 4 ? kCapacity : 4)>
class IntervalSet {
    using Storage = boost::container::small_vector<Interval, kInline>;

public:
    using const_iterator = typename Storage::const_iterator;

    bool operator==(const IntervalSet&) const = default;

    /// Adds [begin, end), merging with what it overlaps or touches. Returns how many numbers are new
    /// (0 when begin == end), or nothing, with the set unchanged, when it would need one range more than
    /// the capacity. Precondition: begin <= end.
    std::optional<std::uint64_t> insert(std::uint64_t begin, std::uint64_t end) {
        RUNNEL_CHECK(begin <= end);
        if (begin == end) {
            return 0;
        }
        // The ranges [first, last) overlap or touch the new one and become one with it.
        const auto first = std::partition_point(ranges_.begin(), ranges_.end(),
                                                [&](const Interval& r) { return r.end < begin; });
        auto last = first;
        std::uint64_t swallowed = 0;
        Interval merged{begin, end};
        for (; last != ranges_.end() && last->begin <= end; ++last) {
            swallowed += last->size();
            merged.begin = std::min(merged.begin, last->begin);
            merged.end = std::max(merged.end, last->end);
        }
        if (first == last) {
            if (ranges_.size() == kCapacity) {
                return std::nullopt;
            }
            ranges_.insert(first, merged);
        } else {
            *first = merged;
            ranges_.erase(first + 1, last);
        }
        covered_ += merged.size() - swallowed;
        return merged.size() - swallowed;
    }

    /// Removes every number below `x`.
    void erase_below(std::uint64_t x) {
        auto keep = ranges_.begin();
        for (; keep != ranges_.end() && keep->end <= x; ++keep) {
            covered_ -= keep->size();
        }
        if (keep != ranges_.end() && keep->begin < x) {
            covered_ -= x - keep->begin;
            keep->begin = x;
        }
        ranges_.erase(ranges_.begin(), keep);
    }
    /// Removes every number at or above `x`.
    void erase_from(std::uint64_t x) {
        while (!ranges_.empty() && ranges_.back().end > x) {
            Interval& back = ranges_.back();
            const std::uint64_t kept_end = std::max(back.begin, x);
            covered_ -= back.end - kept_end;
            back.end = kept_end;
            if (back.begin == back.end) {
                ranges_.pop_back();
            }
        }
    }
    void clear() {
        ranges_.clear();
        covered_ = 0;
    }

    [[nodiscard]] bool contains(std::uint64_t x) const {
        const const_iterator range = find_after(x);
        return range != end() && range->begin <= x;
    }
    /// Every number of [begin, end) is in the set; true for an empty range.
    [[nodiscard]] bool covers(std::uint64_t begin, std::uint64_t end) const {
        if (begin >= end) {
            return true;
        }
        const const_iterator range = find_after(begin);
        return range != this->end() && range->begin <= begin && end <= range->end;
    }
    /// Some number of [begin, end) is in the set.
    [[nodiscard]] bool overlaps(std::uint64_t begin, std::uint64_t end) const {
        if (begin >= end) {
            return false;
        }
        const const_iterator range = find_after(begin);
        return range != this->end() && range->begin < end;
    }
    /// How many numbers of [begin, end) are in the set.
    [[nodiscard]] std::uint64_t common(std::uint64_t begin, std::uint64_t end) const {
        std::uint64_t sum = 0;
        for (auto range = find_after(begin); range != ranges_.end() && range->begin < end;
             ++range) {
            sum += std::min(range->end, end) - std::max(range->begin, begin);
        }
        return sum;
    }
    /// The first range that ends after `x`: the one `x` is in, or else the next; end() when there is none.
    [[nodiscard]] const_iterator find_after(std::uint64_t x) const {
        return std::partition_point(ranges_.begin(), ranges_.end(),
                                    [&](const Interval& r) { return r.end <= x; });
    }
    /// The first number at or after `x` that is not in the set.
    [[nodiscard]] std::uint64_t first_gap(std::uint64_t x) const {
        const const_iterator range = find_after(x);
        return range != end() && range->begin <= x ? range->end : x;
    }
    /// The numbers missing between `first_gap(x)` and the next range above it; nothing when no range
    /// lies above, as then the gap has no end.
    [[nodiscard]] std::optional<Interval> gap(std::uint64_t x) const {
        const std::uint64_t begin = first_gap(x);
        const const_iterator range = find_after(begin);
        if (range == end()) {
            return std::nullopt;
        }
        return Interval{begin, range->begin};
    }

    /// Ranges in ascending order.
    [[nodiscard]] const_iterator begin() const { return ranges_.begin(); }
    [[nodiscard]] const_iterator end() const { return ranges_.end(); }
    [[nodiscard]] std::size_t size() const { return ranges_.size(); }
    [[nodiscard]] bool empty() const { return ranges_.empty(); }
    [[nodiscard]] const Interval& front() const { return ranges_.front(); }
    [[nodiscard]] const Interval& back() const { return ranges_.back(); }
    /// Numbers in the set, over all ranges.
    [[nodiscard]] std::uint64_t covered() const { return covered_; }
    static constexpr std::size_t capacity() { return kCapacity; }

private:
    Storage ranges_;
    std::uint64_t covered_ = 0;
};

}  // namespace runnel
