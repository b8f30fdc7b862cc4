#include "runnel/cli/sim/qlog_recorder.hpp"

#include <fmt/format.h>

#include "runnel/cli/sim/event_lines.hpp"
#include "runnel/report/tcp_text.hpp"

namespace runnel::sim_command {

namespace {

using report::JsonWriter;
using sim::Event;
using sim::EventKind;

constexpr std::size_t kGather = std::size_t{1} << 18;
constexpr std::size_t kMaxConnections = 4'096;  ///< remembered at once

double millis(Duration duration) {
    return static_cast<double>(duration.ns) / 1e6;
}

std::string_view congestion_state(const tcp::Tcb& tcb) {
    switch (tcb.recovery.state) {
        case tcp::RecoveryState::open:
            return tcb.controller.in_slow_start() ? "slow_start" : "congestion_avoidance";
        case tcp::RecoveryState::disorder:
        case tcp::RecoveryState::cwr:
        case tcp::RecoveryState::recovery:
        case tcp::RecoveryState::loss: return to_string(tcb.recovery.state);
    }
    return "";
}

std::string group(const Event& event, const sim::Scenario& scenario) {
    return event.flow < scenario.flows.size()
               ? fmt::format("flow {}", scenario.flows[event.flow].id)
               : "";
}

}  // namespace

QlogRecorder::QlogRecorder(sim::NodeId host, std::string_view title,
                           std::function<void(const std::string&)> write)
    : host_(host), write_(std::move(write)), writer_(text_, title, fmt::format("host {}", host)) {}

void QlogRecorder::packet(const sim::Simulation& run, const Event& event, std::string_view name,
                          std::string_view trigger) {
    const sim::Packet& packet = *event.packet;
    writer_.event(event.at - sim::Simulation::kStart, name, group(event, run.scenario()),
                  [&](JsonWriter& json) {
                      json.begin_object("header");
                      json.text("packet_type", packet.is_tcp ? "tcp" : "other");
                      json.number("packet_number", packet.number);
                      if (packet.is_tcp) {
                          json.text("flags", report::flags_text(packet.tcp.flags));
                          json.number("seq", packet.tcp.seq.value);
                          json.number("ack", packet.tcp.ack.value);
                          json.number("window", packet.tcp.window);
                          json.number("source_port", packet.tuple.local.port);
                          json.number("destination_port", packet.tuple.remote.port);
                      }
                      json.end_object();
                      json.begin_object("raw");
                      json.number("length", packet.bytes.size());
                      json.number("payload_length", packet.payload_size);
                      json.end_object();
                      if (!trigger.empty()) {
                          json.text("trigger", trigger);
                      }
                  });
}

void QlogRecorder::connection(const sim::Simulation& run, const Event& event) {
    const tcp::Tcb& tcb = *event.tcb;
    if (seen_.size() >= kMaxConnections) {
        seen_.clear();  // what has been written is then written once more
    }
    const Duration at = event.at - sim::Simulation::kStart;
    const std::string name = group(event, run.scenario());
    Seen& seen = seen_[event.connection];
    if (tcb.state != seen.state) {
        writer_.event(at, "connectivity:connection_state_updated", name, [&](JsonWriter& json) {
            json.text("old", tcp::to_string(seen.state));
            json.text("new", tcp::to_string(tcb.state));
        });
        seen.state = tcb.state;
    }
    const std::string_view congestion = congestion_state(tcb);
    if (congestion != seen.congestion) {
        writer_.event(at, "recovery:congestion_state_updated", name, [&](JsonWriter& json) {
            json.text("old", seen.congestion);
            json.text("new", congestion);
            if (tcb.telemetry.undone != seen.undone) {
                json.text("trigger", "undone");
            }
        });
        seen.congestion = congestion;
    }
    seen.undone = tcb.telemetry.undone;
    const std::uint32_t window = tcb.controller.window(), threshold = tcb.controller.threshold();
    const std::uint32_t in_flight = tcb.in_flight();
    const Duration rtt = tcb.rtt.has_sample() ? tcb.rtt.smoothed() : Duration{};
    if (window == seen.window && threshold == seen.threshold && in_flight == seen.in_flight &&
        rtt == seen.rtt && tcb.pacer.rate() == seen.pacing_rate) {
        return;
    }
    seen.pacing_rate = tcb.pacer.rate();
    seen.window = window;
    seen.threshold = threshold;
    seen.in_flight = in_flight;
    seen.rtt = rtt;
    const tcp::TcpConfig& config = run.window(host_).config();
    const std::uint64_t mss = tcb.send_mss(config);
    writer_.event(at, "recovery:metrics_updated", name, [&](JsonWriter& json) {
        json.number("congestion_window", window * mss);
        json.number("bytes_in_flight", in_flight * mss);
        if (threshold != tcp::kUnknownThreshold) {
            json.number("ssthresh", threshold * mss);
        }
        if (rtt.ns > 0) {
            json.number("smoothed_rtt", millis(rtt));
            json.number("min_rtt", millis(tcb.rtt.min_rtt()));
            json.number("rtt_variance", millis(tcb.rtt.variation()));
        }
        json.number("rto", millis(tcb.rto(config)));
        if (seen.pacing_rate != 0) {
            json.number("pacing_rate", seen.pacing_rate * 8);  // bits a second
        }
        json.number("reordering_threshold", tcb.rack.threshold(config));
    });
}

void QlogRecorder::on_event(sim::Simulation& run, const Event& event) {
    const bool ours = event.host == host_;
    if (ours && event.kind == EventKind::transmitted) {
        packet(run, event, "transport:packet_sent", describe(event.reason).name);
    } else if (ours && event.kind == EventKind::delivered) {
        packet(run, event, "transport:packet_received", "");
    } else if (event.kind == EventKind::dropped && event.packet->source == host_) {
        packet(run, event, "runnel:packet_lost_on_path", loss_name(run.scenario(), event));
    }
    if (ours && event.tcb != nullptr) {
        connection(run, event);
    }
    if (text_.size() >= kGather) {
        write_(text_);
        text_.clear();
    }
}

void QlogRecorder::on_end(sim::Simulation&) {
    write_(text_);
    text_.clear();
}

}  // namespace runnel::sim_command
