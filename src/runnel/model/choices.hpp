// Where a clause leaves a choice, the model takes every way: an event is run again until each combination
// of alternatives has been seen. So the code reads like the RFC, one path at a time, and answers a set.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runnel/model/block.hpp"

namespace runnel::model {

class Choices {
public:
    /// Whether this run takes the alternative that `clause` allows. Each clause is asked with both answers,
    /// first "no".
    [[nodiscard]] bool take(std::string_view clause) {
        if (at_ == points_.size()) {
            points_.push_back({clause, false});
        }
        return points_[at_++].taken;
    }
    /// Makes ready for the next run; false when all combinations have been seen.
    bool next() {
        at_ = 0;
        while (!points_.empty() && points_.back().taken) {
            points_.pop_back();
        }
        if (points_.empty()) {
            return false;
        }
        points_.back().taken = true;
        return true;
    }
    /// The alternatives that this run has taken.
    [[nodiscard]] std::string taken() const {
        std::string text;
        for (const Point& point : points_) {
            if (point.taken) {
                text += (text.empty() ? "" : "; ") + std::string(point.clause);
            }
        }
        return text;
    }

private:
    struct Point {
        std::string_view clause;
        bool taken;
    };
    std::vector<Point> points_;
    std::size_t at_ = 0;
};

/// The set of outcomes of `run(Choices&) -> Outcome`.
template <class F>
Outcomes explore(F&& run) {
    Outcomes all;
    Choices choices;
    do {
        Outcome outcome = run(choices);
        bool known = false;
        for (const Outcome& other : all) {
            known = known || other.same_as(outcome);
        }
        if (!known) {
            outcome.clauses = choices.taken();
            all.push_back(std::move(outcome));
        }
    } while (choices.next());
    return all;
}

}  // namespace runnel::model
