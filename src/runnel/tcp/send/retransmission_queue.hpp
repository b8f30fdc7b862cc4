// What has been sent and not yet been acknowledged (RFC 9293 §3.8.1): records of byte ranges with their
// segment size and times. SND.NXT never moves back: a loss marks records, a retransmission sends what is
// marked, and a record splits at any byte (SACK, partial ACK, a smaller path MTU).
#pragma once

#include <cstdint>

#include "runnel/base/ring.hpp"
#include "runnel/base/time.hpp"
#include "runnel/tcp/recovery/ack_summary.hpp"
#include "runnel/tcp/seq64.hpp"

namespace runnel::tcp {

/// A range of sequence numbers that was sent at one time.
struct SentRecord {
    Seq64 begin;
    Seq64 end;
    Instant first_sent;
    Instant last_sent;
    std::uint16_t segment_size =
        0;  ///< octets a segment; the range counts ceil(length / size) segments
    std::uint8_t transmissions = 1;   ///< saturates at 255
    bool syn = false;                 ///< the first number is our SYN
    bool fin = false;                 ///< the last number is our FIN
    bool sacked = false;              ///< the peer holds it
    bool lost = false;                ///< deemed lost, waits for retransmission
    bool retransmission_out = false;  ///< retransmitted since it was deemed lost

    [[nodiscard]] std::uint64_t length() const { return end.value - begin.value; }
    [[nodiscard]] std::uint32_t segments() const {
        const std::uint64_t size = segment_size == 0 ? 1 : segment_size;
        return static_cast<std::uint32_t>((length() + size - 1) / size);
    }
};

class RetransmissionQueue {
public:
    /// Greatest number of records; where splitting would exceed it, SACK information is left unused.
    static constexpr std::size_t kMaxRecords = 4096;

    /// Greatest number of records that new data may lead to.
    static constexpr std::size_t kMaxSent = 4 * kMaxRecords;

    [[nodiscard]] bool empty() const { return records_.empty(); }
    [[nodiscard]] std::size_t size() const { return records_.size(); }
    [[nodiscard]] const SentRecord& front() const { return records_[0]; }
    [[nodiscard]] const SentRecord& at(std::size_t i) const { return records_[i]; }
    /// Nothing new may be sent before something is acknowledged.
    [[nodiscard]] bool full() const { return records_.size() >= kMaxSent; }

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
    /// of the newest segment that was sent only once).
    void acknowledge(Seq64 una, Instant now, AckSummary& summary);

    /// Marks `[left, right)`, which is not empty, as held by the peer.
    void mark_sacked(Seq64 left, Seq64 right, AckSummary& summary, Instant now);
    /// The end of the highest range that the peer holds by SACK, {} without one.
    [[nodiscard]] Seq64 highest_sacked() const;
    /// RFC 6675 §4 IsLost with records: marks every record with at least `threshold` segments sacked above
    /// it and not yet retransmitted; returns the segments newly marked.
    std::uint32_t mark_lost_below_sacked(std::uint32_t threshold);
    /// Marks the first unsacked segment lost (fast retransmit and partial ACK, RFC 6582); returns the segments
    /// newly marked, 0 where its retransmission is still out or it was last sent after `latest`.
    std::uint32_t mark_first_lost(Instant latest = Instant::never());
    /// After a retransmission timeout: everything not sacked is lost, retransmissions included.
    void mark_all_lost();
    /// The path takes only segments of `mss` octets: larger ones that nobody has sacked are lost.
    void mark_oversized_lost(std::uint32_t mss);
    /// The peer has thrown away what it had sacked (RFC 2018 §8).
    void forget_sacked();

    /// The first record to retransmit, or nullptr.
    [[nodiscard]] const SentRecord* first_lost() const;
    /// Notes that `[first_lost()->begin, + length)` has been retransmitted at `now`; splits the record
    /// where that is only a part of it.
    void retransmitted(std::uint64_t length, std::uint16_t segment_size, Instant now);
    void clear();
    /// The same as the buffers': storage is kept until the connection is quiet.
    [[nodiscard]] bool holds_idle_storage() const { return empty() && records_.capacity() > 0; }
    void release_idle_storage() {
        if (empty()) {
            records_.release();
        }
    }

private:
    void count(const SentRecord& r, bool add);
    bool split(std::size_t index, Seq64 at);
    [[nodiscard]] std::size_t find(Seq64 seq) const;

    Ring<SentRecord> records_;
    std::uint32_t out_ = 0, sacked_ = 0, lost_ = 0, retransmitted_ = 0;
};

}  // namespace runnel::tcp
