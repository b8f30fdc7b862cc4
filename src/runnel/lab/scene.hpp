// The stage of a lesson: two ends on one wire in virtual time. An end is a Runnel host, with programs on its
// sockets, or a toy, which speaks segments. Between them a network that loses, keeps, delays or changes what
// the lesson wants; and a tap that sees everything.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runnel/lab/app.hpp"
#include "runnel/lab/outcome.hpp"
#include "runnel/lab/segment.hpp"
#include "runnel/lab/tap.hpp"
#include "runnel/sim/world.hpp"

namespace runnel::lab {

class Toy;
struct Habits;

struct SceneConfig {
    bool rule = true;  ///< chooses the addresses, so that both captures fit in one file
    Duration delay = milliseconds(10);   ///< each way
    std::uint64_t bytes_per_second = 0;  ///< of the wire from left to right; 0: no limit
    std::uint32_t queue_bytes = 1u << 20;
    std::array<tcp::TcpConfig, 2> tcp = {};  ///< of the hosts; toys have habits instead
};

/// A segment on its way, for whoever sits on the wire.
struct Transit {
    Side from = Side::left;
    Segment segment;         ///< may be changed
    std::size_t number = 0;  ///< of this sender's segments, from 1
    bool lost = false;
    bool changed = false;  ///< to be set with a change of `segment`
    bool corrupt =
        false;           ///< the last bit of its last octet is flipped, behind the checksum's back
    Duration late = {};  ///< on top of the wire's delay
};

class Scene {
public:
    explicit Scene(const SceneConfig& config);
    ~Scene();
    Scene(const Scene&) = delete;
    Scene& operator=(const Scene&) = delete;

    // --- the cast ---------------------------------------------------------------------------------------
    [[nodiscard]] Endpoint at(Side side, std::uint16_t port) const;
    [[nodiscard]] Endpoint stranger(std::uint16_t port) const;  ///< a third address, nobody's
    /// A program of the host on `side` that connects to the other side's port 80, from `port`.
    App& connect(Side side, std::uint16_t port = 40000);
    /// The same; `to` is the port there.
    App& connect_to(Side side, std::uint16_t port, std::uint16_t to);
    /// The host on `side` listens on port 80; `welcome` is called for each program that has accepted a
    /// connection.
    void serve(Side side, std::function<void(App&)> welcome = {}, std::uint32_t backlog = 16);
    /// Programs that have accepted a connection on that side, in order.
    [[nodiscard]] const std::vector<App*>& accepted(Side side) const;
    /// Puts a toy in the place of the host on `side`.
    Toy& toy(Side side, const Habits& habits);
    [[nodiscard]] Host& host(Side side) { return world_.host(host_[index_of(side)]); }
    [[nodiscard]] sim::World& world() { return world_; }

    // --- the network ------------------------------------------------------------------------------------
    using Network = std::function<void(Transit&)>;
    /// Sees every segment when it is sent.
    void set_network(Network network) { network_ = std::move(network); }
    /// A remark on the segment that is now being sent, or was last.
    void remark(std::string text);
    /// A segment out of nowhere arrives at `to` now: an old duplicate, or an attacker's.
    void inject(Side to, const Segment& segment, std::string remark);
    /// Any packet, for a host only.
    void inject_packet(Side to, const std::vector<std::byte>& packet, std::string remark);
    /// A toy sends.
    void send(Side from, const Segment& segment);

    // --- time -------------------------------------------------------------------------------------------
    [[nodiscard]] Instant now() const { return world_.now(); }
    /// Since the scene began.
    [[nodiscard]] Duration elapsed() const { return now() - start_; }
    /// Calls `action` when `wait` has passed.
    void after(Duration wait, std::function<void()> action);
    /// Plays until `done`, at most so long; true when it is.
    bool run_until(const std::function<bool()>& done, Duration at_most);
    void run_for(Duration duration);

    // --- what it comes to -------------------------------------------------------------------------------
    void fact(std::string name, std::string value);
    void fact(std::string name, std::uint64_t value);
    void fact(std::string name, Duration value);
    /// Shows only these conversations of the capture, counted from 1.
    void show(std::vector<std::size_t> conversations) { shown_ = std::move(conversations); }
    /// What was sent before now is not shown.
    void show_from_now() { first_shown_ = tap_.packets().size(); }
    /// Draws no more packets than these.
    void draw_only(std::size_t packets) { drawn_ = packets; }
    /// How many of the segments that `from` has sent are such.
    [[nodiscard]] std::size_t count(Side from,
                                    const std::function<bool(const Segment&)>& which) const;
    /// What found no room in the queue before the wire's rate, from left to right.
    [[nodiscard]] std::uint64_t dropped_by_queue() {
        return world_.wire(wire_).counters(0).queue_overflow;
    }
    /// The last segment that `from` has sent.
    [[nodiscard]] std::optional<Segment> latest(Side from) const;
    [[nodiscard]] const Tap& tap() const { return tap_; }
    [[nodiscard]] Outcome outcome();

private:
    struct Event {
        Instant when;
        std::uint64_t number = 0;
        std::function<void()> action;
    };
    struct Listener {
        Side side = Side::left;
        SocketId socket;
        std::function<void(App&)> welcome;
    };

    bool on_frame(Side from, MutableBytes frame);
    Transit carry(Side from, Segment segment, std::size_t packet);
    void deliver(Side to, std::size_t packet);
    void act();
    void accept(Listener& listener);
    App& add_app(Side side, SocketId socket);
    void run_events();

    SceneConfig config_;
    sim::World world_;
    std::array<sim::HostId, 2> host_ = {};
    sim::WireId wire_ = 0;
    Instant start_;
    std::array<std::unique_ptr<Toy>, 2> toy_;
    std::array<std::vector<std::byte>, 2> captured_;
    std::deque<App> apps_;
    std::deque<Listener> listeners_;
    std::array<std::vector<App*>, 2> accepted_;
    std::array<std::size_t, 2> sent_ = {};
    Network network_;
    Tap tap_;
    std::vector<Event> events_;
    std::uint64_t event_count_ = 0;
    std::vector<Fact> facts_;
    std::vector<std::size_t> shown_;
    std::size_t first_shown_ = 0;
    std::size_t drawn_ = kAllPackets;
};

}  // namespace runnel::lab
