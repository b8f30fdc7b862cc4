#include "matrix.hpp"

#include <fmt/format.h>

#include <set>

namespace runnel::matrix {

namespace {

using model::Block;
using model::Number;
using model::Outcome;

constexpr std::array<std::uint16_t, 5> kFlags = {TcpFlags::kFin, TcpFlags::kSyn, TcpFlags::kRst,
                                                 TcpFlags::kAck, TcpFlags::kUrg};
constexpr std::string_view kFlagNames = "FSRAU";
constexpr std::array<std::string_view, kSequences> kSequenceNames = {
    "far old",    "just old",          "over left edge", "rcv.nxt",   "inside",
    "over right", "at the right edge", "just beyond",    "far beyond"};
constexpr std::array<std::string_view, kAcknowledgements> kAcknowledgementNames = {
    "far old", "una-1", "una", "inside", "nxt", "nxt+1", "far"};
constexpr std::array<std::uint16_t, kWindows> kPeerWindows = {0, 100, 20'000};

std::size_t payload_size(const Block& b, std::size_t index) {
    switch (index) {
        case 0: return 0;
        case 1: return 1;
        case 2: return 500;
        default: return static_cast<std::size_t>(b.edge - b.rcv_nxt) + 100;
    }
}

Number sequence_of(const Block& b, std::size_t index, std::size_t length) {
    const auto text = static_cast<Number>(length);
    const Number half = std::max<Number>(1, (text + 1) / 2);
    switch (index) {
        case 0: return b.rcv_nxt - (Number{1} << 30);
        case 1: return b.rcv_nxt - text - (length == 0 ? 2 : 1);
        case 2: return b.state == model::State::syn_received ? b.irs : b.rcv_nxt - half;
        case 3: return b.rcv_nxt;
        case 4: return b.rcv_nxt + 10;
        case 5: return b.edge - half;
        case 6: return b.edge;
        case 7: return b.edge + 1;
        default: return b.rcv_nxt + (Number{1} << 31);
    }
}

Number acknowledgement_of(const Block& b, std::size_t index, bool wrap) {
    switch (index) {
        case 0: return b.una - (Number{1} << 30);
        case 1: return b.una - 1;
        case 2: return b.una;
        // In the middle of a segment; in the variant over the wrap, all but the last number (a FIN).
        case 3: return wrap ? std::max(b.una, b.nxt - 1) : std::min(b.una + 300, b.nxt);
        case 4: return b.nxt;
        case 5: return b.nxt + 1;
        default: return b.nxt + (Number{1} << 30);
    }
}

struct Prepared {
    TcpHeader header;
    std::string text;
};

Prepared prepare(const Block& b, const Variant& variant, const Cell& cell) {
    Prepared p;
    for (std::size_t i = 0; i < kFlags.size(); ++i) {
        if ((cell.flags & (std::size_t{1} << i)) != 0) {
            p.header.flags.bits |= kFlags[i];
        }
    }
    const std::size_t length = payload_size(b, cell.payload);
    p.header.seq = {model::wire_number(sequence_of(b, cell.sequence, length))};
    p.header.ack = {model::wire_number(acknowledgement_of(b, cell.acknowledgement, variant.wrap))};
    p.header.window = kPeerWindows[cell.window];
    if (p.header.flags.urg()) {
        p.header.urgent_pointer = 1;
    }
    if (length > 0) {
        p.header.flags.bits |= TcpFlags::kPsh;
    }
    p.text = stream(p.header.seq.value + (p.header.flags.syn() ? 1U : 0U), length);
    if (variant.timestamps) {
        p.header.options.timestamps =
            TcpTimestamps{Bench::kPeerStamp + static_cast<std::uint32_t>(variant.stamp), 0};
    }
    return p;
}

/// The RFC's signals in the sockets' errors. Linux names two of them by the state: ECONNREFUSED where the
/// open fails, EPIPE where the peer had said that it is done.
Errc error_of(model::State before, model::Signal signal) {
    switch (signal) {
        case model::Signal::reset:
            if (before == model::State::syn_sent) {
                return Errc::connection_refused;
            }
            return before == model::State::close_wait ? Errc::broken_pipe : Errc::connection_reset;
        case model::Signal::refused: return Errc::connection_refused;
        default: return Errc::ok;
    }
}

std::string describe_case(Row row, const Variant& variant, const Cell& cell, const Prepared& p) {
    std::string flags;
    for (std::size_t i = 0; i < kFlags.size(); ++i) {
        if ((cell.flags & (std::size_t{1} << i)) != 0) {
            flags += kFlagNames[i];
        }
    }
    return fmt::format("{} [{}] {} seq {} ack {} len {} win {}", name_of(row), variant.name,
                       flags.empty() ? "-" : flags, kSequenceNames[cell.sequence],
                       kAcknowledgementNames[cell.acknowledgement], p.text.size(), p.header.window);
}

std::string describe_replies(const std::vector<model::Reply>& replies) {
    std::string text;
    for (const model::Reply& r : replies) {
        text += (text.empty() ? "" : ", ") + describe(r);
    }
    return text.empty() ? "silence" : text;
}

std::string mismatch(Row row, const Variant& variant, const Cell& cell, const Prepared& p,
                     const Block& before, const model::Outcomes& allowed, const Observed& o) {
    std::string line = describe_case(row, variant, cell, p) + "\n    allowed:";
    for (const Outcome& outcome : allowed) {
        line += fmt::format(" {{{}; {}; timers {}; {} octets; \"{}\"; {}}} ({})",
                            model::name_of(outcome.next.state), describe_replies(outcome.replies),
                            model::names_of_timers(outcome.timers), outcome.delivered.size(),
                            model::name_of(outcome.signal),
                            outcome.clauses.empty() ? "RFC 9293 §3.10.7" : outcome.clauses,
                            difference(before, outcome, o));
    }
    line += fmt::format("\n    engine:  {}; {}; timers {}; {} octets; error {}; urgent {}\n",
                        o.there ? model::name_of(o.state) : "no connection",
                        describe_replies(o.replies), model::names_of_timers(o.timers),
                        o.text.size(), errno_name(o.error), o.urgent);
    return line;
}

}  // namespace

std::string difference(const Block& before, const Outcome& allowed, const Observed& o) {
    const Block& next = allowed.next;
    const bool none = next.state == model::State::closed || next.state == model::State::listen;
    if (o.there == none || (o.there && o.state != next.state)) {
        return "state";
    }
    if (next.state == model::State::listen && !o.listener) {
        return "listener";
    }
    if (o.replies != allowed.replies) {
        return "reply";
    }
    if (o.timers != allowed.timers) {
        return "timers";
    }
    if (o.there && next.state != model::State::time_wait) {
        if (o.una != model::wire_number(next.una) || o.nxt != model::wire_number(next.nxt)) {
            return "snd.una, snd.nxt";
        }
        if (static_cast<Number>(o.wnd) != next.wnd) {
            return fmt::format("snd.wnd {} for {}", o.wnd, next.wnd);
        }
        // What was promised stays (§3.8.6, SHLD-14).
        const Number edge = model::unwrap_number(o.edge, next.edge);
        if (next.state != model::State::syn_sent && edge < next.edge &&
            before.state != model::State::listen && before.state != model::State::time_wait) {
            return "right edge went back";
        }
    }
    if (o.there && o.rcv_nxt != model::wire_number(next.rcv_nxt) &&
        next.state != model::State::syn_sent) {
        return "rcv.nxt";
    }
    const bool reopened =
        before.state == model::State::time_wait && next.state == model::State::syn_received;
    if (!o.has_reader || reopened) {
        return "";
    }
    if (o.text != before.unread + allowed.delivered) {
        return "delivered text";
    }
    if (o.error != error_of(before.state, allowed.signal)) {
        return "error";
    }
    const bool end = next.fin_received || next.state == model::State::closed;
    if (o.readable_end != end) {
        return "end of stream";
    }
    if (o.urgent != allowed.urgent && next.state != model::State::closed) {
        return "urgent";
    }
    return "";
}

Tally run_row(Row row, const Variant& variant, Sample sample) {
    constexpr std::size_t kMostShown = 20;
    std::set<std::size_t> shown;
    static Workshop workshop;
    Tally tally;
    if (!variant.has(row)) {
        return tally;
    }
    Bench first(workshop, row, variant);
    first.reach();
    const Block before = first.block();
    constexpr std::size_t kCells =
        kFlagSets * kSequences * kAcknowledgements * kPayloads * kWindows;
    for (std::size_t i = sample.offset; i < kCells; i += sample.stride) {
        std::size_t rest = i;
        Cell cell;
        cell.window = rest % kWindows;
        rest /= kWindows;
        cell.payload = rest % kPayloads;
        rest /= kPayloads;
        cell.acknowledgement = rest % kAcknowledgements;
        rest /= kAcknowledgements;
        cell.sequence = rest % kSequences;
        cell.flags = rest / kSequences;
        const Prepared p = prepare(before, variant, cell);
        Bench bench(workshop, row, variant);
        bench.reach();
        bench.arrives(p.header, p.text);
        const Observed o = bench.observe();
        Block b = before;
        for (const model::Reply& r : o.replies) {
            if ((r.flags & TcpFlags::kSyn) != 0) {
                b.next_iss = r.seq;  // the generator's choice; what it must be has tests of its own
            }
        }
        const model::Outcomes allowed = model::segment_arrives(b, {p.header, p.text});
        ++tally.cases;
        tally.single += allowed.size() == 1 ? 1U : 0U;
        bool fits = false;
        for (const Outcome& outcome : allowed) {
            fits = fits || difference(b, outcome, o).empty();
        }
        if (fits) {
            continue;
        }
        ++tally.wrong;
        // One of each kind is enough to read.
        const std::size_t kind =
            (cell.flags * kSequences + cell.sequence) * kPayloads + cell.payload;
        if (shown.size() < kMostShown && shown.insert(kind).second) {
            tally.first_wrong += mismatch(row, variant, cell, p, b, allowed, o);
        }
    }
    return tally;
}

}  // namespace runnel::matrix
