// Protection against wrapped sequence numbers (RFC 7323 §5): whether a segment is too old, and which timestamp is the
// recent one, computed anew from the packets that have arrived.
#include "runnel/sim/check/look.hpp"

namespace runnel::sim::check {

namespace {

constexpr Duration kTick = milliseconds(1);  ///< by so much two segments of one moment may differ
constexpr Duration kStale =
    seconds(23 * 24 * 3600);  ///< near the 24 days of RFC 7323 §5.5: no word about it

std::int32_t ahead_of(const Packet& arrived, std::uint32_t recent) {
    return static_cast<std::int32_t>(arrived.tcp.options.timestamps->value - recent);
}

/// Whether the segment has been overtaken by something that is held. What has been dropped has changed nothing: then
/// the connection itself is asked, as memory may have run short since the last look.
bool overtaken(const Look& look, tcp::Seq64 begin, std::uint32_t length, bool dropped) {
    const PawsShadow& seen = look.seen.paws;
    if (length == 0) {
        return begin == seen.nxt;
    }
    return begin + length <= (dropped ? look.tcb.reassembler.highest() : seen.highest);
}

bool too_old(const Look& look, const Packet& arrived, bool dropped) {
    const PawsShadow& seen = look.seen.paws;
    const std::int32_t ahead = ahead_of(arrived, seen.recent);
    if (ahead >= 0) {
        return false;
    }
    const Duration older = milliseconds(-std::int64_t{ahead});
    if (older > look.config.paws_tolerance) {
        return true;
    }
    const tcp::Seq64 begin = tcp::unwrap(arrived.tcp.seq, seen.nxt);
    return older > kTick && !overtaken(look, begin, arrived.sequence_length(), dropped);
}

/// RFC 7323 §4.3: the segment that spans the last ACK sent, if it is no older.
void follow_recent(const Look& look, const Packet& arrived, bool dropped) {
    PawsShadow& seen = look.seen.paws;
    const std::uint32_t claimed = look.tcb.options.ts_recent;
    const tcp::Seq64 begin = tcp::unwrap(arrived.tcp.seq, seen.nxt);
    // Before the first, the SYN counts as acknowledged. A mark in the same batch makes an ACK of what came before it
    // leave at once, which the wire has yet to see: up to RCV.NXT the connection's own word counts.
    const bool unseen = begin <= seen.nxt && begin <= look.tcb.rcv.last_ack_sent;
    const bool acknowledged =
        begin <= look.seen.acked || !look.seen.ack_sent || seen.refused || unseen;
    const bool may =
        arrived.tcp.options.timestamps && !arrived.tcp.flags.rst() && !dropped && acknowledged;
    // In order, and into an open window: nothing else can speak against it.
    const bool must = may && begin <= look.seen.acked && arrived.payload_size > 0 &&
                      !arrived.tcp.flags.syn() && begin == seen.nxt &&
                      look.tcb.rcv.nxt > seen.nxt && ahead_of(arrived, seen.recent) >= 0;
    const bool moved = may && claimed == arrived.tcp.options.timestamps->value &&
                       ahead_of(arrived, seen.recent) >= 0;
    if ((claimed != seen.recent && !moved) || (must && !moved)) {
        look.fails(Check::paws, "TS.Recent is not what the segments say",
                   {{"TS.Recent", claimed},
                    {"before", seen.recent},
                    {"SEG.SEQ", begin.value},
                    {"last ACK sent", look.seen.acked.value},
                    {"RCV.NXT before", seen.nxt.value}});
    }
    if (moved) {
        seen.since = look.local;
    }
}

}  // namespace

void paws(const Look& look, const Packet& arrived, bool taken, bool dropped) {
    const PawsShadow& seen = look.seen.paws;
    const bool stale = seen.agreed && look.local - seen.since >= kStale;
    if (!seen.agreed || !taken || arrived.damaged || stale) {
        return;
    }
    const bool judged = arrived.tcp.options.timestamps && !arrived.tcp.flags.rst();
    const bool old = judged && too_old(look, arrived, dropped);
    if (old != dropped) {
        look.fails(Check::paws,
                   dropped ? "a segment was dropped that is not too old"
                           : "a segment was taken that is too old",
                   {{"TSval", judged ? arrived.tcp.options.timestamps->value : 0},
                    {"TS.Recent", seen.recent},
                    {"SEG.SEQ", arrived.tcp.seq.value},
                    {"RCV.NXT", seen.nxt.value},
                    {"held up to", seen.highest.value}});
        return;
    }
    follow_recent(look, arrived, dropped);
}

void paws_at_rest(const Look& look) {
    const PawsShadow& seen = look.seen.paws;
    // What has become a TIME-WAIT entry on the wire is the user's alone.
    if (seen.agreed && !look.tcb.detached && look.tcb.options.ts_recent != seen.recent) {
        look.fails(Check::paws, "TS.Recent has changed, and nothing has arrived",
                   {{"TS.Recent", look.tcb.options.ts_recent}, {"before", seen.recent}});
    }
}

void paws_remember(Shadow& shadow, const tcp::Tcb& tcb, Instant local) {
    PawsShadow& seen = shadow.paws;
    const bool agreed = tcb.options.timestamps && !tcb.detached &&
                        tcb.state != tcp::State::syn_sent && tcb.state != tcp::State::closed;
    if (agreed && !seen.agreed) {
        seen.since = local;  // the SYN's
    }
    seen.agreed = agreed;
    seen.recent = tcb.options.ts_recent;
    seen.nxt = tcb.rcv.nxt;
    seen.highest = tcb.reassembler.highest();
}

}  // namespace runnel::sim::check
