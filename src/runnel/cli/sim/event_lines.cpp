#include "runnel/cli/sim/event_lines.hpp"

#include <fmt/format.h>

#include "runnel/report/tcp_text.hpp"
#include "runnel/sim/names.hpp"
#include "runnel/wire/address_io.hpp"

namespace runnel::sim_command {

namespace {

using sim::Event;
using sim::EventKind;

std::string_view kind_name(EventKind kind) {
    switch (kind) {
        case EventKind::transmitted: return "send";
        case EventKind::delivered: return "take";
        case EventKind::dropped: return "lose";
        case EventKind::timeout: return "timer";
        case EventKind::call: return "call";
        case EventKind::fault_began: return "fault";
        case EventKind::fault_ended: return "heal";
        case EventKind::rest: return "rest";
    }
    return "";
}

std::string place(const Event& event) {
    if (event.host != sim::kNoNode) {
        return fmt::format("host {}", event.host);
    }
    return event.link != 0xff ? fmt::format("link {} {}", event.link, event.way == 0 ? ">" : "<")
                              : "-";
}

/// The names of the decisions that the event led to.
std::string decisions(sim::Simulation& run, const Event& event) {
    std::string names;
    if (event.host == sim::kNoNode || !run.has_host(event.host)) {
        return names;
    }
    const FlightRecorder& recorder = run.host(event.host).recorder();
    for (std::uint64_t number = event.first_record; number < event.end_record; ++number) {
        if (const EventRecord* record = recorder.find(number)) {
            names += fmt::format("{}{}", names.empty() ? "" : ",", describe(record->decision).name);
        }
    }
    return names;
}

std::string fault_text(sim::Simulation& run, const Event& event) {
    const sim::Fault& fault = run.scenario().faults[event.fault];
    return fmt::format("{} on {}", to_string(fault.kind), fault.where);
}

}  // namespace

std::string packet_text(const sim::Packet& packet) {
    std::string text = fmt::format("#{}", packet.number);
    if (!packet.is_tcp) {
        return text + fmt::format(" {} octets, no TCP segment", packet.bytes.size());
    }
    const TcpHeader& tcp = packet.tcp;
    text += fmt::format(" {}:{} > {}:{} {} seq {}", to_string(packet.tuple.local.address),
                        packet.tuple.local.port, to_string(packet.tuple.remote.address),
                        packet.tuple.remote.port, report::flags_text(tcp.flags), tcp.seq.value);
    if (tcp.flags.ack()) {
        text += fmt::format(" ack {}", tcp.ack.value);
    }
    text += fmt::format(" win {} len {}", tcp.window, packet.payload_size);
    text += packet.damaged ? " damaged" : "";
    text += packet.forged ? " forged" : "";
    return text;
}

std::string_view loss_name(const sim::Scenario& scenario, const Event& event) {
    switch (event.loss) {
        case sim::Loss::none: return "none";
        case sim::Loss::fault:
            return event.fault < scenario.faults.size()
                       ? to_string(scenario.faults[event.fault].kind)
                       : "fault";
        case sim::Loss::queue: return "queue";
        case sim::Loss::aqm: return "codel";
        case sim::Loss::ring: return "ring";
        case sim::Loss::memory: return "memory";
        case sim::Loss::no_route: return "no_route";
        case sim::Loss::hop_limit: return "hop_limit";
        case sim::Loss::too_big: return "too_big";
        case sim::Loss::link_down: return "link_down";
    }
    return "";
}

void EventLines::on_event(sim::Simulation& run, const Event& event) {
    std::string line = fmt::format(
        "{:.9f} {} {}", static_cast<double>((event.at - sim::Simulation::kStart).ns) / 1e9,
        kind_name(event.kind), place(event));
    if (event.flow != sim::kNoFlow) {
        line += fmt::format(" flow {}", run.scenario().flows[event.flow].id);
    }
    if (event.packet != nullptr) {
        line += ' ' + packet_text(*event.packet);
    }
    if (event.kind == EventKind::transmitted) {
        line += fmt::format(" {}", describe(event.reason).name);
    } else if (event.kind == EventKind::dropped) {
        line += fmt::format(" {}", loss_name(run.scenario(), event));
    } else if (event.fault != sim::kNoFault && event.fault < run.scenario().faults.size()) {
        line += ' ' + fault_text(run, event);
    }
    const std::string names = decisions(run, event);
    if (!names.empty()) {
        line += ' ' + names;
    }
    line += '\n';
    write_(line);
}

}  // namespace runnel::sim_command
