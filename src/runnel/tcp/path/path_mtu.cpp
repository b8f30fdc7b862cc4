#include "runnel/tcp/path/path_mtu.hpp"

#include <algorithm>

namespace runnel::tcp {

namespace {

/// A probe goes only where its loss would show by duplicate ACKs and cost little (Linux).
constexpr std::uint32_t kLeastWindow = 11;
/// Timeouts in a row before a black hole is suspected where nothing of that size has ever got through.
constexpr std::uint32_t kEarlyTimeouts = 2;

std::uint32_t fixed_headers(const Tcb& tcb) {
    return tcb.tuple.local.address.is_v4() ? 20 + 20 : 40 + 20;
}
/// Headers and the options of every segment.
std::uint32_t overhead(const Tcb& tcb) {
    return fixed_headers(tcb) + (tcb.options.timestamps ? 12U : 0U) +
           (tcb.md5 != nullptr ? std::uint32_t{kMd5OptionBytes} : 0U);
}

MtuSearch& search_of(Tcb& tcb) {
    if (tcb.mtu_search == nullptr) {
        tcb.mtu_search = std::make_unique<MtuSearch>();
        tcb.mtu_search->greatest = tcb.path_mtu;
        tcb.mtu_search->high = tcb.path_mtu;
    }
    return *tcb.mtu_search;
}

/// What may be searched for: no more than the peer's segments, which nothing else limits.
std::uint32_t most_useful(const Tcb& tcb, const MtuSearch& search) {
    return std::min<std::uint32_t>(search.greatest, tcb.options.peer_mss + fixed_headers(tcb));
}

bool is_over(const Tcb& tcb, const MtuSearch& search, const TcpConfig& config) {
    return search.high < tcb.path_mtu + config.mtu_probe_threshold;
}

/// When larger sizes are tried again (RFC 4821 §7.7; RFC 8201 §4 and RFC 1191 §6.3: not sooner than five minutes, ten are
/// advised). An interval of zero means never: where the host itself knows the path to be smaller, at once would be for ever.
Instant next_raise(const Effects& effects) {
    const Duration interval = effects.config().mtu_probe_interval;
    return interval > Duration{} ? effects.now + interval : Instant::never();
}

/// After `high` or the size in use has changed: when the search is over it begins again later (RFC 4821 §7.7).
void settle(Tcb& tcb, MtuSearch& search, Effects& effects) {
    if (search.searching && is_over(tcb, search, effects.config())) {
        search.raise_at = next_raise(effects);
    }
}

/// A router has dropped what is too large. It may be what F-RTO asks with, whose answer then never comes (RFC 5682 §3.1).
void send_oversized_again(Tcb& tcb, Effects& effects) {
    const auto losses = tcb.retransmission.mark_oversized_lost(tcb.send_mss(effects.config()));
    if (losses.segments > 0) {
        tcb.recovery.frto = Frto::off;
    }
}

void lower(Tcb& tcb, std::uint32_t mtu, Effects& effects) {
    MtuSearch& search = search_of(tcb);
    effects.decide(tcb, Decision::tcp_note_path_mtu, mtu);
    search.claimed = 0;
    search.probe = 0;
    search.high = mtu;
    search.raise_at = next_raise(effects);
    tcb.path_mtu = mtu;
    tcb.acked_packet = 0;
    send_oversized_again(tcb, effects);
}

/// Octets of the longest segment of a record, which may be shorter than the MSS it was sent with.
std::uint32_t longest(const SentRecord& record) {
    const std::uint64_t text = record.length() - (record.fin ? 1U : 0U);
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(record.segment_size, text));
}

void probe_failed(Tcb& tcb, MtuSearch& search, std::uint32_t high, Effects& effects) {
    effects.decide(tcb, Decision::tcp_note_mtu_probe_lost, search.probe);
    search.high = std::max(high, tcb.path_mtu);
    search.probe = 0;
    settle(tcb, search, effects);
}

void probe_passed(Tcb& tcb, MtuSearch& search, Effects& effects) {
    const TcpConfig& config = effects.config();
    effects.decide(tcb, Decision::tcp_note_mtu_probe_acked, search.probe);
    const std::uint64_t mss = tcb.send_mss(config);
    tcb.path_mtu = std::max(tcb.path_mtu, search.probe);
    search.probe = 0;
    settle(tcb, search, effects);
    // The window is a number of segments, which are larger now.
    const std::uint64_t octets = tcb.controller.window() * mss;
    tcb.controller.limit_window(
        std::max<std::uint32_t>(static_cast<std::uint32_t>(octets / tcb.send_mss(config)), 1));
}

}  // namespace

