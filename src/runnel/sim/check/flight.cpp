// RFC 6675's pipe between two bounds that are the wire's alone: no more is in flight than has left, what was sent
// again twice; and no less than what was sent after everything that is known to have arrived, which nobody can have
// overtaken and so nobody can call lost (RFC 8985 §5), but for timeouts and paths that became too small. And nothing
// counts as held that no SACK block has told of.
#include <algorithm>

#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

namespace {

using Range = FlightShadow::Range;

/// More ranges than these are not remembered one by one.
constexpr std::size_t kMostRanges = 1'024;

void forget_below(FlightShadow& flight, tcp::Seq64 una) {
    auto keep = flight.ranges.begin();
    for (; keep != flight.ranges.end() && keep->begin < una; ++keep) {
        flight.delivered = std::max(flight.delivered, keep->sent);
        if (keep->end > una) {
            keep->begin = una;
            break;
        }
    }
    flight.ranges.erase(flight.ranges.begin(), keep);
    std::erase_if(flight.told, [&](const SentRange& one) { return one.end <= una; });
}

void tell(FlightShadow& flight, tcp::Seq64 left, tcp::Seq64 right) {
    for (const Range& range : flight.ranges) {
        if (range.begin < right && left < range.end) {
            flight.delivered = std::max(flight.delivered, range.sent);
        }
    }
    auto at = std::find_if(flight.told.begin(), flight.told.end(),
                           [&](const SentRange& one) { return one.end >= left; });
    auto last = at;
    for (; last != flight.told.end() && last->begin <= right; ++last) {
        left = std::min(left, last->begin);
        right = std::max(right, last->end);
    }
    if (at == last && flight.told.size() >= kMostRanges) {
        flight.unknown = true;
        return;
    }
    at = flight.told.erase(at, last);
    flight.told.insert(at, {left, right});
}

bool is_told(const FlightShadow& flight, tcp::Seq64 begin, tcp::Seq64 end) {
    return std::any_of(flight.told.begin(), flight.told.end(),
                       [&](const SentRange& one) { return one.begin <= begin && end <= one.end; });
}

bool touches_told(const FlightShadow& flight, const Range& range) {
    return std::any_of(flight.told.begin(), flight.told.end(), [&](const SentRange& one) {
        return one.begin < range.end && range.begin < one.end;
    });
}

}  // namespace

void flight_sent(Shadow& seen, tcp::Seq64 begin, tcp::Seq64 end, Instant now, bool again) {
    FlightShadow& flight = seen.flight;
    std::vector<Range>& ranges = flight.ranges;
    begin = std::max(begin, seen.una);
    if (begin >= end) {
        return;
    }
    if (ranges.size() >= kMostRanges) {
        flight.unknown = true;
    }
    if (flight.unknown) {
        return;
    }
    // What stays of those that were sent before, on both sides of what is sent now.
    auto at = std::find_if(ranges.begin(), ranges.end(),
                           [&](const Range& one) { return one.end > begin; });
    if (at != ranges.end() && at->begin < begin) {
        const Range before{at->begin, begin, at->sent, at->again};
        at->begin = begin;
        at = ranges.insert(at, before) + 1;
    }
    while (at != ranges.end() && at->begin < end) {
        again = true;
        if (at->end > end) {
            at->begin = end;
            break;
        }
        at = ranges.erase(at);
    }
    ranges.insert(at, {begin, end, now, again});
}

void flight_arrived(Shadow& seen, tcp::Seq64 una, const Packet& arrived) {
    FlightShadow& flight = seen.flight;
    if (arrived.damaged) {
        flight.unknown = true;
    }
    forget_below(flight, una);
    if (flight.unknown) {
        flight.ranges.clear();
        return;
    }
    for (const SackBlock& block : arrived.tcp.options.sack) {
        const tcp::Seq64 left = std::max(tcp::unwrap(block.left, una), una);
        const tcp::Seq64 right = tcp::unwrap(block.right, una);
        if (left < right && right <= seen.highest) {
            tell(flight, left, right);
        }
    }
}

void flight_exempts(const Look& look) {
    const tcp::Tcb& tcb = look.tcb;
    if (tcb.recovery.state == tcp::RecoveryState::loss || tcb.mtu_search != nullptr ||
        tcb.fast_open != nullptr) {
        look.seen.flight.exempt = look.seen.highest;
    }
}

void flight(const Look& look) {
    FlightShadow& seen = look.seen.flight;
    const tcp::Tcb& tcb = look.tcb;
    if (seen.unknown) {
        return;
    }
    const tcp::RetransmissionQueue& queue = tcb.retransmission;
    std::uint64_t believed = 0;
    for (std::size_t i = 0; i < queue.size(); ++i) {
        const tcp::SentRecord& record = queue.at(i);
        if (record.sacked && !is_told(seen, record.begin, record.end)) {
            return look.fails(Check::pipe, "held by the peer, and no SACK block has told of it",
                              {{"begin", record.begin.value}, {"end", record.end.value}});
        }
        believed += record.sacked || record.lost ? 0 : record.length();
        believed += record.retransmission_out ? record.length() : 0;
    }
    std::uint64_t most = 0, least = 0;
    for (const Range& range : seen.ranges) {
        const std::uint64_t length = tcp::distance(range.begin, range.end);
        most += range.again ? 2 * length : length;
        const bool fresh = range.sent > seen.delivered && range.begin >= seen.exempt;
        least += fresh && !touches_told(seen, range) ? length : 0;
    }
    const bool overtaken_only =
        tcb.options.sack && (look.config.recovery & tcp::TcpConfig::kRack) != 0;
    if (believed > most || (overtaken_only && believed < least)) {
        look.fails(Check::pipe,
                   believed > most ? "more counts as in flight than has left"
                                   : "what nobody can have overtaken doesn't count as in flight",
                   {{"in flight", believed},
                    {"at most", most},
                    {"at least", least},
                    {"SND.UNA", tcb.snd.una.value}});
    }
}

}  // namespace runnel::sim::check
