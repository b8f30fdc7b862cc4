// The lessons: what TCP tutorials claim, each played twice, with the rule and with it broken.
#pragma once

#include <span>
#include <string_view>

#include "runnel/lab/outcome.hpp"

namespace runnel::lab {

struct Lesson {
    std::string_view name;    ///< on the command line: "old-duplicate-syn"
    std::string_view title;   ///< one line
    std::string_view claim;   ///< in the tutorials' words
    std::string_view rule;    ///< what the first run shows
    std::string_view broken;  ///< what the second one does, and who is wrong there
    std::string_view see;     ///< what to see: one paragraph
    std::string_view clause;  ///< of the RFCs
    Outcome (*play)(bool rule);
};

/// All of them, in the order in which they are best read.
[[nodiscard]] std::span<const Lesson> lessons();

/// The one with that name, or nothing.
[[nodiscard]] const Lesson* find_lesson(std::string_view name);

}  // namespace runnel::lab
