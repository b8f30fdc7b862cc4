// Sockets are few, so that they are found by looking at each: an exact match of both ends first, then the
// local address, then the port alone (the usual BSD order).
#include "runnel/udp/udp_table.hpp"

#include <array>
#include <utility>

#include "runnel/base/checksum.hpp"
#include "runnel/wire/tcp_segment.hpp"
#include "runnel/wire/udp.hpp"

namespace runnel {

namespace {

constexpr std::uint32_t kMaxPayload = 65'535 - 20 - kUdpHeaderSize;
/// A slice that pins more than four times its size is copied out (DESIGN §1, law 5).
constexpr std::uint32_t kPinFactor = 4;

/// Only the header must lie in one piece; its length is checked against all of them.
std::optional<UdpHeader> read_header(const UdpArrival& arrival) {
    ByteReader reader(arrival.payload.empty() ? Bytes{} : arrival.payload.front().bytes());
    UdpHeader header;
    header.source_port = reader.u16();
    header.destination_port = reader.u16();
    header.length = reader.u16();
    header.checksum = reader.u16();
    if (!reader.ok() || header.length < kUdpHeaderSize || header.length > arrival.payload_size) {
        return std::nullopt;
    }
    return header;
}

bool checksum_holds(const UdpArrival& arrival, std::uint32_t length) {
    ChecksumAccumulator sum(
        pseudo_header_sum(arrival.source, arrival.destination, UdpTable::kProtocol, length));
    std::uint32_t left = length;
    for (const Slice& slice : arrival.payload) {
        const std::size_t part = std::min<std::size_t>(left, slice.size());
        sum.add(slice.bytes().first(part));
        left -= static_cast<std::uint32_t>(part);
    }
    return sum.finish() == 0;
}

/// Cuts the header off the front and whatever stands behind `size` bytes of data.
void keep_data(SliceList& payload, std::uint32_t size) {
    payload.front().remove_prefix(kUdpHeaderSize);
    std::uint32_t left = size;
    SliceList kept;
    for (Slice& slice : payload) {
        const auto part = std::min<std::size_t>(left, slice.size());
        if (part == 0) {
            continue;
        }
        slice.truncate(part);
        left -= static_cast<std::uint32_t>(part);
        kept.push_back(std::move(slice));
    }
    payload = std::move(kept);
}

/// Copies slices that pin much more than they hold; returns what the list pins then.
std::uint32_t unpin(BufferPool& pool, SliceList& payload) {
    std::uint32_t pinned = 0;
    for (Slice& slice : payload) {
        if (slice.chunk().capacity() > kSmallChunk &&
            slice.chunk().capacity() > kPinFactor * slice.size()) {
            Slice copy = pool.copy(slice.bytes());
            if (!copy.empty()) {
                slice = std::move(copy);
            }
        }
        pinned += slice.chunk().capacity();
    }
    return pinned;
}

}  // namespace

UdpTable::UdpTable(BufferPool& pool, FlightRecorder& recorder, const UdpConfig& config,
                   const SipKey& secret)
    : pool_(pool), recorder_(recorder), config_(config), key_(secret), sockets_(config.sockets) {}

Decision UdpTable::note(Decision decision, std::uint32_t length, bool inbound, Instant now) {
    EventRecord record;
    record.time = now;
    record.decision = decision;
    record.length = length;
    record.inbound = inbound ? 1 : 0;
    recorder_.record(record);
    return decision;
}

// --- the user's calls ------------------------------------------------------------------------------------

bool UdpTable::port_taken(const Endpoint& local) {
    bool taken = false;
    sockets_.for_each([&](UdpHandle, Socket& socket) {
        if (socket.local.port != local.port) {
            return;
        }
        if (socket.local.address.family() != local.address.family()) {
            return;
        }
        taken = taken || socket.local.address == local.address ||
                socket.local.address.is_unspecified() || local.address.is_unspecified();
    });
    return taken;
}

Result<UdpHandle> UdpTable::bind(const Endpoint& local) {
    Endpoint wanted = local;
    if (wanted.port == 0) {
        // RFC 6056 §3.3.1: from a random port on, the first free one.
        const std::uint32_t count = 1U + config_.last_ephemeral_port - config_.first_ephemeral_port;
        std::array<std::byte, 8> message{};
        ByteWriter(message).u64(++draws_);
        const auto start = static_cast<std::uint32_t>(siphash(key_, message) % count);
        constexpr std::uint32_t kMaxTries = 1024;
        for (std::uint32_t i = 0; i < std::min(count, kMaxTries) && wanted.port == 0; ++i) {
            const auto port =
                static_cast<std::uint16_t>(config_.first_ephemeral_port + (start + i) % count);
            if (!port_taken({wanted.address, port})) {
                wanted.port = port;
            }
        }
        if (wanted.port == 0) {
            return fail(Errc::address_in_use);
        }
    } else if (port_taken(wanted)) {
        return fail(Errc::address_in_use);
    }
    const UdpHandle handle = sockets_.emplace();
    if (handle.is_none()) {
        return fail(Errc::too_many_open);
    }
    sockets_.find(handle)->local = wanted;
    return handle;
}

Status UdpTable::connect(UdpHandle handle, const Endpoint& remote) {
    Socket* socket = sockets_.find(handle);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (remote.address.family() != socket->local.address.family()) {
        return fail(Errc::address_family_not_supported);
    }
    if (remote.port == 0 || remote.address.is_unspecified()) {
        return fail(Errc::argument_invalid);
    }
    socket->remote = remote;
    return {};
}

Status UdpTable::send(UdpHandle handle, const SliceList& payload, std::optional<Endpoint> to) {
    Socket* socket = sockets_.find(handle);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (socket->error != Errc::ok) {
        return fail(std::exchange(socket->error, Errc::ok));
    }
    if (!to) {
        to = socket->remote;
    }
    if (!to) {
        return fail(Errc::destination_address_required);
    }
    if (to->address.family() != socket->local.address.family()) {
        return fail(Errc::address_family_not_supported);
    }
    if (to->port == 0) {
        return fail(Errc::argument_invalid);
    }
    std::size_t size = 0;
    for (const Slice& slice : payload) {
        size += slice.size();
    }
    if (size > kMaxPayload) {
        return fail(Errc::message_too_long);
    }
    if (!writable()) {
        return fail(Errc::would_block);
    }

    UdpTransmit datagram;
    if (!socket->local.address.is_unspecified()) {
        datagram.source = socket->local.address;
    }
    datagram.destination = to->address;
    UdpHeader header;
    header.source_port = socket->local.port;
    header.destination_port = to->port;
    header.length = static_cast<std::uint16_t>(kUdpHeaderSize + size);
    datagram.frame.reason = static_cast<std::uint16_t>(Decision::udp_transmit);
    datagram.frame.set_head_size(emit_udp(header, datagram.frame.head_space()));
    datagram.frame.body = payload;
    outgoing_.push_back(std::move(datagram));
    return {};
}

Status UdpTable::send(UdpHandle handle, Bytes payload, std::optional<Endpoint> to) {
    if (payload.size() > kMaxPayload) {
        return fail(Errc::message_too_long);
    }
    SliceList slices;
    if (!payload.empty()) {
        Slice copy = pool_.copy(payload);
        if (copy.empty()) {
            return fail(Errc::no_buffer_space);
        }
        slices.push_back(std::move(copy));
    }
    return send(handle, slices, to);
}

Result<UdpMessage> UdpTable::receive(UdpHandle handle) {
    Socket* socket = sockets_.find(handle);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (socket->error != Errc::ok) {
        return fail(std::exchange(socket->error, Errc::ok));
    }
    if (socket->received.empty()) {
        return fail(Errc::would_block);
    }
    UdpMessage message = std::move(socket->received.front());
    socket->received.pop_front();
    for (const Slice& slice : message.payload) {
        socket->pinned -= slice.chunk().capacity();
    }
    return message;
}

Status UdpTable::close(UdpHandle handle) {
    if (sockets_.find(handle) == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    sockets_.erase(handle);
    return {};
}

bool UdpTable::readable(UdpHandle handle) const {
    const Socket* socket = sockets_.find(handle);
    return socket != nullptr && (!socket->received.empty() || socket->error != Errc::ok);
}

Result<Endpoint> UdpTable::local_endpoint(UdpHandle handle) const {
    const Socket* socket = sockets_.find(handle);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    return socket->local;
}

Result<Endpoint> UdpTable::remote_endpoint(UdpHandle handle) const {
    const Socket* socket = sockets_.find(handle);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (!socket->remote) {
        return fail(Errc::not_connected);
    }
    return *socket->remote;
}

// --- the host's calls ------------------------------------------------------------------------------------

UdpHandle UdpTable::find(const Endpoint& local, const Endpoint& remote) {
    UdpHandle best;
    int best_score = -1;
    sockets_.for_each([&](UdpHandle handle, Socket& socket) {
        if (socket.local.port != local.port) {
            return;
        }
        if (socket.local.address.family() != local.address.family()) {
            return;
        }
        const bool any = socket.local.address.is_unspecified();
        if (!any && socket.local.address != local.address) {
            return;
        }
        if (socket.remote && *socket.remote != remote) {
            return;
        }
        const int score = (socket.remote ? 2 : 0) + (any ? 0 : 1);
        if (score > best_score) {
            best = handle;
            best_score = score;
        }
    });
    return best;
}

void UdpTable::announce(UdpHandle handle, Socket& socket) {
    if (socket.announced) {
        return;
    }
    socket.announced = true;
    readable_.push_back(handle);
}

Decision UdpTable::on_datagram(UdpArrival&& arrival, Instant now) {
    const std::uint32_t length = arrival.payload_size;
    const auto drop = [&](Decision why) { return note(why, length, true, now); };
    const std::optional<UdpHeader> fields = read_header(arrival);
    if (!fields) {
        return drop(Decision::udp_drop_truncated);
    }
    if (!arrival.checksum_trusted) {
        if (fields->checksum == 0) {
            // RFC 8200 §8.1: over IPv6 there is always a checksum; over IPv4 0 means none (RFC 768).
            if (!arrival.source.is_v4()) {
                return drop(Decision::udp_drop_no_checksum);
            }
        } else if (!checksum_holds(arrival, fields->length)) {
            return drop(Decision::udp_drop_bad_checksum);
        }
    }
    if (fields->destination_port == 0) {
        return drop(Decision::udp_drop_zero_port);
    }

    UdpMessage message;
    message.source = {arrival.source, fields->source_port};
    message.destination = {arrival.destination, fields->destination_port};
    message.interface = arrival.interface;
    const UdpHandle handle = find(message.destination, message.source);
    Socket* socket = sockets_.find(handle);
    if (socket == nullptr) {
        return drop(Decision::udp_drop_no_socket);
    }
    message.size = fields->payload_length();
    message.payload = std::move(arrival.payload);
    keep_data(message.payload, message.size);
    const std::uint32_t pins = unpin(pool_, message.payload);
    if (socket->received.size() >= config_.receive_queue_datagrams ||
        socket->pinned + pins > config_.receive_queue_bytes) {
        return drop(Decision::udp_drop_queue_full);
    }
    socket->pinned += pins;
    socket->received.push_back(std::move(message));
    announce(handle, *socket);
    return note(Decision::udp_accept, length, true, now);
}

Decision UdpTable::on_error(const UdpQuote& quote, Errc error, Instant now) {
    ByteReader reader(quote.transport);
    const std::uint16_t source_port = reader.u16();
    const std::uint16_t destination_port = reader.u16();
    const Endpoint remote{quote.destination, destination_port};
    const UdpHandle handle = reader.ok() ? find({quote.source, source_port}, remote) : UdpHandle{};
    Socket* socket = sockets_.find(handle);
    const auto length = static_cast<std::uint32_t>(quote.transport.size());
    if (socket == nullptr || socket->remote != remote) {
        return note(Decision::udp_drop_error_unknown, length, true, now);
    }
    socket->error = error;
    announce(handle, *socket);
    return note(Decision::udp_accept_error, length, true, now);
}

std::optional<UdpTransmit> UdpTable::poll_transmit() {
    if (outgoing_.empty()) {
        return std::nullopt;
    }
    std::optional<UdpTransmit> datagram(std::move(outgoing_.front()));
    outgoing_.pop_front();
    return datagram;
}

void UdpTable::take_readable(std::vector<UdpHandle>& out) {
    out.clear();
    out.swap(readable_);
    for (const UdpHandle handle : out) {
        if (Socket* socket = sockets_.find(handle)) {
            socket->announced = false;
        }
    }
}

}  // namespace runnel
