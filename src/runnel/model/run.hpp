// One run of one event: the block as it changes, and what will be sent and told when the event is over.
#pragma once

#include "runnel/model/choices.hpp"

namespace runnel::model {

enum class Owed : std::uint8_t {
    nothing,
    may_wait,  ///< an ACK that may be delayed (§3.8.6.3)
    now,
};

struct Run {
    Block b;
    Choices& choices;
    Outcome out;
    Owed owed = Owed::nothing;

    Run(const Block& block, Choices& c) : b(block), choices(c) {}

    /// <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, at the end of the event.
    void owe_ack() { owed = Owed::now; }
    /// A segment of ours with the current numbers.
    void reply(std::uint16_t flags, Number seq, std::size_t length);
    /// The reset of §3.10.7.1 for a segment that belongs to nothing here.
    void reply_reset(const Segment& segment);
    /// The end of the connection, with the user's signal.
    void end(Signal signal);
    /// What the event lets out (§3.8.6.2.1), the ACK that is owed, and which timers run now.
    Outcome finish();

private:
    void transmit();
    [[nodiscard]] unsigned timers(bool delayed) const;
};

/// SND.NXT may move in this state: text or FIN may go out.
[[nodiscard]] bool may_transmit(State state);
/// Both SYNs are acknowledged.
[[nodiscard]] bool is_synchronized(State state);
/// The peer's text is taken.
[[nodiscard]] bool takes_text(State state);

}  // namespace runnel::model
