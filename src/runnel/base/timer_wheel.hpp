// A hierarchical timer wheel (Varghese and Lauck, scheme 7): arming, re-arming and cancelling cost O(1),
// expiry costs O(what is due) plus at most one move of a node a level. Slots are coarse (2^16 ns), deadlines
// are kept exact in the nodes: none fires before its deadline, and none later than the call that reaches it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "runnel/base/check.hpp"
#include "runnel/base/time.hpp"

namespace runnel {

/// The links of a ring; a node's, or the anchor of a slot.
struct TimerLink {
    TimerLink* previous = nullptr;
    TimerLink* next = nullptr;
};

/// A timer, embedded in what it belongs to (32 bytes and an owner's number). Neither copied nor moved. It
/// must be cancelled before its memory goes, unless the wheel is never used again.
struct TimerNode : TimerLink {
    /// When it will fire; never() exactly when it is not armed. The wheel's to write.
    Instant deadline = Instant::never();
    /// Whatever lets the callback find whose timer this is, e.g. a packed handle. The user's.
    std::uint64_t owner = 0;

    TimerNode() = default;
    explicit TimerNode(std::uint64_t whose) : owner(whose) {}
    TimerNode(const TimerNode&) = delete;
    TimerNode& operator=(const TimerNode&) = delete;
    [[nodiscard]] bool armed() const { return next != nullptr; }
};

class TimerWheel {
public:
    TimerWheel();
    TimerWheel(const TimerWheel&) = delete;
    TimerWheel& operator=(const TimerWheel&) = delete;

    /// Arms `node`, or moves it when it is armed already. A deadline that has passed fires at the next
    /// `expire`; Instant::never() cancels.
    void schedule(TimerNode& node, Instant deadline);
    /// Disarms `node`; nothing happens when it is not armed.
    void cancel(TimerNode& node);

    /// No armed node's deadline lies before this; never() exactly when none is armed. It is the exact
    /// earliest deadline, except after a cancelled earliest one in a slot of more than kScanLimit nodes:
    /// then it may be too early, and expire(next_deadline()) either fires a node or raises it.
    [[nodiscard]] Instant next_deadline();

    /// Calls f(TimerNode&) for each node with deadline <= now, by deadline, and in the order of arming
    /// where deadlines are equal. The node is disarmed when f sees it, and f may arm or cancel any node and
    /// destroy disarmed ones; what it arms, even for the past, waits for the next call. Time that goes back
    /// fires nothing early. Not re-entrant.
    template <class F>
    void expire(Instant now, F&& f) {
        RUNNEL_CHECK(!expiring_);
        collect_due(now);
        expiring_ = true;
        while (due_.next != &due_) {
            f(pop_due());
        }
        expiring_ = false;
    }

    /// Nodes armed now.
    [[nodiscard]] std::size_t size() const { return size_; }

    static constexpr unsigned kTickShift = 16;  ///< a tick is 2^16 ns, about 66 µs
    static constexpr unsigned kSlotBits = 6;    ///< 64 slots a level
    static constexpr unsigned kLevels =
        7;  ///< together 2^58 ns, about 9 years; later ones overflow
    static constexpr unsigned kScanLimit = 64;  ///< nodes that next_deadline() looks at, at most

private:
    static constexpr unsigned kSlots = 1U << kSlotBits;
    static constexpr unsigned kOverflow =
        kLevels * kSlots;  ///< index of the slot beyond the levels

    struct Slot : TimerLink {
        Instant minimum = Instant::never();  ///< a lower bound of the deadlines in the ring
        bool exact = true;                   ///< the bound is some node's deadline
    };

    [[nodiscard]] unsigned slot_of(Instant deadline) const;
    [[nodiscard]] unsigned first_slot() const;
    [[nodiscard]] std::uint64_t start_of(unsigned index) const;
    void place(TimerNode& node);
    void leave_slot(TimerNode& node);
    void mark_empty(unsigned index);
    void collect_due(Instant now);
    void empty_slot(unsigned index, Instant now);
    void sort_due();
    TimerNode& pop_due();

    std::array<Slot, kOverflow + 1> slots_;
    std::array<std::uint64_t, kLevels + 1>
        occupied_{};  ///< a bit a slot with nodes; [kLevels]: overflow
    TimerLink due_;   ///< collected, not yet fired
    std::uint64_t current_tick_ = 0;
    std::size_t size_ = 0;
    bool expiring_ = false;
};

}  // namespace runnel
