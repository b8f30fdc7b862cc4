// A stimulus script: what is done to one TCP ("the subject"), step by step, in words that mean the same to
// Runnel and to the Linux kernel. Segments are given relative to the live connection. The text form, which
// _generate.py writes and people read, is one step a line; see README.md beside this file.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace runnel::differential {

/// A number relative to the live connection: a name the conversation resolves, and an offset.
struct Relative {
    std::string base;  ///< peer, rnxt, edge, iss, una, nxt, or "" for an absolute number
    std::int64_t offset = 0;
};

/// Which timestamps option an injected segment carries.
enum class Stamp : std::uint8_t { automatic, none, forced, old, ahead, zero_echo, bad_echo };

struct SegmentStep {
    std::uint16_t flags = 0;
    Relative seq;
    Relative ack;
    std::uint32_t length = 0;
    bool other_content = false;  ///< octets that differ from what the stream has there
    std::uint32_t window = 65'535;
    bool raw_window = false;  ///< the field as it is, not scaled
    std::uint16_t urgent = 0;
    std::optional<std::uint16_t> mss;
    std::optional<std::uint8_t> scale;
    bool sack_permitted = false;
    Stamp stamp = Stamp::automatic;
    std::vector<std::pair<Relative, Relative>> sack;
    std::vector<std::uint8_t> raw_options;  ///< put behind the others, padded with zeros
    int data_offset = -1;                   ///< in 32-bit words, when it is to lie
    bool bad_checksum = false;
};

struct Step {
    enum class Kind : std::uint8_t { segment, call, wait };
    Kind kind = Kind::call;
    std::string text;  ///< the line
    SegmentStep segment;
    std::vector<std::string> words;  ///< of a call: its name and arguments
    std::int64_t wait_us = 0;
};

struct Script {
    std::uint32_t id = 0;
    bool v6 = false;
    std::vector<Step> steps;
};

/// Scripts as text: "script ID v4|v6", steps, "end". Throws std::runtime_error with the line on nonsense.
std::vector<Script> read_scripts(std::istream& in);

}  // namespace runnel::differential
