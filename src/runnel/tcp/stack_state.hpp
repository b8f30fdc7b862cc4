// The tables behind a Stack and the paths between them: who a segment belongs to, who has something to
// say, whose deadline comes next, whom the user must look at.
#pragma once

#include <optional>
#include <vector>

#include "runnel/base/ring.hpp"
#include "runnel/base/timer_wheel.hpp"
#include "runnel/tcp/close/time_wait.hpp"
#include "runnel/tcp/demux/demux_table.hpp"
#include "runnel/tcp/dormant/connection_table.hpp"
#include "runnel/tcp/effects.hpp"
#include "runnel/tcp/open/ephemeral_ports.hpp"
#include "runnel/tcp/open/listener.hpp"
#include "runnel/tcp/open/syn_cookies.hpp"
#include "runnel/tcp/output/plan.hpp"
#include "runnel/tcp/stack.hpp"

namespace runnel::tcp {

/// Greatest number of listeners of a host.
inline constexpr std::uint32_t kMaxListeners = 65'536;

/// What a listener makes of a SYN's Fast Open option.
struct FastOpenVerdict {
    bool accept = false;                  ///< the data counts now
    std::optional<FastOpenOption> grant;  ///< the cookie that the SYN,ACK brings
    std::optional<Decision> note;
};

class StackState {
public:
    StackState(BufferPool& pool, FlightRecorder& recorder, const TcpConfig& config,
               const SipKey& secret);
    StackState(const StackState&) = delete;
    StackState& operator=(const StackState&) = delete;

    // demux/arrival of a segment: connection, TIME-WAIT, listener, else reset
    bool on_segment(ArrivingSegment&& segment, Instant now);
    bool on_icmp(const IcmpReport& report, Instant now);
    // output
    bool poll_transmit(Instant now, OutgoingSegment& out);
    // time
    [[nodiscard]] Instant next_timeout();
    void on_timeout(Instant now);
    void take_suspects(std::vector<IpAddress>& out);
    // opening
    Result<ConnectionHandle> connect(Endpoint local, Endpoint remote, std::uint32_t path_mtu,
                                     const ConnectionOptions& options, Instant now);
    Result<ConnectionHandle> accept(ListenerHandle handle, Instant now);
    void close_listener(ListenerHandle handle, Instant now);
    [[nodiscard]] bool fast_open_ready(const FourTuple& tuple, const ConnectionOptions& options,
                                       Instant now);
    std::optional<std::uint16_t> free_port(const IpAddress& address, Instant now);
    [[nodiscard]] bool local_in_use(const Endpoint& local, bool dual_stack);

    /// The connections: `find` for events, `look` for questions.
    [[nodiscard]] ConnectionTable& connections() { return connections_; }
    [[nodiscard]] ListenerTable& listeners() { return listeners_; }
    [[nodiscard]] TimeWaitTable& time_wait() { return time_wait_; }
    /// The connection on the wire under that name, which sleeps on if it sleeps.
    [[nodiscard]] std::optional<ConnectionHandle> handle_of(const FourTuple& tuple);
    /// Runs `f(Tcb&, Effects&)` as an event of `connection` and carries out what it asks for. The
    /// connection may be gone afterwards.
    template <class F>
    void event(Connection& connection, Instant now, F&& f) {
        Effects effects(context_, now);
        f(connection.tcb, effects);
        finish(connection, effects, true);
    }
    /// The same for the last event of a user who lets go: CLOSE and ABORT. What is over already goes.
    template <class F>
    void release(Connection& connection, Instant now, F&& f) {
        connection.tcb.orphan = true;
        ++orphans_;
        if (connection.tcb.detached) {
            erase(connection);
        } else if (orphans_ > config_.max_orphans) {
            event(connection, now, abort_orphan);
        } else {
            event(connection, now, f);
        }
    }
    void snapshot(std::vector<ConnectionStatus>& out);
    bool snapshot_page(SnapshotCursor& cursor, std::uint32_t places,
                       std::vector<ConnectionStatus>& out);
    [[nodiscard]] const EndedConnection* ended(std::size_t back) const;
    [[nodiscard]] TableSizes sizes() const;
    void take_events(std::vector<UserEvent>& out);
    [[nodiscard]] const TcpConfig& config() const { return config_; }
    void configure(const TcpConfig& config) { config_ = config; }

private:
    static void abort_orphan(Tcb& tcb, Effects& effects);
    /// What a demux entry means: a connection or a TIME-WAIT entry, by index.
    static constexpr std::uint32_t kTimeWait = std::uint32_t{1} << 31;
    /// From SND.NXT of TIME-WAIT to the ISN of the next connection: a window without scaling, and the FIN.
    static constexpr std::uint32_t kBeyondOldIncarnation = 65'537;

