// TIME-WAIT (RFC 9293 §3.6.1, §3.10.7.4): what is left of a connection for 2MSL, in a small entry of its
// own. All wait equally long, so the entries stand in a queue and need no timer each.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "runnel/base/slab.hpp"
#include "runnel/tcp/effects.hpp"

namespace runnel::tcp {

struct TimeWaitTag;

struct TimeWaitEntry {
    FourTuple tuple;
    SeqNum snd_nxt;
    SeqNum rcv_nxt;
    std::uint32_t ts_recent = 0;
    std::uint32_t ts_offset = 0;
    std::uint16_t window = 0;  ///< the window field last sent
    std::uint8_t window_scale = 0;
    bool timestamps = false;
    std::uint8_t traffic_class = 0;  ///< as the connection had it (SHLD-22)
    std::uint8_t hop_limit = 0;      ///< 0: the host's
    Instant expires;
    Instant last_answer;                    ///< for tcp_invalid_ratelimit
    std::unique_ptr<Md5Key> md5 = nullptr;  ///< as the connection had it
    std::uint32_t previous = 0xffff'ffff;
    std::uint32_t next = 0xffff'ffff;
};

class TimeWaitTable {
public:
    explicit TimeWaitTable(std::uint32_t limit) : entries_(limit) {}

    /// Adds an entry at the end of the queue; nothing when the table is full.
    std::optional<std::uint32_t> insert(TimeWaitEntry entry);
    [[nodiscard]] TimeWaitEntry& at(std::uint32_t index) {
        return *entries_.find(entries_.handle_at(index));
    }
    void erase(std::uint32_t index);
    /// Begins the 2MSL anew: `entry.expires` has been set to the latest of all.
    void restart(std::uint32_t index, Instant expires);
    [[nodiscard]] Instant next_expiry() const;
    /// The first entry that is over at `now`, or none.
    [[nodiscard]] std::optional<std::uint32_t> expired(Instant now) const;
    [[nodiscard]] std::uint32_t size() const { return entries_.size(); }
    /// The table behind it, to be walked in pieces.
    [[nodiscard]] Slab<TimeWaitEntry, TimeWaitTag>& entries() { return entries_; }

private:
    static constexpr std::uint32_t kNone = 0xffff'ffff;
    void link_last(std::uint32_t index);
    void unlink(std::uint32_t index);

    mutable Slab<TimeWaitEntry, TimeWaitTag> entries_;
    std::uint32_t first_ = kNone;
    std::uint32_t last_ = kNone;
};

/// What a segment to a TIME-WAIT entry leads to.
struct TimeWaitVerdict {
    Decision decision{};
    bool answer = false;    ///< send an ACK with the entry's numbers
    bool restart = false;   ///< 2MSL begins anew
    bool reopen = false;    ///< a new SYN: the entry goes, the listener gets the segment (RFC 6191)
    bool remember = false;  ///< its timestamp becomes TS.Recent (RFC 7323 §4.3)
    bool remove = false;    ///< a RST ends it (only without RFC 1337)
};

/// §3.10.7.4 for TIME-WAIT, RFC 1337, RFC 6191. `listening`: there is a listener to whom a new SYN may go.
[[nodiscard]] TimeWaitVerdict time_wait_arrives(const TimeWaitEntry& entry, const TcpHeader& header,
                                                std::uint32_t payload_size, bool listening,
                                                const TcpConfig& config, Instant now);

/// The ACK that a TIME-WAIT entry sends.
[[nodiscard]] ControlSegment time_wait_ack(const TimeWaitEntry& entry, Instant now);
/// Whether two ACKs are the same on the wire.
[[nodiscard]] bool same_ack(const ControlSegment& a, const ControlSegment& b);

}  // namespace runnel::tcp
