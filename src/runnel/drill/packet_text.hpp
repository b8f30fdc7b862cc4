// What the host sent, in the script's own words, so that it can stand beside the line that was expected.
#pragma once

#include <string>

#include "runnel/drill/packet_bytes.hpp"

namespace runnel::drill {

/// "> S. 0:0(0) …", "> udp (1000)", "> icmp …"; its numbers as they are.
[[nodiscard]] std::string text_of(const SeenPacket& seen);

}  // namespace runnel::drill
