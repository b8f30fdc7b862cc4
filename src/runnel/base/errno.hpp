// errno's numbers of user calls' errors. A header of its own: most of the engine has no use for numbers.
#pragma once

#include "runnel/base/result.hpp"

namespace runnel {

/// The errno number of a user call's error; 0 for Errc::ok.
[[nodiscard]] int to_errno(Errc code);

}  // namespace runnel
