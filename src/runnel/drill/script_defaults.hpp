// The host that scripts are written for which run a `defaults.sh` first: the values of Linux where that file leaves
// them, and its own elsewhere.
#pragma once

#include "runnel/tcp/config.hpp"

namespace runnel::drill {

[[nodiscard]] tcp::TcpConfig script_defaults();

}  // namespace runnel::drill
