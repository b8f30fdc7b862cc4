// Stories whose whole decision trace is compared with a file: what arrived, what left with all its options,
// every decision with its numbers, and the connection as STATUS shows it. The trace is part of the product
// (law 4), so a change in it is a change that someone has to look at.
//
// RUNNEL_WRITE_TRACES=1 story_tests --gtest_filter='Traces.*' writes the files in tests/story/traces anew: read
// the difference, it is the review.
#pragma once

#include <fmt/format.h>

#include <cstdlib>
#include <deque>
#include <fstream>
#include <map>
#include <optional>

#include "story.hpp"

namespace runnel::story {

class Traced : public Story {
public:
    /// A line of the test's own.
    void says(std::string_view text) { lines_.push_back(fmt::format("# {}", text)); }
    /// The peer's segment, and all that follows at once.
    void peer(Seg s) {
        arrives(std::move(s));
        drain(sent());
    }
    /// From now on the peer is this port; each has numbers of its own.
    void from(int port) {
        numbers_[tuple.remote.port] = our_iss;
        tuple.remote.port = static_cast<std::uint16_t>(port);
        our_iss = numbers_[tuple.remote.port];
    }
    /// After a call of the user.
    void then() { drain(sent()); }
    void write(std::string_view text, SendFlags flags = {}) {
        const auto taken = stack().send(connection, as_bytes(text), flags, now);
        says(fmt::format("write {}: {}", text.size(),
                         taken.has_value() ? std::to_string(*taken) : errno_name(taken.error())));
        then();
    }
    void read(std::size_t most = 1 << 20, ReceiveFlags flags = {}) {
        const std::string text = reads(most, flags);
        const bool brief = text.size() <= 20;
        says(fmt::format("read: {}", brief ? text : std::to_string(text.size()) + " octets"));
        then();
    }
    /// Time passes; every deadline in it is kept.
    void passes(Duration d) { drain(wait(d)); }

    /// Our newest TSval, for the peer to echo.
    [[nodiscard]] std::uint32_t stamp() const { return last_stamp_; }

    /// STATUS, every field that is no default.
    void look() {
        const auto found = stack().status(connection);
        if (!found) {
            lines_.emplace_back("= nothing");
            return;
        }
        lines_.push_back("= " + describe_status(*found));
    }
    /// What the user's side shows: readiness, what can be read, and the events since it was last asked.
    void look_ready() {
        static constexpr std::string_view kBits[] = {"readable",    "writable", "urgent",
                                                     "peer closed", "hang-up",  "error"};
        std::string text = "? ";
        for (std::size_t i = 0; i < std::size(kBits); ++i) {
            if ((stack().readiness(connection).bits & (1U << i)) != 0) {
                text += fmt::format("{}, ", kBits[i]);
            }
        }
        std::vector<UserEvent> events;
        stack().take_events(events);
        std::size_t listeners = 0;
        for (const UserEvent& event : events) {
            listeners += event.is_listener ? 1U : 0U;
        }
        lines_.push_back(fmt::format(
            "{}{} octets{}; events {}, of listeners {}", text, stack().readable(connection),
            stack().at_urgent_mark(connection) ? " at the mark" : "", events.size(), listeners));
    }
    /// All there is.
    void look_around() {
        std::vector<ConnectionStatus> all;
        stack().snapshot(all, now);
        for (const ConnectionStatus& s : all) {
            lines_.push_back("* " + describe_status(s));
        }
        lines_.push_back(fmt::format("* {} in all, next timeout {}", all.size(),
                                     since_start(stack().next_timeout())));
    }

    /// The trace so far against tests/story/traces/NAME.txt.
    void matches(const std::string& name);

private:
    [[nodiscard]] std::string since_start(Instant t) const {
        if (t.is_never()) {
            return "never";
        }
        return t < start ? "at once"
                         : fmt::format("{:.6f}", static_cast<double>((t - start).ns) / 1e9);
    }
    [[nodiscard]] std::string describe_status(const ConnectionStatus& s) const;
    [[nodiscard]] std::string describe_options(const Sent& s);
    void drain(std::vector<Sent> all);
    void add_record(const EventRecord& record);

    std::vector<std::string> lines_;
    std::optional<std::uint32_t> first_stamp_;
    std::uint32_t last_stamp_ = 0;
    std::map<std::uint16_t, std::uint32_t> numbers_;
    std::deque<Sent> waiting_;
    std::uint64_t next_record_ = 1;
    std::map<std::uint64_t, std::uint64_t> newest_;  ///< of each connection, to check the chain
};

class Traces : public Traced {
protected:
    void opens(Seg answer = syn_ack(1).mss(1000), ConnectionOptions options = {}) {
        connection =
            stack().connect(tuple.local, tuple.remote, path_mtu, options, now).value_or(connection);
        then();
        pass(milliseconds(50));
        peer(answer);
    }
    void is_opened(Seg opening = syn().mss(1000), ConnectionOptions options = {}) {
        listens(2, options);
        peer(opening);
        pass(milliseconds(20));
        Seg third = ack(1, 1);
        if (opening.options.timestamps) {
            third.ts(opening.options.timestamps->value + 1, stamp());
        }
        peer(third);
        connection = stack().accept(listener, now).value_or(connection);
        then();
    }
    void closes_sending() {
        says("shutdown");
        (void)stack().shutdown_send(connection, now);
        then();
    }
    void closes() {
        says("close");
        stack().close(connection, now);
        then();
    }
    static std::string octets(std::size_t n) { return std::string(n, 'x'); }
};

}  // namespace runnel::story
