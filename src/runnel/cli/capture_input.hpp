// The capture that a command was given, and those of its conversations that were asked for: what `ladder`
// and `explain` share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/report/capture_reader.hpp"
#include "runnel/report/conversation.hpp"

namespace runnel {

/// Greatest capture that is read, bytes: it is held in memory.
inline constexpr std::uint64_t kMaxCaptureFile = std::uint64_t{4} << 30;

struct CaptureInput {
    int exit_code = 0;             ///< not 0: nothing to show, and it has been said why
    std::vector<std::byte> bytes;  ///< what the capture's views point into
    report::Capture capture;
    report::Conversations found;
    std::vector<const report::Conversation*> chosen;  ///< of `found`

    CaptureInput() = default;
    CaptureInput(CaptureInput&&) = default;
    CaptureInput& operator=(CaptureInput&&) = default;
};

/// Reads `file` ("-": standard input) for `runnel COMMAND`, and chooses by `wanted`: "2" (its number),
/// "10.9.0.1", ":8080", "10.9.0.1:8080", "[fd00::1]:80"; empty: all. Complains to stderr.
[[nodiscard]] CaptureInput read_capture_input(std::string_view command, const std::string& file,
                                              const std::string& wanted);

/// Says on stderr where the capture ends too early or is damaged. The exit code: kExitFailed when damaged.
[[nodiscard]] int tell_capture_problem(std::string_view command, const CaptureInput& input);

}  // namespace runnel
