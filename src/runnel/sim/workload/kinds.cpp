#include "runnel/sim/workload/kinds.hpp"

#include <algorithm>
#include <limits>

namespace runnel::sim {

namespace {
constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();
constexpr unsigned kClient = 0;

/// A request and a response have an octet at least, or else nobody would know that they came.
std::uint64_t request(const Flow& flow) {
    return std::max<std::uint64_t>(flow.up, 1);
}
std::uint64_t response(const Flow& flow) {
    return std::max<std::uint64_t>(flow.down, 1);
}

Leave exchange(const Flow& flow, const SessionEnd& end, unsigned side) {
    Leave leave{.read_until = kAll};
    if (side == kClient) {
        // The next request when the last response is complete.
        leave.send_until = (end.received / response(flow) + 1) * request(flow);
        leave.shut = end.received >= response(flow) * flow.count;
    } else {
        leave.send_until = end.received / request(flow) * response(flow);
        leave.shut = false;
    }
    if (end.end_seen) {  // too early, perhaps: nobody will ask or answer any more
        leave.send_until = kAll;
        leave.shut = true;
    }
    return leave;
}

Leave slow_reader(const Flow& flow, const SessionEnd& end, unsigned side) {
    Leave leave{.send_until = kAll, .read_until = kAll};
    if (side == kClient) {
        leave.read_until = (std::uint64_t{end.wakes} + 1) * std::max<std::uint64_t>(flow.call, 1);
        leave.pause = end.received >= leave.read_until && !end.end_seen;
    }
    return leave;
}

Leave never_reader(const SessionEnd& end, unsigned side) {
    Leave leave{.send_until = kAll, .read_until = kAll};
    if (side == kClient) {
        leave = {.shut = false, .pause = end.wakes == 0, .abort = end.wakes > 0};
    }
    return leave;
}

Leave idle(const Flow& flow, const SessionEnd& end, unsigned side) {
    Leave leave{.send_until = kAll, .read_until = kAll};
    if (side == kClient && end.wakes == 0) {
        leave.send_until = flow.up;
        leave.pause = end.sent >= flow.up;
        leave.shut = false;
    }
    return leave;
}
}  // namespace

std::uint64_t octets_of(const Flow& flow, unsigned side) {
    switch (flow.kind) {
        case FlowKind::request_response:
            return (side == kClient ? request(flow) : response(flow)) * flow.count;
        case FlowKind::never_reader: return side == kClient ? 0 : flow.down;
        case FlowKind::slow_reader: return side == kClient ? 0 : flow.down;
        case FlowKind::idle: return side == kClient ? flow.up * 2 : flow.down;
        default: return side == kClient ? flow.up : flow.down;
    }
}

std::uint32_t write_size(const Flow& flow, unsigned side) {
    const bool single = flow.kind == FlowKind::one_byte_writes && side == kClient;
    return single ? 1 : std::max<std::uint32_t>(flow.call, 1);
}

Leave leave_of(const Flow& flow, const SessionEnd& end, unsigned side) {
    Leave leave{.send_until = kAll, .read_until = kAll};
    switch (flow.kind) {
        case FlowKind::bulk:
        case FlowKind::one_byte_writes:
        case FlowKind::many_short:
        case FlowKind::count_: return leave;
        case FlowKind::request_response: return exchange(flow, end, side);
        case FlowKind::slow_reader: return slow_reader(flow, end, side);
        case FlowKind::never_reader: return never_reader(end, side);
        case FlowKind::idle: return idle(flow, end, side);
        case FlowKind::half_close:
            if (side != kClient && !end.end_seen) {
                leave.send_until = 0;
                leave.shut = false;
            }
            return leave;
        case FlowKind::abort:
            leave.pause = side == kClient && end.wakes == 0;
            leave.abort = side == kClient && end.wakes > 0;
            return leave;
    }
    return leave;
}

std::uint64_t pauses_of(const Flow& flow) {
    switch (flow.kind) {
        case FlowKind::slow_reader: return flow.down / std::max<std::uint32_t>(flow.call, 1) + 1;
        case FlowKind::never_reader:
        case FlowKind::abort:
        case FlowKind::idle: return 1;
        default: return 0;
    }
}

}  // namespace runnel::sim
