// The host under test: one Host with its sockets in virtual time, on a wire without offload whose far end is the
// script. Nothing here knows of scripts: packets go in, time passes, what the host sends waits in a queue with its
// time and its reasons.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "runnel/drill/packet_bytes.hpp"
#include "runnel/host/host.hpp"
#include "runnel/report/pcapng_writer.hpp"
#include "runnel/socket/socket_layer.hpp"
#include "runnel/tcp/inspection.hpp"

namespace runnel::drill {

struct MachineConfig {
    HostConfig host;
    std::uint32_t mtu = 1500;
    std::vector<Cidr> addresses;
    std::vector<std::byte>* capture = nullptr;  ///< a pcapng is appended; must outlive the machine
};

class Machine {
public:
    /// Packets waiting to be looked at; a host that sends more at once is cut off (`overflowed`).
    static constexpr std::size_t kMaxWaiting = 1u << 16;
    static constexpr unsigned kMaxTimeoutsInARow = 1000;

    explicit Machine(const MachineConfig& config);
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    [[nodiscard]] Host& host() { return host_; }
    [[nodiscard]] SocketLayer& sockets() { return sockets_; }
    [[nodiscard]] Instant now() const { return now_; }
    /// The host's next timer, never() when it has none.
    [[nodiscard]] Instant next_timeout() const { return host_.next_timeout(); }

    /// Time passes up to `when` (not back): timers run only when they are due at it, so the caller stops at each.
    void advance(Instant when);
    /// A whole IP packet arrives now. `gso_size`: it stands for segments of that many bytes; 0: it is one.
    /// `times`: so many of it, in one batch.
    void inject(const std::vector<std::byte>& packet, std::uint16_t gso_size,
                std::uint32_t times = 1);
    /// Whether the host has a connection of that name on the wire (TIME-WAIT is none).
    [[nodiscard]] bool knows(const FourTuple& tuple) const {
        return tcp::Inspection(host_.tcp()).find(tuple).has_value();
    }
    /// Everything the host has to say now goes into `sent`, unless it is held back.
    void flush();
    /// At that instant the host is not asked yet, because more happens then; never() ends it.
    void hold(Instant at) { held_at_ = at; }
    [[nodiscard]] bool held() const { return held_at_ == now_; }

    std::deque<SeenPacket> sent;
    [[nodiscard]] bool overflowed() const { return overflowed_; }
    /// The host's timer doesn't go away however often it is run: a defect of the host.
    [[nodiscard]] bool stuck() const { return timeouts_in_a_row_ > kMaxTimeoutsInARow; }

private:
    void collect();

    Host host_;
    SocketLayer sockets_;
    Instant now_ = Instant{} + seconds(1'000);
    std::uint8_t interface_ = 0;
    std::unique_ptr<report::PcapngWriter> writer_;
    FrameBatch batch_;
    std::vector<CapturedFrame> captured_;
    unsigned timeouts_in_a_row_ = 0;
    bool overflowed_ = false;
    Instant held_at_ = Instant::never();
};

}  // namespace runnel::drill
