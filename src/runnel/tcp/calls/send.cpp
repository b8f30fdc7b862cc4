// SEND (RFC 9293 §3.10.2): octets into the send buffer; the next poll decides what leaves.
#include "runnel/tcp/calls/calls.hpp"

namespace runnel::tcp {

namespace {

/// How long a writer waits whom the pool, not its own buffer, turned away: nobody tells when it has room.
constexpr Duration kMemoryRetry = milliseconds(10);

/// The error a SEND meets in this state, or ok.
Errc refuse_send(Tcb& tcb) {
    if (tcb.error != Errc::ok) {
        const Errc error = tcb.error;
        tcb.error = Errc::ok;
        return error;
    }
    if (tcb.fin_queued || tcb.detached || tcb.state == State::closed) {
        return Errc::broken_pipe;
    }
    return Errc::ok;
}

Result<std::size_t> sent(Tcb& tcb, std::size_t taken, std::size_t wanted, SendFlags flags,
                         Effects& effects) {
    if (taken < wanted || !tcb.has_send_room(effects.config())) {
        tcb.writer_waits = true;
    }
    if (taken < wanted && tcb.has_send_room(effects.config())) {
        tcb.timers.arm(Timer::memory, effects.now + kMemoryRetry);
    }
    if (taken == 0 && wanted > 0) {
        return fail(Errc::would_block);
    }
    // RFC 9293 §3.9.1.2, MAY-15: every SEND pushes unless it says that more follows.
    tcb.push_hold = flags.more && taken == wanted;
    if (flags.urgent && taken == wanted && wanted > 0) {
        // §3.8.5, MUST-31: urgent data of any length; SND.UP names the octet after it.
        tcb.snd.up = tcb.send.end();
        tcb.urgent_to_send = true;
    }
    return taken;
}

}  // namespace

Result<std::size_t> send_bytes(Tcb& tcb, Bytes bytes, SendFlags flags, Effects& effects) {
    if (const Errc error = refuse_send(tcb); error != Errc::ok) {
        return fail(error);
    }
    const std::size_t taken =
        tcb.send.append(effects.pool(), bytes, tcb.send_limit(effects.config()));
    return sent(tcb, taken, bytes.size(), flags, effects);
}

Result<std::size_t> send_slices(Tcb& tcb, std::span<const Slice> slices, SendFlags flags,
                                Effects& effects) {
    if (const Errc error = refuse_send(tcb); error != Errc::ok) {
        return fail(error);
    }
    std::size_t wanted = 0;
    for (const Slice& slice : slices) {
        wanted += slice.size();
    }
    const std::size_t taken = tcb.send.append(slices, tcb.send_limit(effects.config()));
    return sent(tcb, taken, wanted, flags, effects);
}

}  // namespace runnel::tcp
