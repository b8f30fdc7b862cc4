// The chapters of the lab; each is a file of lessons.
#pragma once

#include <span>

#include "runnel/lab/lesson.hpp"

namespace runnel::lab {

[[nodiscard]] std::span<const Lesson> opening_lessons();
[[nodiscard]] std::span<const Lesson> closing_lessons();
[[nodiscard]] std::span<const Lesson> time_wait_lessons();
[[nodiscard]] std::span<const Lesson> loss_lessons();
[[nodiscard]] std::span<const Lesson> flow_lessons();
[[nodiscard]] std::span<const Lesson> path_lessons();
[[nodiscard]] std::span<const Lesson> trouble_lessons();

}  // namespace runnel::lab
