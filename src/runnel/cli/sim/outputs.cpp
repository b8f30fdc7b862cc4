#include "runnel/cli/sim/outputs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "runnel/cli/exit_code.hpp"
#include "runnel/cli/sim/event_lines.hpp"
#include "runnel/cli/sim/host_capture.hpp"
#include "runnel/cli/sim/qlog_recorder.hpp"
#include "runnel/cli/sim/script_recorder.hpp"
#include "runnel/cli/sim/transfer_recorder.hpp"

namespace runnel::sim_command {

namespace {

class OutputFile {
public:
    explicit OutputFile(std::string path) : path_(std::move(path)) {
        file_ = std::fopen(path_.c_str(), "wb");
        if (file_ == nullptr) {
            complain();
        }
    }
    ~OutputFile() {
        if (file_ != nullptr) {
            (void)std::fclose(file_);
        }
    }
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;

    void write(const void* data, std::size_t size) {
        if (std::fwrite(data, 1, size, file_) != size) {
            complain();
        }
    }
    void close() {
        if (std::fclose(std::exchange(file_, nullptr)) != 0) {
            complain();
        }
    }

private:
    [[noreturn]] void complain() const {
        throw CommandError(kExitFailed,
                           fmt::format("can't write {}: {}", path_, std::strerror(errno)));
    }
    std::string path_;
    std::FILE* file_ = nullptr;
};

sim::NodeId chosen_host(const OutputPaths& paths, const sim::Scenario& scenario) {
    if (!paths.host && !scenario.flows.empty()) {
        return scenario.flows.front().client;
    }
    const std::uint32_t wanted = paths.host.value_or(0);
    if (std::none_of(scenario.hosts.begin(), scenario.hosts.end(),
                     [wanted](const sim::HostSpec& host) { return host.id == wanted; })) {
        throw CommandError(kExitUsage, fmt::format("there is no host {} in this scenario", wanted));
    }
    return static_cast<sim::NodeId>(wanted);
}

std::size_t chosen_flow(const OutputPaths& paths, const sim::Scenario& scenario) {
    for (std::size_t i = 0; i < scenario.flows.size(); ++i) {
        if (!paths.flow || scenario.flows[i].id == *paths.flow) {
            return i;
        }
    }
    throw CommandError(kExitUsage,
                       paths.flow ? fmt::format("there is no flow {} in this scenario", *paths.flow)
                                  : "this scenario has no flow to draw");
}

}  // namespace

struct Outputs::Parts {
    std::unique_ptr<OutputFile> capture_file, qlog_file, svg_file, script_file;
    std::unique_ptr<EventLines> lines;
    std::unique_ptr<HostCapture> capture;
    std::unique_ptr<QlogRecorder> qlog;
    std::unique_ptr<TransferRecorder> transfer;
    std::unique_ptr<ScriptRecorder> script;
};

Outputs::Outputs(const OutputPaths& paths, const sim::Scenario& scenario, const std::string& title)
    : parts_(std::make_unique<Parts>()) {
    Parts& parts = *parts_;
    if (paths.events) {
        parts.lines = std::make_unique<EventLines>([](const std::string& line) {
            (void)std::fwrite(line.data(), 1, line.size(), stdout);
        });
    }
    if (!paths.capture.empty()) {
        const sim::NodeId host = chosen_host(paths, scenario);
        parts.capture_file = std::make_unique<OutputFile>(paths.capture);
        parts.capture =
            std::make_unique<HostCapture>(host, [file = parts.capture_file.get()](Bytes bytes) {
                file->write(bytes.data(), bytes.size());
            });
    }
    if (!paths.qlog.empty()) {
        const sim::NodeId host = chosen_host(paths, scenario);
        parts.qlog_file = std::make_unique<OutputFile>(paths.qlog);
        parts.qlog = std::make_unique<QlogRecorder>(
            host, title, [file = parts.qlog_file.get()](const std::string& text) {
                file->write(text.data(), text.size());
            });
    }
    if (!paths.script.empty()) {
        parts.script_file = std::make_unique<OutputFile>(paths.script);
        parts.script = std::make_unique<ScriptRecorder>(chosen_host(paths, scenario),
                                                        chosen_flow(paths, scenario), title);
    }
    if (!paths.svg.empty()) {
        const std::size_t flow = chosen_flow(paths, scenario);
        parts.svg_file = std::make_unique<OutputFile>(paths.svg);
        parts.transfer = std::make_unique<TransferRecorder>(scenario, flow);
        parts.transfer->picture().title += " · " + title;
    }
}

Outputs::~Outputs() = default;

std::vector<sim::Observer*> Outputs::observers() {
    std::vector<sim::Observer*> all;
    const auto add = [&all](sim::Observer* one) {
        if (one != nullptr) {
            all.push_back(one);
        }
    };
    add(parts_->lines.get());
    add(parts_->capture.get());
    add(parts_->qlog.get());
    add(parts_->transfer.get());
    add(parts_->script.get());
    return all;
}

void Outputs::finish() {
    if (parts_->transfer) {
        const std::string svg = report::transfer_svg(parts_->transfer->picture());
        parts_->svg_file->write(svg.data(), svg.size());
    }
    if (parts_->script) {
        const std::string text = parts_->script->text();
        parts_->script_file->write(text.data(), text.size());
    }
    for (OutputFile* file : {parts_->capture_file.get(), parts_->qlog_file.get(),
                             parts_->svg_file.get(), parts_->script_file.get()}) {
        if (file != nullptr) {
            file->close();
        }
    }
}

}  // namespace runnel::sim_command
