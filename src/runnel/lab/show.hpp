// A lesson as text for a terminal, and as JSON.
#pragma once

#include <string>
#include <vector>

#include "runnel/lab/lesson.hpp"
#include "runnel/report/ladder.hpp"

namespace runnel::lab {

/// A lesson and both of its runs.
struct Played {
    const Lesson* lesson = nullptr;
    Outcome with;
    Outcome without;
};

[[nodiscard]] Played play(const Lesson& lesson);

/// Title, claim, both ladders, the figures beside each other, what to see. Each reason is told the first time
/// only, in the first run or else the second, unless `style.all`.
[[nodiscard]] std::string lesson_text(const Played& played, const report::LadderStyle& style);
/// The list for people: a line a lesson, in `width` columns.
[[nodiscard]] std::string lesson_list(const report::LadderStyle& style);

/// An array of {"name","title","clause"}.
[[nodiscard]] std::string lesson_list_json();
/// {"name","title","claim","see","clause","with":{"rule","facts":{…},"segments":[…]},"without":{…}}; a segment
/// is that of `runnel ladder --json`.
[[nodiscard]] std::string lesson_json(const Played& played);

/// Both runs as one pcapng, an interface each.
[[nodiscard]] std::vector<std::byte> lesson_capture(const Played& played);

}  // namespace runnel::lab
