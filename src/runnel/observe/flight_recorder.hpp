// The flight recorder: one ring of fixed records a host, always on. Each record chains back to its
// connection's previous one, so that a connection's story can be read without a ring of its own.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "runnel/base/time.hpp"
#include "runnel/observe/decision.hpp"

namespace runnel {

/// False only in a build with the CMake option RUNNEL_TRACE=OFF, which exists to measure what recording
/// costs (bench/trace_cost.py): nothing is then recorded or counted.
#ifdef RUNNEL_NO_TRACE
inline constexpr bool kTrace = false;
#else
inline constexpr bool kTrace = true;
#endif

/// One decision about one segment or connection. 48 bytes, plain data.
struct EventRecord {
    Instant time;
    std::uint64_t connection = 0;  ///< packed handle, 0 when the packet belongs to none
    std::uint64_t previous = 0;    ///< number of this connection's previous record, 0 for none
    Decision decision{};
    std::uint16_t window = 0;  ///< as on the wire
    std::uint32_t seq = 0;
    std::uint32_t ack = 0;
    std::uint32_t length = 0;  ///< payload bytes
    std::uint16_t flags = 0;   ///< TcpFlags bits
    std::uint8_t state = 0;    ///< TCP state after the decision
    std::uint8_t inbound = 0;
    std::uint32_t value = 0;  ///< a figure that the decision's sentence explains
};

/// Counts all decisions and keeps the last `capacity` records.
class FlightRecorder {
public:
    /// `capacity` is rounded up to a power of two.
    explicit FlightRecorder(std::size_t capacity);

    /// Stores `record` and returns its number (from 1 on), for the next record of that connection to chain to.
    std::uint64_t record(const EventRecord& record) {
        if constexpr (!kTrace) {
            return 0;
        }
        ++counters_[static_cast<std::size_t>(record.decision)];
        ring_[next_ & mask_] = record;
        return next_++;
    }
    /// The number that the next record will have.
    [[nodiscard]] std::uint64_t next_number() const { return next_; }
    /// The number of the oldest record that is still kept; `next_number()` when there is none.
    [[nodiscard]] std::uint64_t oldest_number() const {
        return next_ <= mask_ + 1 ? 1 : next_ - (mask_ + 1);
    }
    /// The record with that number, or nullptr when it has been overwritten or never was.
    [[nodiscard]] const EventRecord* find(std::uint64_t number) const {
        if (number == 0 || number >= next_ || next_ - number > mask_ + 1) {
            return nullptr;
        }
        return &ring_[number & mask_];
    }
    [[nodiscard]] std::uint64_t count(Decision decision) const {
        return counters_[static_cast<std::size_t>(decision)];
    }

private:
    std::unique_ptr<EventRecord[]> ring_;
    std::uint64_t mask_;
    std::uint64_t next_ = 1;
    std::array<std::uint64_t, kDecisionCount> counters_{};
};

}  // namespace runnel
