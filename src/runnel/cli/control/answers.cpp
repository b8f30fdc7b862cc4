// connections, counters, why and trace, each a walk in pieces over the hosts' tables and rings.
#include "runnel/cli/control/answers.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <map>
#include <optional>

#include "runnel/report/connection_filter.hpp"
#include "runnel/report/connection_json.hpp"
#include "runnel/report/decision_report.hpp"
#include "runnel/report/host_gauges.hpp"
#include "runnel/report/tcp_text.hpp"

namespace runnel::control {

namespace {

using report::JsonWriter;
using tcp::ConnectionStatus;

/// Places of a table looked at in one piece, and lines written in one.
constexpr std::uint32_t kPlaces = 64;
constexpr std::size_t kLines = 64;
/// Records of the flight recorder looked at in one piece.
constexpr std::uint64_t kRecords = 1024;
/// Of the connections that `why` names, those that it tells everything about.
constexpr std::size_t kMaxMatches = 16;
constexpr std::size_t kMaxTold = 4;
/// Records of one connection's chain that `why` looks at.
constexpr std::size_t kMaxChain = 4096;
constexpr std::size_t kMaxHistory = 1000;
/// Names of connections that a trace remembers.
constexpr std::size_t kMaxNames = 4096;

void end_line(std::string& out, std::string_view what, std::uint64_t count) {
    JsonWriter json(out);
    json.begin_object();
    json.begin_object("end");
    json.number(what, count);
    json.end_object();
    json.end_object();
    out += '\n';
}

void write_tuple(JsonWriter& json, const FourTuple& tuple) {
    json.text("local", to_string(tuple.local));
    json.text("remote", to_string(tuple.remote));
}

void connection_line(std::string& out, const WatchedHost& from,
                     const ConnectionStatus& connection) {
    JsonWriter json(out);
    json.begin_object();
    json.begin_object("connection");
    json.text("host", from.name);
    report::write_connection(json, connection, from.now());
    json.end_object();
    json.end_object();
    out += '\n';
}

void event_line(std::string& out, const WatchedHost& from, const EventRecord& event,
                std::uint64_t number, const FourTuple* tuple) {
    const DecisionText& text = describe(event.decision);
    JsonWriter json(out);
    json.begin_object();
    json.begin_object("event");
    json.text("host", from.name);
    json.number("number", number);
    json.number("time_ns", event.time.ns);
    json.text("handle", fmt::format("{:x}", event.connection));
    if (tuple != nullptr) {
        write_tuple(json, *tuple);
    }
    if (event.connection != 0 && event.state < tcp::kStateCount) {
        json.text("state", tcp::to_string(static_cast<tcp::State>(event.state)));
    }
    if (event.flags != 0 || event.length != 0) {
        json.begin_object("segment");
        json.boolean("inbound", event.inbound != 0);
        json.text("flags", report::flags_text(TcpFlags{event.flags}));
        json.number("seq", event.seq);
        json.number("ack", event.ack);
        json.number("window", event.window);
        json.number("length", event.length);
        json.end_object();
    }
    json.text("decision", text.name);
    json.text("kind", report::verb(text.kind));
    json.text("sentence", text.sentence);
    json.text("clause", text.clause);
    json.number("value", event.value);
    json.end_object();
    json.end_object();
    out += '\n';
}

/// Host after host, table after table.
class Walk {
public:
    explicit Walk(const Watched& watched) : watched_(watched) {}

    /// `f(host, connection)` for those in the next places; false when that was all.
    template <class F>
    bool next(F&& f) {
        if (host_ >= watched_.hosts.size()) {
            return false;
        }
        const WatchedHost& at = watched_.hosts[host_];
        page_.clear();
        if (!at.host->tcp().snapshot_page(cursor_, kPlaces, page_)) {
            ++host_;
            cursor_ = {};
        }
        for (const ConnectionStatus& connection : page_) {
            f(at, connection);
        }
        return host_ < watched_.hosts.size();
    }

private:
    const Watched& watched_;
    std::size_t host_ = 0;
    tcp::SnapshotCursor cursor_;
    std::vector<ConnectionStatus> page_;
};

class Connections : public Answer {
public:
    Connections(const Watched& watched, report::ConnectionFilter filter)
        : walk_(watched), filter_(std::move(filter)) {}

