// A node's slot follows from its deadline and the current tick alone: the level is that of the highest bit
// in which the two ticks differ, so every slot of a level lies after the current one, and every slot of a
// level ends before the next level's first begins. Nodes with one tick share one slot, in order of arming.
#include "runnel/base/timer_wheel.hpp"

#include <algorithm>
#include <bit>

namespace runnel {

namespace {

std::uint64_t tick_of(Instant time) {
    return time.ns <= 0 ? 0 : static_cast<std::uint64_t>(time.ns) >> TimerWheel::kTickShift;
}

void make_ring(TimerLink& anchor) {
    anchor.previous = anchor.next = &anchor;
}

void append(TimerLink& anchor, TimerLink& link) {
    link.previous = anchor.previous;
    link.next = &anchor;
    anchor.previous->next = &link;
    anchor.previous = &link;
}

void unlink(TimerLink& link) {
    link.previous->next = link.next;
    link.next->previous = link.previous;
    link.previous = link.next = nullptr;
}

TimerNode& node_of(TimerLink* link) {
    return *static_cast<TimerNode*>(link);
}

// Merges two chains that end in nullptr; what stands in `first` comes first among equals.
TimerLink* merge(TimerLink* first, TimerLink* second) {
    TimerLink head;
    TimerLink* tail = &head;
    while (first != nullptr && second != nullptr) {
        TimerLink*& earlier = node_of(second).deadline < node_of(first).deadline ? second : first;
        tail->next = earlier;
        tail = earlier;
        earlier = earlier->next;
    }
    tail->next = first != nullptr ? first : second;
    return head.next;
}

}  // namespace

TimerWheel::TimerWheel() {
    for (Slot& slot : slots_) {
        make_ring(slot);
    }
    make_ring(due_);
}

unsigned TimerWheel::slot_of(Instant deadline) const {
    const std::uint64_t tick = std::max(tick_of(deadline), current_tick_);
    const std::uint64_t difference = tick ^ current_tick_;
    if ((difference >> (kSlotBits * kLevels)) != 0) {
        return kOverflow;
    }
    const unsigned highest = 63U - static_cast<unsigned>(std::countl_zero(difference | 1));
    const unsigned level = highest / kSlotBits;
    return level * kSlots + static_cast<unsigned>((tick >> (kSlotBits * level)) % kSlots);
}

// The slot in which the earliest deadline lies, or past the last one when all are empty.
unsigned TimerWheel::first_slot() const {
    for (unsigned level = 0; level <= kLevels; ++level) {
        if (occupied_[level] != 0) {
            return level * kSlots + static_cast<unsigned>(std::countr_zero(occupied_[level]));
        }
    }
    return kOverflow + 1;
}

// The first tick of an occupied slot.
std::uint64_t TimerWheel::start_of(unsigned index) const {
    if (index == kOverflow) {
        return ((current_tick_ >> (kSlotBits * kLevels)) + 1) << (kSlotBits * kLevels);
    }
    const unsigned shift = index / kSlots * kSlotBits;
    const std::uint64_t block = current_tick_ >> (shift + kSlotBits) << (shift + kSlotBits);
    return block + (std::uint64_t{index % kSlots} << shift);
}

void TimerWheel::place(TimerNode& node) {
    const unsigned index = slot_of(node.deadline);
    Slot& slot = slots_[index];
    const bool empty = slot.next == &slot;
    if (empty || node.deadline <= slot.minimum) {
        slot.minimum = node.deadline;
        slot.exact = true;
    }
    append(slot, node);
    occupied_[index / kSlots] |= std::uint64_t{1} << (index % kSlots);
}

void TimerWheel::leave_slot(TimerNode& node) {
    // A node that is due already stands in no slot; the current one, found for it, is then merely scanned
    // once too often.
    const unsigned index = slot_of(node.deadline);
    unlink(node);
    Slot& slot = slots_[index];
    if (slot.next == &slot) {
        mark_empty(index);
    } else if (slot.minimum == node.deadline) {
        slot.exact = false;
    }
}

void TimerWheel::mark_empty(unsigned index) {
    occupied_[index / kSlots] &= ~(std::uint64_t{1} << (index % kSlots));
}

void TimerWheel::schedule(TimerNode& node, Instant deadline) {
    if (deadline.is_never()) {
        cancel(node);
        return;
    }
    if (node.armed()) {
        leave_slot(node);
    } else {
        ++size_;
    }
    node.deadline = deadline;
    place(node);
}

void TimerWheel::cancel(TimerNode& node) {
    if (!node.armed()) {
        return;
    }
    leave_slot(node);
    node.deadline = Instant::never();
    --size_;
}

Instant TimerWheel::next_deadline() {
    // Asked from within an expiry: what is due comes before all else.
    if (due_.next != &due_) {
        return node_of(due_.next).deadline;
    }
    const unsigned index = first_slot();
    if (index > kOverflow) {
        return Instant::never();
    }
    Slot& slot = slots_[index];
    if (slot.exact) {
        return slot.minimum;
    }

    Instant minimum = Instant::never();
    const TimerLink* link = slot.next;
    for (unsigned looked_at = 0; link != &slot; link = link->next, ++looked_at) {
        if (looked_at == kScanLimit) {
            return slot.minimum;
        }
        minimum = std::min(minimum, static_cast<const TimerNode*>(link)->deadline);
    }
    slot.minimum = minimum;
    slot.exact = true;
    return minimum;
}

// Moves every node that is due to `due_`, sorted, and the current tick to now's. What stood in a slot that
// has begun and is not due goes to the slot of a finer level.
void TimerWheel::collect_due(Instant now) {
    const std::uint64_t now_tick = std::max(tick_of(now), current_tick_);
    while (true) {
        const unsigned index = first_slot();
        if (index > kOverflow) {
            break;
        }
        const std::uint64_t start = start_of(index);
        if (start > now_tick) {
            break;
        }
        // The slot of now's own tick is the last one, and holds what must still wait a little.
        const bool last = index < kSlots && start == now_tick;
        if (last && slots_[index].minimum > now) {
            break;
        }
        current_tick_ = std::max(current_tick_, start);
        empty_slot(index, now);
        if (last) {
            break;
        }
    }
    current_tick_ = now_tick;
    sort_due();
}

void TimerWheel::empty_slot(unsigned index, Instant now) {
    // The ring is taken over whole: nodes may come back to the same slot (to overflow, or to now's tick).
    Slot& slot = slots_[index];
    TimerLink* link = slot.next;
    slot.previous->next = nullptr;
    make_ring(slot);
    mark_empty(index);
    while (link != nullptr) {
        TimerLink* const next = link->next;
        TimerNode& node = node_of(link);
        if (node.deadline <= now) {
            append(due_, node);
        } else {
            place(node);
        }
        link = next;
    }
}

// A stable merge sort of the ring, from the bottom up, without allocation: bins[i] holds 2^i nodes or none.
void TimerWheel::sort_due() {
    bool sorted = true;
    for (const TimerLink* link = due_.next; link != &due_ && link->next != &due_;
         link = link->next) {
        if (static_cast<const TimerNode*>(link->next)->deadline <
            static_cast<const TimerNode*>(link)->deadline) {
            sorted = false;
            break;
        }
    }
    if (sorted) {
        return;
    }

    std::array<TimerLink*, 48> bins{};
    due_.previous->next = nullptr;
    for (TimerLink* link = due_.next; link != nullptr;) {
        TimerLink* const next = link->next;
        link->next = nullptr;
        std::size_t bin = 0;
        for (; bins[bin] != nullptr; ++bin) {
            link = merge(bins[bin], link);
            bins[bin] = nullptr;
        }
        bins[bin] = link;
        link = next;
    }
    TimerLink* all = nullptr;
    for (TimerLink* bin : bins) {
        all = merge(bin, all);
    }

    make_ring(due_);
    while (all != nullptr) {
        TimerLink* const next = all->next;
        append(due_, *all);
        all = next;
    }
}

TimerNode& TimerWheel::pop_due() {
    TimerNode& node = node_of(due_.next);
    unlink(node);
    node.deadline = Instant::never();
    --size_;
    return node;
}

}  // namespace runnel
