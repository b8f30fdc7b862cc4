// Control bits, options and SYNs: RFC 9293 §3.1 and §3.5, RFC 7323 §2 and §3, RFC 2018 §2, RFC 3168 §6.
#include "runnel/analyse/judge.hpp"
#include "runnel/base/bytes.hpp"

namespace runnel::analyse {

namespace {

using report::ChecksumState;
using report::End;
using report::index_of;
using report::SeenSegment;
using tcp::State;

void judge_ecn(const Judge& judge) {
    const SeenSegment& s = judge.s();
    const TcpFlags flags = s.header.flags;
    if (s.ecn == 3) {
        judge.add(Verdict::congestion_experienced);
    }
    if (flags.syn()) {
        if (flags.ece() || (flags.bits & TcpFlags::kAe) != 0) {
            judge.add(Verdict::ecn_offered);
        }
        return;
    }
    if (judge.agreement.accurate_ecn) {
        return;  // a number, which neither echoes nor says that anybody has slowed down
    }
    if (judge.agreement.ecn) {
        if (flags.ece()) {
            judge.add(Verdict::congestion_echo);
        }
        if (flags.cwr()) {
            judge.add(Verdict::congestion_reduced);
        }
    } else if (judge.agreement.known && !flags.rst() && (s.ecn != 0 || flags.ece())) {
        judge.add(Verdict::ecn_not_agreed);
    }
}

bool has_option(Bytes options, std::uint8_t wanted) {
    ByteReader reader(options);
    while (reader.remaining() > 0) {
        const std::uint8_t kind = reader.u8();
        if (kind == 0) {
            return false;
        }
        if (kind == 1) {
            continue;
        }
        const std::uint8_t length = reader.u8();
        if (!reader.ok() || length < 2) {
            return false;
        }
        if (kind == wanted) {
            return true;
        }
        reader.skip(length - 2U);
    }
    return false;
}

void judge_timestamps(const Judge& judge) {
    const SeenSegment& s = judge.s();
    const auto& stamps = s.header.options.timestamps;
    const TcpFlags flags = s.header.flags;
    if (judge.agreement.known && !flags.syn() && !flags.rst()) {
        if (stamps && !judge.agreement.timestamps) {
            judge.add(Verdict::timestamps_not_agreed);
        }
        if (!stamps && judge.agreement.timestamps && !s.options_malformed) {
            judge.add(Verdict::timestamps_missing);
        }
    }
    if (!stamps || flags.rst() || flags.syn()) {
        return;
    }
    const Side& own = judge.own();
    const Side& peer = judge.peer();
    if (own.timestamp && newer(*own.timestamp, stamps->value)) {
        // Sent after what it stands behind in the stream, and yet older.
        const bool news = (s.length() != 0 && s.seq >= own.highest) ||
                          (flags.ack() && own.ack && s.ack > *own.ack);
        const std::int64_t since = s.time_ns - own.timestamp_at;
        if (news && (judge.near_sender() || since > judge.disorder())) {
            judge.add(Verdict::timestamps_retreat, *own.timestamp - stamps->value,
                      since / 1'000'000);
            return;
        }
    }
    if (peer.recent && newer(*peer.recent, stamps->value)) {
        judge.add(Verdict::old_timestamp);
    }
}

void judge_syn_options(const Judge& judge) {
    const SeenSegment& s = judge.s();
    const TcpOptions& options = s.header.options;
    if (options.window_scale && *options.window_scale > 14) {
        judge.add(Verdict::scale_too_large, *options.window_scale);
    }
    // The answer to a SYN may carry only what that offered; a SYN,ACK of a simultaneous open may repeat
    // what its sender's own SYN did.
    const auto& asked = judge.agreement.syn[index_of(other(s.from))];
    if (!s.header.flags.ack() || !asked || !asked->readable || judge.own().any) {
        return;
    }
    if (options.window_scale && !asked->options.window_scale) {
        judge.add(Verdict::scale_not_offered);
    }
    if (options.timestamps && !asked->options.timestamps) {
        judge.add(Verdict::timestamps_not_offered);
    }
}

void judge_first_syn(const Judge& judge) {
    const SeenSegment& s = judge.s();
    const Side& own = judge.own();
    const Side& peer = judge.peer();
    if (!s.header.flags.ack()) {
        judge.add(peer.any && peer.highest >= 1 && !peer.ack ? Verdict::syn_simultaneous
                                                             : Verdict::syn);
    } else {
        judge.add(Verdict::syn_ack);
        // With Fast Open the data of the SYN may be acknowledged too.
        const std::int64_t most = peer.any ? peer.highest : s.ack;
        if (peer.any && peer.contiguous >= 1 && (s.ack < 1 || s.ack > most) && !own.ack) {
            judge.add(Verdict::syn_ack_wrong, s.ack);
        }
    }
    if (s.payload_size != 0) {
        judge.add(Verdict::fast_open, s.payload_size);
    }
}

}  // namespace

void judge_header(const Judge& judge) {
    const SeenSegment& s = judge.s();
    const TcpFlags flags = s.header.flags;
    if (flags.syn() && flags.rst()) {
        judge.add(Verdict::syn_with_rst);
    } else if (flags.syn() && flags.fin()) {
        judge.add(Verdict::syn_with_fin);
    }
    if (!flags.ack() && !flags.syn() && !flags.rst()) {
        judge.add(Verdict::no_ack_flag);
    }
    if (!flags.urg() && s.header.urgent_pointer != 0) {
        judge.add(Verdict::urgent_pointer_unused);
    }
    if (s.bytes.size() > 12 && (std::to_integer<unsigned>(s.bytes[12]) & 0x0e) != 0) {
        judge.add(Verdict::reserved_bits);
    }
    if (flags.urg()) {
        judge.add(Verdict::urgent, s.seq + s.header.urgent_pointer);
    }
    judge_ecn(judge);
}

void judge_options(const Judge& judge) {
    const SeenSegment& s = judge.s();
    if (s.options_malformed) {
        judge.add(s.bytes.size() < s.header.header_length ? Verdict::options_cut
                                                          : Verdict::bad_options);
        return;
    }
    if (s.header.flags.syn()) {
        judge_syn_options(judge);
        return;
    }
    const Bytes options = s.option_bytes();
    constexpr std::uint8_t kMss = 2, kScale = 3, kSackPermitted = 4;
    if (has_option(options, kMss)) {
        judge.add(Verdict::mss_without_syn);
    }
    if (has_option(options, kScale)) {
        judge.add(Verdict::scale_without_syn);
    }
    if (has_option(options, kSackPermitted)) {
        judge.add(Verdict::sack_permitted_without_syn);
    }
    if (!s.header.options.sack.empty() && !judge.agreement.may_sack(s.from)) {
        judge.add(Verdict::sack_not_agreed);
    }
    judge_timestamps(judge);
}

void judge_syn(const Judge& judge) {
    const SeenSegment& s = judge.s();
    const Side& own = judge.own();
    if (s.seq != 0) {
        const auto before = judge.state_before(other(s.from));
        const bool open = before && *before != State::closed && *before != State::listen &&
                          *before != State::syn_sent && *before != State::syn_received;
        if (s.header.flags.ack()) {
            judge.add(Verdict::syn_ack_other_iss);
        } else {
            judge.add(open ? Verdict::stray_syn : Verdict::other_iss);
        }
        return;
    }
    const auto first = own.sent.find(0);
    if (!own.any || first == own.sent.end()) {
        judge_first_syn(judge);
        return;
    }
    const std::int64_t since = s.time_ns - first->second.last_at;
    if (s.header.flags.ack()) {
        // The first SYN,ACK behind an own SYN belongs to a simultaneous open.
        judge.add(own.ack ? Verdict::syn_ack_again : Verdict::syn_ack, own.ack ? since : 0);
        return;
    }
    // The timer runs from when TCP let go of it; the first may have waited for its neighbour's address until it
    // was seen here, so half of the second is allowed for that.
    constexpr std::int64_t kDoubled = 1'000'000, kSoon = 500'000'000;
    judge.add(Verdict::syn_again, since);
    if (since < kDoubled) {
        judge.add(judge.near_sender() ? Verdict::sent_twice : Verdict::doubled, since);
    } else if (since < kSoon) {
        judge.add(Verdict::syn_too_soon, since);
    }
}

}  // namespace runnel::analyse
