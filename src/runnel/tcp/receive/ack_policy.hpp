// When to acknowledge (RFC 9293 §3.8.6.3, RFC 5681 §4.2) with Linux's refinements: the first segments of a
// connection, and those after a pause, at once; an interactive exchange delayed, in the hope of carrying
// the ACK on data.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runnel/base/time.hpp"
#include "runnel/observe/decision.hpp"
#include "runnel/tcp/config.hpp"

namespace runnel::tcp {

class AckPolicy {
public:
    /// Most immediate ACKs owed at a time: duplicate ACKs for as many segments out of order.
    static constexpr std::uint8_t kMaxOwed = 64;
    /// And to a peer who reads SACK: each says what all of them say, so that enough to count to the threshold
    /// of RFC 5681 §3.2 will do, however many segments have come at once.
    static constexpr std::uint8_t kMaxOwedWithSack = 3;

    /// The connection opens: its first data will be compared with now.
    void start(Instant now, bool interactive) {
        last_data_ = now;
        interactive_ = interactive;
    }
    [[nodiscard]] Instant last_data() const { return last_data_; }
    /// Data arrived: adapts the delay to its rhythm. `segment` is the size of one wire segment, `push` whether
    /// it had PSH.
    void on_data(std::uint32_t segment, bool push, std::uint64_t receive_window, Duration rto,
                 const TcpConfig& config, Instant now) {
        // A segment that isn't full, or is pushed, ends what its sender had to say: it may wait for the ACK.
        if (segment < segment_size_) {
            pushed_ = pushed_ == 0 ? 1 : 2;
        } else if (push && pushed_ == 0) {
            pushed_ = 1;
        }
        estimate_segment_size(segment, push);
        const Duration floor = config.delayed_ack_min;
        if (delay_.ns == 0) {
            delay_ = floor;
            start_quick(receive_window, config);
        } else {
            const Duration gap = now - last_data_;
            if (gap <= floor / 2) {
                delay_ = delay_ / 2 + floor / 2;
            } else if (gap < delay_) {
                delay_ = std::min(delay_ / 2 + gap, rto);
            } else if (gap > rto) {
                // The sender has been quiet: it starts anew with a small window and waits for ACKs.
                start_quick(receive_window, config);
            }
        }
        last_data_ = now;
    }
    /// An ACK is owed at once; `another` when it must not be folded into one already owed.
    /// and `most` are not owed yet.
    void need_now(Decision reason, bool another, std::uint8_t most = kMaxOwed) {
        if (owed_ == 0 || (another && owed_ < most)) {
            ++owed_;
        }
        reason_ = reason;
    }
    /// Something came that had come before, or lies outside of the window: its sender needs to hear where we stand,
    /// now and for the next segments (Linux).
    void enter_quick(std::uint64_t receive_window, const TcpConfig& config) {
        start_quick(receive_window, config);
        interactive_ = false;
        delay_ = config.delayed_ack_min;
    }
    /// The sender's window may be very small now: the next two segments are acknowledged at once (Linux).
    void answer_soon(const TcpConfig& config) {
        quick_ = std::max(quick_, std::uint8_t{2});
        interactive_ = false;
        delay_ = config.delayed_ack_min;
    }
    /// RCV.NXT moved on: one ACK says it all, duplicates owed before are stale.
    void fold() { owed_ = std::min<std::uint8_t>(owed_, 1); }
    void need_delayed() { delayed_ = true; }
    /// The delayed ACK's time is over and nothing has come to carry it: the exchange is less interactive than
    /// thought, or its rhythm slower (Linux).
    void on_delay_over(Duration rto, const TcpConfig& config) {
        delay_ = interactive_ ? config.delayed_ack_min : std::min(delay_ * 2, rto);
        interactive_ = false;
    }
    /// Whether a delayed ACK should go now that the reader has taken all there is (Linux).
    [[nodiscard]] bool due_when_read() const {
        return delayed_ && (pushed_ == 2 || (pushed_ == 1 && !interactive_));
    }