    Step next(std::string& out) override {
        const bool more = walk_.next([&](const WatchedHost& from, const ConnectionStatus& one) {
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
        JsonWriter json(out);
        json.begin_object();
        json.begin_object("gauge");
        json.text("host", at.name);
        json.text("name", gauge.name);
        json.number("value", gauge.value);
        if (gauge.limit != 0) {
            json.number("limit", gauge.limit);
        }
        json.boolean("counter", gauge.counts);
        json.text("sentence", gauge.sentence);
        json.end_object();
        json.end_object();
        out += '\n';
        ++count_;
    }
    void write(std::string& out, const WatchedHost& at, Decision decision, std::uint64_t count) {
        const DecisionText& text = describe(decision);
        JsonWriter json(out);
        json.begin_object();
        json.begin_object("counter");
        json.text("host", at.name);
        json.text("name", text.name);
        json.text("kind", report::verb(text.kind));
        json.number("count", count);
        json.text("sentence", text.sentence);
        json.text("clause", text.clause);
        json.end_object();
        json.end_object();
        out += '\n';
        ++count_;
    }

    const Watched& watched_;
    bool all_;
    std::size_t host_ = 0;
    std::size_t decision_ = 0;
    std::uint64_t count_ = 0;
};

/// First every connection of that name; then, of the best ones, what was decided last.
class Why : public Answer {
public:
    Why(const Watched& watched, report::ConnectionName name, std::size_t history)
        : watched_(watched), walk_(watched), name_(std::move(name)), history_(history) {}

    Step next(std::string& out) override {
        if (searching_) {
            search();
            return Step::more;
        }
        if (told_ < matches_.size() && told_ < kMaxTold) {
            tell(matches_[told_], out);
            return Step::more;
        }
        end_line(out, "matches", count_);
        return Step::end;
    }

private:
    struct Match {
        const WatchedHost* from;
        ConnectionStatus status;
        std::uint64_t at = 0;  ///< number of the record to be told next, from the newest back
        bool ended = false;
        Errc error = Errc::ok;
        bool begun = false;
        std::size_t chain = 0;
        std::size_t events = 0;
        std::map<Decision, std::pair<std::uint64_t, Instant>> drops = {};
    };

    void search() {
        searching_ = walk_.next([&](const WatchedHost& from, const ConnectionStatus& one) {
            if (name_.matches(one.tuple, one.handle)) {
                keep({&from, one, one.last_event});
            }
        });
        if (!searching_) {
            for (const WatchedHost& from : watched_.hosts) {
                search_ended(from);
            }
            prefer();
        }
    }
    /// What has ended: the chain of a TIME-WAIT entry, or connections that are gone.
    void search_ended(const WatchedHost& from) {
        const tcp::EndedConnection* one = nullptr;
        for (std::size_t back = 0; (one = from.host->tcp().ended(back)) != nullptr; ++back) {
            if (!name_.matches(one->tuple, one->handle)) {
                continue;
            }
            const auto same =
                std::find_if(matches_.begin(), matches_.end(), [&](const Match& match) {
                    return match.from == &from && match.status.tuple == one->tuple &&
                           match.status.state != tcp::State::listen;
                });
            if (same != matches_.end()) {
                if (same->status.state == tcp::State::time_wait && same->at == 0) {
                    same->at = same->status.last_event = one->last_event;
                }
                continue;
            }
            Match match{&from, {}, one->last_event};
            match.status.tuple = one->tuple;
            match.status.handle = one->handle;
            match.status.last_event = one->last_event;
            match.ended = true;
            match.error = one->error;
            keep(std::move(match));
        }
    }
    /// Live ones before TIME-WAIT, listeners, and those that are gone.
    static int rank(const Match& match) {
        if (match.ended) {
            return 3;
        }
        if (match.status.state == tcp::State::listen) {
            return 2;
        }
        return match.status.state == tcp::State::time_wait ? 1 : 0;
    }
    void keep(Match match) {
        best_ = std::min(best_, rank(match));
        ++counts_[rank(match)];
        const auto of_rank = std::count_if(matches_.begin(), matches_.end(), [&](const Match& one) {
            return rank(one) == rank(match);
        });
        if (static_cast<std::size_t>(of_rank) < kMaxMatches) {
            matches_.push_back(std::move(match));
        }
    }
    void prefer() {
        std::erase_if(matches_, [&](const Match& match) { return rank(match) != best_; });
        count_ = matches_.empty() ? 0 : counts_[best_];
    }

    void tell(Match& match, std::string& out) {
        if (!match.begun) {
            match.begun = true;
            tell_status(match, out);
        }
        const FlightRecorder& recorder = match.from->host->recorder();
        for (std::size_t i = 0; i < kLines; ++i) {
            const EventRecord* event = recorder.find(match.at);
            if (event == nullptr || match.chain >= kMaxChain) {
                finish(match, out);
                return;
            }
            if (match.events < history_) {
                event_line(out, *match.from, *event, match.at, &match.status.tuple);
                ++match.events;
            }
            if (describe(event->decision).kind == DecisionKind::drop) {
                auto& [count, last] = match.drops[event->decision];
                last = count++ == 0 ? event->time : last;
            }
            ++match.chain;
            match.at = event->previous;
        }
    }
    void tell_status(const Match& match, std::string& out) {
        if (!match.ended) {
            connection_line(out, *match.from, match.status);
            return;
        }
        JsonWriter json(out);
        json.begin_object();
        json.begin_object("ended");
        json.text("host", match.from->name);
        write_tuple(json, match.status.tuple);
        json.text("handle", fmt::format("{:x}", match.status.handle));
        json.text("error", match.error == Errc::ok ? "" : errno_name(match.error));
        json.end_object();
        json.end_object();
        out += '\n';
    }
    void finish(const Match& match, std::string& out) {
        for (const auto& [decision, seen] : match.drops) {
            JsonWriter json(out);
            json.begin_object();
            json.begin_object("dropped");
            json.text("decision", describe(decision).name);
            json.number("count", seen.first);
            json.number("last_ns", seen.second.ns);
            json.text("sentence", describe(decision).sentence);
            json.text("clause", describe(decision).clause);
            json.end_object();
            json.end_object();
            out += '\n';
        }
        JsonWriter json(out);
        json.begin_object();
        json.begin_object("told");
        json.number("now_ns", match.from->now().ns);
        json.number("records", match.chain);
        json.boolean("complete", match.at == 0);
        json.end_object();
        json.end_object();
        out += '\n';
        ++told_;
    }

    const Watched& watched_;
    Walk walk_;
    report::ConnectionName name_;
    std::size_t history_;
    bool searching_ = true;
    std::vector<Match> matches_;
    std::uint64_t counts_[4] = {};
    std::uint64_t count_ = 0;
    int best_ = 3;
    std::size_t told_ = 0;
};

/// Follows the recorders' rings. A reader who is too slow, or a host that is too busy, loses the oldest.
class Trace : public Answer {
public:
    struct Wanted {
        std::optional<report::ConnectionName> name;
        std::optional<Decision> decision;
        bool drops = false;
    };

    Trace(const Watched& watched, Wanted wanted) : watched_(watched), wanted_(std::move(wanted)) {
        for (const WatchedHost& from : watched.hosts) {
            at_.push_back(from.host->recorder().next_number());
        }
    }

    Step next(std::string& out) override {
        bool more = false;
        for (std::size_t i = 0; i < watched_.hosts.size(); ++i) {
            more = follow(watched_.hosts[i], i, out) || more;
        }
        return more ? Step::more : Step::idle;
    }

private:
    bool follow(const WatchedHost& from, std::size_t host, std::string& out) {
        const FlightRecorder& recorder = from.host->recorder();
        std::uint64_t& at = at_[host];
        if (at < recorder.oldest_number()) {
            JsonWriter json(out);
            json.begin_object();
            json.number("lost", recorder.oldest_number() - at);
            json.end_object();
            out += '\n';
            at = recorder.oldest_number();
        }
        const std::uint64_t end = std::min(recorder.next_number(), at + kRecords);
        std::size_t lines = 0;
        for (; at < end && lines < kLines; ++at) {
            const EventRecord& event = *recorder.find(at);
            const FourTuple* tuple = nullptr;
            if (wants(from, host, event, tuple)) {
                event_line(out, from, event, at, tuple);
                ++lines;
            }
        }
        return at < recorder.next_number();
    }

    bool wants(const WatchedHost& from, std::size_t host, const EventRecord& event,
               const FourTuple*& tuple) {
        if (wanted_.decision && event.decision != *wanted_.decision) {
            return false;
        }
        if (wanted_.drops && describe(event.decision).kind != DecisionKind::drop) {
            return false;
        }
        tuple = event.connection == 0 ? nullptr : name_of(from, host, event.connection);
        return !wanted_.name ||
               (tuple != nullptr && wanted_.name->matches(*tuple, event.connection));
    }

    const FourTuple* name_of(const WatchedHost& from, std::size_t host, std::uint64_t handle) {
        const auto known = names_.find({host, handle});
        if (known != names_.end()) {
            return &known->second;
        }
        auto tuple = from.host->tcp().tuple(tcp::ConnectionHandle::from_packed(handle));
        const tcp::EndedConnection* one = nullptr;
        for (std::size_t back = 0; !tuple && (one = from.host->tcp().ended(back)) != nullptr;
             ++back) {
            if (one->handle == handle) {
                tuple = one->tuple;
            }
        }
        if (!tuple) {
            return nullptr;
        }
        if (ages_.size() >= kMaxNames) {
            names_.erase(ages_.front());
            ages_.pop_front();
        }
        ages_.emplace_back(host, handle);
        return &(names_[{host, handle}] = *tuple);
    }

    using Key = std::pair<std::size_t, std::uint64_t>;
    const Watched& watched_;
    Wanted wanted_;
    std::vector<std::uint64_t> at_;
    std::map<Key, FourTuple> names_;
    std::deque<Key> ages_;
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
    return std::make_unique<Why>(watched, std::move(*name), history);
}

/// drops | decision NAME | connection NAME (the rest of the line)
Made make_trace(const Watched& watched, std::string_view rest) {
    Trace::Wanted wanted;
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
    return std::make_unique<Trace>(watched, std::move(wanted));
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
