// Scripts as text again: parse_script(…, print(script)) == script, for every script that is_printable().
#pragma once

#include <string>

#include "runnel/drill/script.hpp"

namespace runnel::drill {

/// A whole script, an event a line.
[[nodiscard]] std::string print(const Script& script);

[[nodiscard]] std::string print(const Event& event);
[[nodiscard]] std::string print(const EventTime& time);
[[nodiscard]] std::string print(const Packet& packet);
/// Without direction, marks and ports: `S. 0:0(0) ack 1 win 65535 <mss 1460>`.
[[nodiscard]] std::string print(const TcpPacket& packet);
[[nodiscard]] std::string print(const TcpOption& option);
[[nodiscard]] std::string print(const Syscall& call);
[[nodiscard]] std::string print(const Expression& expression);
/// `S.`, `FP.`, `-`.
[[nodiscard]] std::string print_flags(TcpFlags flags, std::optional<std::uint8_t> ace = {});
/// Seconds, as short as can be: 0.25, 3.
[[nodiscard]] std::string print(Duration duration);

/// Whether the text would be read back as the same script. It is for what the parser made (but for comments in odd
/// places); a program may make what the language can't say, such as an injected segment without a window.
[[nodiscard]] bool is_printable(const Script& script);

}  // namespace runnel::drill
