// The simulated world: hosts on wires in virtual time. It is a driver like the one over real devices, only
// that its clock is a number and its order of events is fixed: by time, then by insertion; so that the same
// seed gives the same run, frame by frame.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "runnel/host/host.hpp"
#include "runnel/report/pcapng_writer.hpp"
#include "runnel/sim/wire.hpp"
#include "runnel/socket/socket_layer.hpp"

namespace runnel::sim {

using HostId = std::uint32_t;
using WireId = std::uint32_t;

struct WorldConfig {
    Instant start = Instant{} + seconds(1'000);
    std::uint64_t seed = 1;
    bool digest = false;  ///< hash every frame, for World::digest
};

/// How a run ended.
enum class Outcome : std::uint8_t {
    satisfied,    ///< the predicate holds
    deadline,     ///< the deadline's instant has been reached; the clock stands there
    quiet,        ///< nothing will ever happen again
    event_limit,  ///< too many events: somebody doesn't stop talking
    stuck,        ///< a host's `on_timeout(next_timeout())` makes no progress: a defect of the host
};

class World {
public:
    static constexpr std::uint64_t kDefaultEventLimit = 20'000'000;

    explicit World(const WorldConfig& config = {});
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    // --- building --------------------------------------------------------------------------------------
    /// `clock_offset` is added to the world's time before the host sees it: nobody's clocks agree, and
    /// initial sequence numbers follow the host's clock.
    HostId add_host(const HostConfig& config, Duration clock_offset = {});
    /// A wire between two hosts, with a new interface on each.
    WireId connect(HostId a, HostId b, const WireConfig& config);
    /// The interface that `side` (0: a, 1: b) of a wire has on its host.
    [[nodiscard]] std::uint8_t interface_of(WireId wire, unsigned side) const;
    /// "10.0.0.1/24"; a text that is no such thing, or a refusal, is a broken invariant of the caller.
    void add_address(HostId host, std::uint8_t interface, std::string_view cidr);

    [[nodiscard]] Host& host(HostId id) { return machines_[id]->host; }
    [[nodiscard]] SocketLayer& sockets(HostId id) { return machines_[id]->sockets; }
    [[nodiscard]] Wire& wire(WireId id) { return links_[id]->wire; }

    // --- time ------------------------------------------------------------------------------------------
    [[nodiscard]] Instant now() const { return now_; }
    /// The same moment on that host's clock: what its calls want.
    [[nodiscard]] Instant now(HostId id) const { return now_ + machines_[id]->clock_offset; }

    /// Does the next thing: what users' calls have set off goes out; else time moves to the next arrival
    /// or timeout. False when there is nothing left, ever.
    bool step();
    /// Steps until `done()` is true; it is asked before the first step and after each, and may make calls.
    template <class Predicate>
    Outcome run_until(Predicate&& done, Instant deadline = Instant::never(),
                      std::uint64_t event_limit = kDefaultEventLimit) {
        for (std::uint64_t events = 0; !done(); ++events) {
            if (events == event_limit) {
                return Outcome::event_limit;
            }
            if (idle_timeouts_ != 0) {
                return Outcome::stuck;
            }
            if (!step_before(deadline)) {
                if (deadline.is_never()) {
                    return Outcome::quiet;
                }
                now_ = deadline;
                return done() ? Outcome::satisfied : Outcome::deadline;
            }
        }
        return Outcome::satisfied;
    }
    /// Steps until `duration` has passed.
    Outcome run_for(Duration duration) {
        return run_until([] { return false; }, now_ + duration);
    }

    // --- seen from above ---------------------------------------------------------------------------------
    /// Of all wires together.
    [[nodiscard]] std::uint64_t digest() const;
    [[nodiscard]] std::uint64_t events() const { return events_; }
    /// How often a host's `on_timeout(next_timeout())` made no progress.
    [[nodiscard]] std::uint64_t idle_timeouts() const { return idle_timeouts_; }
    /// Parcels that found no memory in the receiver's pool.
    [[nodiscard]] std::uint64_t lost_for_memory() const { return lost_for_memory_; }
    /// From now on appends what crosses the host's interfaces to `sink` as pcapng, each packet with the
    /// host's reasons as its comment, by the host's clock. Wire the host up first. `sink` is the caller's
    /// and must outlive the world.
    void capture(HostId host, std::vector<std::byte>& sink);
    /// Puts raw bytes into a host as if they had come over `interface`.
    void inject(HostId host, std::uint8_t interface, Bytes packet);

private:
    struct Machine {
        Machine(const HostConfig& config, Duration offset)
            : host(config), sockets(host), clock_offset(offset) {}
        Host host;
        SocketLayer sockets;
        Duration clock_offset;
        std::vector<std::pair<WireId, unsigned>>
            plugs;                       ///< by interface: the wire and our side of it
        unsigned timeouts_in_a_row = 0;  ///< without anything sent or time passing
        std::unique_ptr<report::PcapngWriter> writer;  ///< while it is being captured
    };
    struct Link {
        Link(const WireConfig& config, std::uint64_t seed) : wire(config, seed) {}
        Wire wire;
        HostId host[2] = {};
        std::uint8_t interface[2] = {};
    };
    struct Arrival {
        Parcel parcel;
        std::uint64_t number = 0;  ///< of insertion
        WireId wire = 0;
        std::uint8_t side = 0;  ///< where it arrives
    };
    struct Later {
        bool operator()(const Arrival& a, const Arrival& b) const {
            return a.parcel.arrival != b.parcel.arrival ? a.parcel.arrival > b.parcel.arrival
                                                        : a.number > b.number;
        }
    };

    bool step_before(Instant deadline);
    bool flush();
    bool flush_host(HostId id);
    void write_capture(Machine& machine);
    void deliver_batch();
    void pass_time(HostId id);
    [[nodiscard]] bool append_frame(Host& host, const Parcel& parcel);

    WorldConfig config_;
    Instant now_;
    std::vector<std::unique_ptr<Machine>> machines_;
    std::vector<std::unique_ptr<Link>> links_;
    std::vector<Arrival> arrivals_;  ///< a heap, the earliest on top
    std::uint64_t insertions_ = 0;
    std::uint64_t events_ = 0;
    std::uint64_t idle_timeouts_ = 0;
    std::uint64_t lost_for_memory_ = 0;
    FrameBatch batch_;
    std::vector<Parcel> parcels_;
    std::vector<CapturedFrame> captured_;
};

}  // namespace runnel::sim
