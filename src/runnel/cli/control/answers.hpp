// What a control socket is asked and what it answers (docs/control.md): one request line, answered with lines
// of JSON, written in pieces of bounded work so that the hosts' own work never waits long.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/host/host.hpp"

namespace runnel::control {

/// The version of the protocol: the first word of a request is "runnel/1".
inline constexpr int kProtocol = 1;
/// Greatest request line, with its end.
inline constexpr std::size_t kMaxRequest = 4096;

/// A host that can be asked about. Both outlive every answer, or `host` is empty by then.
struct WatchedHost {
    std::string name;
    const Host* host = nullptr;
    std::function<Instant()> now;
};

/// What all answers know about the process.
struct Watched {
    std::string command;             ///< "serve", "demo" …
    std::int64_t unix_epoch_ns = 0;  ///< Unix time at Instant 0
    std::vector<WatchedHost> hosts;
};

enum class Step : std::uint8_t {
    more,  ///< call again
    idle,  ///< nothing now: call again in a while
    end,
};

/// The lines of one answer, in pieces.
class Answer {
public:
    virtual ~Answer() = default;
    /// Appends whole lines to `out`: a bounded piece of work.
    virtual Step next(std::string& out) = 0;
};

/// The answer to a request line (without its end), or the sentence that refuses it. `watched` must outlive
/// the answer.
[[nodiscard]] std::expected<std::unique_ptr<Answer>, std::string> make_answer(
    const Watched& watched, std::string_view request);

/// The first line of every answer.
[[nodiscard]] std::string header_line(const Watched& watched);
/// {"error": sentence}
[[nodiscard]] std::string error_line(std::string_view sentence);

}  // namespace runnel::control