    [[nodiscard]] bool owed() const { return owed_ > 0; }
    [[nodiscard]] bool delayed() const { return delayed_; }
    [[nodiscard]] bool any() const { return owed_ > 0 || delayed_; }
    [[nodiscard]] Decision reason() const { return reason_; }
    [[nodiscard]] bool quick() const { return quick_ > 0 && !interactive_; }
    [[nodiscard]] std::uint32_t segment_size() const { return segment_size_; }
    void set_segment_size(std::uint32_t size) { segment_size_ = static_cast<std::uint16_t>(size); }
    /// `rtt`: smoothed, 0 when it has not been measured. The peer's timer runs after a round trip (Linux).
    [[nodiscard]] Duration delay(const TcpConfig& config, Duration rtt = {}) const {
        // RFC 9293 §3.8.6.3, SHLD-18; MUST-40, 5681-M11: the configuration keeps it below 0.5 s.
        const Duration most = rtt.ns == 0
                                  ? config.delayed_ack_max
                                  : std::clamp(rtt, config.delayed_ack_min, config.delayed_ack_max);
        return std::clamp(delay_, config.delayed_ack_min, most);
    }
    /// The same, but 0 before the first data (Linux's ato).
    [[nodiscard]] Duration adapted_delay(const TcpConfig& config) const {
        return delay_.ns == 0 ? Duration{} : delay(config);
    }

    /// Something with an ACK left; with data it settles all, a pure ACK one of those owed.
    void on_ack_sent(bool with_data, Instant now) {
        if (owed_ > 0) {
            owed_ = with_data ? 0 : static_cast<std::uint8_t>(owed_ - 1);
        }
        delayed_ = false;
        pushed_ = 0;
        if (quick_ > 0) {
            --quick_;
        }
        // A reply soon after data: the exchange is interactive, ACKs will find data to ride on.
        if (with_data && delay_.ns != 0 && now - last_data_ < delay_) {
            interactive_ = true;
        }
    }
    [[nodiscard]] bool interactive() const { return interactive_; }
    void set_interactive(bool on) { interactive_ = on; }

private:
    /// What the peer calls a full segment: the largest that has come; and less, where two segments of one
    /// size follow each other which look like full ones (its path has become narrower), or else the rule of every
    /// second segment would become one of every third or fourth. Never below what every TCP can send unless not
    /// pushed (Linux).
    void estimate_segment_size(std::uint32_t segment, bool push) {
        constexpr std::uint32_t kDefault = 536, kLeast = 88;
        const std::uint32_t before = last_;
        last_ = 0;
        if (segment > segment_size_) {
            segment_size_ = static_cast<std::uint16_t>(std::min(segment, 65'535U));
        } else if (segment < segment_size_ &&
                   (segment >= kDefault || (segment >= kLeast && !push))) {
            last_ = segment & 0xfff;
            if (last_ == before) {
                segment_size_ = static_cast<std::uint16_t>(segment);
            }
        }
    }
    void start_quick(std::uint64_t receive_window, const TcpConfig& config) {
        const std::uint64_t size = std::max<std::uint64_t>(segment_size_, 1);
        const std::uint64_t wanted = std::max<std::uint64_t>(receive_window / (2 * size), 2);
        quick_ = std::max(quick_, static_cast<std::uint8_t>(
                                      std::min<std::uint64_t>({wanted, config.quick_acks, 255})));
    }

    Duration delay_ = {};
    Instant last_data_;
    Decision reason_{};
    std::uint16_t segment_size_ = 536;
    std::uint8_t quick_ = 0;
    std::uint8_t owed_ = 0;
    std::uint16_t last_ : 12 = 0;   ///< low bits of the size of the segment before, if not full
    std::uint16_t pushed_ : 2 = 0;  ///< segments since the last ACK that ended something; 2: more
    bool interactive_ : 1 = false;
    bool delayed_ : 1 = false;
};
static_assert(sizeof(AckPolicy) <= 24);

}  // namespace runnel::tcp
