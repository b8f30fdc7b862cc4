// The connections of a host by their handles. One on which nothing has happened for a while sleeps: its
// Tcb is packed (dormant_tcb.hpp) and given back, and comes again with the next segment, call or timer.
#pragma once

#include <utility>

#include "runnel/base/slab.hpp"
#include "runnel/base/timer_wheel.hpp"
#include "runnel/tcp/dormant/dormant_tcb.hpp"

namespace runnel::tcp {

struct AwakeTag;

/// A Tcb with its place in the timer wheel.
struct Connection {
    Tcb tcb;
    TimerNode node;
    Handle<AwakeTag> place;
    explicit Connection(const TcpConfig& config) : tcb(config) {}
};

class ConnectionTable {
public:
    /// `config` and `wheel` outlive the table.
    ConnectionTable(const TcpConfig& config, TimerWheel& wheel)
        : config_(config),
          wheel_(wheel),
          places_(config.max_connections),
          awake_(config.max_connections) {}
    ~ConnectionTable();
    ConnectionTable(const ConnectionTable&) = delete;
    ConnectionTable& operator=(const ConnectionTable&) = delete;

    /// A new connection, awake, with its handle in the Tcb and the timer node; nullptr when there are
    /// config.max_connections already.
    Connection* emplace();
    void erase(Connection& connection);

    /// The connection, which wakes if it sleeps, for whoever makes something happen to it; nullptr when the
    /// handle names none. A woken one goes to sleep again in a while if nothing did happen.
    Connection* find(ConnectionHandle handle, Instant now) {
        Place* place = places_.find(handle);
        if (place == nullptr) {
            return nullptr;
        }
        return place->awake != nullptr ? place->awake : wake(*place, handle, now);
    }
    /// The connection if it is awake: for whoever knows that a sleeping one doesn't concern him.
    Connection* find_awake(ConnectionHandle handle) {
        Place* place = places_.find(handle);
        return place != nullptr ? place->awake : nullptr;
    }
    /// Shows `f(const Tcb&)` the connection and lets it sleep on; false when the handle names none.
    template <class F>
    bool look(ConnectionHandle handle, F&& f) const {
        const Place* place = places_.find(handle);
        if (place != nullptr) {
            look_at(*place, handle, f);
        }
        return place != nullptr;
    }
    /// The options of the connection, good until the next call; nullptr when the handle names none.
    [[nodiscard]] const ConnectionOptions* options(ConnectionHandle handle) const {
        const Place* place = places_.find(handle);
        if (place == nullptr) {
            return nullptr;
        }
        return place->awake != nullptr ? &place->awake->tcb.user : place->dormant.user;
    }
    /// `f(const Tcb&)` for those in `places` places from index `from` on; returns where to go on, at `end()`
    /// all have been looked at.
    template <class F>
    [[nodiscard]] std::uint32_t look_at(std::uint32_t from, std::uint32_t places, F&& f) {
        return places_.visit(from, places, [&](ConnectionHandle handle, Place& place) {
            look_at(place, handle, f);
        });
    }
    /// Above every index.
    [[nodiscard]] std::uint32_t end() const { return places_.end(); }
    /// `f(const FourTuple&)` for those that are not detached.
    template <class F>
    void for_each_on_wire(F&& f) {
        places_.for_each([&](ConnectionHandle, Place& place) {
            if (place.awake == nullptr) {
                f(std::as_const(place.dormant.tuple));
            } else if (!place.awake->tcb.detached) {
                f(std::as_const(place.awake->tcb.tuple));
            }
        });
    }
    /// `f(Connection&)` for those awake.
    template <class F>
    void for_each_awake(F&& f) {
        awake_.for_each([&](auto, Connection& connection) { f(connection); });
    }
    /// The handle of the connection at `index`, which the demux table has remembered.
    [[nodiscard]] ConnectionHandle handle_at(std::uint32_t index) {
        return places_.handle_at(index);
    }

    /// Lets a quiet connection (is_quiet) sleep: `connection` is gone.
    void sleep(Connection& connection);

    [[nodiscard]] std::uint32_t size() const { return places_.size(); }
    [[nodiscard]] std::uint32_t awake() const { return awake_.size(); }

private:
    struct Place {
        Connection* awake = nullptr;  ///< nullptr: it sleeps
        DormantTcb dormant;
    };

    template <class F>
    void look_at(const Place& place, ConnectionHandle handle, F&& f) const {
        if (place.awake != nullptr) {
            f(std::as_const(place.awake->tcb));
        } else {
            Tcb tcb(config_);
            unpack(place.dormant, handle.packed(), config_, tcb);
            f(std::as_const(tcb));
        }
    }
    Connection* make_awake(Place& place, ConnectionHandle handle);
    Connection* wake(Place& place, ConnectionHandle handle, Instant now);

    const TcpConfig& config_;
    TimerWheel& wheel_;
    OptionsTable options_;
    Slab<Place, ConnectionTag> places_;
    Slab<Connection, AwakeTag> awake_;
};

}  // namespace runnel::tcp
