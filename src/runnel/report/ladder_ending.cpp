// The closing sentence of a ladder: who closed, reset, refused or never answered.
#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "runnel/report/end_follower.hpp"
#include "runnel/report/ladder.hpp"
#include "runnel/report/text.hpp"

namespace runnel::report {

namespace {

using tcp::State;

struct Summary {
    std::optional<End> first_fin;
    std::optional<End> last_reset;
    bool fin[2] = {false, false};
    std::uint64_t syns = 0;  // without ACK, of the left end
    std::int64_t last_syn_ns = 0;
    bool right_sent = false;
    bool handshake = false;  // anything but SYN and RST was sent
};

Summary summarise(const Conversation& conversation) {
    Summary summary;
    for (const SeenSegment& segment : conversation.segments) {
        if (segment.checksum == ChecksumState::wrong) {
            continue;
        }
        const TcpFlags flags = segment.header.flags;
        summary.right_sent |= segment.from == End::right;
        summary.handshake |= !flags.syn() && !flags.rst();
        if (flags.syn() && !flags.ack() && segment.from == End::left) {
            ++summary.syns;
            summary.last_syn_ns = segment.time_ns;
        }
        if (flags.fin()) {
            summary.fin[index_of(segment.from)] = true;
            if (!summary.first_fin) {
                summary.first_fin = segment.from;
            }
        }
        if (flags.rst()) {
            summary.last_reset = segment.from;
        }
    }
    return summary;
}

std::string state_text(std::optional<State> state) {
    return state ? std::string(tcp::to_string(*state)) : "?";
}

}  // namespace

std::string ending_text(const Conversation& conversation) {
    const Summary summary = summarise(conversation);
    const FollowedStates followed = follow_ends(conversation.segments);
    const EndStates& last = followed.after.empty() ? followed.before : followed.after.back();
    const auto name = [&](End end) { return to_string(conversation.endpoint(end)); };
    const auto state = [&](End end) { return last.of[index_of(end)]; };
    if (summary.syns != 0 && !summary.right_sent) {
        std::string text =
            fmt::format("{} never answered: {}", name(End::right), counted(summary.syns, "SYN"));
        if (summary.syns > 1) {
            text += fmt::format(" in {}",
                                duration_text({summary.last_syn_ns - conversation.start_ns()}));
        }
        return text + ".";
    }
    // Of resets only one that ended the connection counts, not the answers to late segments.
    const bool gone = state(End::left) == State::closed && state(End::right) == State::closed;
    if (summary.last_reset && gone && !(summary.fin[0] && summary.fin[1])) {
        const std::string by = name(*summary.last_reset);
        return by + (summary.handshake
                         ? " reset the connection: both ends are CLOSED."
                         : " refused the connection: its answer to the SYN was a reset.");
    }
    if (!summary.first_fin) {
        return "Nobody closed the connection before the capture ended.";
    }
    const End first = *summary.first_fin;
    const End second = other(first);
    if (!summary.fin[index_of(second)]) {
        return fmt::format("{} closed its direction ({}); {} has not closed yet ({}).", name(first),
                           state_text(state(first)), name(second), state_text(state(second)));
    }
    if (state(first) == State::time_wait && state(second) == State::time_wait) {
        return "Both ends closed at once, and both wait in TIME-WAIT.";
    }
    return fmt::format(
        "{} closed first and {} {}; {} is {}.", name(first),
        state(first) == State::time_wait ? "waits in" : "is in", state_text(state(first)),
        name(second),
        state(second) == State::closed ? "CLOSED" : "in " + state_text(state(second)));
}

}  // namespace runnel::report
