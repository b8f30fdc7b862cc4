// The names of everything that `explain` says about a segment or a conversation, each with a sentence, the
// clause it stands on, and how sure and how bad it is. The list is verdicts.def.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace runnel::analyse {

/// From what every TCP does to what no conforming one does.
enum class Level : std::uint8_t {
    ordinary,
    unsure,    ///< the capture doesn't hold what would be needed to judge
    unusual,   ///< against a SHOULD, or legal and seldom seen
    violates,  ///< no conforming TCP does it
};
[[nodiscard]] std::string_view name(Level level);

enum class Verdict : std::uint8_t {
#define RUNNEL_VERDICT(name, level, text, clause) name,
#include "runnel/analyse/verdicts.def"
#undef RUNNEL_VERDICT
    count_,
};

struct VerdictInfo {
    std::string_view name;  ///< as in JSON
    Level level;
    std::string_view text;    ///< with {t}, {b}, {n}, {m}, {c} for figures
    std::string_view clause;  ///< empty where no RFC has a say
};
[[nodiscard]] const VerdictInfo& info(Verdict verdict);

/// A verdict with its figures; what they mean is the verdict's matter (nanoseconds, bytes, numbers).
struct Finding {
    Verdict verdict{};
    std::int64_t value = 0;
    std::int64_t second = 0;
    bool operator==(const Finding&) const = default;
};

/// The sentence with its figures: "fast retransmission after 20.1 ms: …".
[[nodiscard]] std::string sentence(const Finding& finding);

}  // namespace runnel::analyse
