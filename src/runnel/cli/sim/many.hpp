// Many seeds, one after the other on each of some threads: what they met, how fast it went, and which of them
// failed. A seed's run depends on nothing but the seed, so neither does any of the counts.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runnel/cli/sim/play.hpp"

namespace runnel::sim_command {

struct ManyOptions {
    std::uint64_t first = 1;
    std::uint64_t count = 100;  ///< 0: until the time is over
    double seconds = 0;         ///< of real time, after which no seed is begun; 0: no bound
    unsigned jobs = 1;
    std::uint64_t event_limit = PlayOptions().event_limit;
    std::uint64_t most_failures = 10;  ///< after so many no seed is begun
};

/// Counts of small numbers, for medians over any number of runs in bounded memory.
class Histogram {
public:
    explicit Histogram(std::size_t most) : counts_(most + 1) {}
    void add(std::uint64_t value) {
        ++counts_[std::min<std::uint64_t>(value, counts_.size() - 1)];
        ++total_;
    }
    void add(const Histogram& other);
    /// The lower median; 0 of nothing. A value above the greatest counts as that.
    [[nodiscard]] std::uint64_t median() const;

private:
    std::vector<std::uint64_t> counts_;
    std::uint64_t total_ = 0;
};

struct FailedSeed {
    std::uint64_t seed = 0;
    sim::Scenario scenario;
    Played played;
};

struct ManyResult {
    std::uint64_t runs = 0, events = 0, segments = 0, failed = 0;
    std::uint64_t digest = 0;  ///< of all runs, whatever their order
    double seconds = 0;        ///< of real time
    double processor_seconds = 0;
    Histogram segments_of_run{1 << 16};
    Histogram kinds_of_run{sim::kFaultKinds};
    std::array<std::uint64_t, sim::kFaultKinds> faults{};           ///< how often each happened
    std::array<std::uint64_t, sim::kFaultKinds> runs_with_fault{};  ///< at least once
    std::array<std::uint64_t, sim::kChecks> asked{};    ///< how often each checker looked
    std::array<std::uint64_t, sim::kChecks> excused{};  ///< found what a fault excuses
    std::array<std::uint64_t, sim::kChecks> found{};    ///< runs that failed in it
    std::array<std::uint64_t, 5> outcomes{};            ///< by sim::RunOutcome
    std::vector<FailedSeed> failures;  ///< the first most_failures of them, ascending by seed
};

/// `progress(runs so far, failures so far)` about twice a second, from one thread at a time.
[[nodiscard]] ManyResult play_many(
    const ManyOptions& options, const std::function<void(std::uint64_t, std::uint64_t)>& progress);

[[nodiscard]] std::string many_text(const ManyOptions& options, const ManyResult& result,
                                    bool color);
[[nodiscard]] std::string many_json(const ManyOptions& options, const ManyResult& result);

}  // namespace runnel::sim_command
