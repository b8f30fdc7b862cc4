// A look at one connection of one host, which is what a checker gets, and how it says what it has found.
#pragma once

#include <initializer_list>
#include <string_view>
#include <utility>

#include "runnel/base/work.hpp"
#include "runnel/sim/check/shadow.hpp"
#include "runnel/sim/run.hpp"

namespace runnel::sim::check {

struct Look {
    Simulation& run;
    NodeId host;
    Instant local;  ///< the host's clock
    Shadow& seen;
    const tcp::Tcb& tcb;
    const tcp::TcpConfig& config;
    bool sweep = false;  ///< whole tables, however long

    using Figure = std::pair<std::string_view, std::uint64_t>;
    /// Says that `check` does not hold: ends the run, unless a fault has suspended it for the flow.
    void fails(Check check, std::string_view what, std::initializer_list<Figure> figures) const;
};

/// The same for what is no connection's: of a host, or of a flow (an index).
void report(Simulation& run, Check check, NodeId host, std::uint16_t flow, std::string_view what,
            std::initializer_list<Look::Figure> figures, std::uint64_t connection = 0);

// --- what a connection is, when its host has settled (check/<name>.cpp) ------------------------------------
void send_order(const Look& look);
void loss_timer(const Look& look);
void persist_timer(const Look& look);
void owned_deadline(const Look& look);
void delayed_ack(const Look& look);
/// From when on an ACK is owed, right after a packet has arrived.
void delayed_ack_begins(const Look& look);
void reassembly(const Look& look);
void rto_bounds(const Look& look);
void cwnd_bounds(const Look& look);
void cubic_window(const Look& look);
void bbr_bounds(const Look& look);
void pipe(const Look& look);
/// The same with the wire's word for what is on its way; called by `pipe`.
void flight(const Look& look);
/// Before `flight`, at every look: what timeouts and paths too small for it have taken back.
void flight_exempts(const Look& look);
/// Notes where the threshold has fallen.
void reduction(const Look& look);

// --- what a connection sends ---------------------------------------------------------------------------------
void offered_window(const Look& look, const Packet& sent);
void right_edge(const Look& look, const Packet& sent);
void acks_advance(const Look& look, const Packet& sent);
void one_fin(const Look& look, const Packet& sent);
void sack_truth(const Look& look, const Packet& sent);
void ecn_sent(const Look& look, const Packet& sent);
/// After a packet has arrived: what has reached the peer with a mark so far.
void ecn_heard(const Look& look, std::uint64_t marked_segments, std::uint64_t marked_octets);
/// After a packet has arrived: an echo of a mark makes the sender reduce, once for a window of data.
void ecn_reaction(const Look& look, const Packet& arrived);
/// After a packet has arrived: it was dropped exactly if it is too old. `taken`: the connection has heard of it.
void paws(const Look& look, const Packet& arrived, bool taken, bool dropped);
/// Nothing has arrived since: nothing may have changed.
void paws_at_rest(const Look& look);
void paws_remember(Shadow& shadow, const tcp::Tcb& tcb, Instant local);
/// Karn's rule, after a packet has arrived: the acknowledgement moved from `before`.
void karn(const Look& look, const Packet& arrived, tcp::Seq64 before);

// --- what the wire tells of what is on its way (check/flight.cpp) ----------------------------------------------
/// [begin, end) has left; `again`: not for the first time, as its sender says.
void flight_sent(Shadow& seen, tcp::Seq64 begin, tcp::Seq64 end, Instant now, bool again);
/// All before `una` has arrived; the blocks of `arrived` tell of more.
void flight_arrived(Shadow& seen, tcp::Seq64 una, const Packet& arrived);

// --- hosts and flows -------------------------------------------------------------------------------------------
/// What taking one packet in has cost; `waiting`: octets that waited behind a gap in its connection.
void work(Simulation& run, NodeId host, const Work& spent, std::uint64_t waiting);
void memory(Simulation& run, NodeId host, std::uint64_t held, bool at_rest);
void time_wait(Simulation& run, NodeId host);
void content(Simulation& run, std::uint16_t flow, NodeId host);
void once(Simulation& run, std::uint16_t flow, NodeId host);
void completion(Simulation& run);

/// Liveness: by then, since the run's beginning, each flow of the scenario is over. Faults have healed by the
/// greatest Fault::until; from there on nothing takes longer than giving up, retransmitting with the greatest
/// RTO, keep-alive's patience and TIME-WAIT, and the flow's own pauses and round trips.
[[nodiscard]] Duration liveness_bound(const Scenario& scenario);

}  // namespace runnel::sim::check
