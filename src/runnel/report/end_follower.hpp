// The states of both ends of a conversation (RFC 9293 §3.3.2) as they can be told from outside, after each
// segment, in the manner of the RFC's own figures 6 to 13: what an end sends shows its state, and what it
// is sent changes it on arrival. As the whole capture is known, an arrival counts only where a later
// segment shows that it happened, so that a lost SYN or FIN changes nobody's state.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "runnel/report/conversation.hpp"
#include "runnel/tcp/state.hpp"

namespace runnel::report {

/// One end. The events it takes are those of RFC 9293 figure 5; any order of them is allowed, as a capture
/// may begin anywhere and miss segments.
class EndFollower {
public:
    /// Nothing: not known (yet).
    explicit EndFollower(std::optional<tcp::State> initial) : state_(initial) {}

    [[nodiscard]] std::optional<tcp::State> state() const { return state_; }

    /// The end sent a segment with these flags, `with_payload` or without.
    void sent(TcpFlags flags, bool with_payload);
    /// The peer's SYN arrived; `acceptable_ack`: and with it an ACK of our SYN.
    void syn_arrived(bool acceptable_ack);
    /// The peer's ACK of our SYN, or of our FIN, arrived.
    void syn_acknowledged();
    void fin_acknowledged();
    /// The peer's FIN arrived, and everything before it.
    void fin_arrived();
    void reset_arrived();

private:
    std::optional<tcp::State> state_;
};

/// The state of each End after a segment; nothing while it isn't known.
struct EndStates {
    std::optional<tcp::State> of[2];
    bool operator==(const EndStates&) const = default;
};

struct FollowedStates {
    EndStates before;              ///< the first segment
    std::vector<EndStates> after;  ///< each segment, in order
};

[[nodiscard]] FollowedStates follow_ends(std::span<const SeenSegment> segments);

}  // namespace runnel::report
