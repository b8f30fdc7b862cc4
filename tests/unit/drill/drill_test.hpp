// What the tests of the language share: scripts and parts of them from text, with the trouble as the failure.
#pragma once

#include <gtest/gtest.h>

#include <string_view>

#include "runnel/drill/parse.hpp"

namespace runnel::drill {

/// A connection that the far end opens: descriptor 4.
inline constexpr std::string_view kOpen =
    "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n"
    "+0 bind(3, ..., ...) = 0\n"
    "+0 listen(3, 1) = 0\n"
    "+.1 < S 0:0(0) win 65535 <mss 1000>\n"
    "+0 > S. 0:0(0) ack 1 <mss 1460>\n"
    "+.1 < . 1:1(0) ack 1 win 65535\n"
    "+0 accept(3, ..., ...) = 4\n";

inline Script parsed(std::string_view text, const Defines& defines = {}, bool must = true) {
    auto script = parse_script("t.pkt", text, defines);
    if (!script) {
        EXPECT_FALSE(must) << script.error().text();
        return {};
    }
    return *std::move(script);
}

/// The whole text of what is wrong with a script.
inline std::string trouble_of(std::string_view text) {
    const auto script = parse_script("t.pkt", text);
    return script ? "no trouble" : script.error().text();
}

/// The packet of `+0 TEXT`, the call of the same.
inline Packet packet_of(std::string_view text) {
    const Script script = parsed("+0 " + std::string(text));
    const auto* packet =
        script.events.empty() ? nullptr : std::get_if<Packet>(&script.events[0].what);
    return packet == nullptr ? Packet{} : *packet;
}
inline Syscall call_of(std::string_view text) {
    const Script script = parsed("+0 " + std::string(text));
    const auto* call =
        script.events.empty() ? nullptr : std::get_if<Syscall>(&script.events[0].what);
    return call == nullptr ? Syscall{} : *call;
}

}  // namespace runnel::drill
