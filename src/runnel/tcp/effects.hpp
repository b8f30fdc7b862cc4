// What an event may reach besides its Tcb: the pool, the recorder, the configuration and the queue of
// segments that belong to no transmit decision; and what it asks of the stack when it returns.
#pragma once

#include <cstdint>

#include "runnel/base/ring.hpp"
#include "runnel/tcp/tcb.hpp"

namespace runnel::tcp {

/// A segment without data that answers another one: resets, and ACKs from TIME-WAIT.
struct ControlSegment {
    FourTuple tuple;
    TcpHeader header;
    Decision reason{};
    std::uint8_t traffic_class = 0;
    std::uint8_t hop_limit = 0;  ///< 0: the host's
};

/// Answers wait here for `poll_transmit`; beyond the limit they are dropped (counted), never queued on.
inline constexpr std::size_t kMaxControlSegments = 4096;

/// RFC 5961 §7: challenge ACKs of the whole host, so many a second.
class ChallengeLimiter {
public:
    bool allow(Instant now, const TcpConfig& config) {
        if (now - window_ >= seconds(1)) {
            window_ = now;
            used_ = 0;
        }
        return used_++ < config.challenge_ack_limit;
    }

private:
    Instant window_;
    std::uint32_t used_ = 0;
};

struct Context {
    BufferPool& pool;
    FlightRecorder& recorder;
    const TcpConfig& config;
    Ring<ControlSegment>& control;
    ChallengeLimiter& challenges;
};

/// A segment inside the door: numbers unwrapped near the connection's own, window scaled.
struct Segment {
    const TcpHeader& header;
    SliceList& payload;
    FourTuple tuple;
    Seq64 seq;
    Seq64 ack;
    std::uint32_t length;  ///< payload octets; shrinks when trimmed to the window
    std::uint64_t window;
    std::uint16_t gso_size;
    bool fin;               ///< SEG.FIN, cleared when it is trimmed off
    std::uint8_t mark = 0;  ///< the two ECN bits of its IP header (ecn/ecn.hpp)

    [[nodiscard]] TcpFlags flags() const { return header.flags; }
    /// The sequence number after the segment's last (SEG.SEQ + SEG.LEN, with SYN and FIN).
    [[nodiscard]] Seq64 end() const {
        return seq + length + (header.flags.syn() ? 1U : 0U) + (fin ? 1U : 0U);
    }
    /// Segments on the wire: more than one in a super-segment.
    [[nodiscard]] std::uint32_t pieces() const {
        return gso_size == 0 || length == 0 ? 1 : (length + gso_size - 1) / gso_size;
    }
    [[nodiscard]] std::uint64_t sequence_length() const { return end().value - seq.value; }
};

enum class Fate : std::uint8_t {
    none,
    time_wait,  ///< goes on as an entry of the TIME-WAIT table
    closed,     ///< gone from the wire
};

class Effects {
public:
    Effects(Context& context, Instant instant) : context_(context), now(instant) {}

    [[nodiscard]] const TcpConfig& config() const { return context_.config; }
    [[nodiscard]] BufferPool& pool() { return context_.pool; }
    [[nodiscard]] ChallengeLimiter& challenges() { return context_.challenges; }

    /// Writes a decision about an arriving segment down.
    void decide(Tcb& tcb, Decision decision, const Segment& segment, std::uint32_t value = 0) {
        if constexpr (kTrace) {
            record(tcb, decision, segment, value);
        }
    }
    /// Writes a decision that concerns no arriving segment down.
    void decide(Tcb& tcb, Decision decision, std::uint32_t value = 0) {
        if constexpr (kTrace) {
            record(tcb, decision, value);
        }
    }
    /// Writes the decision that made a segment leave down.
    void decide_sent(Tcb& tcb, Decision decision, const TcpHeader& header, std::uint32_t length) {
        if constexpr (kTrace) {
            record_sent(tcb, decision, header, length);
        }
    }
    /// Queues an answer that uses none of the connection's own transmit decisions.
    void reply(const ControlSegment& segment);

    /// Moves to another state of the table and wakes whom that concerns.
    void enter(Tcb& tcb, State state);
    /// Ends the connection with an error for its user (`Errc::ok` for an orderly end).
    void end(Tcb& tcb, Errc error);

    /// A soft error for the user, who may not want it (RFC 9293 §3.9.1.8, SHLD-20).
    void report(Tcb& tcb, ErrorReport::Reason reason);

    void wake_reader() { wake_ = true; }
    /// A writer who has found no room, if there is some now.
    void wake_waiting_writer(Tcb& tcb) {
        if (tcb.writer_waits && tcb.has_send_room(config())) {
            tcb.writer_waits = false;
            wake_ = true;
        }
    }
    [[nodiscard]] bool wake() const { return wake_; }

private:
    Context& context_;

public:
    const Instant now;
    Fate fate = Fate::none;
    bool established = false;  ///< SYN-RECEIVED under a listener has ended well
    bool progress = false;     ///< something of ours was acknowledged for the first time
    bool suspect = false;      ///< R1: IP is to look at the way anew
    bool swallowed = false;    ///< the path may swallow what Fast Open sends

private:
    void record(Tcb& tcb, Decision decision, const Segment& segment, std::uint32_t value);
    void record(Tcb& tcb, Decision decision, std::uint32_t value);
    void record_sent(Tcb& tcb, Decision decision, const TcpHeader& header, std::uint32_t length);

    bool wake_ = false;
};

}  // namespace runnel::tcp
