// `why`: a walk over the connections by name, then back along the chain of each one's records.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "runnel/cli/control/lines.hpp"

namespace runnel::control {

namespace {

using tcp::ConnectionStatus;

/// Of the connections that are meant, those that are kept, and those that everything is told about.
constexpr std::size_t kMaxMatches = 16;
constexpr std::size_t kMaxTold = 4;
/// Records of one connection's chain that are looked at.
constexpr std::size_t kMaxChain = 4096;

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
        write_line(out, "ended", [&](JsonWriter& json) {
            json.text("host", match.from->name);
            write_tuple(json, match.status.tuple);
            json.text("handle", fmt::format("{:x}", match.status.handle));
            json.text("error", match.error == Errc::ok ? "" : errno_name(match.error));
        });
    }
    void finish(const Match& match, std::string& out) {
        for (const auto& [decision, seen] : match.drops) {
            write_line(out, "dropped", [&](JsonWriter& json) {
                json.text("decision", describe(decision).name);
                json.number("count", seen.first);
                json.number("last_ns", seen.second.ns);
                json.text("sentence", describe(decision).sentence);
                json.text("clause", describe(decision).clause);
            });
        }
        write_line(out, "told", [&](JsonWriter& json) {
            json.number("now_ns", match.from->now().ns);
            json.number("records", match.chain);
            json.boolean("complete", match.at == 0);
        });
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

}  // namespace

std::unique_ptr<Answer> make_why_answer(const Watched& watched, report::ConnectionName name,
                                        std::size_t history) {
    return std::make_unique<Why>(watched, std::move(name), history);
}

}  // namespace runnel::control
