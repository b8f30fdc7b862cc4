// RECEIVE (RFC 9293 §3.10.3) with the urgent mark as sockets know it: a read stops at the mark, and the
// urgent octet is taken out of the stream unless the user wants it inline (RFC 6093 advises inline).
#include <algorithm>

#include "runnel/tcp/calls/calls.hpp"
#include "runnel/tcp/receive/receive_window.hpp"

namespace runnel::tcp {

namespace {

/// The number of the next octet the user will read.
Seq64 read_position(const Tcb& tcb) {
    const Seq64 end = tcb.fin_received ? tcb.rcv.nxt - 1 : tcb.rcv.nxt;
    return end - tcb.receive.size();
}

bool mark_ahead(const Tcb& tcb) {
    return tcb.urgent_mark != UrgentMark::none && tcb.rcv.urgent >= read_position(tcb);
}

/// 1 where the next octet is the urgent one, which is no part of the stream; 0 otherwise.
std::size_t skipped_octets(const Tcb& tcb) {
    const bool out_of_band = !tcb.user.urgent_inline && tcb.urgent_mark != UrgentMark::none;
    const bool next = tcb.rcv.urgent == read_position(tcb) && tcb.receive.size() > 0;
    return out_of_band && next ? 1 : 0;
}

/// Steps over the urgent octet at the read position; keeps it for MSG_OOB where nobody has taken it.
void skip_urgent_octet(Tcb& tcb) {
    if (skipped_octets(tcb) == 0) {
        return;
    }
    std::byte octet{};
    (void)tcb.receive.read({&octet, 1});
    if (tcb.urgent_mark == UrgentMark::waiting) {
        tcb.urgent_octet = octet;
    }
}

/// Inline the mark has done its work once the reader is past it.
void forget_mark_inline(Tcb& tcb) {
    const bool marked = tcb.user.urgent_inline && tcb.urgent_mark != UrgentMark::none;
    if (marked && tcb.rcv.urgent < read_position(tcb)) {
        tcb.urgent_mark = UrgentMark::none;
    }
}

/// What a RECEIVE finds when no octet is there: the end, an error, or nothing yet.
Result<std::size_t> nothing_to_read(Tcb& tcb) {
    if (tcb.error != Errc::ok && tcb.error != Errc::broken_pipe) {
        const Errc error = tcb.error;
        tcb.error = Errc::ok;
        return fail(error);
    }
    if (tcb.fin_received || tcb.receive_shutdown || tcb.detached || tcb.state == State::closed) {
        return std::size_t{0};
    }
    return fail(Errc::would_block);
}

Result<std::size_t> receive_urgent(Tcb& tcb, MutableBytes into, bool peek) {
    if (tcb.user.urgent_inline || tcb.urgent_mark == UrgentMark::none ||
        tcb.urgent_mark == UrgentMark::taken) {
        return fail(Errc::argument_invalid);
    }
    if (tcb.urgent_mark == UrgentMark::announced) {
        return nothing_to_read(tcb);
    }
    if (into.empty()) {
        return std::size_t{0};
    }
    if (mark_ahead(tcb)) {
        (void)tcb.receive.peek(into.first(1), distance(read_position(tcb), tcb.rcv.urgent));
    } else {
        into[0] = tcb.urgent_octet;
    }
    if (!peek) {
        tcb.urgent_mark = UrgentMark::taken;
    }
    return std::size_t{1};
}

}  // namespace

std::size_t readable_octets(const Tcb& tcb) {
    const std::size_t size = tcb.receive.size();
    if (size == 0 || !mark_ahead(tcb)) {
        return size;
    }
    const std::uint64_t before = distance(read_position(tcb), tcb.rcv.urgent);
    // MUST-33: what is told to be readable ends at the mark.
    return before > 0 ? std::min<std::size_t>(size, before) : size - skipped_octets(tcb);
}

bool at_urgent_mark(const Tcb& tcb) {
    // RFC 9293 §3.8.5, MUST-33: is there more to be read before the mark?
    return tcb.urgent_mark != UrgentMark::none && tcb.rcv.urgent == read_position(tcb);
}

void acknowledge_when_read(Tcb& tcb, const TcpConfig& config) {
    if (config.ack_on_read && tcb.receive.size() == 0 && tcb.ack.due_when_read()) {
        tcb.ack.need_now(Decision::tcp_transmit_ack_read, false);
    }
}

Result<std::size_t> receive_bytes(Tcb& tcb, MutableBytes into, ReceiveFlags flags,
                                  Effects& effects) {
    if (flags.urgent) {
        return receive_urgent(tcb, into, flags.peek);
    }
    if (!flags.peek) {
        skip_urgent_octet(tcb);
    }
    // A read stops before the mark, so that the user can find it (SIOCATMARK).
    const std::size_t there = readable_octets(tcb);
    if (there == 0) {
        return nothing_to_read(tcb);
    }
    into = into.first(std::min(into.size(), there));
    if (flags.peek) {
        return flags.discard ? into.size() : tcb.receive.peek(into, skipped_octets(tcb));
    }
    const std::size_t got =
        flags.discard ? tcb.receive.discard(into.size()) : tcb.receive.read(into);
    forget_mark_inline(tcb);
    grow_window(tcb, effects);
    acknowledge_when_read(tcb, effects.config());
    return got;
}

Result<SliceList> receive_slices(Tcb& tcb, std::size_t limit, Effects& effects) {
    skip_urgent_octet(tcb);
    SliceList slices;
    if (tcb.receive.size() == 0) {
        const auto end = nothing_to_read(tcb);
        if (!end.has_value()) {
            return fail(end.error());
        }
        return slices;
    }
    (void)tcb.receive.take(std::min(limit, readable_octets(tcb)), slices);
    forget_mark_inline(tcb);
    grow_window(tcb, effects);
    acknowledge_when_read(tcb, effects.config());
    return slices;
}

Readiness readiness_of(const Tcb& tcb, const TcpConfig& config) {
    std::uint8_t bits = 0;
    const bool over = tcb.detached || tcb.state == State::closed;
    const bool no_more = tcb.fin_received || tcb.receive_shutdown || over;
    if (readable_octets(tcb) >= std::max(tcb.user.receive_lowat, 1U) || no_more) {
        bits |= Readiness::kReadable;
    }
    if (no_more) {
        bits |= Readiness::kPeerClosed;
    }
    // Fast Open: a client that waits for the first data, and a server in its user's hands, may write.
    const bool waits = tcb.fast_open != nullptr && tcb.fast_open->waits && tcb.send.empty();
    const bool opening = (tcb.state == State::syn_sent && !waits) ||
                         (tcb.state == State::syn_received && !tcb.passive);
    if (!opening && (tcb.has_send_room(config) || tcb.fin_queued || over)) {
        bits |= Readiness::kWritable;
    }
    const bool urgent =
        tcb.urgent_mark == UrgentMark::announced || tcb.urgent_mark == UrgentMark::waiting;
    if (urgent) {
        bits |= Readiness::kUrgent;
    }
    if (tcb.urgent_mark == UrgentMark::waiting) {
        bits |= Readiness::kUrgentHere;
    }
    if (tcb.report != ErrorReport::Reason::none) {
        bits |= Readiness::kReport;
    }
    if (over || ((tcb.fin_received || tcb.receive_shutdown) && tcb.fin_queued)) {
        bits |= Readiness::kHangUp;
    }
    if (tcb.error != Errc::ok) {
        bits |= Readiness::kError | Readiness::kReadable | Readiness::kWritable;
    }
    return {bits};
}

}  // namespace runnel::tcp
