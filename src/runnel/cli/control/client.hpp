// The asking side: every running process of this user is asked the same line, and their answers' lines come
// as they arrive. Blocking; for commands without a host of their own.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "runnel/cli/control/directory.hpp"
#include "runnel/tcp/status.hpp"

namespace CLI {
class App;
}

namespace runnel::control {

/// One process that is asked.
struct Process {
    int pid = 0;
    std::string command;
    std::int64_t unix_epoch_ns = 0;
    std::size_t hosts = 1;
    std::string path;
    std::string error;   ///< it has refused the question
    bool ended = false;  ///< its answer is whole

    /// As the column Process shows it; `host` is named when the process has several.
    [[nodiscard]] std::string users(std::string_view host) const;
};

class Client {
public:
    /// With a line's process and the line; false ends it all.
    using OnLine = std::function<bool(Process&, const boost::json::object&)>;

    /// Connects to all processes, or to that one. Notes about what is not trusted go to stderr.
    explicit Client(std::optional<int> pid);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    [[nodiscard]] bool empty() const { return peers_.empty(); }
    [[nodiscard]] std::size_t size() const { return peers_.size(); }
    /// Asks, and reads until every answer is whole, broken off, or (unless `patience` is zero: an answer
    /// without end, which may break off) silent for `patience`. True when all are whole and none refused; else a sentence each has gone to stderr.
    bool ask(std::string_view question, const OnLine& on_line, std::chrono::milliseconds patience);

private:
    struct Peer;
    bool drain(Peer& peer, const OnLine& on_line, bool& stopped);
    bool take_line(Peer& peer, std::string_view line, const OnLine& on_line, bool& stopped);
    std::vector<std::unique_ptr<Peer>> peers_;
    bool endless_ = false;
};

/// The usual patience of a question that has an end.
inline constexpr std::chrono::milliseconds kAnswerPatience{5000};

/// "no running runnel process …", for commands that find nobody to ask.
[[nodiscard]] std::string nobody_sentence(std::optional<int> pid);

/// The snapshot that a "connection" line carries; its instants count from the moment of the snapshot: now is
/// Instant 0. Missing fields keep their defaults.
[[nodiscard]] tcp::ConnectionStatus read_connection(const boost::json::object& fields);

// Fields of a line, with a default for what is missing or of another kind.
[[nodiscard]] std::string text_of(const boost::json::object& object, std::string_view name);
[[nodiscard]] std::uint64_t number_of(const boost::json::object& object, std::string_view name);
[[nodiscard]] bool truth_of(const boost::json::object& object, std::string_view name);
[[nodiscard]] const boost::json::object* object_of(const boost::json::object& object,
                                                   std::string_view name);

}  // namespace runnel::control
