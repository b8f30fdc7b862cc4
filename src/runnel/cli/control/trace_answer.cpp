// `trace`: every piece goes on in the ring where the last one ended.
#include <algorithm>
#include <deque>
#include <map>

#include "runnel/cli/control/lines.hpp"

namespace runnel::control {

namespace {

/// Records of the flight recorder looked at in one piece.
constexpr std::uint64_t kRecords = 1024;
/// Names of connections that a trace remembers.
constexpr std::size_t kMaxNames = 4096;

/// Follows the recorders' rings. A reader who is too slow, or a host that is too busy, loses the oldest.
class Trace : public Answer {
public:
    Trace(const Watched& watched, TraceWanted wanted)
        : watched_(watched), wanted_(std::move(wanted)) {
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
    TraceWanted wanted_;
    std::vector<std::uint64_t> at_;
    std::map<Key, FourTuple> names_;
    std::deque<Key> ages_;
};

}  // namespace

std::unique_ptr<Answer> make_trace_answer(const Watched& watched, TraceWanted wanted) {
    return std::make_unique<Trace>(watched, std::move(wanted));
}

}  // namespace runnel::control
