// How full a host's tables and pools are and how much crossed its interfaces, each figure with a sentence:
// what `stat` shows beside the decisions' counters.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/host/host.hpp"

namespace runnel::report {

struct Gauge {
    std::string name;
    std::uint64_t value = 0;
    std::uint64_t limit = 0;  ///< 0: none
    bool counts = false;      ///< only ever grows
    std::string_view sentence;
};

[[nodiscard]] std::vector<Gauge> host_gauges(const Host& host);

}  // namespace runnel::report