void start_mtu_search(Tcb& tcb, const TcpConfig& config) {
    if (config.mtu_probing < 2) {
        return;
    }
    MtuSearch& search = search_of(tcb);
    search.searching = true;
    search.high = most_useful(tcb, search);
    tcb.path_mtu = std::min(tcb.path_mtu, config.base_mss + fixed_headers(tcb));
}

bool on_packet_too_big(Tcb& tcb, Seq64 quoted, const IcmpReport& report, Effects& effects) {
    const std::uint32_t mtu = report.mtu;
    const SentRecord* record = tcb.retransmission.record_of(quoted);
    // A router drops what is larger than it says; of anything else this is a lie, or about another connection
    // (RFC 5927 §7.2). A SYN is too short to tell.
    if (record == nullptr || (!record->syn && longest(*record) + fixed_headers(tcb) + 40U <= mtu)) {
        return false;
    }
    MtuSearch* search = tcb.mtu_search.get();
    if (search != nullptr && search->probe != 0 && quoted == search->probe_begin &&
        mtu < search->probe && mtu >= tcb.path_mtu) {
        // RFC 4821 §7.6.2: as good as its loss, and it says how far to go.
        probe_failed(tcb, *search, mtu, effects);
        send_oversized_again(tcb, effects);
        return true;
    }
    if (mtu >= tcb.path_mtu) {
        return true;  // what is known already
    }
    if (effects.config().mtu_needs_evidence && !report.local && mtu < tcb.acked_packet) {
        // RFC 5927 §7.2: larger ones have got through. If the path has changed, this one will not.
        search = &search_of(tcb);
        search->claimed = mtu;
        search->claimed_at = quoted;
        effects.decide(tcb, Decision::tcp_note_path_mtu_doubted, mtu);
        return false;
    }
    lower(tcb, mtu, effects);
    return true;
}

