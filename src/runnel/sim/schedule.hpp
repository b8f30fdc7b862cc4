// What will happen, by time and then by insertion: the order of a run is a function of its scenario alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "runnel/base/time.hpp"

namespace runnel::sim {

struct Packet;

enum class HappeningKind : std::uint8_t {
    arrival,      ///< `packet` reaches node `node` over the way `way`
    departure,    ///< the line of the way `way` is free for the next packet of its queue
    release,      ///< fault `index` lets a packet go that it has held (token says which)
    service,      ///< node `node` looks at its rings
    fault_begin,  ///< fault `index`
    fault_end,
    start,  ///< flow `index` begins
    wake,   ///< flow `index` wants to go on (token is its own)
};

struct Happening {
    Instant at;
    std::uint64_t number = 0;  ///< of insertion
    Packet* packet = nullptr;
    std::uint64_t token = 0;
    HappeningKind kind{};
    std::uint8_t node = 0;
    std::uint8_t way = 0;
    std::uint16_t index = 0;
};

class Schedule {
public:
    void push(Happening happening) {
        happening.number = next_++;
        heap_.push_back(happening);
        std::push_heap(heap_.begin(), heap_.end(), Later{});
    }
    [[nodiscard]] bool empty() const { return heap_.empty(); }
    [[nodiscard]] Instant next() const {
        return heap_.empty() ? Instant::never() : heap_.front().at;
    }
    Happening pop() {
        std::pop_heap(heap_.begin(), heap_.end(), Later{});
        const Happening happening = heap_.back();
        heap_.pop_back();
        return happening;
    }
    /// All that still waits, in no order, e.g. to give its packets back.
    [[nodiscard]] const std::vector<Happening>& waiting() const { return heap_; }
    void clear() {
        heap_.clear();
        next_ = 0;
    }

private:
    struct Later {
        bool operator()(const Happening& x, const Happening& y) const {
            return x.at != y.at ? x.at > y.at : x.number > y.number;
        }
    };
    std::vector<Happening> heap_;
    std::uint64_t next_ = 0;
};

}  // namespace runnel::sim
