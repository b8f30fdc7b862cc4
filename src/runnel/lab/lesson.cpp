#include "runnel/lab/lesson.hpp"

#include <algorithm>
#include <vector>

#include "runnel/lab/lessons/chapters.hpp"

namespace runnel::lab {

std::span<const Lesson> lessons() {
    static const std::vector<Lesson> all = [] {
        std::vector<Lesson> list;
        for (const auto chapter :
             {opening_lessons(), closing_lessons(), time_wait_lessons(), loss_lessons(),
              flow_lessons(), path_lessons(), trouble_lessons()}) {
            list.insert(list.end(), chapter.begin(), chapter.end());
        }
        return list;
    }();
    return all;
}

const Lesson* find_lesson(std::string_view name) {
    const auto all = lessons();
    const auto found = std::ranges::find(all, name, &Lesson::name);
    return found == all.end() ? nullptr : &*found;
}

}  // namespace runnel::lab
