#include "runnel/cli/sim/many.hpp"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <ctime>
#include <limits>
#include <mutex>
#include <thread>

#include "runnel/cli/sim/summary.hpp"
#include "runnel/sim/draw_scenario.hpp"
#include "runnel/sim/names.hpp"

namespace runnel::sim_command {

namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

double thread_seconds() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

void add(ManyResult& sum, const sim::RunResult& result) {
    ++sum.runs;
    sum.events += result.events;
    sum.segments += result.segments_delivered;
    sum.segments_of_run.add(result.segments_delivered);
    sum.kinds_of_run.add(result.fault_kinds());
    ++sum.outcomes[static_cast<std::size_t>(result.outcome)];
    for (std::size_t i = 0; i < sim::kFaultKinds; ++i) {
        sum.faults[i] += result.faults[i];
        sum.runs_with_fault[i] += result.faults[i] != 0 ? 1U : 0U;
    }
    for (std::size_t i = 0; i < sim::kChecks; ++i) {
        sum.excused[i] += result.excused[i];
    }
}

void add(ManyResult& sum, const ManyResult& one) {
    sum.runs += one.runs;
    sum.events += one.events;
    sum.segments += one.segments;
    sum.failed += one.failed;
    sum.digest += one.digest;
    sum.processor_seconds += one.processor_seconds;
    sum.segments_of_run.add(one.segments_of_run);
    sum.kinds_of_run.add(one.kinds_of_run);
    for (std::size_t i = 0; i < sim::kFaultKinds; ++i) {
        sum.faults[i] += one.faults[i];
        sum.runs_with_fault[i] += one.runs_with_fault[i];
    }
    for (std::size_t i = 0; i < sim::kChecks; ++i) {
        sum.asked[i] += one.asked[i];
        sum.excused[i] += one.excused[i];
        sum.found[i] += one.found[i];
    }
    for (std::size_t i = 0; i < sum.outcomes.size(); ++i) {
        sum.outcomes[i] += one.outcomes[i];
    }
    sum.failures.insert(sum.failures.end(), one.failures.begin(), one.failures.end());
}

/// What the threads share.
struct Shared {
    Shared(const ManyOptions& many, const std::function<void(std::uint64_t, std::uint64_t)>& tell)
        : options(many), progress(tell) {}

    const ManyOptions& options;
    const std::function<void(std::uint64_t, std::uint64_t)>& progress;
    Clock::time_point begin = Clock::now();
    std::atomic<std::uint64_t> next{0}, done{0}, failed{0};
    std::mutex reporting;
    Clock::time_point reported = Clock::now();

    [[nodiscard]] bool may_go_on() const {
        return failed.load(std::memory_order_relaxed) < options.most_failures &&
               (options.seconds <= 0 || since(begin) < options.seconds);
    }
    void report() {
        const std::unique_lock lock(reporting, std::try_to_lock);
        if (lock && since(reported) >= 0.5) {
            reported = Clock::now();
            progress(done.load(), failed.load());
        }
    }
};

void work(Shared& shared, ManyResult& mine) {
    PlayMemory memory;
    const double begin = thread_seconds();
    while (shared.may_go_on()) {
        const std::uint64_t number = shared.next.fetch_add(1);
        if (shared.options.count != 0 && number >= shared.options.count) {
            break;
        }
        const std::uint64_t seed = shared.options.first + number;
        sim::Scenario scenario = sim::draw_scenario(seed);
        PlayOptions play_options;
        play_options.event_limit = shared.options.event_limit;
        Played played = play(scenario, memory, play_options);
        add(mine, played.result);
        // The seed goes into the sum, so that two runs can't change places unnoticed.
        mine.digest += (played.result.digest ^ seed) * 0x9e37'79b9'7f4a'7c15;
        if (played.failure) {
            ++mine.failed;
            ++mine.found[static_cast<std::size_t>(played.failure->check)];
            shared.failed.fetch_add(1);
            // Once more, for the story.
            play_options.measure = play_options.tell = true;
            played = play(scenario, memory, play_options);
            mine.failures.push_back({seed, std::move(scenario), std::move(played)});
        }
        shared.done.fetch_add(1);
        shared.report();
    }
    mine.asked = memory.checkers.asked();
    mine.processor_seconds = thread_seconds() - begin;
}

}  // namespace

void Histogram::add(const Histogram& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        counts_[i] += other.counts_[i];
    }
    total_ += other.total_;
}

std::uint64_t Histogram::median() const {
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        seen += counts_[i];
        if (seen * 2 >= total_ && total_ != 0) {
            return i;
        }
    }
    return 0;
}

ManyResult play_many(const ManyOptions& options,
                     const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
    Shared shared(options, progress);
    std::vector<ManyResult> parts(std::max(options.jobs, 1U));
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < parts.size(); ++i) {
        threads.emplace_back([&shared, &part = parts[i]] { work(shared, part); });
    }
    work(shared, parts[0]);
    threads.clear();  // joins
    ManyResult result;
    for (const ManyResult& part : parts) {
        add(result, part);
    }
    result.seconds = since(shared.begin);
    std::sort(result.failures.begin(), result.failures.end(),
              [](const FailedSeed& a, const FailedSeed& b) { return a.seed < b.seed; });
    return result;
}

