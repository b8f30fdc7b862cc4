// The script's calls: at once, or blocking until something happens; their results against what is written.
#include <fmt/format.h>

#include "runnel/drill/evaluate.hpp"
#include "runnel/drill/play.hpp"
#include "runnel/drill/print.hpp"
#include "runnel/drill/symbols.hpp"

namespace runnel::drill {

namespace {

std::string result_text(const Reply& reply) {
    if (reply.value >= 0 || reply.error == 0) {
        return fmt::format("= {}", reply.value);
    }
    return fmt::format("= -1 {} ({})", symbol_name(SymbolGroup::error, reply.error),
                       error_text(reply.error));
}

/// Results are compared by number; -1 by its errno too.
std::vector<std::string> result_differences(const Syscall& syscall, const Reply& reply) {
    std::vector<std::string> found;
    const bool failed = reply.value < 0 && reply.error != 0;
    if (!syscall.error.empty()) {
        if (!failed || errno_number(syscall.error) != reply.error) {
            found.push_back(
                fmt::format("result: expected -1 {}, got {}", syscall.error, result_text(reply)));
        }
    } else if (!syscall.result.is(Expression::Kind::ellipsis)) {
        const auto expected = integer_of(syscall.result);
        if (!expected || failed || *expected != reply.value) {
            found.push_back(
                fmt::format("result: expected {}, got {}",
                            expected ? fmt::format("{}", *expected) : expected.error().message,
                            result_text(reply)));
        }
    }
    found.insert(found.end(), reply.mismatches.begin(), reply.mismatches.end());
    return found;
}

}  // namespace

bool Play::call(const Event& event, const Syscall& syscall) {
    // Scripts have one thread: a call waits for the one before it.
    if (pending_ && !wait_for_pending()) {
        return false;
    }
    if (!advance(window_of(event.time).start)) {
        return false;
    }
    Pending pending;
    pending.state.call = &syscall;
    pending.state.started = machine_->now();
    pending.event = &event;
    pending.end = machine_->now();
    if (event.time.blocks_until) {
        pending.end = (event.time.is_relative() ? previous_ : origin_) + *event.time.blocks_until;
    }
    const Reply reply = calls_->attempt(pending.state);
    pending.wake = reply.wake;
    machine_->flush();
    if (reply.kind == Reply::Kind::blocked) {
        if (!event.time.blocks_until) {
            row(event, machine_->now(), "it blocks", false);
            return fail(event.at, fmt::format("{}() blocks, and the script says it returns at once",
                                              syscall.name));
        }
        pending_ = pending;
        return true;
    }
    pending_ = pending;
    return finish_call(event, syscall, reply);
}

bool Play::try_pending() {
    if (!pending_ || over_) {
        return !over_;
    }
    const Event& event = *pending_->event;
    const Syscall& syscall = *pending_->state.call;
    const Reply reply = calls_->attempt(pending_->state);
    machine_->flush();
    if (reply.kind != Reply::Kind::blocked) {
        return finish_call(event, syscall, reply);
    }
    pending_->wake = reply.wake;
    if (machine_->now() > pending_->end + tolerance_) {
        row(event, machine_->now(), "it still blocks", false);
        return fail(event.at, fmt::format("{}() still blocks at {}", syscall.name,
                                          print(script_time(machine_->now()))));
    }
    return true;
}

bool Play::wait_for_pending() {
    while (pending_ && step(pending_->end + tolerance_ + nanoseconds(1))) {
    }
    return !over_;
}

bool Play::finish_call(const Event& event, const Syscall& syscall, const Reply& reply) {
    const Instant end = pending_->end;
    pending_.reset();
    if (reply.kind == Reply::Kind::skip) {
        return skip(event.at, reply.text);
    }
    if (reply.kind == Reply::Kind::wrong) {
        return fail(event.at, reply.text);
    }
    std::vector<std::string> found = result_differences(syscall, reply);
    const Duration off = machine_->now() > end ? machine_->now() - end : end - machine_->now();
    if (off > tolerance_) {
        found.push_back(fmt::format("it returns at {} instead of {}",
                                    print(script_time(machine_->now())), print(script_time(end))));
    }
    row(event, machine_->now(), result_text(reply), found.empty());
    after_call(syscall);
    calls_->note_readiness();
    if (found.empty() || settings_.non_fatal.syscall) {
        return !over_;
    }
    const std::string reason = found.size() == 1
                                   ? fmt::format("{}(): {}", syscall.name, found.front())
                                   : fmt::format("{}() differs", syscall.name);
    return fail(event.at, reason, std::move(found));
}

/// What a call changes of how packets are understood.
void Play::after_call(const Syscall& syscall) {
    Flow* flow = flows_.current();
    if (syscall.name == "close" && flow != nullptr && calls_->closed_peer() == flow->peer) {
        flow->over = true;
    }
}

}  // namespace runnel::drill
