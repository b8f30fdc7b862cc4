#include "runnel/cli/sim/host_capture.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "runnel/report/decision_report.hpp"

namespace runnel::sim_command {

namespace {
constexpr std::size_t kGather = std::size_t{1} << 20;

report::PcapngOptions options() {
    report::PcapngOptions options;
    options.application = "Runnel " RUNNEL_VERSION " (simulated)";
    return options;
}
}  // namespace

HostCapture::HostCapture(sim::NodeId host, std::function<void(Bytes)> write)
    : host_(host), write_(std::move(write)), writer_(bytes_, options()) {}

void HostCapture::on_begin(sim::Simulation& run) {
    if (!run.has_host(host_)) {
        return;
    }
    for (const std::uint8_t link : run.machine(host_).link_of_interface) {
        links_.push_back(run.scenario().links[link].id);
        (void)writer_.add_interface(fmt::format("link{}", links_.back()), LinkLayer::raw_ip);
    }
}

void HostCapture::on_event(sim::Simulation& run, const sim::Event& event) {
    const bool out = event.kind == sim::EventKind::transmitted;
    if (event.host != host_ || (!out && event.kind != sim::EventKind::delivered)) {
        return;
    }
    const auto link = std::find(links_.begin(), links_.end(), event.link);
    if (link == links_.end()) {
        return;
    }
    comments_.clear();
    if (out) {
        comments_.push_back(report::decision_comment(event.reason));
    }
    const FlightRecorder& recorder = run.host(host_).recorder();
    for (std::uint64_t number = event.first_record; number < event.end_record; ++number) {
        if (const EventRecord* record = recorder.find(number)) {
            comments_.push_back(report::decision_comment(record->decision));
        }
    }
    writer_.write_packet(static_cast<std::uint32_t>(link - links_.begin()),
                         Instant{} + (event.at - sim::Simulation::kStart), event.packet->bytes,
                         event.packet->bytes.size(),
                         out ? report::PacketDirection::outbound : report::PacketDirection::inbound,
                         comments_);
    ++packets_;
    if (bytes_.size() >= kGather) {
        write_(bytes_);
        bytes_.clear();
    }
}

void HostCapture::on_end(sim::Simulation&) {
    write_(bytes_);
    bytes_.clear();
}

}  // namespace runnel::sim_command
