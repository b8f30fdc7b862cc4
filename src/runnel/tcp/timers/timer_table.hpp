// The deadlines of one connection, one for each timer, as a value: who arms or cancels a timer here
// tells the stack's wheel only of the earliest. TIME-WAIT has a table of its own and no place here.
#pragma once

#include <array>
#include <cstddef>

#include "runnel/base/check.hpp"
#include "runnel/base/time.hpp"
#include "runnel/tcp/status.hpp"

namespace runnel::tcp {

class TimerTable {
public:
    /// Sets or moves a deadline; `Instant::never()` cancels. Not for Timer::time_wait.
    void arm(Timer timer, Instant deadline) { at(timer) = deadline; }
    void cancel(Timer timer) { at(timer) = Instant::never(); }
    void cancel_all() { deadlines_.fill(Instant::never()); }

    /// `Instant::never()` when it is not armed.
    [[nodiscard]] Instant deadline(Timer timer) const { return deadlines_[index(timer)]; }
    [[nodiscard]] bool armed(Timer timer) const { return !deadline(timer).is_never(); }
    /// Armed, and its time has come.
    [[nodiscard]] bool due(Timer timer, Instant now) const { return deadline(timer) <= now; }

    [[nodiscard]] Instant earliest() const {
        const Timer timer = earliest_timer();
        return timer == Timer::count_ ? Instant::never() : deadline(timer);
    }
    /// The timer with the earliest deadline, of equals the first in the enum's order; count_ for
    /// none.
    [[nodiscard]] Timer earliest_timer() const {
        Timer earliest = Timer::count_;
        Instant at = Instant::never();
        for (std::size_t i = 0; i < kStored; ++i) {
            if (deadlines_[i] < at) {
                at = deadlines_[i];
                earliest = static_cast<Timer>(i);
            }
        }
        return earliest;
    }

private:
    static constexpr std::size_t kStored = static_cast<std::size_t>(Timer::time_wait);
    static_assert(kStored + 1 == static_cast<std::size_t>(Timer::count_), "time_wait must be last");

    static std::size_t index(Timer timer) {
        const auto i = static_cast<std::size_t>(timer);
        RUNNEL_CHECK(i < kStored);
        return i;
    }
    Instant& at(Timer timer) { return deadlines_[index(timer)]; }

    std::array<Instant, kStored> deadlines_ = [] {
        std::array<Instant, kStored> none;
        none.fill(Instant::never());
        return none;
    }();
};
static_assert(sizeof(TimerTable) <= 72);

}  // namespace runnel::tcp
