#include "runnel/cli/sim/script_recorder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "runnel/base/errno.hpp"
#include "runnel/drill/packet_bytes.hpp"
#include "runnel/drill/print.hpp"
#include "runnel/drill/symbols.hpp"
#include "runnel/sim/names.hpp"
#include "runnel/tcp/names.hpp"
#include "runnel/wire/quoted_datagram.hpp"

namespace runnel::sim_command {

namespace {

using drill::IcmpOnWire;
using drill::IcmpPacket;
using drill::TcpPacket;
using sim::Call;
using sim::CallKind;
using sim::Event;
using sim::EventKind;
using sim::Simulation;

std::string result_text(std::uint64_t done, Errc error) {
    if (error == Errc::ok) {
        return fmt::format("{}", done);
    }
    const int number = to_errno(error);
    return fmt::format("-1 {} ({})", drill::symbol_name(drill::SymbolGroup::error, number),
                       drill::error_text(number));
}

/// With what every application of a run asks for (workload/flows.cpp), and the flow's controller.
void add_socket(std::vector<std::string>& out, std::string_view flags, std::string_view control) {
    out.push_back(fmt::format("socket(..., SOCK_STREAM{}, IPPROTO_TCP) = 3", flags));
    const auto option = [&out](std::string_view level, std::string_view name, unsigned value) {
        out.push_back(fmt::format("setsockopt(3, {}, {}, [{}], 4) = 0", level, name, value));
    };
    option("SOL_SOCKET", "SO_KEEPALIVE", 1);
    option("SOL_TCP", "TCP_KEEPIDLE", sim::kKeepAliveIdle);
    option("SOL_TCP", "TCP_KEEPINTVL", sim::kKeepAliveInterval);
    option("SOL_TCP", "TCP_KEEPCNT", sim::kKeepAliveCount);
    out.push_back(fmt::format("setsockopt(3, SOL_TCP, TCP_CONGESTION, \"{}\", {}) = 0", control,
                              control.size()));
}

/// A call as scripts write it: several lines where an application's step is several. `fd`: of the connection.
std::vector<std::string> call_lines(CallKind kind, unsigned fd, std::uint64_t length,
                                    const std::string& result, std::string_view control) {
    std::vector<std::string> out;
    switch (kind) {
        case CallKind::connect:
            add_socket(out, "|SOCK_NONBLOCK", control);
            out.push_back(fmt::format("connect(3, ..., ...) = {}", result));
            break;
        case CallKind::listen:
            add_socket(out, "", control);
            out.emplace_back("bind(3, ..., ...) = 0");
            out.push_back(fmt::format("listen(3, {}) = {}", length, result));
            break;
        case CallKind::accept:
            out.emplace_back("accept(3, ..., ...) = 4");
            out.emplace_back("fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0");
            break;
        case CallKind::write:
            out.push_back(fmt::format("write({}, ..., {}) = {}", fd, length, result));
            break;
        case CallKind::read:
            out.push_back(fmt::format("read({}, ..., {}) = {}", fd, length, result));
            break;
        case CallKind::shutdown:
            out.push_back(fmt::format("shutdown({}, SHUT_WR) = {}", fd, result));
            break;
        case CallKind::abort:
            out.push_back(fmt::format(
                "setsockopt({}, SOL_SOCKET, SO_LINGER, {{onoff=1, linger=0}}, 8) = 0", fd));
            [[fallthrough]];
        case CallKind::close: out.push_back(fmt::format("close({}) = 0", fd)); break;
    }
    return out;
}

}  // namespace

Duration ScriptRecorder::time(const Simulation& run) const {
    return run.local_now(host_) - origin_;
}

void ScriptRecorder::on_begin(Simulation& run) {
    const sim::Scenario& scenario = run.scenario();
    if (!run.has_host(host_)) {
        return;
    }
    origin_ = run.local_now(host_);
    const sim::Machine& machine = run.machine(host_);
    if (flow_ < scenario.flows.size()) {
        control_ = tcp::name_of(scenario.flows[flow_].congestion_control);
        if (scenario.flows[flow_].v6) {
            head_.emplace_back("--ip_version=ipv6");
        }
    }
    if (!machine.link_of_interface.empty()) {
        head_.push_back(
            fmt::format("--mtu={}", scenario.links[machine.link_of_interface.front()].mtu));
    }
    head_.emplace_back("--batched");
    head_.push_back(fmt::format("--profile={}", tcp::name_of(machine.spec->profile)));
    for (const sim::Knob& knob : machine.spec->knobs) {
        head_.push_back(fmt::format("`sysctl -q net.ipv4.{}={}`", knob.name, knob.value));
    }
}

void ScriptRecorder::on_call(Simulation& run, const Call& call) {
    if (call.host != host_ || call.flow != flow_) {
        return;
    }
    if (call.kind == CallKind::listen) {
        listener_ = call.socket;
    } else if (call.kind == CallKind::connect || call.kind == CallKind::accept) {
        socket_ = call.socket;
        newest_ = call.connection;
    }
    Line line;
    line.at = time(run);
    line.socket = call.socket;
    line.call = call.kind;
    line.length = call.length;
    line.done = call.done;
    line.error = call.error;
    lines_.push_back(std::move(line));
}

void ScriptRecorder::on_event(Simulation& run, const Event& event) {
    if (event.host != host_ || event.packet == nullptr ||
        (event.kind != EventKind::delivered && event.kind != EventKind::transmitted)) {
        return;
    }
    if (event.packet->is_tcp && event.packet->flow() == flow_) {
        packet(run, event);
    } else if (!event.packet->is_tcp && event.kind == EventKind::delivered) {
        icmp(run, event);
    }
}

void ScriptRecorder::packet(const Simulation& run, const Event& event) {
    const bool in = event.kind == EventKind::delivered;
    Line line;
    line.at = time(run);
    const FourTuple& sent = event.packet->tuple;
    line.of = in ? FourTuple{sent.remote, sent.local} : sent;
    drill::SeenPacket seen = drill::read_packet(event.packet->bytes);
    if (event.packet->damaged || seen.tcp() == nullptr || !seen.trouble.empty()) {
        line.remark = "a damaged packet came, and was dropped";
        lines_.push_back(std::move(line));
        return;
    }
    line.packet.direction = in ? drill::Direction::inbound : drill::Direction::outbound;
    if (const unsigned ecn = seen.head.traffic_class & 3U; in && ecn != 0) {
        line.packet.marks.ecn = static_cast<drill::EcnMark>(ecn);
    }
    line.packet.what = std::move(*seen.tcp());
    lines_.push_back(std::move(line));
}

void ScriptRecorder::icmp(const Simulation& run, const Event& event) {
    const drill::SeenPacket seen = drill::read_packet(event.packet->bytes);
    const auto* message = std::get_if<IcmpOnWire>(&seen.what);
    if (message == nullptr) {
        return;
    }
    const auto quoted =
        event.packet->v6() ? parse_quoted_ipv6(message->body) : parse_quoted_ipv4(message->body);
    const auto tcp = quoted ? parse_quoted_tcp(*quoted) : std::nullopt;
    if (!tcp) {
        return;
    }
    Line line;
    line.at = time(run);
    line.of =
        FourTuple{{quoted->source, tcp->source_port}, {quoted->destination, tcp->destination_port}};
    IcmpPacket icmp;
    icmp.type = fmt::format("type_{}", message->type);
    icmp.code = fmt::format("code_{}", message->code);
    const bool too_big =
        event.packet->v6() ? message->type == 2 : message->type == 3 && message->code == 4;
    if (too_big) {
        icmp.mtu = event.packet->v6() ? message->rest : message->rest & 0xffffU;
    }
    icmp.quoted = drill::SequenceRange{tcp->seq.value, tcp->seq.value, 0};
    line.packet.what = std::move(icmp);
    lines_.push_back(std::move(line));
}

/// Both directions from the ISNs on, as a person would write them.
void ScriptRecorder::count_from_zero(drill::Packet& packet, const Numbers& numbers) const {
    const bool in = packet.direction == drill::Direction::inbound;
    const std::uint32_t host = numbers.host.value_or(0);
    const std::uint32_t own = in ? numbers.peer.value_or(0) : host;
    const std::uint32_t others = in ? host : numbers.peer.value_or(0);
    if (auto* icmp = std::get_if<IcmpPacket>(&packet.what)) {
        if (auto* range = std::get_if<drill::SequenceRange>(&icmp->quoted)) {
            range->first -= host;
            range->last -= host;
        }
        return;
    }
    TcpPacket& tcp = std::get<TcpPacket>(packet.what);
    tcp.sequence.first -= own;
    tcp.sequence.last -= own;
    if (tcp.ack) {
        *tcp.ack -= others;
    }
    for (drill::TcpOption& option : tcp.options) {
        for (drill::SackRange& block : option.blocks) {
            block.first -= others;
            block.last -= others;
        }
    }
}

void ScriptRecorder::on_end(Simulation& run) {
    if (const auto& violation = run.result().violation) {
        verdict_ = fmt::format("{} at {:.9f} s: {}", sim::to_string(violation->check),
                               static_cast<double>((violation->at - Simulation::kStart).ns) / 1e9,
                               violation->text);
    }
}

/// Without ports a SYN means a new connection; this one then names its ports.
bool ScriptRecorder::syn_comes_again() const {
    return std::ranges::count_if(lines_, [&](const Line& line) {
               const auto* tcp = std::get_if<TcpPacket>(&line.packet.what);
               return line.of == newest_ && line.packet.direction == drill::Direction::inbound &&
                      tcp != nullptr && tcp->flags.syn();
           }) > 1;
}

std::string ScriptRecorder::text() const {
    if (!newest_) {
        return {};
    }
    std::string out = fmt::format("// {}\n", title_);
    if (!verdict_.empty()) {
        out += fmt::format("// There it ended with {}\n", verdict_);
    }
    out += fmt::format("--{}_port={}\n", listener_.is_none() ? "connect" : "bind",
                       listener_.is_none() ? newest_->remote.port : newest_->local.port);
    for (const std::string& line : head_) {
        out += line + '\n';
    }
    Numbers numbers;
    const bool ports = syn_comes_again();
    for (const Line& line : lines_) {
        if (line.of ? *line.of != *newest_ : line.socket != socket_ && line.socket != listener_) {
            continue;
        }
        const std::string when = drill::print(line.at);
        if (!line.remark.empty()) {
            out += fmt::format("// {}: {}\n", when, line.remark);
        } else if (line.call) {
            const unsigned fd = listener_.is_none() || line.socket == listener_ ? 3 : 4;
            for (const std::string& call : call_lines(
                     *line.call, fd, line.length, result_text(line.done, line.error), control_)) {
                out += fmt::format("{} {}\n", when, call);
            }
        } else {
            drill::Packet packet = line.packet;
            const auto* tcp = std::get_if<TcpPacket>(&packet.what);
            if (tcp != nullptr && tcp->flags.syn()) {
                auto& isn =
                    packet.direction == drill::Direction::inbound ? numbers.peer : numbers.host;
                isn = isn.value_or(tcp->sequence.first);
            }
            count_from_zero(packet, numbers);
            if (ports) {
                packet.ports = packet.direction == drill::Direction::inbound
                                   ? drill::Ports{newest_->remote.port, newest_->local.port}
                                   : drill::Ports{newest_->local.port, newest_->remote.port};
            }
            out += fmt::format("{} {}\n", when, drill::print(packet));
        }
    }
    return out;
}

}  // namespace runnel::sim_command
