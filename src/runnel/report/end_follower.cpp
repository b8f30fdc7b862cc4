#include "runnel/report/end_follower.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace runnel::report {

namespace {

using tcp::State;

constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();

bool trusted(const SeenSegment& segment) {
    return segment.checksum != ChecksumState::wrong;
}

// What one end sent, as indices of segments.
struct Sent {
    std::vector<std::size_t> syn;
    std::vector<std::size_t> plain_syn;  // those without ACK
    std::vector<std::size_t> fin;
    std::vector<std::size_t> retransmission;  // of anything
    std::vector<std::size_t> living;          // everything but resets
    std::int64_t fin_end = 0;                 // the number after its FIN
};

// Whether the sender of `answer` may have got `sent` by then: its echo isn't older (RFC 7323 §4.3). Without
// timestamps it may.
bool may_have_heard(const SeenSegment& answer, const SeenSegment& sent) {
    const auto& echo = answer.header.options.timestamps;
    const auto& value = sent.header.options.timestamps;
    if (!echo || !value || !answer.header.flags.ack()) {
        return true;
    }
    const std::uint32_t ahead = value->value - echo->echo;
    return ahead == 0 || ahead >= 0x8000'0000U;
}

std::size_t last_before(const std::vector<std::size_t>& indices, std::size_t limit) {
    const auto after = std::lower_bound(indices.begin(), indices.end(), limit);
    return after == indices.begin() ? kNever : *(after - 1);
}

std::size_t first_after(const std::vector<std::size_t>& indices, std::size_t limit) {
    const auto after = std::upper_bound(indices.begin(), indices.end(), limit);
    return after == indices.end() ? kNever : *after;
}

// When each end's SYN and FIN arrived, and when the acknowledgements of them did, as indices of segments:
// found beforehand by looking at what came later. kNever where nothing shows that it happened.
class Evidence {
public:
    explicit Evidence(std::span<const SeenSegment> segments) : segments_(segments) {
        collect();
        for (const End end : {End::left, End::right}) {
            const std::size_t i = index_of(end);
            syn_arrival_[i] = find_syn_arrival(end);
            fin_arrival_[i] = find_fin_arrival(end);
            syn_ack_arrival_[i] = acknowledgement_arrival(end, sent_[i].syn, 1);
            fin_ack_arrival_[i] = acknowledgement_arrival(end, sent_[i].fin, sent_[i].fin_end);
            // In a simultaneous open the ACK of the SYN may cross the SYN,ACK, which then isn't sent
            // for the lack of it (RFC 9293 §3.5, figure 7).
            if (syn_ack_arrival_[i] == kNever && !sent_[i].plain_syn.empty()) {
                const std::size_t crossing = acknowledging(end, 1);
                if (crossing != kNever && crossing > sent_[i].plain_syn.back()) {
                    syn_ack_arrival_[i] = std::max(crossing, sent_[i].syn.back());
                }
            }
        }
    }

    [[nodiscard]] std::size_t syn_arrival(End end) const { return syn_arrival_[index_of(end)]; }
    [[nodiscard]] std::size_t fin_arrival(End end) const { return fin_arrival_[index_of(end)]; }
    [[nodiscard]] std::size_t syn_ack_arrival(End end) const {
        return syn_ack_arrival_[index_of(end)];
    }
    [[nodiscard]] std::size_t fin_ack_arrival(End end) const {
        return fin_ack_arrival_[index_of(end)];
    }
    /// Whether `end` sends something that is no reset after the segment at `index`.
    [[nodiscard]] bool lives_after(End end, std::size_t index) const {
        return first_after(sent_[index_of(end)].living, index) != kNever;
    }
    /// A reset is taken when its number is the one expected next, or when its receiver fell silent after
    /// it (RFC 9293 §3.10.7.4, RFC 5961 §3.2).
    [[nodiscard]] bool reset_arrives(std::size_t index) const {
        const SeenSegment& reset = segments_[index];
        return !lives_after(other(reset.from), index) || expected_[index] == reset.seq;
    }

private:
    void collect() {
        std::array<std::int64_t, 2> highest = {std::numeric_limits<std::int64_t>::min(),
                                               std::numeric_limits<std::int64_t>::min()};
        std::array<std::optional<std::int64_t>, 2> acknowledged;  // the latest ACK sent by an end
        expected_.resize(segments_.size());
        for (std::size_t i = 0; i < segments_.size(); ++i) {
            const SeenSegment& segment = segments_[i];
            const std::size_t from = index_of(segment.from);
            const TcpFlags flags = segment.header.flags;
            expected_[i] = acknowledged[index_of(other(segment.from))];
            if (!trusted(segment) || flags.rst()) {
                continue;
            }
            Sent& sent = sent_[from];
            sent.living.push_back(i);
            if (segment.length() != 0 && segment.end() <= highest[from]) {
                sent.retransmission.push_back(i);
            }
            highest[from] = std::max(highest[from], segment.end());
            if (flags.syn() && segment.seq == 0) {
                sent.syn.push_back(i);
                if (!flags.ack()) {
                    sent.plain_syn.push_back(i);
                }
            }
            if (flags.fin()) {
                sent.fin.push_back(i);
                sent.fin_end = segment.end();
            }
            if (flags.ack()) {
                acknowledged[from] = segment.ack;
            }
        }
    }

