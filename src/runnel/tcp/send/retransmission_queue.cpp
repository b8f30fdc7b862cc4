#include "runnel/tcp/send/retransmission_queue.hpp"

#include <algorithm>

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

void RetransmissionQueue::sent(const SentRecord& record) {
    RUNNEL_CHECK(record.end > record.begin);
    if (!records_.empty()) {
        SentRecord& last = records_[records_.size() - 1];
        RUNNEL_CHECK(last.end == record.begin);
        const bool whole = last.segment_size != 0 && last.length() % last.segment_size == 0;
        const bool plain = !last.syn && !last.fin && !record.syn && !record.fin &&
                           last.transmissions == 1 && !last.sacked && !last.lost;
        if (whole && plain && last.segment_size == record.segment_size &&
            last.last_sent == record.last_sent) {
            count(last, false);
            last.end = record.end;
            count(last, true);
            return;
        }
    }
    records_.push_back(record);
    count(record, true);
}

void RetransmissionQueue::acknowledge(Seq64 una, Instant now, AckSummary& summary) {
    while (!records_.empty() && records_[0].begin < una) {
        ++work.nodes;
        SentRecord& r = records_[0];
        if (r.transmissions > 1) {
            summary.retransmitted_acked = true;
        } else if (!r.sacked) {
            summary.rtt = std::max(now - r.last_sent, nanoseconds(1));
            summary.first_original = std::min(summary.first_original, r.begin);
        }
        const bool whole = r.end <= una;
        const std::uint64_t numbers = std::min(r.length(), distance(r.begin, una));
        const std::uint32_t before = r.segments();
        summary.octets_acked += numbers - (r.syn ? 1U : 0U) - (whole && r.fin ? 1U : 0U);
        summary.syn_acked |= r.syn;
        count(r, false);
        if (whole) {
            summary.segments_acked += before;
            summary.delivered += r.sacked ? 0 : before;
            records_.pop_front();
            continue;
        }
        // A segment counts once its last octet is acknowledged: ACKs of single octets earn nothing (RFC 3465).
        r.begin = una;
        r.syn = false;
        summary.segments_acked += before - r.segments();
        summary.delivered += r.sacked ? 0 : before - r.segments();
        count(r, true);
    }
    // Karn's rule (RFC 6298 §3): where anything acknowledged was sent twice, the sample is ambiguous.
    if (summary.retransmitted_acked) {
        summary.rtt = {};
    }
}

