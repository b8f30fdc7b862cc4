// What a run tells those who watch it: one value an event, after it has happened.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runnel/observe/decision.hpp"
#include "runnel/sim/packet.hpp"
#include "runnel/sim/suspension.hpp"
#include "runnel/socket/socket_layer.hpp"
#include "runnel/tcp/tcb.hpp"

namespace runnel::sim {

enum class EventKind : std::uint8_t {
    transmitted,  ///< a host has let go of a packet; faults have not seen it yet
    delivered,    ///< a host has taken a packet in; it hasn't been asked for output yet
    dropped,      ///< a packet is lost: `fault` says by whom, or `loss` why
    timeout,      ///< a host's on_timeout has run
    call,         ///< an application has made a call on a host
    fault_began,
    fault_ended,
    rest,  ///< nothing is left to happen, or the run is over: sweeps of whole tables
};

enum class Loss : std::uint8_t {
    none,
    fault,   ///< see Event::fault
    queue,   ///< the queue was full
    aqm,     ///< CoDel dropped it
    ring,    ///< the host's ring was full, or the host was down
    memory,  ///< the host had no packet memory to take it into
    no_route,
    hop_limit,
    too_big,  ///< for the next link, and not to be fragmented
    link_down,
};

inline constexpr std::uint16_t kNoFault = 0xffff;
inline constexpr std::uint16_t kNoFlow = 0xffff;

struct Event {
    EventKind kind{};
    Loss loss = Loss::none;
    NodeId host = kNoNode;  ///< whose event it is; kNoNode for one in the network
    std::uint8_t link = 0xff;
    std::uint8_t way = 0;            ///< of the link: 0 from a to b
    std::uint16_t fault = kNoFault;  ///< index in Scenario::faults
    std::uint16_t flow = kNoFlow;    ///< index in Scenario::flows, where a packet or call has one
    Decision reason{};               ///< transmitted: why
    Instant at = {};                 ///< the world's clock
    Instant local = {};              ///< the host's clock
    std::uint64_t number = 0;        ///< of the event, from 0 on
    const Packet* packet = nullptr;  ///< transmitted, delivered, dropped
    /// Decisions it led to: records [first_record, end_record) of the host's flight recorder.
    std::uint64_t first_record = 0, end_record = 0;
    std::uint64_t connection = 0;  ///< packed ConnectionHandle of `tcb`; 0: none
    const tcp::Tcb* tcb =
        nullptr;  ///< the packet's (or call's) connection after the event, if it is
                  ///< on the wire and awake
};

struct Violation {
    Check check{};
    std::string text;  ///< one line, with the figures
    Instant at;
    NodeId host = kNoNode;
    std::uint64_t connection = 0;
    std::uint64_t event = 0;
};

/// What an application does with a socket. Calls that would block aren't told: nothing comes of them.
enum class CallKind : std::uint8_t {
    listen,   ///< opens, binds and listens; `length`: the backlog
    connect,  ///< opens and connects
    accept,
    write,     ///< `done` of `length` octets
    read,      ///< `done` of at most `length` octets; 0: the end
    shutdown,  ///< of the sending way
    close,
    abort,  ///< closes with a reset
};

struct Call {
    CallKind kind{};
    NodeId host = kNoNode;
    std::uint16_t flow = kNoFlow;
    SocketId socket = {};                      ///< none: the listener's
    std::optional<FourTuple> connection = {};  ///< connect and accept: as the host sees it
    std::uint64_t length = 0, done = 0;
    Errc error = Errc::ok;
};

class Simulation;

/// Somebody who watches: checkers, writers of traces, captures and pictures. One virtual call an event;
/// whoever consists of many small checkers calls them directly.
class Observer {
public:
    Observer() = default;
    Observer(const Observer&) = delete;
    Observer& operator=(const Observer&) = delete;
    virtual ~Observer() = default;
    /// The hosts stand, nothing has happened yet.
    virtual void on_begin(Simulation& run) { (void)run; }
    /// May call Simulation::violate, which ends the run after this event.
    virtual void on_event(Simulation& run, const Event& event) = 0;
    /// A host and its applications have nothing more to say at this moment; what an event has set off is
    /// done. It is no event of its own. May call Simulation::violate.
    virtual void on_settled(Simulation& run, NodeId host) {
        (void)run;
        (void)host;
    }
    /// An application is making a call, of which `event`s will tell what the host does. Asked for by
    /// wants_calls().
    virtual void on_call(Simulation& run, const Call& call) { (void)run, (void)call; }
    [[nodiscard]] virtual bool wants_calls() const { return false; }
    virtual void on_end(Simulation& run) { (void)run; }
};

}  // namespace runnel::sim
