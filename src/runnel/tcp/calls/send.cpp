// SEND (RFC 9293 §3.10.2): octets into the send buffer; the next poll decides what leaves.
#include <algorithm>
#include <limits>
#include <memory>

#include "runnel/tcp/calls/calls.hpp"
#include "runnel/tcp/output/plan.hpp"

namespace runnel::tcp {

namespace {

/// How long a writer waits whom the pool, not its own buffer, turned away: nobody tells when it has room.
constexpr Duration kMemoryRetry = milliseconds(10);

/// The error a SEND meets in this state, or ok.
Errc refuse_send(Tcb& tcb, SendFlags flags) {
    if (tcb.error != Errc::ok) {
        const Errc error = tcb.error;
        tcb.error = Errc::ok;
        return error;
    }
    if (tcb.fin_queued || tcb.detached || tcb.state == State::closed) {
        return Errc::broken_pipe;
    }
    if (flags.zerocopy && tcb.notices != nullptr && !tcb.notices->has_room()) {
        return Errc::no_buffer_space;
    }
    return Errc::ok;
}

/// What of a SEND is to be remembered until its octets have gone their way.
void remember(Tcb& tcb, bool complete, SendFlags flags) {
    std::uint32_t stamps = tcb.user.timestamping;
    if (flags.timestamping) {
        stamps = (stamps & ~Timestamping::kRecord) | (*flags.timestamping & Timestamping::kRecord);
    }
    flags.zerocopy = flags.zerocopy && tcb.user.zerocopy;
    flags.end_of_record = flags.end_of_record && complete;
    if (!flags.zerocopy && !flags.end_of_record && (stamps & Timestamping::kRecord) == 0) {
        return;
    }
    if (tcb.notices == nullptr) {
        tcb.notices = std::make_unique<SendNotices>();
    }
    tcb.notices->mark(tcb.send.end(), flags, stamps);
}

/// Octets that the writer may add: what the buffer holds, and with TCP_NOTSENT_LOWAT one more super-segment at
/// most while less than that is unsent (Linux looks at each piece it begins).
std::uint64_t send_limit(const Tcb& tcb, const TcpConfig& config) {
    std::uint64_t limit = tcb.send_limit(config);
    const std::uint64_t lowat = tcb.user.notsent_lowat;
    if (lowat != 0) {
        const std::uint64_t unsent = tcb.unsent();
        const std::uint64_t more =
            unsent >= lowat ? 0 : std::max<std::uint64_t>(lowat - unsent, kMaxSuperSegment);
        limit = std::min(limit, tcb.send.size() + more);
    }
    return limit;
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
    if (taken > 0) {
        remember(tcb, taken == wanted, flags);
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

/// The first data of a client whose SYN waits for it is what goes with the SYN (Linux); else there is no limit.
std::size_t room_in_syn(const Tcb& tcb) {
    const bool waits = tcb.fast_open != nullptr && tcb.fast_open->waits && tcb.send.empty();
    return waits ? syn_data_room(tcb) : std::numeric_limits<std::size_t>::max();
}

}  // namespace

void change_options(Tcb& tcb, const ConnectionOptions& options, const TcpConfig& config) {
    const std::uint32_t stamps = options.timestamping & ~tcb.user.timestamping;
    if ((stamps & Timestamping::kOptId) != 0) {
        // Keys count from what is unacknowledged, or from what will be written next.
        if (tcb.notices == nullptr) {
            tcb.notices = std::make_unique<SendNotices>();
        }
        const bool from_end = (options.timestamping & Timestamping::kOptIdTcp) != 0;
        tcb.notices->start_keys(from_end ? tcb.send.end() : tcb.send.begin());
    }
    if (options.congestion_control && options.congestion_control != tcb.user.congestion_control) {
        tcb.controller.use(*options.congestion_control, config);
        tcb.update_pacing(config);
    }
    tcb.user = options;
    // Until the handshake is over it is kept; from then on it is done, and forgotten.
    if (options.ack_mode != AckMode::unchanged && is_synchronized(tcb.state)) {
        tcb.ack.set_interactive(options.ack_mode == AckMode::delayed);
        acknowledge_when_read(tcb, config);
        tcb.user.ack_mode = AckMode::unchanged;
    }
}

Result<std::size_t> send_bytes(Tcb& tcb, Bytes bytes, SendFlags flags, Effects& effects) {
    if (const Errc error = refuse_send(tcb, flags); error != Errc::ok) {
        return fail(error);
    }
    if (bytes.empty() && tcb.fast_open != nullptr && tcb.fast_open->waits && tcb.send.empty()) {
        tcb.fast_open->waits = false;  // a SEND of nothing opens, as in Linux
    }
    bytes = bytes.first(std::min<std::size_t>(bytes.size(), room_in_syn(tcb)));
    const std::size_t taken =
        tcb.send.append(effects.pool(), bytes, send_limit(tcb, effects.config()));
    return sent(tcb, taken, bytes.size(), flags, effects);
}

Result<std::size_t> send_slices(Tcb& tcb, std::span<const Slice> slices, SendFlags flags,
                                Effects& effects) {
    if (const Errc error = refuse_send(tcb, flags); error != Errc::ok) {
        return fail(error);
    }
    std::size_t wanted = 0;
    for (const Slice& slice : slices) {
        wanted += slice.size();
    }
    flags.by_reference = true;
    const std::size_t taken = tcb.send.append(slices, send_limit(tcb, effects.config()));
    return sent(tcb, taken, wanted, flags, effects);
}

}  // namespace runnel::tcp