    static bool acknowledges(const SeenSegment& segment, std::int64_t number) {
        return segment.header.flags.ack() && segment.ack >= number;
    }

    // The first segment of `end`'s peer that acknowledges up to `number`; a reset may do that too.
    std::size_t acknowledging(End end, std::int64_t number) const {
        for (std::size_t i = 0; i < segments_.size(); ++i) {
            const SeenSegment& segment = segments_[i];
            if (segment.from != end && trusted(segment) && acknowledges(segment, number)) {
                return i;
            }
        }
        return kNever;
    }

    // What `end` sent at `transmitted` arrived before the peer's segment at `answer`, and after the peer's
    // segment before that, which didn't acknowledge it yet. That is when it was sent, or (they crossed)
    // with the next segment of `end`'s, or else right before the answer.
    std::size_t between(End end, std::size_t transmitted, std::size_t answer) const {
        const std::size_t silent = last_before(sent_[index_of(other(end))].living, answer);
        if (silent == kNever || transmitted > silent) {
            return transmitted;
        }
        return std::min(first_after(sent_[index_of(end)].living, silent), answer);
    }

    // The last of `transmissions` before the answer that its sender can have got; the last at all where the
    // timestamps deny all of them (they follow the acknowledged, RFC 7323 §4.3).
    std::size_t last_heard(const std::vector<std::size_t>& transmissions,
                           std::size_t answer) const {
        const auto end = std::lower_bound(transmissions.begin(), transmissions.end(), answer);
        for (auto at = end; at != transmissions.begin();) {
            if (may_have_heard(segments_[answer], segments_[*--at])) {
                return *at;
            }
        }
        return last_before(transmissions, answer);
    }

    std::size_t find_syn_arrival(End end) const {
        const Sent& sent = sent_[index_of(end)];
        const std::size_t answer = acknowledging(end, 1);
        if (answer == kNever) {
            return kNever;
        }
        // A SYN,ACK answers a bare SYN, also when both ends sent one (simultaneous open).
        const bool answers_bare = segments_[answer].header.flags.syn();
        const std::size_t transmitted =
            last_heard(answers_bare ? sent.plain_syn : sent.syn, answer);
        return transmitted == kNever ? kNever : between(end, transmitted, answer);
    }

    std::size_t find_fin_arrival(End end) const {
        const Sent& sent = sent_[index_of(end)];
        const std::size_t answer = sent.fin.empty() ? kNever : acknowledging(end, sent.fin_end);
        if (answer == kNever) {
            return kNever;
        }
        std::size_t transmitted = last_heard(sent.fin, answer);
        if (transmitted == kNever) {
            return kNever;
        }
        // Where something before it was missing, it counts when that is filled.
        const std::size_t filled = last_before(sent.retransmission, answer);
        if (filled != kNever && may_have_heard(segments_[answer], segments_[filled])) {
            transmitted = std::max(transmitted, filled);
        }
        return between(end, transmitted, answer);
    }

    // The first acknowledgement after the last time that `end` sent what it acknowledges: the earlier ones
    // didn't arrive, or `end` would not have sent it again.
    std::size_t acknowledgement_arrival(End end, const std::vector<std::size_t>& transmissions,
                                        std::int64_t number) const {
        if (transmissions.empty()) {
            return kNever;
        }
        const std::vector<std::size_t>& peer = sent_[index_of(other(end))].living;
        for (auto i = std::upper_bound(peer.begin(), peer.end(), transmissions.back());
             i != peer.end(); ++i) {
            if (acknowledges(segments_[*i], number)) {
                return *i;
            }
        }
        // One that crossed the last transmission may have arrived after that was sent.
        const std::size_t last = transmissions.back();
        const std::size_t crossing = last_before(peer, last);
        const bool crossed = crossing != kNever && acknowledges(segments_[crossing], number) &&
                             !may_have_heard(segments_[last], segments_[crossing]);
        return crossed ? last : kNever;
    }

    std::span<const SeenSegment> segments_;
    std::array<Sent, 2> sent_;
    std::array<std::size_t, 2> syn_arrival_{}, fin_arrival_{}, syn_ack_arrival_{},
        fin_ack_arrival_{};
    std::vector<std::optional<std::int64_t>> expected_;  // by a segment's receiver, before it
};

// What the ends are before the first segment, from what they do later.
std::optional<State> initial_state(End end, std::span<const SeenSegment> segments) {
    const bool from_the_start = !segments.empty() && segments.front().header.flags.syn();
    for (const SeenSegment& segment : segments) {
        const TcpFlags flags = segment.header.flags;
        if (!trusted(segment) || segment.from != end) {
            continue;
        }
        if (flags.rst()) {
            return from_the_start ? State::closed : std::optional<State>();
        }
        if (flags.syn()) {
            // Answering a SYN with SYN,ACK is what a listener does; sending one is opening actively.
            return flags.ack() ? State::listen : State::closed;
        }
        return State::established;
    }
    return std::nullopt;
}

}  // namespace

