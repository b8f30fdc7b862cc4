#include "runnel/sim/shrink.hpp"

#include <algorithm>
#include <utility>

namespace runnel::sim {

namespace {

class Shrinker {
public:
    Shrinker(const Scenario& scenario, const StillFails& still_fails, std::uint32_t most_runs)
        : best_(scenario), still_fails_(still_fails), most_runs_(most_runs) {}

    Shrunk run() {
        bool smaller = true;
        while (smaller && runs_ < most_runs_) {
            smaller = false;
            // What takes most away comes first: every later step is then cheaper to try.
            smaller |= remove_parts(&Scenario::flows);
            smaller |= remove_parts(&Scenario::faults);
            smaller |= remove_parts(&Scenario::hosts);
            smaller |= remove_parts(&Scenario::routers);
            smaller |= remove_parts(&Scenario::links);
            smaller |= simplify_all();
        }
        return {std::move(best_), runs_, runs_ < most_runs_};
    }

private:
    /// Takes the candidate when it is another scenario and still fails.
    bool try_out(const Scenario& candidate) {
        if (runs_ >= most_runs_ || candidate == best_) {
            return false;
        }
        ++runs_;
        if (!still_fails_(candidate)) {
            return false;
        }
        best_ = candidate;
        return true;
    }

    /// Halves of the list, then quarters, down to single parts.
    template <class Part>
    bool remove_parts(std::vector<Part> Scenario::* parts) {
        bool removed = false;
        for (std::size_t size = (best_.*parts).size(); size > 0; size /= 2) {
            for (std::size_t at = 0; at < (best_.*parts).size();) {
                Scenario candidate = best_;
                std::vector<Part>& list = candidate.*parts;
                const auto begin = list.begin() + static_cast<std::ptrdiff_t>(at);
                const std::size_t count = std::min(size, list.size() - at);
                list.erase(begin, begin + static_cast<std::ptrdiff_t>(count));
                if (try_out(candidate)) {
                    removed = true;
                } else {
                    at += size;
                }
            }
        }
        return removed;
    }

    /// `change(part)` on each part of the list, one at a time.
    template <class Part, class Change>
    bool change_each(std::vector<Part> Scenario::* parts, Change&& change) {
        bool changed = false;
        for (std::size_t i = 0; i < (best_.*parts).size(); ++i) {
            Scenario candidate = best_;
            change((candidate.*parts)[i]);
            changed |= try_out(candidate);
        }
        return changed;
    }

    /// The field as it is in a default object.
    template <class Part, class Value>
    bool make_ordinary(std::vector<Part> Scenario::* parts, Value Part::* field) {
        return change_each(parts, [&](Part& part) { part.*field = Part{}.*field; });
    }
    template <class Part, class Value>
    bool halve(std::vector<Part> Scenario::* parts, Value Part::* field) {
        bool changed = change_each(parts, [&](Part& part) { part.*field = {}; });
        changed |= change_each(parts, [&](Part& part) { part.*field = half(part.*field); });
        return changed;
    }
    template <class Value>
    static Value half(Value value) {
        return static_cast<Value>(value / 2);
    }

    bool simplify_hosts() {
        constexpr auto kHosts = &Scenario::hosts;
        bool smaller = make_ordinary(kHosts, &HostSpec::knobs);
        for (std::size_t host = 0; host < best_.hosts.size(); ++host) {
            for (std::size_t knob = 0; knob < best_.hosts[host].knobs.size();) {
                Scenario candidate = best_;
                std::vector<Knob>& knobs = candidate.hosts[host].knobs;
                knobs.erase(knobs.begin() + static_cast<std::ptrdiff_t>(knob));
                const bool gone = try_out(candidate);
                knob += gone ? 0 : 1;
                smaller |= gone;
            }
        }
        smaller |= make_ordinary(kHosts, &HostSpec::profile);
        smaller |= make_ordinary(kHosts, &HostSpec::clock_offset);
        smaller |= make_ordinary(kHosts, &HostSpec::clock_skew);
        smaller |= make_ordinary(kHosts, &HostSpec::memory);
        smaller |= make_ordinary(kHosts, &HostSpec::ring);
        smaller |= make_ordinary(kHosts, &HostSpec::batch);
        smaller |= make_ordinary(kHosts, &HostSpec::batch_wait);
        return smaller;
    }

    bool simplify_links() {
        constexpr auto kLinks = &Scenario::links;
        bool smaller = make_ordinary(kLinks, &LinkSpec::way);
        smaller |= make_ordinary(kLinks, &LinkSpec::mtu);
        for (const unsigned way : {0U, 1U}) {
            const auto one = [&](auto WaySpec::* field) {
                return change_each(
                    kLinks, [&](LinkSpec& link) { link.way[way].*field = WaySpec{}.*field; });
            };
            smaller |= one(&WaySpec::jitter);
            smaller |= one(&WaySpec::queue);
            smaller |= one(&WaySpec::ecn);
            smaller |= one(&WaySpec::queue_bytes);
            smaller |= one(&WaySpec::rate);
            smaller |= one(&WaySpec::delay);
        }
        return smaller;
    }

    bool simplify_flows() {
        constexpr auto kFlows = &Scenario::flows;
        bool smaller = make_ordinary(kFlows, &Flow::kind);
        smaller |= make_ordinary(kFlows, &Flow::v6);
        smaller |= make_ordinary(kFlows, &Flow::call);
        smaller |= make_ordinary(kFlows, &Flow::count);
        smaller |= change_each(
            kFlows, [](Flow& flow) { flow.count = std::max(flow.count / 2, std::uint32_t{1}); });
        smaller |= halve(kFlows, &Flow::up);
        smaller |= halve(kFlows, &Flow::down);
        smaller |= halve(kFlows, &Flow::start);
        smaller |= halve(kFlows, &Flow::pause);
        return smaller;
    }

    bool simplify_faults() {
        constexpr auto kFaults = &Scenario::faults;
        bool smaller = halve(kFaults, &Fault::from);
        smaller |= change_each(kFaults, [](Fault& fault) {
            fault.until = fault.from + (fault.until - fault.from) / 2;
        });
        for (const Ways ways : {Ways::forth, Ways::back}) {
            smaller |= change_each(kFaults, [ways](Fault& fault) {
                fault.ways = fault.ways == Ways::both ? ways : fault.ways;
            });
        }
        return smaller;
    }

    bool simplify_all() {
        bool smaller = simplify_flows();
        smaller |= simplify_faults();
        smaller |= simplify_hosts();
        smaller |= simplify_links();
        smaller |= make_ordinary(&Scenario::routers, &RouterSpec::silent);
        return smaller;
    }

    Scenario best_;
    const StillFails& still_fails_;
    std::uint32_t most_runs_;
    std::uint32_t runs_ = 0;
};

}  // namespace

Shrunk shrink(const Scenario& scenario, const StillFails& still_fails, std::uint32_t most_runs) {
    return Shrinker(scenario, still_fails, most_runs).run();
}

}  // namespace runnel::sim
