#include "runnel/drill/flows.hpp"

namespace runnel::drill {

Flow& Flows::add(const Flow& flow) {
    if (flows_.size() >= kMax) {
        flows_.clear();
    }
    Flow& added = flows_.insert_or_assign({flow.host, flow.peer}, flow).first->second;
    current_ = &added;
    return added;
}

Flow& Flows::of_outbound(const SeenPacket& seen) {
    const Endpoint host{seen.head.source, seen.ports.source};
    const Endpoint peer{seen.head.destination, seen.ports.destination};
    const auto found = flows_.find({host, peer});
    if (found != flows_.end()) {
        return found->second;
    }
    Flow flow;
    flow.host = host;
    flow.peer = peer;
    flow.tcp = seen.tcp() != nullptr;
    return add(flow);
}

Flow* Flows::written(std::uint16_t host_port, std::uint16_t peer_port) {
    for (auto& [tuple, flow] : flows_) {
        const Ports ports = flow.written.value_or(Ports{flow.host.port, flow.peer.port});
        if (ports == Ports{host_port, peer_port}) {
            return &flow;
        }
    }
    return nullptr;
}

namespace {

std::uint32_t echo_on_wire(std::uint32_t written, const Flow& flow) {
    const auto found = flow.timestamps.find(written);
    if (found != flow.timestamps.end()) {
        return found->second;
    }
    if (written == 0 || flow.timestamps.empty()) {
        return written;
    }
    // The nearest one below, or the first: scripts count in the host's ticks.
    auto near = flow.timestamps.upper_bound(written);
    if (near != flow.timestamps.begin()) {
        --near;
    }
    return near->second + (written - near->first);
}

}  // namespace

TcpPacket to_wire(const TcpPacket& written, const Flow& flow) {
    TcpPacket wire = written;
    if (wire.ack && written.flags.ack()) {
        wire.ack = *written.ack + flow.host_offset;
    }
    for (TcpOption& option : wire.options) {
        if (option.kind == TcpOption::Kind::timestamp && option.echo) {
            option.echo = echo_on_wire(*option.echo, flow);
        }
        for (SackRange& block : option.blocks) {
            block.first += flow.host_offset;
            block.last += flow.host_offset;
        }
    }
    return wire;
}

TcpPacket to_script(const TcpPacket& seen, const Flow& flow) {
    TcpPacket written = seen;
    written.sequence.first -= flow.host_offset;
    written.sequence.last -= flow.host_offset;
    return written;
}

}  // namespace runnel::drill
