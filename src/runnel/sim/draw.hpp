// Drawing values from a seed. Every expression draws once, so that no compiler's order of evaluation shows.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "runnel/base/random.hpp"
#include "runnel/base/time.hpp"
#include "runnel/sim/scenario.hpp"

namespace runnel::sim {

class Draw {
public:
    explicit Draw(std::uint64_t seed) : random_(seed) {}

    std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }
    std::uint64_t between(std::uint64_t low, std::uint64_t high) {
        return low + random_.below(high - low + 1);
    }
    bool one_in(std::uint64_t n) { return random_.below(n) == 0; }
    template <class T>
    T pick(std::initializer_list<T> values) {
        return values.begin()[random_.below(values.size())];
    }
    Duration micros(std::uint64_t low, std::uint64_t high) {
        return microseconds(static_cast<std::int64_t>(between(low, high)));
    }
    std::uint64_t seed() { return random_.next(); }

private:
    Random random_;
};

/// Adds faults for the topology and flows that the scenario has by now.
void draw_faults(Draw& draw, Scenario& scenario);

}  // namespace runnel::sim