namespace {

double per(std::uint64_t count, double seconds) {
    return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

Replay replay_of(const ManyOptions& options, std::uint64_t seed) {
    const std::string limit = options.event_limit == PlayOptions().event_limit
                                  ? ""
                                  : fmt::format(" --most-events {}", options.event_limit);
    return {fmt::format("seed {}", seed), fmt::format("runnel sim --seed {}{}", seed, limit)};
}

void add_counts(std::string& out, const ManyResult& result, report::Paint paint) {
    out += paint(report::Ink::bold, "faults: how often, and in how many runs") + '\n';
    for (std::size_t i = 0; i < sim::kFaultKinds; ++i) {
        const sim::FaultFacts& facts = sim::facts(static_cast<sim::FaultKind>(i));
        out += fmt::format("  {}  {}  {}  {}\n", report::pad_right(facts.name, 20),
                           report::pad_left(report::count_text(result.faults[i]), 12),
                           report::pad_left(report::count_text(result.runs_with_fault[i]), 9),
                           paint(report::Ink::dim, facts.sentence));
    }
    out += paint(report::Ink::bold,
                 "checkers: how often asked, excused by a fault, and how many runs failed") +
           '\n';
    for (std::size_t i = 0; i < sim::kChecks; ++i) {
        const auto check = static_cast<sim::Check>(i);
        out += fmt::format("  {}  {}  {}  {}  {}\n", report::pad_right(to_string(check), 20),
                           report::pad_left(report::count_text(result.asked[i]), 12),
                           report::pad_left(report::count_text(result.excused[i]), 9),
                           report::pad_left(report::count_text(result.found[i]), 3),
                           paint(report::Ink::dim, sentence(check)));
    }
}

}  // namespace

std::string many_text(const ManyOptions& options, const ManyResult& result, bool color) {
    const report::Paint paint{color};
    std::string out;
    add_counts(out, result, paint);
    out += paint(report::Ink::bold, "runs") + '\n';
    out += fmt::format("  {} from seed {} on, in {:.2f} s on {}\n",
                       report::counted(result.runs, "scenario"), options.first, result.seconds,
                       report::counted(std::max(options.jobs, 1U), "thread"));
    out += fmt::format(
        "  {} scenarios a second ({} for each second of a processor), {} events a second\n",
        report::count_text(static_cast<std::uint64_t>(per(result.runs, result.seconds))),
        report::count_text(static_cast<std::uint64_t>(per(result.runs, result.processor_seconds))),
        report::count_text(static_cast<std::uint64_t>(per(result.events, result.seconds))));
    out += fmt::format("  median scenario: {}, {} of fault\n",
                       report::counted(result.segments_of_run.median(), "segment") + " delivered",
                       report::counted(result.kinds_of_run.median(), "kind"));
    out +=
        fmt::format("  ended at rest {}, at the limit {}\n", report::count_text(result.outcomes[0]),
                    report::count_text(result.outcomes[1]));
    out += fmt::format("  digest {:016x}\n", result.digest);
    for (const FailedSeed& failed : result.failures) {
        out += failure_text(replay_of(options, failed.seed), failed.scenario, failed.played, paint);
    }
    out += result.failed == 0 ? paint(report::Ink::good, "ok") + '\n'
                              : paint(report::Ink::alarm,
                                      fmt::format("{} of {} FAILED", result.failed, result.runs)) +
                                    '\n';
    return out;
}

std::string many_json(const ManyOptions& options, const ManyResult& result) {
    std::string out;
    report::JsonWriter json(out);
    json.begin_object();
    json.boolean("ok", result.failed == 0);
    json.number("first_seed", options.first);
    json.number("scenarios", result.runs);
    json.number("failed", result.failed);
    json.number("threads", std::max(options.jobs, 1U));
    json.number("seconds", result.seconds);
    json.number("processor_seconds", result.processor_seconds);
    json.number("scenarios_per_second", per(result.runs, result.seconds));
    json.number("scenarios_per_processor_second", per(result.runs, result.processor_seconds));
    json.number("events", result.events);
    json.number("events_per_second", per(result.events, result.seconds));
    json.number("segments_delivered", result.segments);
    json.number("median_segments", result.segments_of_run.median());
    json.number("median_fault_kinds", result.kinds_of_run.median());
    json.text("digest", fmt::format("{:016x}", result.digest));
    json.begin_object("outcomes");
    for (std::size_t i = 0; i < result.outcomes.size(); ++i) {
        json.number(outcome_name(static_cast<sim::RunOutcome>(i)), result.outcomes[i]);
    }
    json.end_object();
    json.begin_array("faults");
    for (std::size_t i = 0; i < sim::kFaultKinds; ++i) {
        json.begin_object();
        json.text("kind", to_string(static_cast<sim::FaultKind>(i)));
        json.number("times", result.faults[i]);
        json.number("scenarios", result.runs_with_fault[i]);
        json.end_object();
    }
    json.end_array();
    json.begin_array("checkers");
    for (std::size_t i = 0; i < sim::kChecks; ++i) {
        json.begin_object();
        json.text("checker", to_string(static_cast<sim::Check>(i)));
        json.number("asked", result.asked[i]);
        json.number("excused", result.excused[i]);
        json.number("failed", result.found[i]);
        json.end_object();
    }
    json.end_array();
    json.begin_array("failures");
    for (const FailedSeed& failed : result.failures) {
        json.begin_object();
        json.number("seed", failed.seed);
        write_failure(json, "failure", failed.played);
        json.text("replay", replay_of(options, failed.seed).command);
        json.end_object();
    }
    json.end_array();
    json.end_object();
    return out + '\n';
}

}  // namespace runnel::sim_command
