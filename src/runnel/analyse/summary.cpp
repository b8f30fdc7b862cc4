// What a conversation comes to.
#include <fmt/format.h>

#include "runnel/analyse/explain.hpp"
#include "runnel/report/text.hpp"

namespace runnel::analyse {

namespace {

using report::Conversation;
using report::End;
using report::index_of;
using report::SeenSegment;

void join(std::string& text, const std::string& piece) {
    text += (text.empty() ? "" : ", ") + piece;
}

// SYN to the ACK of the SYN,ACK, ns; nothing when one of the three was not seen.
std::optional<std::int64_t> handshake_time(const Conversation& conversation) {
    std::optional<std::int64_t> begin;
    bool answered = false;
    for (const SeenSegment& s : conversation.segments) {
        const TcpFlags flags = s.header.flags;
        if (!trusted(s)) {
            continue;
        }
        if (flags.rst()) {
            return std::nullopt;
        }
        if (flags.syn()) {
            begin = begin ? begin : std::optional(s.time_ns);
            answered = answered || flags.ack();
        } else {
            return begin && answered ? std::optional(s.time_ns - *begin) : std::nullopt;
        }
    }
    return std::nullopt;
}

}  // namespace

std::string verdict_text(const Analysis& analysis) {
    const std::uint64_t violations = analysis.count(Level::violates);
    const std::uint64_t unusual = analysis.count(Level::unusual);
    if (violations + unusual == 0) {
        return "Nothing that a conforming TCP would not do.";
    }
    std::string text;
    if (violations != 0) {
        text = fmt::format("{} of what no conforming TCP does",
                           report::counted(violations, "finding"));
    }
    if (unusual != 0) {
        text += fmt::format("{}{} legal but unusual", text.empty() ? "" : "; ",
                            report::counted(unusual, "finding"));
    }
    return text + ".";
}

std::string handshake_text(const Conversation& conversation, const Analysis& analysis) {
    const auto& left = analysis.agreement.syn[0];
    const auto& right = analysis.agreement.syn[1];
    if (!left && !right) {
        return "not captured";
    }
    if (!left || !right) {
        return fmt::format("half: only the SYN of {} was seen",
                           to_string(conversation.endpoint(left ? End::left : End::right)));
    }
    const auto time = handshake_time(conversation);
    std::string text = time ? fmt::format("complete in {}", report::duration_text({*time}))
                            : std::string("not completed");
    if (!analysis.agreement.known) {
        return text + "; its options were cut off";
    }
    std::string agreed;
    join(agreed,
         fmt::format("MSS {} and {}", analysis.agreement.mss[0], analysis.agreement.mss[1]));
    if (analysis.agreement.scaled) {
        join(agreed, fmt::format("windows times {} and {}", 1U << analysis.agreement.shift[0],
                                 1U << analysis.agreement.shift[1]));
    }
    if (left->options.sack_permitted && right->options.sack_permitted) {
        join(agreed, "SACK");
    }
    if (analysis.agreement.timestamps) {
        join(agreed, "timestamps");
    }
    if (analysis.agreement.ecn) {
        join(agreed, "ECN");
    }
    return text + ": " + agreed;
}

std::string retransmissions_text(const Totals& totals) {
    struct Kind {
        std::uint64_t count;
        std::string_view name;
    };
    const Kind kinds[] = {
        {totals.fast, "on signs of loss"}, {totals.recovery, "in recovery"},
        {totals.timeout, "by the timer"},  {totals.probes, "as a probe"},
        {totals.spurious, "needless"},     {totals.fin, "of the FIN"},
    };
    std::uint64_t all = 0;
    std::string parts;
    for (const Kind& kind : kinds) {
        all += kind.count;
        if (kind.count != 0) {
            join(parts, fmt::format("{} {}", report::count_text(kind.count), kind.name));
        }
    }
    return all == 0 ? "none" : fmt::format("{} ({})", report::count_text(all), parts);
}

}  // namespace runnel::analyse
