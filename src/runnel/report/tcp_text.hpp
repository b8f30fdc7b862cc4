// A segment's control bits and options in the words of RFC 9293 and of IANA's registry.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runnel/wire/tcp_segment.hpp"

namespace runnel::report {

/// "SYN,ACK", "FIN,PSH,ACK", "-" for none; in the order SYN FIN RST PSH URG ACK ECE CWR AE.
[[nodiscard]] std::string flags_text(TcpFlags flags);
/// The name of an option that the engine doesn't understand ("Fast Open", "MPTCP"), or "option N".
[[nodiscard]] std::string option_name(std::uint8_t kind);

}  // namespace runnel::report