std::size_t RetransmissionQueue::find(Seq64 seq) const {
    std::size_t low = 0;
    std::size_t high = records_.size();
    while (low < high) {
        const std::size_t middle = (low + high) / 2;
        if (records_[middle].end <= seq) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool RetransmissionQueue::split(std::size_t index, Seq64 at) {
    if (records_.size() >= kMaxRecords) {
        return false;
    }
    SentRecord& lower = records_[index];
    RUNNEL_CHECK(lower.begin < at && at < lower.end);
    count(lower, false);
    SentRecord upper = lower;
    upper.begin = at;
    upper.syn = false;
    lower.end = at;
    lower.fin = false;
    count(lower, true);
    count(upper, true);
    records_.insert(index + 1, upper);
    return true;
}

void RetransmissionQueue::mark_sacked(Seq64 left, Seq64 right, AckSummary& summary, Instant now) {
    for (std::size_t i = find(left); i < records_.size() && records_[i].begin < right; ++i) {
        ++work.nodes;
        if (records_[i].sacked) {
            continue;
        }
        if (records_[i].begin < left) {
            if (!split(i, left)) {
                return;
            }
            continue;
        }
        if (records_[i].end > right && !split(i, right)) {
            return;
        }
        SentRecord& r = records_[i];
        count(r, false);
        if (r.transmissions == 1) {
            summary.rtt = std::max(now - r.last_sent, nanoseconds(1));
            summary.first_original = std::min(summary.first_original, r.begin);
        }
        summary.delivered += r.segments();
        r.sacked = true;
        r.lost = false;
        r.retransmission_out = false;
        count(r, true);
    }
}

Seq64 RetransmissionQueue::highest_sacked() const {
    for (std::size_t i = sacked_ == 0 ? 0 : records_.size(); i-- > 0;) {
        ++work.nodes;
        if (records_[i].sacked) {
            return records_[i].end;
        }
    }
    return {};
}

std::uint32_t RetransmissionQueue::mark_lost_below_sacked(std::uint32_t threshold) {
    if (sacked_ == 0) {
        return 0;
    }
    std::uint32_t above = 0;
    std::uint32_t news = 0;
    for (std::size_t i = records_.size(); i-- > 0;) {
        ++work.nodes;
        SentRecord& r = records_[i];
        if (r.sacked) {
            above += r.segments();
        } else if (above >= threshold && !r.lost && !r.retransmission_out) {
            count(r, false);
            r.lost = true;
            count(r, true);
            news += r.segments();
        }
    }
    return news;
}

std::uint32_t RetransmissionQueue::mark_first_lost(Instant latest) {
    for (std::size_t i = 0; i < records_.size(); ++i) {
        ++work.nodes;
        if (records_[i].sacked) {
            continue;
        }
        if (records_[i].lost || records_[i].retransmission_out || records_[i].last_sent > latest) {
            return 0;
        }
        // Only the first segment: of the rest nothing is known yet.
        if (records_[i].segments() > 1) {
            (void)split(i, records_[i].begin + records_[i].segment_size);
        }
        SentRecord& r = records_[i];
        count(r, false);
        r.lost = true;
        count(r, true);
        return r.segments();
    }
    return 0;
}

void RetransmissionQueue::mark_all_lost() {
    for (std::size_t i = 0; i < records_.size(); ++i) {
        ++work.nodes;
        SentRecord& r = records_[i];
        if (r.sacked) {
            continue;
        }
        count(r, false);
        r.lost = true;
        r.retransmission_out = false;
        count(r, true);
    }
}

void RetransmissionQueue::mark_oversized_lost(std::uint32_t mss) {
    for (std::size_t i = 0; i < records_.size(); ++i) {
        ++work.nodes;
        SentRecord& r = records_[i];
        if (r.sacked || r.segment_size <= mss) {
            continue;
        }
        count(r, false);
        r.lost = true;
        r.retransmission_out = false;
        count(r, true);
    }
}

void RetransmissionQueue::forget_sacked() {
    for (std::size_t i = 0; i < records_.size(); ++i) {
        ++work.nodes;
        SentRecord& r = records_[i];
        count(r, false);
        r.sacked = false;
        count(r, true);
    }
}

const SentRecord* RetransmissionQueue::first_lost() const {
    if (lost_ == retransmitted_) {
        return nullptr;
    }
    for (std::size_t i = 0; i < records_.size(); ++i) {
        ++work.nodes;
        if (records_[i].lost && !records_[i].retransmission_out) {
            return &records_[i];
        }
    }
    return nullptr;
}

void RetransmissionQueue::retransmitted(std::uint64_t length, std::uint16_t segment_size,
                                        Instant now) {
    for (std::size_t i = 0; i < records_.size(); ++i) {
        ++work.nodes;
        if (!records_[i].lost || records_[i].retransmission_out) {
            continue;
        }
        if (length < records_[i].length()) {
            // Without room for a record the whole range counts as sent again; the timer repairs that.
            (void)split(i, records_[i].begin + length);
        }
        SentRecord& r = records_[i];
        count(r, false);
        r.retransmission_out = true;
        r.last_sent = now;
        r.segment_size = segment_size;
        if (r.transmissions < 255) {
            ++r.transmissions;
        }
        count(r, true);
        return;
    }
}

void RetransmissionQueue::clear() {
    records_.clear();
    out_ = sacked_ = lost_ = retransmitted_ = 0;
}

}  // namespace runnel::tcp
