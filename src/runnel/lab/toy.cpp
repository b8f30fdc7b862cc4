#include "runnel/lab/toy.hpp"

#include <algorithm>
#include <utility>

#include "runnel/lab/scene.hpp"

namespace runnel::lab {

using tcp::State;

namespace {
constexpr std::uint16_t kFin = TcpFlags::kFin, kSyn = TcpFlags::kSyn, kRst = TcpFlags::kRst,
                        kPsh = TcpFlags::kPsh, kAck = TcpFlags::kAck;
constexpr unsigned kMostTries = 15;
constexpr std::uint32_t kIsnStep = 64'000;  // 4.2BSD's
}  // namespace

// --- the user's calls ------------------------------------------------------------------------------------

void Toy::listen() {
    listening_ = true;
    state_ = State::listen;
}

void Toy::open(std::uint16_t to) {
    begin(State::syn_sent, scene_.at(opposite(side_), to));
    emit(kSyn, iss_);
    set_timer();
}

void Toy::send(std::string_view text) {
    queue_ += text;
    transmit();
}

void Toy::finish() {
    finishing_ = true;
    transmit();
}

void Toy::read(std::size_t most) {
    const std::size_t count = std::min(most, buffer_.size());
    received += buffer_.substr(0, count);
    buffer_.erase(0, count);
    if (count != 0 && window() != announced_) {
        emit_ack();
    }
}

SeqNum Toy::snd_nxt() const {
    const bool fin_counts = fin_sent_ && !fin_acked_ && !habits_.fin_without_number;
    return queue_seq_ + static_cast<std::uint32_t>(sent_ + (fin_counts ? 1 : 0));
}

void Toy::begin(State state, const Endpoint& peer) {
    state_ = state;
    peer_ = peer;
    iss_ = {isn_};
    isn_ += habits_.counts_isn ? kIsnStep : 0;
    queue_seq_ = iss_ + 1;
    sent_ = 0;
    syn_acked_ = finishing_ = fin_sent_ = fin_acked_ = ended = reset_ = false;
    beyond_.clear();
    buffer_.clear();
    fin_at_ = 0;
    tries_ = 0;
}

void Toy::forget() {
    stop_timer();
    queue_.clear();
    sent_ = 0;
    state_ = listening_ ? State::listen : State::closed;
}

// --- a segment arrives -----------------------------------------------------------------------------------

void Toy::on_segment(const Segment& segment, bool checksum_is_right) {
    if (!checksum_is_right && !habits_.ignores_checksum) {
        scene_.remark("the toy drops it: its checksum is wrong");
        return;
    }
    if (state_ == State::listen) {
        return on_listen(segment);
    }
    if (state_ == State::closed || segment.source != peer_) {
        return refuse(segment);
    }
    if (const auto& stamp = segment.header.options.timestamps) {
        ts_recent_ = stamp->value;
    }
    if (state_ == State::syn_sent) {
        return on_syn_sent(segment);
    }
    on_connection(segment);
}

void Toy::refuse(const Segment& segment) {
    if (segment.has(kRst)) {
        return;
    }
    if (habits_.dumb_when_closed) {
        scene_.remark("the toy knows no such connection, and says nothing");
        return;
    }
    scene_.remark("the toy knows no such connection");
    Segment reset{segment.destination, segment.source, {}, {}};
    if (segment.has(kAck)) {
        reset.header.seq = segment.header.ack;
        reset.header.flags.bits = kRst;
    } else {
        reset.header.ack = segment.header.seq + segment.length();
        reset.header.flags.bits = kRst | kAck;
    }
    scene_.send(side_, reset);
}

void Toy::on_listen(const Segment& segment) {
    if (segment.has(kRst)) {
        return;
    }
    if (segment.has(kAck)) {
        return refuse(segment);
    }
    if (!segment.has(kSyn)) {
        return;
    }
    begin(State::syn_received, segment.source);
    irs_ = segment.header.seq;
    rcv_nxt_ = ack_ = irs_ + 1;
    peer_window_ = segment.header.window;
    peer_mss_ = segment.header.options.mss.value_or(536);
    if (const auto& stamp = segment.header.options.timestamps) {
        ts_recent_ = stamp->value;
    }
    if (habits_.opens_at_syn) {
        scene_.remark("the toy believes it at once: ESTABLISHED");
        state_ = State::established;
        syn_acked_ = true;
    }
    emit(kSyn | kAck, iss_);
    set_timer();
    if (habits_.opens_at_syn) {
        take_text(segment);
    }
}

void Toy::on_syn_sent(const Segment& segment) {
    if (segment.has(kAck) && segment.header.ack != iss_ + 1) {
        return refuse(segment);
    }
    if (segment.has(kRst)) {
        reset_ = segment.has(kAck);
        return reset_ ? forget() : void();
    }
    if (!segment.has(kSyn)) {
        return;
    }
    if (!segment.has(kAck) && habits_.no_crossing_syn) {
        scene_.remark("the toy expects a SYN,ACK and throws this away");
        return;
    }
    irs_ = segment.header.seq;
    rcv_nxt_ = ack_ = irs_ + 1;
    peer_window_ = segment.header.window;
    peer_mss_ = segment.header.options.mss.value_or(536);
    if (!segment.has(kAck)) {  // both opened at once (RFC 9293 §3.5, figure 7)
        state_ = State::syn_received;
        emit(kSyn | kAck, iss_);
        return set_timer();
    }
    state_ = State::established;
    syn_acked_ = true;
    stop_timer();
    emit_ack();
    transmit();
}

void Toy::on_connection(const Segment& segment) {
    if (state_ == State::syn_received && segment.has(kAck) && segment.header.ack != iss_ + 1) {
        return refuse(segment);
    }
    if (state_ == State::time_wait) {
        if (segment.has(kFin)) {
            emit_ack();
        }
        return;
    }
    if (!check_reset_and_syn(segment) || !segment.has(kAck)) {
        return;
    }
    check_ack(segment);
    if (state_ == State::closed || state_ == State::listen) {
        return;
    }
    take_text(segment);
    transmit();
}

bool Toy::in_window(const Segment& segment) const {
    const std::int32_t offset = segment.header.seq.offset_from(rcv_nxt_);
    return offset >= 0 && offset < std::max<std::int32_t>(announced_, 1);
}

/// False when that is all there is to the segment.
bool Toy::check_reset_and_syn(const Segment& segment) {
    if (segment.has(kRst)) {
        const bool exact = segment.header.seq == rcv_nxt_;  // RFC 5961 §3.2
        if (exact || (in_window(segment) && habits_.believes_any_reset)) {
            scene_.remark("the toy believes the reset: its connection is gone");
            forget();
            reset_ = true;
        } else if (in_window(segment)) {
            emit_ack();
        }
        return false;
    }
    if (!segment.has(kSyn)) {
        return true;
    }
    if (state_ == State::syn_received && segment.header.seq == irs_) {
        if (segment.has(kAck)) {  // the other half of a simultaneous open
            return true;
        }
        if (habits_.answers_syn_once) {
            scene_.remark("the toy has answered this SYN before, and does not again");
        } else {
            emit(kSyn | kAck, iss_);
        }
        return false;
    }
    if (habits_.syn_resets && in_window(segment)) {
        scene_.remark("the toy takes the SYN for the peer's new beginning, and resets");
        emit(kRst, snd_nxt());
        forget();
        reset_ = true;
    } else {
        emit_ack();  // the challenge of RFC 5961 §4.2
    }
    return false;
}

void Toy::check_ack(const Segment& segment) {
    peer_window_ = segment.header.window;
    if (!syn_acked_ && segment.header.ack.offset_from(iss_) > 0) {
        syn_acked_ = true;
        tries_ = 0;
        stop_timer();
        if (state_ == State::syn_received) {
            state_ = State::established;
        }
    }
    const std::int32_t covered = segment.header.ack.offset_from(queue_seq_);
    const auto of_text = static_cast<std::size_t>(std::max(covered, 0));
    const std::size_t acknowledged = std::min(of_text, sent_);
    if (acknowledged != 0) {
        queue_.erase(0, acknowledged);
        queue_seq_ = queue_seq_ + static_cast<std::uint32_t>(acknowledged);
        sent_ -= acknowledged;
        tries_ = 0;
        stop_timer();
    }
    if (fin_sent_ && !fin_acked_ && sent_ == 0 &&
        (of_text > acknowledged || (habits_.fin_without_number && covered >= 0))) {
        if (habits_.fin_without_number) {
            scene_.remark("the toy takes this for the ACK of its FIN as well");
        }
        fin_acked_ = true;
        queue_seq_ = segment.header.ack;
        stop_timer();
        return on_fin_acknowledged();
    }
    if (sent_ != 0 && acknowledged != 0) {
        set_timer();
    }
}

void Toy::on_fin_acknowledged() {
    if (state_ == State::fin_wait_1) {
        state_ = State::fin_wait_2;
    } else if (state_ == State::closing) {
        state_ = habits_.no_time_wait ? State::closed : State::time_wait;
    } else if (state_ == State::last_ack) {
        forget();
    }
}

void Toy::take_text(const Segment& segment) {
    if (segment.text.empty() && !segment.has(kFin)) {
        return;
    }
    const auto offset = static_cast<std::int64_t>(rcv_nxt_.offset_from(irs_)) +
                        segment.header.seq.offset_from(rcv_nxt_);
    const std::int64_t next = rcv_nxt_.offset_from(irs_);
    const auto end = offset + static_cast<std::int64_t>(segment.text.size());
    const bool beyond_gap = offset > next;
    if (segment.has(kFin)) {
        fin_at_ = static_cast<std::uint64_t>(end);
    }
    if (!segment.text.empty() && end > next && !(beyond_gap && habits_.drops_beyond_gap)) {
        const auto known = static_cast<std::size_t>(std::max<std::int64_t>(next - offset, 0));
        const std::size_t room =
            habits_.buffer - std::min<std::size_t>(buffer_.size(), habits_.buffer);
        beyond_[static_cast<std::uint64_t>(offset) + known] = segment.text.substr(known, room);
    }
    take_in_order();
    if (habits_.acks_latest && beyond_gap) {
        scene_.remark("the toy acknowledges this segment, and with it what it has never got");
        ack_ = segment.header.seq + segment.length();
    }
    if (!ended || !habits_.closes_with_peer) {
        emit_ack();
    }
    check_fin();
}

void Toy::take_in_order() {
    for (auto next = beyond_.begin(); next != beyond_.end(); next = beyond_.erase(next)) {
        const auto expected = static_cast<std::uint64_t>(rcv_nxt_.offset_from(irs_));
        if (next->first > expected) {
            break;
        }
        const std::string_view piece = next->second;
        const std::string_view fresh =
            piece.substr(std::min<std::size_t>(expected - next->first, piece.size()));
        buffer_ += fresh;
        rcv_nxt_ = rcv_nxt_ + static_cast<std::uint32_t>(fresh.size());
    }
    if (!ended && fin_at_ != 0 &&
        fin_at_ == static_cast<std::uint64_t>(rcv_nxt_.offset_from(irs_))) {
        rcv_nxt_ = rcv_nxt_ + 1;
        ended = true;
    }
    if (rcv_nxt_.offset_from(ack_) > 0) {
        ack_ = rcv_nxt_;
    }
    if (reads) {
        received += std::exchange(buffer_, {});
    }
}

void Toy::check_fin() {
    if (!ended) {
        return;
    }
    if (state_ == State::established || state_ == State::syn_received) {
        state_ = State::close_wait;
        finishing_ = finishing_ || habits_.closes_with_peer;
    } else if (state_ == State::fin_wait_1) {
        state_ = State::closing;
    } else if (state_ == State::fin_wait_2) {
        state_ = habits_.no_time_wait ? State::closed : State::time_wait;
        if (habits_.no_time_wait) {
            scene_.remark("the toy does not wait: CLOSED at once");
        }
    }
}

// --- sending ---------------------------------------------------------------------------------------------

std::uint16_t Toy::window() const {
    const auto free = static_cast<std::uint16_t>(
        habits_.buffer - std::min<std::size_t>(buffer_.size(), habits_.buffer));
    // RFC 9293 §3.8.6.2.2: the right edge moves by a segment or half the buffer, not by an octet.
    const auto worth = std::min<std::uint16_t>(habits_.mss, habits_.buffer / 2);
    return habits_.silly_receiver || free >= worth ? free : std::uint16_t{0};
}

void Toy::emit(std::uint16_t flags, SeqNum seq, std::string_view text) {
    Segment segment{scene_.at(side_, habits_.port), peer_, {}, std::string(text)};
    segment.header.flags.bits = flags;
    segment.header.seq = seq;
    segment.header.ack = ack_;
    segment.header.window = announced_ = window();
    if (segment.has(kSyn)) {
        segment.header.options.mss = habits_.mss;
    }
    if (habits_.timestamps) {
        const auto clock = static_cast<std::uint32_t>(scene_.now().millis());
        segment.header.options.timestamps =
            TcpTimestamps{clock, segment.has(kAck) ? ts_recent_ : 0};
    }
    segments_with_text_ += text.empty() ? 0U : 1U;
    scene_.send(side_, segment);
}

void Toy::emit_ack() {
    emit(kAck, snd_nxt());
}

void Toy::transmit() {
    const bool may = state_ == State::established || state_ == State::close_wait ||
                     state_ == State::fin_wait_1 || state_ == State::closing ||
                     state_ == State::last_ack;
    if (!may || (!syn_acked_ && !habits_.opens_at_syn)) {
        return;
    }
    const std::size_t most = std::min<std::size_t>(habits_.mss, peer_mss_);
    while (sent_ < queue_.size()) {
        const std::size_t left = queue_.size() - sent_;
        std::size_t count = std::min(most, left);
        if (!habits_.ignores_window) {
            count = std::min<std::size_t>(
                count, peer_window_ - std::min<std::size_t>(sent_, peer_window_));
            // RFC 9293 §3.8.6.2.1: the sender does not fill a little room while something is in flight.
            const bool little = count < most && count < left;
            if (count == 0 || (little && sent_ != 0 && !habits_.silly_sender)) {
                break;
            }
        }
        const bool last = count == left;
        emit(last ? kPsh | kAck : kAck, queue_seq_ + static_cast<std::uint32_t>(sent_),
             std::string_view(queue_).substr(sent_, count));
        sent_ += count;
        set_timer();
    }
    if (finishing_ && !fin_sent_ && sent_ == queue_.size()) {
        emit(kFin | kAck, queue_seq_ + static_cast<std::uint32_t>(sent_));
        fin_sent_ = true;
        state_ = state_ == State::close_wait ? State::last_ack : State::fin_wait_1;
        set_timer();
        if (habits_.close_is_for_both) {
            scene_.remark("the toy closes both directions at once, and forgets the connection");
            forget();
        }
    }
    if (sent_ == 0 && !queue_.empty() && !habits_.no_probes) {
        set_timer();  // the persist timer (RFC 9293 §3.8.6.1)
    }
}

void Toy::set_timer() {
    if (habits_.never_retransmits) {
        return;
    }
    const std::uint64_t mine = ++timer_;
    const unsigned doublings = habits_.fixed_timer ? 0 : std::min(tries_, 6U);
    scene_.after(habits_.timeout * (std::int64_t{1} << doublings), [this, mine] {
        if (mine == timer_) {
            retransmit();
        }
    });
}

/// What is oldest goes out again.
void Toy::retransmit() {
    if (++tries_ > kMostTries && !habits_.fixed_timer) {
        return forget();
    }
    ++retransmissions_;
    if (state_ == State::syn_sent) {
        emit(kSyn, iss_);
    } else if (!syn_acked_) {
        emit(kSyn | kAck, iss_);
    } else if (!queue_.empty()) {
        // With a closed window this is the probe: one octet beyond it.
        const std::size_t most = std::min<std::size_t>(habits_.mss, peer_mss_);
        const std::size_t count = sent_ == 0 ? 1 : std::min({most, sent_, queue_.size()});
        emit(kAck, queue_seq_, std::string_view(queue_).substr(0, count));
        sent_ = std::max(sent_, count);
    } else if (fin_sent_ && !fin_acked_) {
        emit(kFin | kAck, queue_seq_);
    } else {
        return;
    }
    set_timer();
}

}  // namespace runnel::lab
