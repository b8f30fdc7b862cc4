#include "runnel/tcp/send/retransmission_queue.hpp"

#include <algorithm>
#include <vector>

#include "runnel/base/check.hpp"
#include "runnel/base/work.hpp"

namespace runnel::tcp {

void RetransmissionQueue::count(const SentRecord& r, bool add) {
    const std::uint32_t n = r.segments();
    const auto change = [&](std::uint32_t& counter) { counter = add ? counter + n : counter - n; };
    change(out_);
    if (r.sacked) {
        change(sacked_);
    }
    if (r.lost) {
        change(lost_);
    }
    if (r.retransmission_out) {
        change(retransmitted_);
    }
}

std::uint32_t RetransmissionQueue::put(const SentRecord& r) {
    if (free_.empty()) {
        slots_.push_back(r);
        return static_cast<std::uint32_t>(slots_.size() - 1);
    }
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    slots_[slot] = r;
    return slot;
}

void RetransmissionQueue::link_after(std::uint32_t slot, std::uint32_t older) {
    SentRecord& r = slots_[slot];
    r.older = older;
    r.newer = older == kNone ? oldest_ : slots_[older].newer;
    (r.older == kNone ? oldest_ : slots_[r.older].newer) = slot;
    (r.newer == kNone ? newest_ : slots_[r.newer].older) = slot;
}

void RetransmissionQueue::link_newest(std::uint32_t slot) {
    link_after(slot, newest_);
}

void RetransmissionQueue::unlink(std::uint32_t slot) {
    const SentRecord& r = slots_[slot];
    (r.older == kNone ? oldest_ : slots_[r.older].newer) = r.newer;
    (r.newer == kNone ? newest_ : slots_[r.newer].older) = r.older;
}

void RetransmissionQueue::sent(const SentRecord& record) {
    RUNNEL_CHECK(record.end > record.begin);
    if (!order_.empty()) {
        SentRecord& last = this->record(size() - 1);
        RUNNEL_CHECK(last.end == record.begin);
        const bool whole = last.segment_size != 0 && last.length() % last.segment_size == 0;
        const bool plain = !last.syn && !last.fin && !last.push && !record.syn && !record.fin &&
                           last.transmissions == 1 && !last.sacked && !last.lost;
        if (whole && plain && last.segment_size == record.segment_size &&
            last.last_sent == record.last_sent) {
            count(last, false);
            last.end = record.end;
            last.push = record.push;
            last.rate.in_flight = record.rate.in_flight;
            count(last, true);
            return;
        }
    }
    const std::uint32_t slot = put(record);
    order_.push_back(slot);
    link_newest(slot);
    count(record, true);
}

void RetransmissionQueue::note_delivery(const SentRecord& r, std::uint64_t octets, Instant now,
                                        AckSummary& summary) {
    summary.octets_delivered += octets;
    if (r.transmissions == 1) {
        summary.rtt = std::max(now - r.last_sent, nanoseconds(1));
        summary.first_original = std::min(summary.first_original, r.begin);
    }
    AckSummary::Newest& newest = summary.newest;
    if (!newest.known || !r.sent_before(newest.at, newest.end)) {
        newest = {{true, r.last_sent, r.end}, r.transmissions > 1, r.rate};
    }
    AckSummary::Sent& once = summary.newest_once;
    if (r.transmissions == 1 && (!once.known || !r.sent_before(once.at, once.end))) {
        once = {true, r.last_sent, r.end};
    }
}

void RetransmissionQueue::drop_front() {
    const std::uint32_t slot = order_.front();
    if (travels(slots_[slot])) {
        unlink(slot);
    }
    order_.pop_front();
    free_.push_back(slot);
    if (order_.empty()) {
        slots_.clear();
        free_.clear();
    }
}

void RetransmissionQueue::acknowledge(Seq64 una, Instant now, AckSummary& summary) {
    while (!order_.empty() && record(0).begin < una) {
        ++work.nodes;
        SentRecord& r = record(0);
        const bool whole = r.end <= una;
        const std::uint64_t numbers = std::min(r.length(), distance(r.begin, una));
        if (r.transmissions > 1) {
            summary.retransmitted_acked = true;
        }
        const std::uint64_t octets = numbers - (r.syn ? 1U : 0U) - (whole && r.fin ? 1U : 0U);
        if (!r.sacked) {
            note_delivery(r, octets, now, summary);
        }
        const std::uint32_t before = r.segments();
        summary.octets_acked += octets;
        summary.syn_acked |= r.syn;
        count(r, false);
        if (whole) {
            summary.segments_acked += before;
            summary.delivered += r.sacked ? 0 : before;
            drop_front();
            continue;
        }
        // A segment counts once its last octet is acknowledged: ACKs of single octets earn nothing (RFC 3465).
        r.begin = una;
        r.syn = false;
        summary.segments_acked += before - r.segments();
        summary.delivered += r.sacked ? 0 : before - r.segments();
        count(r, true);
    }
    held_.erase_below(una.value);
    // Karn's rule (RFC 6298 §3): where anything acknowledged was sent twice, the sample is ambiguous.
    if (summary.retransmitted_acked) {
        summary.rtt = {};
    }
}

std::size_t RetransmissionQueue::find(Seq64 seq) const {
    std::size_t low = 0;
    std::size_t high = size();
    while (low < high) {
        const std::size_t middle = (low + high) / 2;
        if (at(middle).end <= seq) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const SentRecord* RetransmissionQueue::record_of(Seq64 seq) const {
    const std::size_t i = find(seq);
    return i < size() && at(i).begin <= seq ? &at(i) : nullptr;
}

bool RetransmissionQueue::split(std::size_t index, Seq64 at) {
    const std::uint32_t slot = order_[index];
    {
        const SentRecord& r = slots_[slot];
        RUNNEL_CHECK(r.begin < at && at < r.end);
        // Between two of its segments records come only from what we sent; elsewhere the peer chooses how many.
        const bool border = r.segment_size != 0 && distance(r.begin, at) % r.segment_size == 0;
        if (size() >= (border ? kMaxSent : kMaxRecords)) {
            return false;
        }
    }
    count(slots_[slot], false);
    SentRecord upper = slots_[slot];
    upper.begin = at;
    upper.syn = false;
    const std::uint32_t above = put(upper);  // may move the records
    SentRecord& lower = slots_[slot];
    lower.end = at;
    lower.fin = false;
    lower.push = false;
    count(lower, true);
    count(upper, true);
    order_.insert(index + 1, above);
    if (travels(upper)) {
        link_after(above, slot);
    }
    return true;
}

void RetransmissionQueue::mark_sacked(Seq64 left, Seq64 right, AckSummary& summary, Instant now) {
    // Only what no block has said yet: the others' ranges are stepped over whole.
    while (left < right) {
        left = Seq64{held_.first_gap(left.value)};
        if (left >= right) {
            return;
        }
        const std::size_t i = find(left);
        if (i >= size() || at(i).begin >= right) {
            return;
        }
        ++work.nodes;
        if (at(i).begin < left) {
            if (!split(i, left)) {
                left = at(i).end;
            }
            continue;
        }
        if (at(i).end > right && !split(i, right)) {
            return;
        }
        const std::uint32_t slot = order_[i];
        SentRecord& r = slots_[slot];
        if (!held_.insert(r.begin.value, r.end.value)) {
            return;
        }
        if (travels(r)) {
            unlink(slot);
        }
        count(r, false);
        note_delivery(r, r.length() - (r.fin ? 1U : 0U), now, summary);
        summary.delivered += r.segments();
        summary.segments_sacked += r.segments();
        r.sacked = true;
        r.lost = false;
        r.retransmission_out = false;
        count(r, true);
        left = r.end;
    }
}

void RetransmissionQueue::mark_lost(std::uint32_t slot, Losses& losses) {
    SentRecord& r = slots_[slot];
    losses.add(r);
    unlink(slot);
    count(r, false);
    r.lost = true;
    r.retransmission_out = false;
    count(r, true);
    lost_from_ = std::min(lost_from_, r.begin);
}

RetransmissionQueue::Losses RetransmissionQueue::mark_overtaken(Instant sent, Seq64 end,
                                                                Duration patience, Instant now) {
    Losses losses;
    for (std::uint32_t slot = oldest_; slot != kNone;) {
        ++work.nodes;
        const SentRecord& r = slots_[slot];
        if (!r.sent_before(sent, end)) {
            break;
        }
        const std::uint32_t next = r.newer;
        const Duration left = r.last_sent + patience - now;
        if (left > Duration{}) {
            // They stand in the order of sending: whoever follows waits longer still.
            losses.wait = left;
            break;
        }
        mark_lost(slot, losses);
        slot = next;
    }
    return losses;
}

RetransmissionQueue::Losses RetransmissionQueue::mark_lost_below_sacked(std::uint32_t threshold) {
    Losses losses;
    // From the top down to the range with which enough is sacked: all that lies below it and isn't held is lost.
    Seq64 edge{};
    std::uint32_t above = 0;
    for (auto range = held_.end(); range != held_.begin() && above < threshold;) {
        --range;
        edge = Seq64{range->begin};
        for (std::size_t i = find(Seq64{range->begin});
             i < size() && at(i).begin.value < range->end && above < threshold; ++i) {
            ++work.nodes;
            above += at(i).segments();
        }
    }
    if (above < threshold) {
        return losses;
    }
    for (std::size_t i = find(judged_); i < size() && at(i).begin < edge; ++i) {
        ++work.nodes;
        const SentRecord& r = at(i);
        if (travels(r) && !r.retransmission_out) {
            mark_lost(order_[i], losses);
        }
    }
    judged_ = std::max(judged_, edge);
    return losses;
}

RetransmissionQueue::Losses RetransmissionQueue::mark_first_lost(Instant latest) {
    Losses losses;
    if (empty()) {
        return losses;
    }
    const std::size_t i = find(Seq64{held_.first_gap(front().begin.value)});
    if (i >= size()) {
        return losses;
    }
    ++work.nodes;
    if (at(i).lost || at(i).retransmission_out || at(i).last_sent > latest) {
        return losses;
    }
    // Only the first segment: of the rest nothing is known yet.
    if (at(i).segments() > 1) {
        (void)split(i, at(i).begin + at(i).segment_size);
    }
    mark_lost(order_[i], losses);
    return losses;
}

RetransmissionQueue::Losses RetransmissionQueue::mark_all_lost(Instant latest) {
    Losses losses;
    for (std::size_t i = 0; i < size(); ++i) {
        ++work.nodes;
        const SentRecord& r = at(i);
        if (travels(r) && (i == 0 || r.last_sent <= latest)) {
            mark_lost(order_[i], losses);
        }
    }
    return losses;
}

RetransmissionQueue::Losses RetransmissionQueue::mark_oversized_lost(std::uint32_t mss) {
    Losses losses;
    for (std::size_t i = 0; i < size(); ++i) {
        ++work.nodes;
        // A segment may be shorter than the size it was cut to.
        const std::uint64_t octets = at(i).length() - (at(i).fin ? 1U : 0U);
        if (travels(at(i)) && std::min<std::uint64_t>(at(i).segment_size, octets) > mss) {
            mark_lost(order_[i], losses);
        }
    }
    return losses;
}

void RetransmissionQueue::forget_sacked() {
    held_.clear();
    judged_ = {};
    std::uint32_t older = kNone;
    for (std::size_t i = 0; i < size(); ++i) {
        ++work.nodes;
        SentRecord& r = record(i);
        if (r.sacked) {
            count(r, false);
            r.sacked = false;
            count(r, true);
            link_after(order_[i], older);
        }
        if (travels(r)) {
            older = order_[i];
        }
    }
}

void RetransmissionQueue::forget_lost() {
    judged_ = {};
    std::vector<std::uint32_t> back;
    for (std::size_t i = find(lost_from_); i < size(); ++i) {
        ++work.nodes;
        SentRecord& r = record(i);
        if (!r.lost) {
            continue;
        }
        count(r, false);
        r.lost = false;
        count(r, true);
        if (!r.retransmission_out) {
            back.push_back(order_[i]);
        }
    }
    // In the order of sending, as RACK wants it, which after retransmissions is not that of numbers: one walk for all.
    std::sort(back.begin(), back.end(), [this](std::uint32_t a, std::uint32_t b) {
        return slots_[a].sent_before(slots_[b].last_sent, slots_[b].end);
    });
    std::uint32_t older = kNone;
    std::uint32_t next = oldest_;
    for (const std::uint32_t slot : back) {
        const SentRecord& r = slots_[slot];
        for (; next != kNone && slots_[next].sent_before(r.last_sent, r.end);
             next = slots_[next].newer) {
            ++work.nodes;
            older = next;
        }
        link_after(slot, older);
        older = slot;
    }
}

const SentRecord* RetransmissionQueue::first_lost() const {
    if (lost_ == 0) {
        return nullptr;
    }
    for (std::size_t i = find(lost_from_); i < size(); ++i) {
        ++work.nodes;
        if (at(i).to_retransmit()) {
            lost_from_ = at(i).begin;
            return &at(i);
        }
    }
    lost_from_ = order_.empty() ? Seq64{} : back().end;
    return nullptr;
}

void RetransmissionQueue::sent_again(std::size_t index, std::uint16_t segment_size, Instant now,
                                     const RateStamp& rate, bool repairs) {
    SentRecord& r = record(index);
    count(r, false);
    r.segment_size = segment_size;
    r.retransmission_out = repairs;
    r.last_sent = now;
    r.rate = rate;
    if (r.transmissions < 255) {
        ++r.transmissions;
    }
    count(r, true);
    link_newest(order_[index]);
}

bool RetransmissionQueue::retransmitted(std::uint64_t length, std::uint16_t segment_size,
                                        Instant now, const RateStamp& rate) {
    const SentRecord* first = first_lost();
    if (first == nullptr) {
        return false;
    }
    const std::size_t i = find(first->begin);
    if (length < first->length()) {
        // Without room for a record the whole range counts as sent again; the timer repairs that.
        (void)split(i, first->begin + length);
    }
    sent_again(i, segment_size, now, rate, true);
    return i == 0;
}

void RetransmissionQueue::probed(std::uint64_t length, std::uint16_t segment_size, Instant now,
                                 const RateStamp& rate) {
    RUNNEL_CHECK(!empty() && travels(back()));
    if (length < back().length()) {
        (void)split(size() - 1, back().end - length);
    }
    const std::size_t i = size() - 1;
    unlink(order_[i]);
    sent_again(i, segment_size, now, rate, false);  // nothing says yet that it was lost (Linux)
}

void RetransmissionQueue::clear() {
    order_.clear();
    slots_.clear();
    free_.clear();
    held_.clear();
    oldest_ = newest_ = kNone;
    out_ = sacked_ = lost_ = retransmitted_ = 0;
}

}  // namespace runnel::tcp
