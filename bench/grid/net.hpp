// Two Runnel hosts on one impaired path in virtual time. Leaner than sim::World, and with the bottleneck,
// the losses and the taps that measuring needs.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "grid/way.hpp"
#include "runnel/host/host.hpp"
#include "runnel/report/pcapng_writer.hpp"
#include "runnel/socket/socket_layer.hpp"

namespace runnel::bench {

struct NetConfig {
    tcp::TcpConfig sender, receiver;
    WayConfig there, back;
    std::uint32_t mtu = 1500;
    std::uint64_t seed = 1;
    bool capture = false;  ///< of the sender's interface, into Net::captured
};

/// The side that sends data, and the one that takes it.
inline constexpr unsigned kSender = 0, kReceiver = 1;

/// A packet of data as the bottleneck sees it enter, by its headers.
struct SeenPacket {
    std::uint16_t source_port = 0, destination_port = 0;
    std::uint32_t seq = 0;
    std::uint32_t payload = 0;
    bool syn = false;
    Fate fate = Fate::arrives;
};

class Net {
public:
    explicit Net(const NetConfig& config);
    Net(const Net&) = delete;
    Net& operator=(const Net&) = delete;

    [[nodiscard]] Instant now() const { return now_; }
    [[nodiscard]] Host& host(unsigned side) { return machines_[side]->host; }
    [[nodiscard]] SocketLayer& sockets(unsigned side) { return machines_[side]->sockets; }
    [[nodiscard]] const Way& way(unsigned side) const { return *ways_[side]; }
    [[nodiscard]] static Endpoint receiver_at(std::uint16_t port);

    /// Sends what hosts have to say; true when that was anything.
    bool flush();
    /// Moves on to the next arrival or deadline, but not beyond `limit`; false when the clock stands there.
    bool advance(Instant limit);

    /// Packets with data from the sender since the last look; kept only after `watch_data(true)`.
    [[nodiscard]] std::vector<SeenPacket>& seen() { return seen_; }
    void watch_data(bool on) { watching_ = on; }
    /// Most bytes that the sender has let go at one instant, since the last reset.
    [[nodiscard]] std::uint64_t greatest_burst() const { return greatest_burst_; }
    void reset_burst() { greatest_burst_ = 0; }
    [[nodiscard]] const std::vector<std::byte>& captured() const { return captured_; }

private:
    struct Machine {
        explicit Machine(const HostConfig& config) : host(config) {}
        Host host;
        SocketLayer sockets{host};
    };
    struct Parcel {
        Instant arrives;
        std::uint64_t number = 0;
        std::vector<std::byte> bytes;
    };
    struct Later {
        bool operator()(const Parcel& a, const Parcel& b) const {
            return a.arrives != b.arrives ? a.arrives > b.arrives : a.number > b.number;
        }
    };
    /// What is on its way: most of it in order, what is held back aside.
    struct Flight {
        std::vector<Parcel> in_order;  ///< a queue: [begin, end)
        std::size_t begin = 0;
        std::vector<Parcel> held;  ///< a heap
        [[nodiscard]] bool empty() const { return begin == in_order.size() && held.empty(); }
    };

    void send(unsigned side, const Frame& frame);
    void note(const std::vector<std::byte>& bytes, Fate fate);
    [[nodiscard]] Instant next_arrival(unsigned side) const;
    Parcel take(unsigned side);
    void deliver(unsigned to);
    void capture();

    NetConfig config_;
    Instant now_{seconds(1'000).ns};
    std::array<std::unique_ptr<Machine>, 2> machines_;
    std::array<std::unique_ptr<Way>, 2> ways_;
    std::array<Flight, 2> flights_;  ///< by sender
    std::vector<std::vector<std::byte>> spare_;
    std::uint64_t numbers_ = 0;
    FrameBatch batch_;
    bool watching_ = false;
    std::vector<SeenPacket> seen_;
    Instant burst_at_;
    std::uint64_t burst_ = 0, greatest_burst_ = 0;
    std::unique_ptr<report::PcapngWriter> writer_;
    std::vector<CapturedFrame> frames_;
    std::vector<std::byte> captured_;
};

}  // namespace runnel::bench
