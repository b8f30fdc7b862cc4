#include "runnel/observe/flight_recorder.hpp"

#include <bit>

namespace runnel {

FlightRecorder::FlightRecorder(std::size_t capacity)
    : ring_(std::make_unique<EventRecord[]>(std::bit_ceil(capacity))),
      mask_(std::bit_ceil(capacity) - 1) {}

}  // namespace runnel
