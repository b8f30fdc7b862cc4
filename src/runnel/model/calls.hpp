// The user's calls of the reference TCP in every state: RFC 9293 §3.10.1 to §3.10.6.
#pragma once

#include "runnel/model/block.hpp"

namespace runnel::model {

enum class Call : std::uint8_t {
    open_active,
    open_passive,
    send,
    receive,
    close,       ///< no more SENDs; RECEIVE goes on (§3.9.1.4)
    close_both,  ///< the user lets go of the connection altogether, as a socket's close does
    abort,
    status,
    count_,
};
[[nodiscard]] std::string_view name_of(Call call);

/// Everything that a conforming TCP may do at `call`; `text` is what is SENT. The answer to the caller stands
/// in Outcome::signal.
[[nodiscard]] Outcomes user_calls(const Block& block, Call call, std::string_view text = {});

}  // namespace runnel::model