void note_sizes_acked(Tcb& tcb, Seq64 ack, Effects& effects) {
    if (tcb.retransmission.empty() || ack <= tcb.snd.una) {
        return;
    }
    const SentRecord& first = tcb.retransmission.front();
    if (!first.syn && first.length() >= first.segment_size &&
        ack >= first.begin + first.segment_size) {
        const std::uint32_t packet = first.segment_size + overhead(tcb);
        tcb.acked_packet = std::max(
            tcb.acked_packet, static_cast<std::uint16_t>(std::min<std::uint32_t>(packet, 65'535)));
    }
    MtuSearch* search = tcb.mtu_search.get();
    if (search == nullptr) {
        return;
    }
    if (search->claimed != 0 && ack > search->claimed_at) {
        search->claimed = 0;  // it arrived
    }
    if (search->probe != 0 && ack >= search->probe_end) {
        probe_passed(tcb, *search, effects);
    }
}

bool only_probe_lost(Tcb& tcb, Effects& effects) {
    MtuSearch* search = tcb.mtu_search.get();
    if (search == nullptr || search->probe == 0) {
        return false;
    }
    const SentRecord* lost = tcb.retransmission.first_lost();
    const bool only = lost != nullptr && lost->begin == search->probe_begin &&
                      lost->end == search->probe_end && tcb.retransmission.segments_lost() == 1;
    if (only) {
        probe_failed(tcb, *search, search->probe - 1, effects);
        return true;
    }
    // With others around it lost, its loss says nothing about its size (RFC 4821 §7.6.3).
    const SentRecord* record = tcb.retransmission.record_of(search->probe_begin);
    if (record != nullptr && record->lost) {
        search->probe = 0;
    }
    return false;
}

bool believe_claim(Tcb& tcb, Effects& effects) {
    const MtuSearch* search = tcb.mtu_search.get();
    if (search == nullptr || search->claimed == 0 || tcb.snd.una > search->claimed_at) {
        return false;
    }
    lower(tcb, search->claimed, effects);
    return true;
}

void path_mtu_on_timeout(Tcb& tcb, Effects& effects) {
    const TcpConfig& config = effects.config();
    if (tcb.retransmission.empty() || tcb.retransmission.front().syn) {
        return;
    }
    if (MtuSearch* search = tcb.mtu_search.get()) {
        search->probe = 0;  // inconclusive (RFC 4821 §7.6.4)
    }
    if (believe_claim(tcb, effects)) {
        return;
    }
    const std::uint32_t timeouts = tcb.recovery.timeouts;
    const std::uint32_t silent = longest(tcb.retransmission.front()) + overhead(tcb);
    const bool passed_before = silent <= tcb.acked_packet;
    const std::uint32_t patience =
        passed_before ? config.retries1 : std::min(config.retries1, kEarlyTimeouts);
    if (config.mtu_probing == 0 || timeouts < patience) {
        return;
    }
    // RFC 4821 §7.7, RFC 8899 §4.3; the sizes are Linux's: one that passes nearly everywhere, then half of that.
    const std::uint32_t headers = fixed_headers(tcb);
    const std::uint32_t in_use = tcb.path_mtu > headers ? tcb.path_mtu - headers : 0;
    const bool begun = tcb.mtu_search != nullptr && tcb.mtu_search->searching;
    std::uint32_t mss = begun ? std::min(config.base_mss, in_use / 2) : config.base_mss;
    mss = std::max({mss, config.mtu_probe_floor, std::uint32_t{config.minimum_mss}});
    if (silent <= mss + headers) {
        return;  // what is silent would have passed
    }
    MtuSearch& search = search_of(tcb);
    search.searching = true;
    search.raise_at = Instant::never();
    search.high = most_useful(tcb, search);
    tcb.path_mtu = mss + headers;
    tcb.acked_packet = 0;
    effects.decide(tcb, Decision::tcp_note_mtu_black_hole, tcb.path_mtu);
}

void refresh_path_mtu(Tcb& tcb, Effects& effects) {
    MtuSearch* search = tcb.mtu_search.get();
    if (search == nullptr || effects.now < search->raise_at) {
        return;
    }
    search->raise_at = Instant::never();
    search->high = most_useful(tcb, *search);
    if (search->searching) {
        return;  // by probes
    }
    effects.decide(tcb, Decision::tcp_note_path_mtu_raised, search->greatest);
    tcb.path_mtu = search->greatest;
    tcb.mtu_search.reset();
}

std::uint32_t mtu_probe_length(const Tcb& tcb, Seq64 seq, std::uint64_t usable, std::uint32_t room,
                               const TcpConfig& config) {
    const MtuSearch* search = tcb.mtu_search.get();
    if (search == nullptr || !search->searching || search->probe != 0 || tcb.notices != nullptr ||
        is_over(tcb, *search, config)) {
        return 0;
    }
    if (tcb.recovery.state != RecoveryState::open || tcb.controller.window() < kLeastWindow ||
        !tcb.reassembler.empty() || (tcb.urgent_to_send && tcb.snd.up > seq)) {
        return 0;
    }
    // All of it first: most often the hole was none, or has gone. Then halves.
    const std::uint32_t all = most_useful(tcb, *search);
    const std::uint32_t size = search->high >= all ? all : (tcb.path_mtu + search->high + 1) / 2;
    const std::uint32_t options = tcb.option_bytes();
    std::uint32_t length = size - fixed_headers(tcb) - options;
    length = std::min(length, tcb.options.peer_mss - options);
    const std::uint32_t mss = tcb.send_mss(config);
    if (length <= mss) {
        return 0;
    }
    // So much behind it that its loss shows without a timeout.
    const std::uint64_t needed = length + std::uint64_t{config.duplicate_ack_threshold + 1} * mss;
    const bool fits = usable >= needed && tcb.unsent() >= needed && room >= length / mss + 2;
    return fits ? length : 0;
}

void note_probe_sent(Tcb& tcb, const Plan& plan) {
    MtuSearch& search = search_of(tcb);
    search.probe = plan.length + fixed_headers(tcb) + tcb.option_bytes();
    search.probe_begin = plan.seq;
    search.probe_end = plan.seq + plan.length;
}

}  // namespace runnel::tcp
