// A toy TCP, small enough to be read in one go: one connection, no options but the maximum segment size and,
// if wanted, timestamps; no congestion control, a timer that is a number. It does what RFC 9293 says, except
// where a habit makes it break one rule: that is what it is for. It is no part of the engine.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "runnel/lab/segment.hpp"
#include "runnel/lab/tap.hpp"
#include "runnel/tcp/state.hpp"

namespace runnel::lab {

class Scene;

/// Each switch that is on breaks one rule.
struct Habits {
    // Opening and closing
    bool opens_at_syn = false;  ///< ESTABLISHED on the SYN, without waiting for the third message
    bool answers_syn_once = false;    ///< a SYN that comes again is not answered again
    bool counts_isn = false;          ///< each connection's ISN is the last one's plus 64,000
    bool no_crossing_syn = false;     ///< a SYN in SYN-SENT is thrown away
    bool fin_without_number = false;  ///< its FIN takes no sequence number
    bool close_is_for_both = false;   ///< closing forgets the connection, what the peer sends too
    bool no_time_wait = false;        ///< CLOSED where TIME-WAIT should be
    bool dumb_when_closed = false;    ///< what belongs to no connection is not answered by a reset
    // Data
    bool never_retransmits = false;
    bool fixed_timer = false;  ///< the timer neither doubles nor gives up
    bool acks_latest = false;  ///< acknowledges the latest segment, whatever is missing before it
    bool drops_beyond_gap = false;  ///< keeps nothing that lies beyond a gap
    bool no_probes = false;         ///< waits for the peer's window to open, and does not ask
    bool ignores_window = false;    ///< sends more than the peer has room for
    bool silly_sender = false;      ///< sends whatever fits, one octet too
    bool silly_receiver = false;    ///< announces each octet that becomes free
    bool ignores_checksum = false;
    // Attacks
    bool believes_any_reset = false;  ///< a reset anywhere in the window counts
    bool syn_resets = false;          ///< a SYN in the window ends the connection (RFC 793)

    // Not wrong, only sizes
    std::uint32_t isn = 5000;
    std::uint16_t mss = 1460;       ///< bytes
    std::uint16_t buffer = 65'535;  ///< of the receiver, bytes
    Duration timeout = seconds(1);  ///< of retransmission and probes, the first
    bool timestamps = false;        ///< RFC 7323
    bool closes_with_peer = false;  ///< its FIN goes with the ACK of the peer's
    std::uint16_t port = 80;
};

class Toy {
public:
    Toy(Scene& scene, Side side, const Habits& habits)
        : scene_(scene), side_(side), habits_(habits), isn_(habits.isn) {}

    // --- its user's calls -----------------------------------------------------------------------------
    void listen();
    /// Opens from its port to the other side's.
    void open(std::uint16_t to = 80);
    void send(std::string_view text);
    void finish();  ///< closes its direction, after what is queued
    /// Takes up to `most` octets out of the receive buffer, where `reads` is off.
    void read(std::size_t most);

    /// The machine crashes and starts anew: it knows nothing any more.
    void crash() { forget(); }

    bool reads = true;  ///< its user takes everything at once
    std::string received;
    bool ended = false;  ///< the peer's FIN has come
    [[nodiscard]] tcp::State state() const { return state_; }
    [[nodiscard]] std::uint64_t retransmissions() const { return retransmissions_; }
    [[nodiscard]] std::uint64_t segments_with_text() const { return segments_with_text_; }
    [[nodiscard]] bool reset() const { return reset_; }  ///< the peer, or somebody, has reset it
    [[nodiscard]] std::size_t unacknowledged() const { return queue_.size(); }
    [[nodiscard]] SeqNum snd_nxt() const;
    [[nodiscard]] SeqNum rcv_nxt() const { return rcv_nxt_; }

    /// A segment arrives (RFC 9293 §3.10.7, shortened).
    void on_segment(const Segment& segment, bool checksum_is_right);

private:
    // Arriving
    void on_listen(const Segment& segment);
    void on_syn_sent(const Segment& segment);
    void on_connection(const Segment& segment);
    [[nodiscard]] bool check_reset_and_syn(const Segment& segment);
    void check_ack(const Segment& segment);
    void take_text(const Segment& segment);
    void take_in_order();
    void check_fin();
    void on_fin_acknowledged();
    void refuse(const Segment& segment);
    // Sending
    void begin(tcp::State state, const Endpoint& peer);
    void emit(std::uint16_t flags, SeqNum seq, std::string_view text = {});
    void emit_ack();
    void transmit();
    void retransmit();
    void set_timer();
    void stop_timer() { ++timer_; }
    void forget();
    [[nodiscard]] std::uint16_t window() const;
    [[nodiscard]] bool in_window(const Segment& segment) const;
    [[nodiscard]] std::size_t in_flight() const { return sent_; }

    Scene& scene_;
    Side side_;
    Habits habits_;
    tcp::State state_ = tcp::State::closed;
    bool listening_ = false;
    Endpoint peer_;
    std::uint32_t isn_;

    // What it sends: `queue_` begins with the first octet that isn't acknowledged.
    SeqNum iss_;
    SeqNum queue_seq_;  ///< of the queue's first octet
    std::string queue_;
    std::size_t sent_ = 0;  ///< octets of the queue that have been sent
    bool syn_acked_ = false;
    bool finishing_ = false;
    bool fin_sent_ = false;
    bool fin_acked_ = false;
    std::uint32_t peer_window_ = 0;
    std::size_t peer_mss_ = 536;

    // What it receives.
    SeqNum rcv_nxt_;
    SeqNum ack_;                                   ///< what it says it has
    std::string buffer_;                           ///< not yet read
    std::map<std::uint64_t, std::string> beyond_;  ///< by offset from the peer's ISN
    SeqNum irs_;
    std::uint64_t fin_at_ = 0;  ///< the offset of the peer's FIN; 0: not seen
    std::uint16_t announced_ = 0;
    std::uint32_t ts_recent_ = 0;

    std::uint64_t timer_ = 0;  ///< the one that counts; earlier ones are stopped
    unsigned tries_ = 0;
    std::uint64_t retransmissions_ = 0;
    std::uint64_t segments_with_text_ = 0;
    bool reset_ = false;
};

}  // namespace runnel::lab
