// What the receiver of a segment should do with it: the reference TCP (room `model`) is given a block with
// what is known of the receiver from outside, and answers with everything that the RFCs allow.
#pragma once

#include <cstddef>
#include <string>

#include "runnel/analyse/analysis.hpp"

namespace runnel::analyse {

/// "takes 1.4 KiB, may delay the ACK", "drops it, acknowledges 3001"; alternatives joined by "; or".
/// Empty where the receiver's state isn't known.
[[nodiscard]] std::string receiver_duty(const report::Conversation& conversation,
                                        const Analysis& analysis, std::size_t index);

}  // namespace runnel::analyse
