// A listener under a SYN flood (RFC 4987): the SYN,ACK that keeps nothing, and the ACK that brings it back.
#include <algorithm>

#include "runnel/tcp/arrival/steps.hpp"
#include "runnel/tcp/ecn/steps.hpp"
#include "runnel/tcp/open/isn.hpp"
#include "runnel/tcp/open/offer.hpp"
#include "runnel/tcp/stack_state.hpp"

namespace runnel::tcp {

void StackState::answer_with_cookie(Listener& listener, const ArrivingSegment& segment,
                                    Instant now) {
    const FourTuple& tuple = segment.tuple;
    const TcpOptions& offered = segment.header.options;
    // RFC 9293 §3.7.1, MUST-15.
    const std::uint16_t without = tuple.local.address.is_v4() ? 536 : 1220;
    const auto cookie =
        cookies_.make(tuple, segment.header.seq, offered.mss.value_or(without), now);
    if (!cookie) {
        return record(Decision::tcp_drop_syn_backlog, segment, now);
    }
    record(Decision::tcp_accept_syn_cookie, segment, now);
    listener.cookies_until = now + SynCookies::kLife;
    const Offer offer = make_offer(tuple, segment.path_mtu, listener.options, config_);
    ControlSegment answer;
    answer.tuple = tuple;
    answer.reason = Decision::tcp_transmit_syn_ack_cookie;
    answer.traffic_class = listener.options.traffic_class;
    answer.hop_limit = listener.options.hop_limit;
    TcpHeader& header = answer.header;
    header.source_port = tuple.local.port;
    header.destination_port = tuple.remote.port;
    header.seq = cookie->isn;
    header.ack = segment.header.seq + 1;
    header.flags.bits = TcpFlags::kSyn | TcpFlags::kAck;
    header.window = offer.syn_window();
    header.options.mss = offer.mss;
    const std::uint8_t mark = segment.traffic_class & 3;
    const EcnMode ecn = judge_ecn_offer(segment.header.flags, mark, listener.options, config_);
    if (ecn == EcnMode::accurate) {
        header.flags.bits |= ecn_syn_ack_flags(ecn, mark);  // RFC 9768 §5.1: the third ACK tells
    }
    // The other options live on only in what the peer's ACK will echo.
    if (config_.timestamps && offered.timestamps) {
        CookieOptions kept;
        if (ecn == EcnMode::classic) {
            kept.ecn = true;
            header.flags.bits |= ecn_syn_ack_flags(ecn, mark);
        }
        kept.sack = config_.sack && offered.sack_permitted;
        if (config_.window_scaling && offered.window_scale) {
            kept.window_scale = std::min<std::uint8_t>(*offered.window_scale, 14);
            header.options.window_scale = offer.scale;
        }
        header.options.sack_permitted = kept.sack;
        const auto clock = static_cast<std::uint32_t>(now.millis());
        header.options.timestamps =
            TcpTimestamps{put_cookie_options(clock, kept) + timestamp_offset(timestamp_key_, tuple),
                          offered.timestamps->value};
    }
    if (const Md5Key* md5 = listener.md5_key(tuple.remote.address)) {
        sign(answer.tuple, header, {}, *md5);
    }
    push_control(answer, now);
}

bool StackState::take_cookie(ListenerHandle handle, ArrivingSegment& segment, Instant now) {
    Listener& listener = *listeners_.find(handle);
    // Only where cookies have been sent lately can an ACK be of one: else a guess costs the peer nothing.
    if (now >= listener.cookies_until || segment.header.flags.syn()) {
        return false;
    }
    const SeqNum irs{segment.header.seq.value - 1};
    const SeqNum iss{segment.header.ack.value - 1};
    const auto mss = cookies_.check(segment.tuple, irs, iss, now);
    if (!mss) {
        return false;
    }
    if (listener.full()) {
        record(Decision::tcp_drop_accept_queue_full, segment, now);
        return true;
    }
    Connection* connection = open(segment.tuple, segment.path_mtu, listener.options, now);
    if (connection == nullptr) {
        record(Decision::tcp_drop_no_memory, segment, now);
        return true;
    }
    record(Decision::tcp_accept_cookie, segment, now);
    // The SYN as it must have been.
    EcnMode ecn = EcnMode::none;
    if (config_.ecn >= 3 && is_accurate_third(segment.header.flags)) {
        ecn = EcnMode::accurate;
    }
    TcpHeader syn;
    syn.seq = irs;
    syn.options.mss = mss;
    if (auto& stamps = segment.header.options.timestamps; stamps && config_.timestamps) {
        const CookieOptions kept =
            take_cookie_options(stamps->echo - connection->tcb.options.ts_offset);
        syn.options.window_scale = kept.window_scale;
        syn.options.sack_permitted = kept.sack;
        // Nobody vouches for that bit: what isn't given to a SYN that asks isn't given here either.
        const TcpFlags asked{TcpFlags::kEce | TcpFlags::kCwr};
        if (kept.ecn &&
            judge_ecn_offer(asked, kNotEct, listener.options, config_) != EcnMode::none) {
            ecn = EcnMode::classic;
        }
        syn.options.timestamps = stamps;
        stamps->echo = 0;  // what carried options measures no round trip
    }
    start_embryo(*connection, handle, syn, now);
    event(*connection, now, [&](Tcb& t, Effects& effects) {
        // Where the SYN,ACK would have left the connection. Nobody knows when it left: no sample (RFC 6298 §3).
        start_at(t, iss);
        t.rcv.right_edge = t.rcv.nxt + std::min<std::uint64_t>(t.receive_limit, 65'535);
        take_ecn_cookie(t, ecn, effects);
        t.state = State::listen;
        effects.enter(t, State::syn_received);
        SentRecord sent{t.snd.iss, t.snd.iss + 1, now, now};
        sent.segment_size = 1;
        sent.transmissions = 2;
        sent.syn = true;
        t.retransmission.sent(sent);
        t.snd.nxt = t.snd.iss + 1;
        t.syn_transmissions = 1;
        Segment third = unwrap_segment(t, segment);
        segment_arrives(t, third, effects);
    });
    return true;
}

}  // namespace runnel::tcp