void EndFollower::sent(TcpFlags flags, bool with_payload) {
    if (flags.rst()) {
        state_ = State::closed;
        return;
    }
    if (flags.syn()) {
        if (!state_ || *state_ == State::closed || *state_ == State::listen ||
            *state_ == State::syn_sent) {
            state_ = flags.ack() ? State::syn_received : State::syn_sent;
        }
        return;
    }
    if (flags.fin()) {
        if (state_ == State::close_wait) {
            state_ = State::last_ack;
        } else if (!state_ || *state_ == State::established || *state_ == State::syn_received) {
            state_ = State::fin_wait_1;
        }
        return;
    }
    // Without SYN and FIN, data come from synchronized states only, and ACKs from SYN-RECEIVED too.
    if (!state_ || *state_ == State::listen || (*state_ == State::syn_sent && flags.ack()) ||
        (*state_ == State::syn_received && with_payload)) {
        state_ = State::established;
    }
}

void EndFollower::syn_arrived(bool acceptable_ack) {
    if (state_ == State::syn_sent) {
        state_ = acceptable_ack ? State::established : State::syn_received;
    } else if (state_ == State::listen) {
        state_ = State::syn_received;
    }
}

void EndFollower::syn_acknowledged() {
    if (state_ == State::syn_received) {
        state_ = State::established;
    }
}

void EndFollower::fin_acknowledged() {
    if (state_ == State::fin_wait_1) {
        state_ = State::fin_wait_2;
    } else if (state_ == State::closing) {
        state_ = State::time_wait;
    } else if (state_ == State::last_ack) {
        state_ = State::closed;
    }
}

void EndFollower::fin_arrived() {
    if (state_ == State::established || state_ == State::syn_received) {
        state_ = State::close_wait;
    } else if (state_ == State::fin_wait_1) {
        state_ = State::closing;
    } else if (state_ == State::fin_wait_2) {
        state_ = State::time_wait;
    }
}

void EndFollower::reset_arrived() {
    if (state_ != State::listen) {
        state_ = State::closed;
    }
}

namespace {

// What the segment at `i` shows to have reached `end`, in the order of RFC 9293 §3.10.7.4: reset, SYN,
// ACK, FIN; a FIN sent before that segment comes first.
void take_arrivals(EndFollower& follower, End end, const Evidence& evidence,
                   std::span<const SeenSegment> segments, std::size_t i) {
    const SeenSegment& segment = segments[i];
    const TcpFlags flags = segment.header.flags;
    if (segment.from != end && flags.rst() && evidence.reset_arrives(i)) {
        follower.reset_arrived();
    }
    if (evidence.syn_arrival(other(end)) == i) {
        // In a simultaneous open a bare SYN may take effect with a later SYN,ACK, whose ACK crossed.
        const bool with_ack = segment.from != end && flags.syn() && flags.ack();
        follower.syn_arrived(with_ack && evidence.syn_ack_arrival(end) <= i);
    }
    const bool fin_arrives = evidence.fin_arrival(other(end)) == i;
    const bool fin_is_older = !(segment.from != end && flags.fin());
    if (fin_arrives && fin_is_older) {
        follower.fin_arrived();
    }
    if (segment.from != end && evidence.syn_ack_arrival(end) == i) {
        follower.syn_acknowledged();
    }
    if (evidence.fin_ack_arrival(end) == i) {
        follower.fin_acknowledged();
    }
    if (fin_arrives && !fin_is_older) {
        follower.fin_arrived();
    }
}

}  // namespace

FollowedStates follow_ends(std::span<const SeenSegment> segments) {
    const Evidence evidence(segments);
    EndFollower ends[2] = {EndFollower(initial_state(End::left, segments)),
                           EndFollower(initial_state(End::right, segments))};
    FollowedStates followed;
    followed.before = {{ends[0].state(), ends[1].state()}};
    followed.after.reserve(segments.size());
    for (std::size_t i = 0; i < segments.size(); ++i) {
        const SeenSegment& segment = segments[i];
        if (trusted(segment)) {
            for (const End end : {End::left, End::right}) {
                take_arrivals(ends[index_of(end)], end, evidence, segments, i);
            }
            EndFollower& sender = ends[index_of(segment.from)];
            // An end that goes on sending was not the one that sent this reset.
            if (!segment.header.flags.rst() || !evidence.lives_after(segment.from, i)) {
                sender.sent(segment.header.flags, segment.payload_size != 0);
            }
            if (evidence.syn_ack_arrival(segment.from) == i) {
                sender.syn_acknowledged();  // it had crossed this segment
            }
        }
        followed.after.push_back({{ends[0].state(), ends[1].state()}});
    }
    return followed;
}

}  // namespace runnel::report
