// Packets from the host to itself (RFC 1122 §3.2.1.3 (g)): they wait in a bounded queue until the host
// comes for them, and then arrive like any other, their checksums never in doubt.
#include <cstring>
#include <utility>

#include "runnel/ip/input.hpp"
#include "runnel/ip/ip_layer.hpp"
#include "runnel/ip/output.hpp"

namespace runnel {

Decision send_to_loopback(IpState& ip, Frame&& frame, Instant now) {
    if (ip.loopback.size() >= kMaxLoopbackFrames) {
        return ip.note_out(Decision::ip_drop_loopback_full, now, frame.size());
    }
    frame.interface = kLoopbackInterface;
    ip.loopback.push_back(std::move(frame));
    return Decision::ip_transmit_loopback;
}

namespace {

/// An outbound frame becomes an inbound one: its head moves into a chunk in front of the body.
bool turn_round(BufferPool& pool, Frame& frame) {
    const Slice head = pool.copy(frame.head());
    if (head.empty()) {
        return false;
    }
    if (frame.body.size() == frame.body.capacity() && !make_contiguous(pool, frame.body)) {
        return false;
    }
    frame.body.insert(frame.body.begin(), head);
    frame.head_size = 0;
    return true;
}

}  // namespace

InputResult next_local(IpState& ip, Instant now) {
    if (!ip.local_errors.empty()) {
        const IcmpError error = ip.local_errors.front();
        ip.local_errors.pop_front();
        return InputResult(error);
    }
    if (ip.loopback.empty()) {
        return {};
    }
    Frame frame = std::move(ip.loopback.front());
    ip.loopback.pop_front();
    if (!turn_round(ip.pool, frame)) {
        ip.note_in(Decision::ip_drop_no_buffer, now, frame.size());
        return {};
    }
    InputContext context;
    context.interface = kLoopbackInterface;
    return packet_input(ip, std::move(frame), context, now);
}

}  // namespace runnel
