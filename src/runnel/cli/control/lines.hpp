// The lines of answers, and the walk over all hosts' connections: what the answers of this directory share.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/cli/control/answers.hpp"
#include "runnel/report/connection_filter.hpp"
#include "runnel/report/json_writer.hpp"

namespace runnel::control {

using report::JsonWriter;

/// Places of a table looked at in one piece, and lines written in one.
inline constexpr std::uint32_t kPlaces = 64;
inline constexpr std::size_t kLines = 64;

/// One line of an answer, {kind: {…}}; `fields(json)` writes what is in it.
template <class Fields>
void write_line(std::string& out, std::string_view kind, Fields&& fields) {
    JsonWriter json(out);
    json.begin_object();
    json.begin_object(kind);
    fields(json);
    json.end_object();
    json.end_object();
    out += '\n';
}

/// {"end": {what: count}}, the last line.
void end_line(std::string& out, std::string_view what, std::uint64_t count);
void write_tuple(JsonWriter& json, const FourTuple& tuple);
void connection_line(std::string& out, const WatchedHost& from,
                     const tcp::ConnectionStatus& connection);
/// A record of the flight recorder; `tuple` is nullptr when its connection isn't known.
void event_line(std::string& out, const WatchedHost& from, const EventRecord& event,
                std::uint64_t number, const FourTuple* tuple);

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
        for (const tcp::ConnectionStatus& connection : page_) {
            f(at, connection);
        }
        return host_ < watched_.hosts.size();
    }

private:
    const Watched& watched_;
    std::size_t host_ = 0;
    tcp::SnapshotCursor cursor_;
    std::vector<tcp::ConnectionStatus> page_;
};

/// First every connection of that name; then, of the best ones, the last `history` decisions and all drops.
[[nodiscard]] std::unique_ptr<Answer> make_why_answer(const Watched& watched,
                                                      report::ConnectionName name,
                                                      std::size_t history);

struct TraceWanted {
    std::optional<report::ConnectionName> name;
    std::optional<Decision> decision;
    bool drops = false;
};
/// Every decision from now on, or those that are wanted.
[[nodiscard]] std::unique_ptr<Answer> make_trace_answer(const Watched& watched, TraceWanted wanted);

}  // namespace runnel::control
