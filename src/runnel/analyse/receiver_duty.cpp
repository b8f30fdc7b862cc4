#include "runnel/analyse/receiver_duty.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "runnel/model/arrival.hpp"
#include "runnel/report/tcp_text.hpp"
#include "runnel/report/text.hpp"

namespace runnel::analyse {

namespace {

using model::Block;
using model::Number;
using report::Conversation;
using report::End;
using report::index_of;
using report::SeenSegment;

/// Alternatives that are told; the reference has few, and the first is the RFC's own.
constexpr std::size_t kMostTold = 3;

model::State model_state(tcp::State state) {
    return static_cast<model::State>(state);
}
static_assert(static_cast<int>(model::State::time_wait) == static_cast<int>(tcp::State::time_wait));
static_assert(static_cast<int>(model::State::syn_sent) == static_cast<int>(tcp::State::syn_sent));

// The number of the wire that is 0 in relative ones.
std::uint32_t base(std::uint32_t wire, std::int64_t relative) {
    return wire - static_cast<std::uint32_t>(static_cast<std::uint64_t>(relative));
}

struct Bases {
    Number sender = 0;    // numbers of the segment's SEQ
    Number receiver = 0;  // and of its ACK
};

Block block_of(const Conversation& conversation, const Analysis& analysis, std::size_t index,
               tcp::State state, const Bases& bases) {
    const SeenSegment& s = conversation.segments[index];
    const Receiver& r = analysis.receivers[index];
    const End receiver = other(s.from);
    Block b;
    b.state = model_state(state);
    b.passive = receiver == End::right;
    b.listening = state == tcp::State::listen;
    b.irs = bases.sender;
    b.rcv_nxt = bases.sender + r.next;
    b.edge = bases.sender + std::max(r.edge, r.next);
    b.iss = bases.receiver;
    // Until it is ESTABLISHED its SYN is what it waits for the ACK of, whatever has crossed.
    const bool opening = state == tcp::State::syn_sent || state == tcp::State::syn_received;
    b.una = bases.receiver + (opening ? 0 : std::min(r.una, r.sent));
    b.nxt = bases.receiver + r.sent;
    b.wnd = static_cast<Number>(r.peer_window);
    b.max_wnd = std::max<Number>(b.wnd, 65'535);
    b.fin_sent = r.fin_sent;
    b.fin_wanted = r.fin_sent;
    b.wl1 = std::min(b.rcv_nxt, bases.sender + s.seq);
    b.wl2 = b.una;
    b.segment_size = std::max<std::int64_t>(analysis.agreement.mss[index_of(receiver)], 1);
    b.timestamps = analysis.agreement.timestamps && r.recent.has_value();
    b.ts_recent = r.recent.value_or(0);
    b.last_ack_sent = b.rcv_nxt;
    b.next_iss = static_cast<std::uint32_t>(model::wire_number(bases.receiver));
    return b;
}

std::string reply_text(const model::Reply& reply, const Bases& bases) {
    const TcpFlags flags{reply.flags};
    const auto relative_ack = model::unwrap_number(reply.ack, bases.sender) - bases.sender;
    if (flags.rst()) {
        return "answers with a reset";
    }
    if (flags.syn()) {
        return "answers " + report::flags_text(flags);
    }
    return fmt::format("acknowledges {}", relative_ack);
}

void join(std::string& text, const std::string& piece) {
    text += (text.empty() ? "" : ", ") + piece;
}

std::string outcome_text(const Block& before, const model::Outcome& outcome, const SeenSegment& s,
                         const Bases& bases) {
    std::string text;
    std::size_t held = 0;
    for (const auto& [number, piece] : outcome.next.held) {
        held += piece.size();
    }
    if (!outcome.delivered.empty()) {
        join(text, "takes " + report::bytes_text(outcome.delivered.size()));
    } else if (held != 0) {
        join(text, fmt::format("holds {} until the gap is filled", report::bytes_text(held)));
    } else if (s.payload_size != 0 && outcome.next.state != model::State::closed) {
        join(text, "takes nothing");
    }
    if (outcome.urgent) {
        join(text, "tells its user of urgent data");
    }
    if (outcome.next.state != before.state) {
        join(text, fmt::format("becomes {}", model::name_of(outcome.next.state)));
    }
    for (const model::Reply& reply : outcome.replies) {
        join(text, reply_text(reply, bases));
    }
    if ((outcome.timers & model::Timers::kDelayedAck) != 0) {
        join(text, "may delay the ACK by up to 500 ms");
    }
    if (text.empty()) {
        text = outcome.next == before ? "drops it" : "notes it";
    }
    return text;
}

}  // namespace

std::string receiver_duty(const Conversation& conversation, const Analysis& analysis,
                          std::size_t index) {
    const SeenSegment& s = conversation.segments[index];
    if (!trusted(s)) {
        return "drops it";
    }
    const report::EndStates& before =
        index == 0 ? analysis.states.before : analysis.states.after[index - 1];
    const auto state = before.of[index_of(other(s.from))];
    if (!state) {
        return {};
    }
    const Receiver& r = analysis.receivers[index];
    const std::optional<SeqNum>& iss = conversation.iss[index_of(other(s.from))];
    if (*state == tcp::State::closed && !r.has_sent && iss) {
        return {};  // it opens actively, and when that began wasn't seen
    }
    Bases bases;
    bases.sender = model::first_number(base(s.header.seq.value, s.seq));
    bases.receiver = model::first_number(s.header.flags.ack() ? base(s.header.ack.value, s.ack)
                                         : iss                ? iss->value
                                                              : 0);
    if (!r.has_sent && s.header.flags.ack() && *state != tcp::State::listen &&
        *state != tcp::State::closed) {
        return {};
    }
    const Block block = block_of(conversation, analysis, index, *state, bases);
    const std::string text(s.payload_size, '.');
    std::vector<std::string> told;
    for (const model::Outcome& outcome : model::segment_arrives(block, {s.header, text})) {
        std::string one = outcome_text(block, outcome, s, bases);
        if (told.size() < kMostTold && std::find(told.begin(), told.end(), one) == told.end()) {
            told.push_back(std::move(one));
        }
    }
    return fmt::format("{}", fmt::join(told, "; or "));
}

}  // namespace runnel::analyse
