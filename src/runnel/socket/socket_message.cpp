// sendmsg and recvmsg of streams: several pieces as one call, what a blocking caller would wait for, and the
// error queue (send(2), recv(2), recvmsg(2); Linux's tcp_sendmsg_locked and tcp_recvmsg_locked).
#include <algorithm>
#include <cstring>

#include "runnel/socket/socket_layer.hpp"

namespace runnel {

Result<std::size_t> SocketLayer::send_pieces(SocketId id, std::span<const Bytes> pieces,
                                             MessageFlags flags, Instant now) {
    std::size_t left = pieces.size();
    while (left > 1 && pieces[left - 1].empty()) {
        --left;  // what is said of the last octet is said of one that is there
    }
    pieces = pieces.first(left);
    if (pieces.size() <= 1) {
        return send(id, pieces.empty() ? Bytes{} : pieces.front(), flags, now);
    }
    // All but the last: more follows, and nothing is remembered of them by themselves.
    MessageFlags first = flags;
    first.more = true;
    first.urgent = first.end_of_record = first.zerocopy = false;
    first.timestamping = 0;
    std::size_t taken = 0;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        const bool last = i + 1 == pieces.size();
        const auto sent = send(id, pieces[i], last ? flags : first, now);
        if (!sent) {
            return taken > 0 ? Result<std::size_t>(taken) : fail(sent.error());
        }
        taken += *sent;
        if (*sent < pieces[i].size()) {
            break;
        }
    }
    return taken;
}

namespace {

std::size_t total_size(std::span<const MutableBytes> pieces) {
    std::size_t size = 0;
    for (const MutableBytes& piece : pieces) {
        size += piece.size();
    }
    return size;
}

/// Spreads `bytes` over the pieces.
void scatter(Bytes bytes, std::span<const MutableBytes> pieces) {
    for (const MutableBytes& piece : pieces) {
        const std::size_t count = std::min(piece.size(), bytes.size());
        if (count > 0) {
            std::memcpy(piece.data(), bytes.data(), count);
        }
        bytes = bytes.subspan(count);
    }
}

}  // namespace

Result<Received> SocketLayer::receive_pieces(SocketId id, std::span<const MutableBytes> pieces,
                                             MessageFlags flags, Instant now) {
    Socket* socket = find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (socket->type == SocketType::datagram) {
        return fail(Errc::not_supported);
    }
    const std::size_t wanted = total_size(pieces);
    Received received;
    if (flags.peek && !flags.discard && pieces.size() > 1) {
        // One look, so that the pieces are of one stretch of the stream.
        std::vector<std::byte> seen(std::min(wanted, available(id).value_or(0) + 1));
        const auto got = receive(id, seen, flags, now);
        if (!got) {
            return fail(got.error());
        }
        scatter(Bytes(seen).first(*got), pieces);
        received.count = *got;
    } else {
        for (const MutableBytes& piece : pieces) {
            const auto got = receive(id, piece, flags, now);
            if (!got && received.count == 0) {
                return fail(got.error());
            }
            received.count += got.value_or(0);
            // A read ends before the urgent mark, in whichever piece it lies.
            if (!got || *got < piece.size() || at_mark(id).value_or(false)) {
                break;
            }
        }
    }
    if (flags.urgent || socket->phase != Phase::connection) {
        return received;
    }
    const tcp::ConnectionOptions& options = options_of(*socket);
    const std::size_t lowat = std::max<std::size_t>(options.receive_lowat, 1);
    const std::size_t target = flags.wait_all ? wanted : std::min(lowat, wanted);
    const std::uint8_t bits = readiness(id).bits;
    using tcp::Readiness;
    const bool over = (bits & (Readiness::kPeerClosed | Readiness::kError)) != 0;
    if (received.count < target && !over && !at_mark(id).value_or(false)) {
        received.missing = target - received.count;
    }
    if (options.report_inq) {
        const std::size_t left = host_.tcp().readable(connection_of(*socket));
        const bool at_end = left == 0 && (bits & Readiness::kPeerClosed) != 0;
        received.in_queue = at_end ? 1 : static_cast<std::uint32_t>(left);
    }
    return received;
}

Result<tcp::QueuedError> SocketLayer::take_queued_error(SocketId id) {
    const Socket* socket = find(id);
    if (socket == nullptr) {
        return fail(Errc::bad_descriptor);
    }
    if (socket->phase == Phase::connection) {
        if (const auto entry = host_.tcp().take_queued_error(connection_of(*socket))) {
            return *entry;
        }
    }
    return fail(Errc::would_block);
}

}  // namespace runnel
