// A connection on which nothing happens, packed (DESIGN §4, lean when idle). Nothing waits to be sent,
// acknowledged, reassembled or read then, so that most of a Tcb says only that it is empty, and what is
// left are a few numbers near each other. Packing and unpacking change nothing that anyone could see.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "runnel/base/timer_wheel.hpp"
#include "runnel/tcp/tcb.hpp"

namespace runnel::tcp {

/// Options of dormant connections, one copy of each different set.
class OptionsTable {
public:
    const ConnectionOptions* hold(const ConnectionOptions& options);
    void let_go(const ConnectionOptions* options);
    [[nodiscard]] std::size_t size() const { return held_.size(); }

private:
    std::map<ConnectionOptions, std::uint32_t> held_;  ///< and how many hold it
};

/// The keep-alive timer of a connection that sleeps. A node that has fired knows its deadline no more.
struct Alarm {
    TimerNode node;
    Instant deadline;
};

/// What most quiet connections have nothing of: what loss, reordering and full windows leave behind.
struct Scars {
    std::uint64_t bytes_retransmitted = 0;
    std::uint32_t retransmissions = 0;
    std::uint32_t duplicates_reported = 0;
    std::uint32_t out_of_order_received = 0;
    std::uint32_t timeouts = 0, tail_probes = 0, recoveries = 0, undone = 0, lost = 0;
    std::uint64_t delivered_again = 0, octets_lost = 0;
    Rack::Lessons rack;
    Aftermath aftermath;
    Duration window_limited;
    Duration buffer_limited;
    Instant last_invalid_ack;
    bool fast_open_used = false;
    bool syn_data_acked = false;
    FastOpenFailure fast_open_failure = FastOpenFailure::none;
    Ecn ecn;  ///< of those who agreed on it

    bool operator==(const Scars&) const = default;
};

/// What a quiet Tcb knows. Sequence numbers stand as signed offsets from the two that go on counting,
/// SND.UNA and RCV.NXT; one further away than an offset reaches stands at its end, where every comparison
/// with numbers near the window comes out the same.
struct DormantTcb {
    FourTuple tuple;
    std::uint32_t path_mtu;

    Seq64 snd_una;
    Seq64 rcv_nxt;
    SeqNum iss;
    SeqNum irs;
    std::uint32_t snd_wnd;
    std::uint32_t snd_max_wnd;
    std::int32_t snd_wl1;  ///< from RCV.NXT
    std::int32_t snd_wl2;  ///< from SND.UNA
    std::int32_t small_end;
    std::int32_t recovery_point;
    std::int32_t last_ack_sent;
    std::uint32_t rcv_wnd;
    std::uint32_t receive_limit;
    std::uint32_t send_room;
    std::uint16_t acked_packet;

    std::uint32_t segments_sent;
    std::uint32_t segments_received;
    std::uint32_t data_segments_sent;
    std::uint32_t data_segments_received;
    std::uint32_t delivered;
    std::uint64_t bytes_acked;
    std::uint64_t bytes_received;
    std::uint64_t last_event;
    Duration busy;

    Instant last_data_sent;
    Instant last_received;
    NegotiatedOptions options;
    RttEstimator rtt;
    RateSampler::Rest rate;
    AckPolicy ack;
    WindowTuner window;
    DormantController controller;

    const ConnectionOptions* user;  ///< held in the OptionsTable
    std::unique_ptr<Scars> scars;   ///< only where there are any
    std::unique_ptr<MtuSearch> mtu_search;
    std::unique_ptr<Alarm> keepalive;  ///< only while that timer is armed, which few use

    Decision last_hold;
    State state;
    Errc soft_error;
    std::uint8_t backoff;
    std::uint8_t syn_transmissions;

    bool passive : 1;
    bool fin_sent : 1;
    bool fin_received : 1;
    bool receive_shutdown : 1;
    bool push_hold : 1;
    bool window_limited : 1;
    bool writer_waits : 1;
};

/// Whether `tcb` is one of those that sleep when they are quiet: open, and in a user's hands.
[[nodiscard]] inline bool may_sleep(const Tcb& tcb) {
    const bool open = tcb.state == State::established || tcb.state == State::close_wait ||
                      tcb.state == State::fin_wait_2;
    return open && tcb.listener == 0 && !tcb.embryo && !tcb.orphan && !tcb.detached;
}

/// Whether everything that `tcb` knows has a place in a DormantTcb.
[[nodiscard]] bool is_quiet(const Tcb& tcb);

/// Packs a quiet Tcb, all but `keepalive`, which belongs to the timer wheel.
void pack(const Tcb& tcb, OptionsTable& options, DormantTcb& dormant);

/// Makes a new Tcb what the packed one was; `handle` is its name.
void unpack(const DormantTcb& dormant, std::uint64_t handle, const TcpConfig& config, Tcb& tcb);

}  // namespace runnel::tcp
