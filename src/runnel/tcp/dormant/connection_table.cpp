#include "runnel/tcp/dormant/connection_table.hpp"

#include <algorithm>

#include "runnel/base/check.hpp"

namespace runnel::tcp {

ConnectionTable::~ConnectionTable() {
    places_.for_each([&](ConnectionHandle, Place& place) {
        if (place.awake != nullptr) {
            wheel_.cancel(place.awake->node);
        } else if (place.dormant.keepalive != nullptr) {
            wheel_.cancel(place.dormant.keepalive->node);
        }
    });
}

Connection* ConnectionTable::make_awake(Place& place, ConnectionHandle handle) {
    const auto awake = awake_.emplace(config_);
    RUNNEL_CHECK(!awake.is_none());  // as many fit as there are places
    place.awake = awake_.find(awake);
    place.awake->place = awake;
    place.awake->node.owner = handle.packed();
    return place.awake;
}

Connection* ConnectionTable::emplace() {
    const ConnectionHandle handle = places_.emplace();
    if (handle.is_none()) {
        return nullptr;
    }
    Connection* connection = make_awake(*places_.find(handle), handle);
    connection->tcb.handle = handle.packed();
    return connection;
}

void ConnectionTable::erase(Connection& connection) {
    wheel_.cancel(connection.node);
    places_.erase(ConnectionHandle::from_packed(connection.tcb.handle));
    awake_.erase(connection.place);
}

void ConnectionTable::sleep(Connection& connection) {
    Place& place = *places_.find(ConnectionHandle::from_packed(connection.tcb.handle));
    wheel_.cancel(connection.node);
    pack(connection.tcb, options_, place.dormant);
    const Instant deadline = connection.tcb.timers.deadline(Timer::keepalive);
    if (!deadline.is_never()) {
        place.dormant.keepalive = std::make_unique<Alarm>();
        place.dormant.keepalive->node.owner = connection.tcb.handle;
        place.dormant.keepalive->deadline = deadline;
        wheel_.schedule(place.dormant.keepalive->node, deadline);
    }
    place.awake = nullptr;
    awake_.erase(connection.place);
}

Connection* ConnectionTable::wake(Place& place, ConnectionHandle handle, Instant now) {
    Connection* connection = make_awake(place, handle);
    unpack(place.dormant, handle.packed(), config_, connection->tcb);
    options_.let_go(place.dormant.user);
    place.dormant.scars.reset();
    place.dormant.controller = DormantController();
    if (place.dormant.keepalive != nullptr) {
        wheel_.cancel(place.dormant.keepalive->node);
        place.dormant.keepalive.reset();
    }
    wheel_.schedule(connection->node,
                    std::min(connection->tcb.timers.earliest(), now + config_.sleep_after));
    return connection;
}

}  // namespace runnel::tcp
