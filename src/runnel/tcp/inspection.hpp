// A window into a stack for whoever checks it from outside: simulations and tests. It looks and never
// touches: what sleeps sleeps on.
#pragma once

#include <optional>

#include "runnel/tcp/stack_state.hpp"

namespace runnel::tcp {

class Inspection {
public:
    /// `stack` outlives it.
    explicit Inspection(const Stack& stack) : state_(stack.state_.get()) {}

    /// The connection on the wire under that name; nothing for TIME-WAIT and strangers.
    [[nodiscard]] std::optional<ConnectionHandle> find(const FourTuple& tuple) const {
        return state_->handle_of(tuple);
    }
    /// Its Tcb while it is awake, good until the next event; nullptr when it sleeps or is gone.
    [[nodiscard]] const Tcb* awake(ConnectionHandle handle) const {
        const Connection* connection = state_->connections().find_awake(handle);
        return connection != nullptr ? &connection->tcb : nullptr;
    }
    /// Shows `f(const Tcb&)` the connection, from a copy when it sleeps; false when there is none.
    template <class F>
    bool look(ConnectionHandle handle, F&& f) const {
        return state_->connections().look(handle, f);
    }
    /// `f(const Tcb&)` for every connection, asleep or not, in the order of the table.
    template <class F>
    void for_each(F&& f) const {
        ConnectionTable& table = state_->connections();
        (void)table.look_at(0, table.end(), f);
    }
    /// `f(const Tcb&)` for those awake.
    template <class F>
    void for_each_awake(F&& f) const {
        state_->connections().for_each_awake([&](Connection& c) { f(std::as_const(c.tcb)); });
    }
    /// `f(const TimeWaitEntry&)` for every entry.
    template <class F>
    void for_each_time_wait(F&& f) const {
        state_->time_wait().entries().for_each(
            [&](auto, TimeWaitEntry& entry) { f(std::as_const(entry)); });
    }
    [[nodiscard]] const TcpConfig& config() const { return state_->config(); }

private:
    StackState* state_;
};

}  // namespace runnel::tcp
