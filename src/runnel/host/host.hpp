// One machine's network in your process: interfaces, IP, TCP and UDP behind four calls that a driver or a
// simulator makes: frames came, transmit, when next, time passed. A host does no I/O and reads no clock.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runnel/base/buffer.hpp"
#include "runnel/base/siphash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/base/timer_wheel.hpp"
#include "runnel/ip/ip_layer.hpp"
#include "runnel/observe/flight_recorder.hpp"
#include "runnel/tcp/stack.hpp"
#include "runnel/udp/udp_table.hpp"

namespace runnel {

struct HostConfig {
    std::string name = "runnel";
    tcp::TcpConfig tcp;
    IpConfig ip;
    UdpConfig udp;
    SipKey secret;                          ///< from the driver's randomness; a seed in simulation
    std::size_t buffer_limit = 512u << 20;  ///< bytes of all packet buffers
    std::size_t recorder_capacity = 1u << 15;  ///< records kept
};

/// Frames kept for `take_captured`; later ones are counted and not kept.
inline constexpr std::size_t kMaxCapturedFrames = 1u << 14;
/// Timers of operations running, or fired and not yet taken.
inline constexpr std::uint32_t kMaxUserTimers = 1u << 20;

/// A frame as it crossed an interface, for captures: the slices are shared, nothing is copied.
struct CapturedFrame {
    Instant time;
    std::uint8_t interface = 0;
    bool inbound = false;
    Frame frame;
    /// The decisions it led to (inbound) or came from (outbound), the first ones.
    boost::container::static_vector<Decision, 6> decisions;
};

/// A timer of the host's user (an operation's timeout): fires into `take_fired_timers`.
struct UserTimerTag;
using UserTimerHandle = Handle<UserTimerTag>;

/// The driver's duty, in this order: hand over what arrived (`on_frames`), pass time (`on_timeout` once
/// `next_timeout` has come), let the user's calls be made, and then `poll_transmit` until it returns false.
/// Packets of the host to itself travel inside `poll_transmit`, so it too can wake users: look at events
/// after it, and poll again after the calls that they lead to.
class Host {
public:
    explicit Host(const HostConfig& config);
    ~Host();
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    // --- set-up --------------------------------------------------------------------------------------
    /// The index that frames carry. More than kMaxInterfaces is a broken invariant of the caller.
    std::uint8_t add_interface(const InterfaceConfig& config);
    Status add_address(std::uint8_t interface, const Cidr& address, Instant now);
    Status add_route(const Route& route);

    // --- the driver's four calls -----------------------------------------------------------------------
    /// Takes a batch that arrived on `interface`; the frames are moved from, the vector is cleared.
    void on_frames(std::uint8_t interface, FrameBatch& frames, Instant now);
    /// Appends frames to `out` (Frame::interface says where each goes) until there are about `budget` or
    /// nothing is left to say. True when there may be more at once.
    bool poll_transmit(Instant now, FrameBatch& out, std::size_t budget = 64);
    /// When `on_timeout` must be called next; never() when nothing is armed. What `poll_transmit` would
    /// say at once is not counted here.
    [[nodiscard]] Instant next_timeout() const;
    void on_timeout(Instant now);

    // --- timers of operations ---------------------------------------------------------------------------
    /// The none-handle when there are kMaxUserTimers already. Fires at the first `on_timeout` that reaches
    /// `deadline`.
    UserTimerHandle start_timer(Instant deadline, std::uint64_t token);
    /// Nothing happens when it has fired or been cancelled; a token already fired may still be taken.
    void cancel_timer(UserTimerHandle timer);
    /// Tokens of timers that have fired since the last call; `out` is cleared first.
    void take_fired_timers(std::vector<std::uint64_t>& out);

    // --- rooms below ------------------------------------------------------------------------------------
    tcp::Stack& tcp() { return tcp_; }
    [[nodiscard]] const tcp::Stack& tcp() const { return tcp_; }
    IpLayer& ip() { return ip_; }
    [[nodiscard]] const IpLayer& ip() const { return ip_; }
    UdpTable& udp() { return udp_; }
    [[nodiscard]] const UdpTable& udp() const { return udp_; }
    BufferPool& pool() { return pool_; }
    [[nodiscard]] const BufferPool& pool() const { return pool_; }
    FlightRecorder& recorder() { return recorder_; }
    [[nodiscard]] const FlightRecorder& recorder() const { return recorder_; }
    [[nodiscard]] const HostConfig& config() const { return config_; }

    /// Keeps every frame for `take_captured` while on; off by default. A kept frame pins its buffers.
    void set_capture(bool on) { capturing_ = on; }
    /// Frames that crossed an interface since the last call, in order; `out` is cleared first.
    void take_captured(std::vector<CapturedFrame>& out);
    /// Frames that were not kept because nobody took the others.
    [[nodiscard]] std::uint64_t captured_dropped() const { return captured_dropped_; }

private:
    // The way in, top to bottom in host_input.cpp.
    void on_frame(Frame&& frame, Instant now);
    void on_input(InputResult&& result, Instant now);
    void on_datagram(Datagram&& datagram, Instant now);
    void on_tcp(Datagram&& datagram, Instant now);
    void on_udp(Datagram&& datagram, Instant now);
    void on_icmp_error(const IcmpError& error, Instant now);
    bool icmp_to_tcp(const IcmpError& error, Instant now);
    bool icmp_to_udp(const IcmpError& error, Instant now);
    Decision drop_tcp(Decision decision, const Datagram& datagram, Instant now);

    // The way out, top to bottom in host_output.cpp.
    bool next_step(Instant now);
    void emit(tcp::OutgoingSegment&& segment, Instant now);
    void emit(UdpTransmit&& datagram, Instant now);
    void hand_out(FrameBatch& out, Instant now);

    [[nodiscard]] bool may_capture();
    void capture_in(const Frame& frame, Instant now);
    void capture_decisions(std::uint64_t first_record);

    struct UserTimer {
        TimerNode node;
        std::uint64_t token = 0;
    };

    HostConfig config_;
    BufferPool pool_;  // before everything that holds slices, so that it goes last
    FlightRecorder recorder_;
    IpLayer ip_;
    tcp::Stack tcp_;
    UdpTable udp_;
    mutable TimerWheel timers_;  // finding its earliest deadline tidies its slots
    Slab<UserTimer, UserTimerTag> user_timers_;
    std::vector<std::uint64_t> fired_;
    std::vector<IpAddress> suspects_;  ///< kept for its memory
    bool capturing_ = false;
    std::vector<CapturedFrame> captured_;
    std::uint64_t captured_dropped_ = 0;
};

}  // namespace runnel
