// How much the receive window should offer (RFC 9293 §3.8.6 leaves that open): "dynamic right-sizing", which
// Linux made common. What the reader takes in a round trip is what the path and the reader can do; twice as
// much lets the sender's window double in the next one, and more while it grows, so that the window opens
// before slow start could reach it. Who takes little is offered little.
#pragma once

#include <cstdint>

#include "runnel/base/time.hpp"

namespace runnel::tcp {

class WindowTuner {
public:
    /// Data came that echoes the timestamp `echo` of an ACK sent `elapsed` ago, in whole milliseconds: a
    /// round trip as the receiver sees it. The first data that an ACK has let go is what counts.
    void on_echo(std::uint32_t echo, Duration elapsed);
    /// Without timestamps: RCV.NXT is `nxt` (low bits) now. When all that the window offered at the last mark
    /// has come, a round trip is over, and at least `least` long; a new mark is set at `edge`.
    void on_window(std::uint32_t nxt, std::uint32_t edge, Duration least, Instant now);

    /// Of `arrived` octets in all the reader has taken all but `unread`. Returns how many the window should
    /// offer at least, or 0 for no reason to change it. `segment`: octets of a full one; `other_rtt`: what the
    /// sending half knows of the round trip, for as long as the receiving half knows nothing, or 0.
    [[nodiscard]] std::uint64_t on_read(std::uint64_t arrived, std::uint64_t unread,
                                        std::uint32_t segment, Duration other_rtt, Instant now);
    /// Memory was short: what has been offered so far counts for nothing from here on.
    void forget(std::uint32_t space) { space_ = space; }

    /// 0 before the first measurement.
    [[nodiscard]] Duration rtt() const { return microseconds(std::int64_t{rtt_us_}); }
    /// The most octets that the reader has taken in a round trip; 0 before the first measurement.
    [[nodiscard]] std::uint32_t space() const { return space_; }

private:
    void sample(Duration elapsed);

    Instant since_;              ///< when the running measurement began
    std::uint32_t arrived_ = 0;  ///< octets that had arrived by then, low bits
    std::uint32_t taken_ = 0;    ///< and of those the reader had taken
    std::uint32_t rtt_us_ = 0;
    std::uint32_t space_ = 0;
    std::uint32_t mark_ = 0;  ///< the last echo, or the edge of the window's worth that is timed
    std::uint32_t mark_time_ = 0;  ///< of the latter, in units of 1024 ns, low bits; 0: none
};
static_assert(sizeof(WindowTuner) <= 32);

}  // namespace runnel::tcp
