// Every user call in every state, against the reference model: RFC 9293 §3.10.1 to §3.10.6.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <cstdio>

#include "matrix.hpp"

namespace runnel::matrix {
namespace {

/// Whether a socket can make this call here: an embryo has no user yet, a listener neither SENDs nor RECEIVEs.
bool can_call(Row row, model::Call call) {
    const bool transfers = call == model::Call::send || call == model::Call::receive;
    if (row == Row::listen) {
        return !transfers;
    }
    const bool opens = call == model::Call::open_active || call == model::Call::open_passive;
    return row != Row::syn_received_passive || opens;
}

/// Sockets say less than the RFC: a second CLOSE is no error to them, which §3.10.4 finds acceptable.
bool same_answer(model::Call call, model::Signal allowed, model::Signal engine) {
    const bool closes =
        call == model::Call::close || call == model::Call::close_both || call == model::Call::abort;
    if (closes && allowed == model::Signal::closing) {
        return engine == model::Signal::closing || engine == model::Signal::ok;
    }
    return allowed == engine;
}

std::string describe_outcome(const model::Outcome& outcome) {
    std::string text = std::string(model::name_of(outcome.next.state)) + ";";
    for (const model::Reply& r : outcome.replies) {
        text += " " + describe(r);
    }
    return text + "; \"" + std::string(model::name_of(outcome.signal)) + "\"; timers " +
           model::names_of_timers(outcome.timers) + "; " + outcome.clauses;
}

struct Count {
    std::size_t cases = 0;
    std::size_t single = 0;
};

void check(Row row, const Variant& variant, model::Call call, std::string_view text, Count& count) {
    Workshop workshop;
    Bench bench(workshop, row, variant);
    bench.reach();
    model::Block before = bench.block();
    const model::Signal answer = bench.call(call, text);
    Observed o = bench.observe();
    for (const model::Reply& r : o.replies) {
        if ((r.flags & TcpFlags::kSyn) != 0) {
            before.next_iss = r.seq;
        }
    }
    const model::Outcomes allowed = model::user_calls(before, call, text);
    ++count.cases;
    count.single += allowed.size() == 1 ? 1U : 0U;
    std::string why;
    for (model::Outcome outcome : allowed) {
        const model::Signal signal = outcome.signal;
        outcome.signal =
            model::Signal::none;  // an answer to the caller, no error of the connection
        const std::string wrong = difference(before, outcome, o);
        if (wrong.empty() && same_answer(call, signal, answer)) {
            return;
        }
        outcome.signal = signal;
        why += "\n    allowed: " + describe_outcome(outcome) + " (" +
               (wrong.empty() ? "answer" : wrong) + ")";
    }
    std::string replies;
    for (const model::Reply& r : o.replies) {
        replies += " " + describe(r);
    }
    ADD_FAILURE() << fmt::format("{} in {} [{}]{}\n    engine: {};{}; \"{}\"; timers {}",
                                 model::name_of(call), name_of(row), variant.name, why,
                                 o.there ? model::name_of(o.state) : "no connection", replies,
                                 model::name_of(answer), model::names_of_timers(o.timers));
}

TEST(Calls, EveryCallInEveryState) {
    constexpr Variant kVariants[] = {
        {.name = "base"},
        {.name = "over the wrap", .wrap = true},
        {.name = "timestamps", .timestamps = true},
        {.name = "unread text, our window closed", .window_zero = true},
        {.name = "a gap", .held = true},
        {.name = "delayed ACKs, keep-alive", .quick_acks = false, .keepalive = true},
    };
    const std::string texts[] = {std::string(300, 'x'), std::string(1200, 'y')};
    Count count;
    for (const Variant& variant : kVariants) {
        for (std::size_t r = 0; r < kRows; ++r) {
            const Row row = static_cast<Row>(r);
            for (std::size_t c = 0; c < static_cast<std::size_t>(model::Call::count_); ++c) {
                const auto call = static_cast<model::Call>(c);
                if (!variant.has(row) || !can_call(row, call)) {
                    continue;
                }
                check(row, variant, call, texts[0], count);
                if (call == model::Call::send) {
                    check(row, variant, call, texts[1], count);
                }
            }
        }
    }
    std::printf("calls: %zu cases, %zu with one outcome\n", count.cases, count.single);
    EXPECT_GE(count.cases, 13u * 6u);
}

}  // namespace
}  // namespace runnel::matrix
