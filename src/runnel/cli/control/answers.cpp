// Reading of requests; connections and counters, walks in pieces over the hosts' tables.
#include "runnel/cli/control/answers.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "runnel/cli/control/lines.hpp"
#include "runnel/report/decision_report.hpp"
#include "runnel/report/host_gauges.hpp"

namespace runnel::control {

namespace {

/// Records that `why` tells of a connection.
constexpr std::size_t kMaxHistory = 1000;

class Connections : public Answer {
public:
    Connections(const Watched& watched, report::ConnectionFilter filter)
        : walk_(watched), filter_(std::move(filter)) {}

    Step next(std::string& out) override {
        const bool more =
            walk_.next([&](const WatchedHost& from, const tcp::ConnectionStatus& one) {
                if (filter_.matches(one)) {
                    connection_line(out, from, one);
                    ++count_;
                }
            });
        if (more) {
            return Step::more;
        }
        end_line(out, "connections", count_);
        return Step::end;
    }

private:
    Walk walk_;
    report::ConnectionFilter filter_;
    std::uint64_t count_ = 0;
};

class Counters : public Answer {
public:
    Counters(const Watched& watched, bool all) : watched_(watched), all_(all) {}

    Step next(std::string& out) override {
        if (host_ >= watched_.hosts.size()) {
            end_line(out, "counters", count_);
            return Step::end;
        }
        const WatchedHost& at = watched_.hosts[host_];
        if (decision_ == 0) {
            for (const report::Gauge& gauge : report::host_gauges(*at.host)) {
                write(out, at, gauge);
            }
        }
        for (std::size_t lines = 0; lines < kLines && decision_ < kDecisionCount; ++decision_) {
            const auto decision = static_cast<Decision>(decision_);
            const std::uint64_t count = at.host->recorder().count(decision);
            if (count != 0 || all_) {
                write(out, at, decision, count);
                ++lines;
            }
        }
        if (decision_ == kDecisionCount) {
            decision_ = 0;
            ++host_;
        }
        return Step::more;
    }

private:
    void write(std::string& out, const WatchedHost& at, const report::Gauge& gauge) {
        write_line(out, "gauge", [&](JsonWriter& json) {
            json.text("host", at.name);
            json.text("name", gauge.name);
            json.number("value", gauge.value);
            if (gauge.limit != 0) {
                json.number("limit", gauge.limit);
            }
            json.boolean("counter", gauge.counts);
            json.text("sentence", gauge.sentence);
        });
        ++count_;
    }
    void write(std::string& out, const WatchedHost& at, Decision decision, std::uint64_t count) {
        const DecisionText& text = describe(decision);
        write_line(out, "counter", [&](JsonWriter& json) {
            json.text("host", at.name);
            json.text("name", text.name);
            json.text("kind", report::verb(text.kind));
            json.number("count", count);
            json.text("sentence", text.sentence);
            json.text("clause", text.clause);
        });
        ++count_;
    }

    const Watched& watched_;
    bool all_;
    std::size_t host_ = 0;
    std::size_t decision_ = 0;
    std::uint64_t count_ = 0;
};

class Hello : public Answer {
public:
    Step next(std::string& out) override {
        end_line(out, "lines", 0);
        return Step::end;
    }
};

std::string_view take_word(std::string_view& text) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(end);
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    return word;
}

using Made = std::expected<std::unique_ptr<Answer>, std::string>;

Made make_why(const Watched& watched, std::string_view rest) {
    const std::string_view count = take_word(rest);
    std::size_t history = 0;
    const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), history);
    if (error != std::errc() || end != count.data() + count.size() || history > kMaxHistory) {
        return std::unexpected(fmt::format("why COUNT CONNECTION, COUNT at most {}", kMaxHistory));
    }
    auto name = report::ConnectionName::parse(rest);
    if (!name) {
        return std::unexpected(name.error());
    }
    return make_why_answer(watched, std::move(*name), history);
}

/// drops | decision NAME | connection NAME (the rest of the line)
Made make_trace(const Watched& watched, std::string_view rest) {
    TraceWanted wanted;
    while (!rest.empty()) {
        const std::string_view word = take_word(rest);
        if (word == "drops") {
            wanted.drops = true;
        } else if (word == "decision") {
            const std::string_view name = take_word(rest);
            wanted.decision = find_decision(name);
            if (!wanted.decision) {
                return std::unexpected(fmt::format("there is no decision \"{}\"", name));
            }
        } else if (word == "connection") {
            auto name = report::ConnectionName::parse(rest);
            if (!name) {
                return std::unexpected(name.error());
            }
            wanted.name = std::move(*name);
            rest = {};
        } else {
            return std::unexpected(
                fmt::format("trace: \"{}\" is none of drops, decision and connection", word));
        }
    }
    return make_trace_answer(watched, std::move(wanted));
}

}  // namespace

std::string header_line(const Watched& watched) {
    std::string out;
    JsonWriter json(out);
    json.begin_object();
    json.number("runnel", kProtocol);
    json.text("version", RUNNEL_VERSION);
    json.number("pid", ::getpid());
    json.text("command", watched.command);
    json.number("unix_epoch_ns", watched.unix_epoch_ns);
    json.begin_array("hosts");
    for (const WatchedHost& from : watched.hosts) {
        json.text("", from.name);
    }
    json.end_array();
    json.end_object();
    return out + '\n';
}

std::string error_line(std::string_view sentence) {
    std::string out;
    JsonWriter json(out);
    json.begin_object();
    json.text("error", sentence);
    json.end_object();
    return out + '\n';
}

Made make_answer(const Watched& watched, std::string_view request) {
    std::string_view rest = request;
    const std::string_view protocol = take_word(rest);
    if (protocol != fmt::format("runnel/{}", kProtocol)) {
        return std::unexpected(fmt::format("a request begins with runnel/{} (this is runnel {})",
                                           kProtocol, RUNNEL_VERSION));
    }
    const std::string_view verb = take_word(rest);
    if (verb == "hello") {
        return std::make_unique<Hello>();
    }
    if (verb == "connections") {
        auto filter = report::ConnectionFilter::parse(rest);
        if (!filter) {
            return std::unexpected(filter.error());
        }
        return std::make_unique<Connections>(watched, std::move(*filter));
    }
    if (verb == "counters" && (rest.empty() || rest == "all")) {
        return std::make_unique<Counters>(watched, !rest.empty());
    }
    if (verb == "why") {
        return make_why(watched, rest);
    }
    if (verb == "trace") {
        return make_trace(watched, rest);
    }
    return std::unexpected(
        fmt::format("\"{}\" is none of hello, connections, counters [all], why and trace", verb));
}

}  // namespace runnel::control
