// Text of a script to its value. No I/O: the caller has read the file.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runnel/base/result.hpp"
#include "runnel/drill/script.hpp"
#include "runnel/drill/trouble.hpp"

namespace runnel::drill {

/// `-D NAME=VALUE`, in order; a later one wins. A name without a value is defined as nothing.
using Defines = std::vector<std::pair<std::string, std::string>>;

/// The script, or the first thing that is wrong with it. `file` is only for messages. What the language has and
/// Runnel doesn't is no trouble here: it is an UnsupportedPacket, found by first_unsupported().
[[nodiscard]] Result<Script, Trouble> parse_script(std::string_view file, std::string_view text,
                                                   const Defines& defines = {});

/// Why this script has to be skipped, or nothing: an unsupported packet, option or code section.
[[nodiscard]] std::optional<Trouble> first_unsupported(const Script& script);

/// `NAME=VALUE` (or `NAME`) of a command line's -D; false when NAME is no identifier.
[[nodiscard]] bool add_define(std::string_view text, Defines& defines);

}  // namespace runnel::drill
