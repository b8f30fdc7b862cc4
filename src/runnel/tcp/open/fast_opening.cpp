// Fast Open as the stack carries it out: the listener that takes data out of a SYN (RFC 7413 §4.2.2, §5.1),
// the client that sends it (§4.2.1), and what both keep of it until the handshake is over.
#include <algorithm>

#include "runnel/tcp/arrival/steps.hpp"
#include "runnel/tcp/stack_state.hpp"

namespace runnel::tcp {

namespace {

/// A connection that was reset before its handshake ended counts in the queue for so long (RFC 7413 §5.1:
/// or else resets from the spoofed addresses would empty the queue for the next attack).
constexpr Duration kResetStay = seconds(60);

bool cookie_needed(std::uint32_t mask, std::uint32_t without, const ConnectionOptions& options) {
    return (mask & without) == 0 && !options.fast_open_no_cookie;
}

}  // namespace

std::uint32_t StackState::fast_open_limit(const Listener& listener) const {
    if ((config_.fast_open & TcpConfig::kFastOpenServer) == 0) {
        return 0;
    }
    if (listener.options.fast_open_queue != 0) {
        return std::min<std::uint32_t>(listener.options.fast_open_queue, config_.somaxconn);
    }
    return (config_.fast_open & TcpConfig::kFastOpenEveryListener) != 0 ? listener.backlog : 0;
}

/// RFC 7413 §5.1: connections in SYN-RECEIVED that have had data, bounded for each listener.
bool StackState::fast_open_room(Listener& listener, Instant now) const {
    const std::uint32_t limit = fast_open_limit(listener);
    while (!listener.fast_open_resets.empty() && listener.fast_open_resets.front() <= now) {
        listener.fast_open_resets.pop_front();
    }
    return listener.fast_open_pending + listener.fast_open_resets.size() < limit;
}

FastOpenVerdict StackState::judge_fast_open(Listener& listener, const ArrivingSegment& segment,
                                            Instant now) {
    FastOpenVerdict verdict;
    const auto& shown = segment.header.options.fast_open;
    if (fast_open_limit(listener) == 0 || (!shown && segment.payload_size == 0)) {
        return verdict;
    }
    if (!fast_open_room(listener, now)) {
        verdict.note = Decision::tcp_note_fast_open_queue_full;
        return verdict;
    }
    if (!cookie_needed(config_.fast_open, TcpConfig::kFastOpenServerNoCookie, listener.options)) {
        verdict.accept = true;
        return verdict;
    }
    if (!shown) {
        return verdict;
    }
    const FastOpenKeys& keys =
        listener.fast_open_keys != nullptr ? *listener.fast_open_keys : fast_open_keys_;
    const CookieCheck check =
        shown->size == 0 ? CookieCheck::bad : check_cookie(keys, segment.tuple, *shown);
    verdict.accept = check != CookieCheck::bad;
    if (check != CookieCheck::good) {
        verdict.grant = fast_open_cookie(keys.primary, segment.tuple);
        verdict.grant->experimental = shown->experimental;
        verdict.note = shown->size == 0 ? Decision::tcp_note_fast_open_cookie_asked
                       : verdict.accept ? Decision::tcp_note_fast_open_old_key
                                        : Decision::tcp_note_fast_open_bad_cookie;
    }
    return verdict;
}

/// RFC 7413 §4.2.2: what the verdict means for the connection that the SYN has just begun.
void StackState::start_fast_open(Connection& connection, const FastOpenVerdict& verdict,
                                 ArrivingSegment& segment, Effects& effects) {
    Tcb& tcb = connection.tcb;
    if (verdict.note) {
        effects.decide(tcb, *verdict.note);
    }
    if (!verdict.accept && !verdict.grant) {
        return;
    }
    tcb.fast_open = std::make_unique<FastOpen>();
    tcb.fast_open->role = verdict.accept ? FastOpen::Role::server : FastOpen::Role::grant;
    tcb.fast_open->listener = tcb.listener;
    tcb.fast_open->offer = verdict.grant;
    if (!verdict.accept) {
        return;
    }
    ++listeners_.find(ListenerHandle::from_packed(tcb.listener))->fast_open_pending;
    tcb.last_received = effects.now;
    tcb.rcv.right_edge = tcb.rcv.nxt + std::min<std::uint64_t>(tcb.receive_limit, 65'535);
    Segment syn = unwrap_segment(tcb, segment);
    syn.seq = tcb.rcv.nxt;  // the text begins after the SYN's own number
    take_syn_text(tcb, syn, effects);
    promote(connection, effects.now);
}

void StackState::prepare_fast_open(Tcb& tcb, Instant now) {
    if (!tcb.user.fast_open || (config_.fast_open & TcpConfig::kFastOpenClient) == 0) {
        return;
    }
    if (fast_open_cache_.paused(config_.fast_open_blackhole_timeout, now)) {
        return;
    }
    auto state = std::make_unique<FastOpen>();
    state->mss = tcb.options.local_mss;
    const auto* known = fast_open_cache_.find({tcb.tuple.local.address, tcb.tuple.remote.address});
    if (known != nullptr && known->mss != 0) {
        state->mss = known->mss;
    }
    if (!cookie_needed(config_.fast_open, TcpConfig::kFastOpenClientNoCookie, tcb.user)) {
        state->waits = true;
    } else if (known != nullptr && known->cookie) {
        state->waits = true;
        state->offer = known->cookie;
    } else {
        tcb.fast_open_failure = FastOpenFailure::no_cookie;
        state->offer = FastOpenOption{};
        state->offer->experimental = known != nullptr && known->try_experimental == 1;
    }
    tcb.fast_open = std::move(state);
}

bool StackState::fast_open_ready(const FourTuple& tuple, const ConnectionOptions& options,
                                 Instant now) {
    if ((config_.fast_open & TcpConfig::kFastOpenClient) == 0 ||
        fast_open_cache_.paused(config_.fast_open_blackhole_timeout, now)) {
        return false;
    }
    const auto* known = fast_open_cache_.find({tuple.local.address, tuple.remote.address});
    return !cookie_needed(config_.fast_open, TcpConfig::kFastOpenClientNoCookie, options) ||
           (known != nullptr && known->cookie);
}

/// What the event means for the connection's Fast Open, which ends with its handshake.
void StackState::settle_fast_open(Tcb& tcb, Instant now) {
    FastOpen& state = *tcb.fast_open;
    if (state.role != FastOpen::Role::client) {
        if (tcb.state == State::syn_received) {
            return;
        }
        Listener* listener = listeners_.find(ListenerHandle::from_packed(state.listener));
        if (state.role == FastOpen::Role::server && listener != nullptr) {
            --listener->fast_open_pending;
            if (state.reset) {
                listener->fast_open_resets.push_back(now + kResetStay);
            }
        }
        tcb.fast_open.reset();
        return;
    }
    if (tcb.state == State::syn_sent) {
        return;
    }
    if (!state.learnt && tcb.state != State::closed) {
        state.learnt = true;
        fast_open_cache_.learn({tcb.tuple.local.address, tcb.tuple.remote.address},
                               tcb.options.peer_mss, state);
        if (tcb.syn_data_acked) {
            fast_open_cache_.works();
        }
    }
    if (tcb.snd.una >= state.data_end || tcb.state == State::closed) {
        tcb.fast_open.reset();
    }
}

}  // namespace runnel::tcp
