// Where loss recovery stands: its state (the five of Linux), what it waits for, and what may still show that a
// repair was needless. RFC 5681 §3.2, RFC 6582, RFC 6675, RFC 8985, RFC 5682, RFC 4015.
#pragma once

#include <algorithm>
#include <cstdint>

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

/// What is open still when a repair is over, and can be for long: was it needless?
struct Aftermath {
    bool undo = false;           ///< the reduction can be taken back
    bool retransmitted = false;  ///< something has been sent again since
    Seq64 undo_from;             ///< SND.UNA when it began
    /// Retransmissions of it of which no D-SACK has told that they were needless; -1: none was made.
    std::int32_t undo_waits = 0;
    std::uint32_t first_stamp = 0;  ///< TSval of the first of them, with `retransmitted`
    bool probed = false;            ///< a tail-loss probe is out (RFC 8985 §7.3)
    bool probe_again = false;       ///< and it was a retransmission
    Seq64 probe_end;                ///< SND.NXT when it went (TLP.end_seq)

    auto operator<=>(const Aftermath&) const = default;
    /// D-SACKs have told that all of it was needless (RFC 3708 §3).
    [[nodiscard]] bool all_came_twice() const { return undo && undo_waits == 0; }
};

struct Recovery {
    RecoveryState state = RecoveryState::open;
    Frto frto = Frto::off;
    std::uint8_t duplicate_acks = 0;  ///< without SACK: segments that have left the network
    std::uint8_t backoff = 0;         ///< doublings of the RTO since the last RTT sample
    std::uint8_t timeouts = 0;  ///< of the retransmission timer since the last ACK of new data
    bool probe_due = false;     ///< the probe timer has fired: a tail-loss probe goes out
    Seq64 point;                ///< RecoveryPoint: recovery ends when this is acknowledged
    Prr prr;                    ///< in cwr and recovery
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
