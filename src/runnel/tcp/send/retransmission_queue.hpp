// What has been sent and not yet been acknowledged (RFC 9293 §3.8.1): records of byte ranges with their
// segment size and times. SND.NXT never moves back: a loss marks records, a retransmission sends what is
// marked, and a record splits at any byte (SACK, partial ACK, a smaller path MTU).
//
// Records stand in the order of their numbers, and those in the network also in the order in which they were
// sent last, which is what RACK asks about. Neither an ACK nor a SACK block costs a walk over more than what it
// is the first to tell.
#pragma once

#include <cstdint>
#include <vector>

#include "runnel/base/interval_set.hpp"
#include "runnel/base/ring.hpp"
#include "runnel/base/time.hpp"
#include "runnel/tcp/recovery/ack_summary.hpp"
#include "runnel/tcp/recovery/rate_sampler.hpp"
#include "runnel/tcp/seq64.hpp"

namespace runnel::tcp {

/// A range of sequence numbers that was sent at one time.
struct SentRecord {
    Seq64 begin;
    Seq64 end;
    Instant first_sent;
    Instant last_sent;
    RateStamp rate = {};                 ///< when it was sent last
    std::uint32_t older = 0, newer = 0;  ///< neighbours in the order of sending, places
    std::uint16_t segment_size =
        0;  ///< octets a segment; the range counts ceil(length / size) segments
    std::uint8_t transmissions = 1;   ///< saturates at 255
    bool syn = false;                 ///< the first number is our SYN
    bool fin = false;                 ///< the last number is our FIN
    bool push = false;                ///< it went with PSH, and does so again
    bool sacked = false;              ///< the peer holds it
    bool lost = false;                ///< deemed lost, waits for retransmission
    bool retransmission_out = false;  ///< retransmitted since it was deemed lost

    [[nodiscard]] std::uint64_t length() const { return end.value - begin.value; }
    [[nodiscard]] std::uint32_t segments() const {
        const std::uint64_t size = segment_size == 0 ? 1 : segment_size;
        return static_cast<std::uint32_t>((length() + size - 1) / size);
    }
    /// It waits to be sent again.
    [[nodiscard]] bool to_retransmit() const { return lost && !retransmission_out; }
    /// RFC 8985 §6.2 step 2: sent before the one that was sent at `sent` and ends at `at`.
    [[nodiscard]] bool sent_before(Instant sent, Seq64 at) const {
        return last_sent < sent || (last_sent == sent && end < at);
    }
};

class RetransmissionQueue {
public:
    /// Greatest number of records before SACK edges inside of segments are left unused: a peer's tiny blocks don't
    /// make many records.
    static constexpr std::size_t kMaxRecords = 4096;
    /// Greatest number of records: nothing new is sent beyond.
    static constexpr std::size_t kMaxSent = 16 * kMaxRecords;

    [[nodiscard]] bool empty() const { return order_.empty(); }
    [[nodiscard]] std::size_t size() const { return order_.size(); }
    [[nodiscard]] const SentRecord& front() const { return at(0); }
    [[nodiscard]] const SentRecord& back() const { return at(size() - 1); }
    [[nodiscard]] const SentRecord& at(std::size_t i) const { return slots_[order_[i]]; }
    /// Nothing new may be sent before something is acknowledged.
    [[nodiscard]] bool full() const { return size() >= kMaxSent; }

    /// Segments sent and unacknowledged; of them sacked, lost, and retransmitted but not yet acknowledged.
    [[nodiscard]] std::uint32_t segments_out() const { return out_; }
    [[nodiscard]] std::uint32_t segments_sacked() const { return sacked_; }
    [[nodiscard]] std::uint32_t segments_lost() const { return lost_; }
    [[nodiscard]] std::uint32_t segments_retransmitted() const { return retransmitted_; }
    /// Segments believed to be in the network (RFC 6675's pipe).
    [[nodiscard]] std::uint32_t in_flight() const {
        return out_ - sacked_ - lost_ + retransmitted_;
    }

    /// Appends what has just been sent for the first time; `record.begin` is the last record's end. Merges
    /// with the last one where that was sent at the same instant in whole segments of the same size.
    void sent(const SentRecord& record);

    /// Removes everything before `una` and adds to `summary` (segments, octets, Karn, SYN, FIN, RTT sample
    /// of the newest segment that was sent only once, the newest record for RACK and the rate).
    void acknowledge(Seq64 una, Instant now, AckSummary& summary);

    /// Marks `[left, right)`, which is not empty, as held by the peer.
    void mark_sacked(Seq64 left, Seq64 right, AckSummary& summary, Instant now);
    /// The end of the highest range that the peer holds by SACK, {} without one.
    [[nodiscard]] Seq64 highest_sacked() const {
        return held_.empty() ? Seq64{} : Seq64{held_.back().end};
    }

