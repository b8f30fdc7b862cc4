// Proportional Rate Reduction (RFC 9937): while losses are repaired, how much may leave for what arrives, so that
// the window reaches the threshold when all is repaired, neither by a pause nor by a burst.
#pragma once

#include <algorithm>
#include <cstdint>

namespace runnel::tcp {

/// Segments.
class Prr {
public:
    /// `flight`: in flight when the reduction began, before the ACK that began it (RecoverFS).
    void start(std::uint32_t flight) {
        recover_fs_ = std::max(flight, 1U);
        delivered_ = 0;
        out_ = 0;
    }
    /// The window after an ACK that delivered `delivered`; `safe`: it acknowledges something new and shows no new
    /// loss (SafeACK); `must`: one at least; `in_flight` after the ACK.
    [[nodiscard]] std::uint32_t on_ack(std::uint32_t delivered, bool safe, bool must,
                                       std::uint32_t in_flight, std::uint32_t threshold) {
        delivered_ += delivered;
        std::uint32_t send = 0;
        if (in_flight > threshold) {
            // Proportional: threshold / RecoverFS for each segment delivered.
            const std::uint64_t due =
                (std::uint64_t{delivered_} * threshold + recover_fs_ - 1) / recover_fs_;
            send = due > out_ ? static_cast<std::uint32_t>(due - out_) : 0;
        } else {
            // What losses have taken from the flight comes back: packet conservation, one more where it is safe.
            send =
                std::max(delivered_ > out_ ? delivered_ - out_ : 0, delivered) + (safe ? 1U : 0U);
            send = std::min(send, threshold - in_flight);
        }
        // The fast retransmit goes out in any case.
        send = std::max(send, out_ == 0 || must ? 1U : 0U);
        return in_flight + send;
    }
    void on_sent(std::uint32_t segments) { out_ += segments; }

private:
    std::uint32_t recover_fs_ = 1;
    std::uint32_t delivered_ = 0;
    std::uint32_t out_ = 0;
};

}  // namespace runnel::tcp
