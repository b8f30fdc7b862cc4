// Where loss recovery stands: its state (the five of Linux), what it waits for, and what may still show that a
// repair was needless. RFC 5681 §3.2, RFC 6582, RFC 6675, RFC 8985, RFC 5682, RFC 4015.
#pragma once

#include <algorithm>
#include <cstdint>

#include "runnel/base/box.hpp"
#include "runnel/base/interval_set.hpp"
#include "runnel/tcp/recovery/prr.hpp"
#include "runnel/tcp/seq64.hpp"

namespace runnel::tcp {

enum class RecoveryState : std::uint8_t {
    open,
    disorder,  ///< something is out of order, nothing is lost yet
    cwr,       ///< the window goes down without a loss: ECN, or a loss that a probe has repaired
    recovery,  ///< fast recovery
    loss,      ///< after a retransmission timeout
};

constexpr const char* to_string(RecoveryState s) {
    switch (s) {
        case RecoveryState::open: return "open";
        case RecoveryState::disorder: return "disorder";
        case RecoveryState::cwr: return "cwr";
        case RecoveryState::recovery: return "recovery";
        case RecoveryState::loss: return "loss";
    }
    return "";
}

/// How F-RTO finds out whether a timeout was needless (RFC 5682 §3.1).
enum class Frto : std::uint8_t {
    off,
    waiting,  ///< the first segment is out again; nothing has been acknowledged since
    probing,  ///< something new was acknowledged: new data goes instead of more retransmissions
};

/// What has been sent again since a repair began: only of that can a D-SACK say that it was needless (RFC 3708 §3), for
/// networks make second copies too. Nothing out of line as long as nothing is sent again.
class SentAgain {
public:
    void add(Seq64 begin, Seq64 end, Seq64 una) {
        Set& set = set_.empty() ? set_.emplace() : *set_.get();
        if (!set.insert(begin.value, end.value)) {
            set.erase_below(una.value);  // too many: what is acknowledged goes first
            (void)set.insert(begin.value, end.value);
        }
    }
    void forget_below(Seq64 number) {
        if (Set* set = set_.get(); set != nullptr) {
            set->erase_below(number.value);
            if (set->empty()) {
                set_ = {};
            }
        }
    }
    /// Octets of [begin, end).
    [[nodiscard]] std::uint64_t of(Seq64 begin, Seq64 end) const {
        const Set* set = set_.get();
        return set == nullptr ? 0 : set->common(begin.value, end.value);
    }
    bool operator==(const SentAgain&) const = default;

private:
    using Set = IntervalSet<1024>;
    Box<Set> set_;
};

/// What is open still when a repair is over, and can be for long: was it needless?
struct Aftermath {
    bool undo = false;    ///< the repair can be taken back
    bool marked = false;  ///< but not what it made of the window: marks have asked for that too
    bool retransmitted = false;  ///< something has been sent again since
    Seq64 undo_from;             ///< SND.UNA when it began
    /// Retransmissions of it of which no D-SACK has told that they were needless; -1: none was made.
    std::int32_t undo_waits = 0;
    std::uint32_t first_stamp = 0;  ///< TSval of the first of them, with `retransmitted`
    bool probed = false;            ///< a tail-loss probe is out (RFC 8985 §7.3)
    bool probe_again = false;       ///< and it was a retransmission
    Seq64 probe_end;                ///< SND.NXT when it went (TLP.end_seq)
    SentAgain sent_again;

    bool operator==(const Aftermath&) const = default;
    /// D-SACKs have told that all of it was needless (RFC 3708 §3).
    [[nodiscard]] bool all_came_twice() const { return undo && undo_waits == 0; }
};

struct Recovery {
    RecoveryState state = RecoveryState::open;
    Frto frto = Frto::off;
    std::uint8_t backoff = 0;   ///< doublings of the RTO since the last RTT sample
    std::uint8_t timeouts = 0;  ///< of the retransmission timer since the last ACK of new data
    bool probe_due = false;     ///< the probe timer has fired: a tail-loss probe goes out
    std::uint32_t duplicate_acks = 0;  ///< without SACK: segments that have left the network
    Seq64 point;                       ///< RecoveryPoint: recovery ends when this is acknowledged
    Prr prr;                           ///< in cwr and recovery
    Aftermath aftermath;

    /// The window is on its way to the threshold.
    [[nodiscard]] bool reducing() const {
        return state == RecoveryState::cwr || state == RecoveryState::recovery;
    }
};

/// How far the congestion window is used: one that isn't doesn't grow (RFC 7661's point, as Linux has it).
class WindowUse {
public:
    /// Something was sent; `limited`: the window would not have let out more.
    void on_sent(Seq64 una, Seq64 nxt, std::uint32_t outstanding, bool limited) {
        if (una >= until_ || limited || (!limited_ && outstanding > most_)) {
            limited_ = limited;
            most_ = outstanding;
            until_ = nxt;
        }
    }
    /// Whether a window of `window` segments has been what held us back during the last flight.
    [[nodiscard]] bool limited(std::uint32_t window, bool slow_start) const {
        return limited_ || (slow_start && window < 2 * most_);
    }
    [[nodiscard]] bool limited() const { return limited_; }
    void restore(bool limited) { limited_ = limited; }

private:
    Seq64 until_;
    std::uint32_t most_ = 0;
    bool limited_ = false;
};

}  // namespace runnel::tcp
