// The ladder: a conversation as a sequence chart for a terminal, in the manner of RFC 9293's figures. On
// the left and right the two ends with their states, between them an arrow a segment with its flags, numbers
// and options; beneath it what is remarkable, and the reasons that a capture of Runnel's carries.
#pragma once

#include <cstddef>
#include <string>

#include "runnel/report/capture_reader.hpp"
#include "runnel/report/conversation.hpp"

namespace runnel::report {

inline constexpr std::size_t kLeastLadderWidth = 72;
inline constexpr std::size_t kLadderWidth = 100;

struct LadderStyle {
    std::size_t width = kLadderWidth;  ///< columns; less than kLeastLadderWidth is taken for that
    bool color = false;
    bool ascii = false;           ///< nothing but ASCII, for terminals without UTF-8
    bool all = false;             ///< fold nothing, and show every segment's timestamps
    bool keep_commented = false;  ///< a segment with a comment is never folded away
};

/// The ladder of one conversation of `capture`, with a heading and a closing sentence; lines end in \n.
[[nodiscard]] std::string render_ladder(const Conversation& conversation, const Capture& capture,
                                        const LadderStyle& style);

/// One JSON object a segment or ICMP error, each on a line of its own, nothing folded (docs: the fields are
/// named in ladder_json.cpp).
[[nodiscard]] std::string ladder_json(const Conversation& conversation, const Capture& capture);

/// How the conversation ended, in a sentence: "10.9.0.1:41988 closed first and is in TIME-WAIT; …".
[[nodiscard]] std::string ending_text(const Conversation& conversation);

}  // namespace runnel::report