    /// What a look for losses has found.
    struct Losses {
        std::uint32_t segments = 0;  ///< newly marked
        std::uint64_t octets = 0;
        bool retransmission = false;  ///< one of them had been sent again already
        Duration wait = {};           ///< so long until the next one would be lost; 0: none waits
        void add(const SentRecord& record) {
            segments += record.segments();
            octets += record.length();
            retransmission = retransmission || record.retransmission_out;
        }
    };
    /// RFC 8985 §6.2 step 5: marks what was sent before the record sent at `sent` that ends at `end`, once `patience`
    /// has passed since.
    Losses mark_overtaken(Instant sent, Seq64 end, Duration patience, Instant now);
    /// RFC 6675 §4 IsLost: marks every record with at least `threshold` segments sacked above it and not yet
    /// retransmitted.
    Losses mark_lost_below_sacked(std::uint32_t threshold);
    /// Marks the first unsacked segment lost (fast retransmit and partial ACK, RFC 6582), unless its retransmission
    /// is still out or it was last sent after `latest`.
    Losses mark_first_lost(Instant latest = Instant::never());
    /// After a retransmission timeout: everything not sacked is lost, retransmissions included; but not, beside the
    /// first, what was sent after `latest` (RFC 8985 §6.3).
    Losses mark_all_lost(Instant latest = Instant::never());
    /// The path takes only segments of `mss` octets: larger ones that nobody has sacked are lost.
    Losses mark_oversized_lost(std::uint32_t mss);
    /// The peer has thrown away what it had sacked (RFC 2018 §8).
    void forget_sacked();
    /// The losses were none (RFC 4015): what has not been sent again is in the network after all.
    void forget_lost();

    /// The record that holds the number `seq`, or nullptr.
    [[nodiscard]] const SentRecord* record_of(Seq64 seq) const;
    /// The first record to retransmit, or nullptr.
    [[nodiscard]] const SentRecord* first_lost() const;
    /// Notes that `[first_lost()->begin, + length)` has been retransmitted; splits the record where that is only a
    /// part of it. True when it was the first record of all.
    bool retransmitted(std::uint64_t length, std::uint16_t segment_size, Instant now,
                       const RateStamp& rate);
    /// The last segment of all, which is neither sacked nor lost, goes out again to make the peer answer (RFC 8985
    /// §7.3). `length`: as much of its end, which left in segments of at most `segment_size` octets.
    void probed(std::uint64_t length, std::uint16_t segment_size, Instant now,
                const RateStamp& rate);
    void clear();
    /// The same as the buffers': storage is kept until the connection is quiet.
    [[nodiscard]] bool holds_idle_storage() const { return empty() && order_.capacity() > 0; }
    void release_idle_storage() {
        if (empty()) {
            order_.release();
            slots_ = {};
            free_.release();
        }
    }

private:
    /// A place that means "none" in the list by time.
    static constexpr std::uint32_t kNone = ~std::uint32_t{0};

    [[nodiscard]] SentRecord& record(std::size_t i) { return slots_[order_[i]]; }
    void count(const SentRecord& r, bool add);
    /// In the network: neither held by the peer nor lost.
    static bool travels(const SentRecord& r) { return !r.sacked && !r.to_retransmit(); }
    std::uint32_t put(const SentRecord& r);
    void link_newest(std::uint32_t slot);
    void link_after(std::uint32_t slot, std::uint32_t older);
    void unlink(std::uint32_t slot);
    void drop_front();
    void mark_lost(std::uint32_t slot, Losses& losses);
    bool split(std::size_t index, Seq64 at);
    [[nodiscard]] std::size_t find(Seq64 seq) const;
    void sent_again(std::size_t index, std::uint16_t segment_size, Instant now,
                    const RateStamp& rate, bool repairs);
    static void note_delivery(const SentRecord& r, std::uint64_t octets, Instant now,
                              AckSummary& summary);

    std::vector<SentRecord> slots_;
    Ring<std::uint32_t> free_;                       ///< places of `slots_` that are empty
    Ring<std::uint32_t> order_;                      ///< places by sequence number
    IntervalSet<kMaxSent, 1> held_;                  ///< all that is sacked
    std::uint32_t oldest_ = kNone, newest_ = kNone;  ///< of those that travel, by time of sending
    mutable Seq64 lost_from_ = {};                   ///< nothing before waits to be retransmitted
    Seq64 judged_ = {};  ///< below, RFC 6675's rule has marked all it could
    std::uint32_t out_ = 0, sacked_ = 0, lost_ = 0, retransmitted_ = 0;
};

}  // namespace runnel::tcp
