// The ranges of octets that the reassembler holds beyond a gap (RFC 9293 §3.10.7.4, SHLD-31), in two orders: by
// number, in a tree, and by the time when a segment last fell into them (RFC 2018 §4), in a list. Only the
// reassembler knows of them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>

#include "runnel/base/work.hpp"
#include "runnel/tcp/seq64.hpp"

namespace runnel::tcp::held {

/// No place.
inline constexpr std::uint32_t kNone = 0xffff'ffff;

/// The places of a row of pieces.
struct Chain {
    std::uint32_t first = kNone;
    std::uint32_t last = kNone;
};

namespace intrusive = boost::intrusive;
using LinkMode = intrusive::link_mode<intrusive::normal_link>;
using NumberHook = intrusive::set_base_hook<LinkMode, intrusive::optimize_size<true>>;
using TimeHook = intrusive::list_base_hook<LinkMode>;

/// Octets without a gap. Ranges neither overlap nor touch.
struct Range : NumberHook, TimeHook {
    Seq64 begin;
    Seq64 end;
    Chain chain;
};
static_assert(sizeof(Range) == 64);

struct BeginsBefore {
    bool operator()(const Range& a, const Range& b) const { return a.begin < b.begin; }
};
/// Ranges don't overlap: in the order of their beginnings they are in the order of their ends.
struct EndsBefore {
    bool operator()(const Range& range, Seq64 seq) const {
        ++work.nodes;
        return range.end < seq;
    }
};
/// Ascending.
using Ranges =
    intrusive::set<Range, intrusive::base_hook<NumberHook>, intrusive::compare<BeginsBefore>>;
using RangeList =
    intrusive::list<Range, intrusive::base_hook<TimeHook>, intrusive::constant_time_size<false>>;

/// Places for ranges, which stay where they are. Those beyond the first few are kept until all is given up.
class RangePlaces {
public:
    RangePlaces() = default;
    RangePlaces(const RangePlaces&) = delete;
    RangePlaces& operator=(const RangePlaces&) = delete;

    Range& take() {
        if (!free_.empty()) {
            Range& range = free_.front();
            free_.pop_front();
            return range;
        }
        if (unused_.empty()) {
            more_.push_back(std::make_unique<Block>());
            unused_ = *more_.back();
        }
        Range& range = unused_.front();
        unused_ = unused_.subspan(1);
        return range;
    }
    void give_back(Range& range) { free_.push_front(range); }

private:
    using Block = std::array<Range, 64>;

    std::array<Range, 4> first_;
    std::vector<std::unique_ptr<Block>> more_;
    std::span<Range> unused_ = first_;  ///< of the block that was made last
    RangeList free_;
};

}  // namespace runnel::tcp::held
