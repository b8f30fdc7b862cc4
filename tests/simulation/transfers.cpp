#include "simulation/transfers.hpp"

#include <algorithm>

#include "runnel/base/check.hpp"

namespace runnel::test {

using sim::compare_pattern;
using sim::fill_pattern;

using tcp::Readiness;

void Transfers::remember(HostId host, SocketId socket, Place place) {
    places_[{host, socket.packed()}] = place;
}

Status Transfers::start(const TransferConfig& config) {
    RUNNEL_CHECK(config.largest_call > 0);
    const std::size_t index = transfers_.size();
    Transfer transfer;
    transfer.config = config;
    transfer.random = Random(config.seed);
    const Family family = config.listen.address.family();

    SocketLayer& server = world_.sockets(config.server);
    const auto listener = server.open(family, SocketType::stream);
    if (!listener) {
        return fail(listener.error());
    }
    transfer.listener = *listener;
    if (Status bound = server.bind(*listener, config.listen, world_.now(config.server)); !bound) {
        return bound;
    }
    if (Status listens = server.listen(*listener, 16, world_.now(config.server)); !listens) {
        return listens;
    }
    remember(config.server, *listener, {index, 1, true});

    SocketLayer& client = world_.sockets(config.client);
    const auto socket = client.open(family, SocketType::stream);
    if (!socket) {
        return fail(socket.error());
    }
    if (config.bind) {
        if (Status bound = client.bind(*socket, *config.bind, world_.now(config.client)); !bound) {
            return bound;
        }
    }
    transfer.end[0] = {.host = config.client,
                       .socket = *socket,
                       .send_seed = config.seed * 2,
                       .receive_seed = config.seed * 2 + 1,
                       .to_send = config.upload};
    transfer.end[1] = {.host = config.server,
                       .socket = {},
                       .send_seed = config.seed * 2 + 1,
                       .receive_seed = config.seed * 2,
                       .to_send = config.download};
    remember(config.client, *socket, {index, 0, false});
    transfers_.push_back(std::move(transfer));
    const Status connecting = client.connect(*socket, config.listen, world_.now(config.client));
    if (!connecting && connecting.error() != Errc::in_progress) {
        return fail(connecting.error());
    }
    return {};
}

bool Transfers::all_done() const {
    return std::all_of(transfers_.begin(), transfers_.end(),
                       [](const Transfer& transfer) { return transfer.result.done(); });
}

bool Transfers::pump() {
    // Hosts are asked in their order, sockets in that of their events: the same in every run.
    HostId last = 0;
    for (const Transfer& transfer : transfers_) {
        last = std::max({last, transfer.config.client, transfer.config.server});
    }
    for (HostId host = 0; host <= last && !transfers_.empty(); ++host) {
        world_.sockets(host).take_ready(ready_);
        const std::vector<ReadyEvent> events = ready_;
        for (const ReadyEvent& event : events) {
            const auto place = places_.find({host, event.socket.packed()});
            if (place != places_.end()) {
                on_ready(Place(place->second));
            }
        }
    }
    return all_done();
}

void Transfers::on_ready(const Place& place) {
    Transfer& transfer = transfers_[place.transfer];
    if (place.listener) {
        accept(transfer, place.transfer);
    } else {
        advance(transfer, place.side);
    }
}

void Transfers::accept(Transfer& transfer, std::size_t index) {
    const HostId host = transfer.config.server;
    SocketLayer& sockets = world_.sockets(host);
    const auto accepted = sockets.accept(transfer.listener, world_.now(host));
    if (!accepted) {
        return;
    }
    transfer.end[1].socket = *accepted;
    transfer.end[1].connected = true;
    remember(host, *accepted, {index, 1, false});
    (void)sockets.close(transfer.listener, world_.now(host));
    places_.erase({host, transfer.listener.packed()});
}

void Transfers::fail_with(Transfer& transfer, unsigned side, Errc error) {
    if (transfer.result.error == Errc::ok) {
        transfer.result.error = error;
        transfer.result.error_side = side;
    }
}

void Transfers::advance(Transfer& transfer, unsigned side) {
    End& end = transfer.end[side];
    SocketLayer& sockets = world_.sockets(end.host);
    if (end.socket.is_none() || transfer.result.done()) {
        return;
    }
    if (!end.connected) {
        if ((sockets.readiness(end.socket).bits & Readiness::kWritable) == 0) {
            return;
        }
        const auto error = sockets.get_option(end.socket, SocketOption::error);
        if (const auto code = static_cast<Errc>(error.value_or(0)); code != Errc::ok) {
            return fail_with(transfer, side, code);
        }
        end.connected = true;
    }
    while (send_some(transfer, side)) {
    }
    while (receive_some(transfer, side)) {
    }
    if (end.shut && end.end_seen && !transfer.result.done()) {
        (void)sockets.close(end.socket, world_.now(end.host));
        places_.erase({end.host, end.socket.packed()});
        end.socket = {};
        transfer.result.closed[side] = true;
    }
}

/// True when it makes sense to try again at once.
bool Transfers::send_some(Transfer& transfer, unsigned side) {
    End& end = transfer.end[side];
    SocketLayer& sockets = world_.sockets(end.host);
    const Instant now = world_.now(end.host);
    if (end.shut || transfer.result.done()) {
        return false;
    }
    if (end.sent == end.to_send) {
        end.shut = true;
        if (Status shut = sockets.shutdown(end.socket, ShutdownHow::send, now); !shut) {
            fail_with(transfer, side, shut.error());
        }
        return false;
    }
    const std::uint64_t most =
        std::min<std::uint64_t>(end.to_send - end.sent, transfer.config.largest_call);
    buffer_.resize(transfer.random.below(most) + 1);
    fill_pattern(end.send_seed, end.sent, buffer_);
    // Half of the calls go without copying. Memory taken from the pool by hand has no reserve kept from
    // it, so a user who does that must leave some to the network.
    BufferPool& pool = world_.host(end.host).pool();
    Slice slice;
    if (transfer.random.chance(1, 2) && pool.bytes_in_use() < pool.limit() / 2) {
        slice = pool.copy(buffer_);
    }
    const auto taken = slice.empty() ? sockets.send(end.socket, buffer_, {}, now)
                                     : sockets.send_slices(end.socket, {&slice, 1}, {}, now);
    if (!taken) {
        if (taken.error() != Errc::would_block) {
            fail_with(transfer, side, taken.error());
        }
        return false;
    }
    end.sent += *taken;
    return true;
}

bool Transfers::receive_some(Transfer& transfer, unsigned side) {
    End& end = transfer.end[side];
    SocketLayer& sockets = world_.sockets(end.host);
    const Instant now = world_.now(end.host);
    if (end.end_seen || transfer.result.done()) {
        return false;
    }
    const std::size_t most = transfer.random.below(transfer.config.largest_call) + 1;
    std::size_t got = 0;
    Errc error = Errc::ok;
    if (transfer.random.chance(1, 2)) {
        buffer_.resize(most);
        const auto received = sockets.receive(end.socket, buffer_, {}, now);
        error = received ? Errc::ok : received.error();
        got = received.value_or(0);
        check(transfer, side, Bytes(buffer_).first(got));
    } else {
        const auto received = sockets.receive_slices(end.socket, most, now);
        error = received ? Errc::ok : received.error();
        if (received) {
            for (const Slice& slice : *received) {
                check(transfer, side, slice.bytes());
                got += slice.size();
            }
        }
    }
    if (error != Errc::ok) {
        if (error != Errc::would_block) {
            fail_with(transfer, side, error);
        }
        return false;
    }
    end.end_seen = got == 0;
    return got != 0;
}

void Transfers::check(Transfer& transfer, unsigned side, Bytes bytes) {
    TransferResult& result = transfer.result;
    const std::uint64_t offset = result.received[side];
    const std::uint64_t expected = side == 0 ? transfer.config.download : transfer.config.upload;
    result.received[side] += bytes.size();
    std::size_t same = compare_pattern(transfer.end[side].receive_seed, offset, bytes);
    if (result.received[side] > expected) {
        same = std::min<std::size_t>(same, expected > offset ? expected - offset : 0);
    }
    if (same != bytes.size() && !result.mismatch) {
        result.mismatch = true;
        result.mismatch_at = offset + same;
    }
}

}  // namespace runnel::test