    [[nodiscard]] Connection* find_connection(const FourTuple& tuple, Instant now);
    bool on_connection(Connection& connection, ArrivingSegment& segment, Instant now);
    void on_time_wait(std::uint32_t index, ArrivingSegment& segment, Instant now);
    void on_listener(ListenerHandle handle, ArrivingSegment& segment, SeqNum not_below, bool reuse,
                     Instant now);
    bool wrongly_signed(const ArrivingSegment& segment, const Md5Key* key, Instant now);
    void start_embryo(Connection& connection, ListenerHandle handle, const TcpHeader& syn,
                      Instant now);
    // Fast Open (open/fast_opening.cpp)
    [[nodiscard]] std::uint32_t fast_open_limit(const Listener& listener) const;
    [[nodiscard]] bool fast_open_room(Listener& listener, Instant now) const;
    [[nodiscard]] FastOpenVerdict judge_fast_open(Listener& listener,
                                                  const ArrivingSegment& segment, Instant now);
    void start_fast_open(Connection& connection, const FastOpenVerdict& verdict,
                         ArrivingSegment& segment, Effects& effects);
    void prepare_fast_open(Tcb& tcb, Instant now);
    void settle_fast_open(Tcb& tcb, Instant now);
    void answer_with_cookie(Listener& listener, const ArrivingSegment& segment, Instant now);
    bool take_cookie(ListenerHandle handle, ArrivingSegment& segment, Instant now);
    void on_nobody(const ArrivingSegment& segment, Instant now);
    void record(Decision decision, const ArrivingSegment& segment, Instant now);
    void push_control(const ControlSegment& segment, Instant now);

    Connection* open(const FourTuple& tuple, std::uint32_t path_mtu,
                     const ConnectionOptions& options, Instant now);
    static void start_at(Tcb& tcb, SeqNum iss);
    static void start_beyond(Tcb& tcb, SeqNum not_below);
    [[nodiscard]] bool reusable(std::uint32_t held, Instant now);
    void finish(Connection& connection, Effects& effects, bool may_send);
    void promote(Connection& connection, Instant now);
    void to_time_wait(Connection& connection, Instant now);
    void leave_wire(Connection& connection);
    void remember_end(const Tcb& tcb);
    void erase(Connection& connection);
    void forget_embryo(Tcb& tcb);
    void mark_ready(Tcb& tcb);
    void queue_event(Tcb& tcb);
    void queue_event(ListenerHandle handle, Listener& listener);
    void rearm(Connection& connection, Instant now);
    void on_deadline(Connection& connection, Instant now);

    TcpConfig config_;
    BufferPool& pool_;
    FlightRecorder& recorder_;
    Ring<ControlSegment> control_;
    ChallengeLimiter challenges_;
    Context context_;
    SipKey isn_key_;
    SipKey timestamp_key_;
    SynCookies cookies_;
    FastOpenKeys fast_open_keys_;
    FastOpenCache fast_open_cache_;
    TimerWheel wheel_;
    ConnectionTable connections_;
    TimeWaitTable time_wait_;
    ListenerTable listeners_;
    DemuxTable demux_;
    EphemeralPorts ports_;
    Ring<std::uint64_t> ready_;
    std::vector<UserEvent> events_;
    std::vector<IpAddress> suspects_;
    FourTuple last_tuple_;  ///< of the last segment: a batch is mostly of one connection
    ConnectionHandle last_connection_;
    std::vector<EndedConnection> ended_;  ///< a ring once it is full
    std::uint64_t ended_next_ = 0;
    std::uint32_t orphans_ = 0;  ///< connections that have no user any more and are not gone yet
};

/// The snapshot of one connection.
[[nodiscard]] ConnectionStatus status_of(const Tcb& tcb, const TcpConfig& config);

}  // namespace runnel::tcp
