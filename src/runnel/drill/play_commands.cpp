// Shell lines, of which nothing is run, and code sections over the TCP_INFO of the script's socket.
#include <fmt/format.h>

#include <charconv>

#include "runnel/drill/code.hpp"
#include "runnel/drill/commands.hpp"
#include "runnel/drill/play.hpp"
#include "runnel/drill/script_defaults.hpp"
#include "runnel/drill/tcp_info_names.hpp"

namespace runnel::drill {

namespace {

using Kind = ShellCommand::Kind;

/// "net.ipv4.tcp_sack" is tcp_sack to set_by_name.
std::string_view last_part(std::string_view name) {
    const std::size_t at = name.find_last_of("./");
    return at == std::string_view::npos ? name : name.substr(at + 1);
}

std::optional<std::uint32_t> whole(std::string_view text) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() ? std::optional(value)
                                                                    : std::nullopt;
}

/// `ip route … initcwnd 10 mtu 1400 rto_min 100ms`: what a connection takes over from its route.
bool set_by_route(const ShellCommand::Setting& setting, MachineConfig& config) {
    std::string_view value = setting.value;
    if (value.ends_with("ms")) {
        value.remove_suffix(2);
    }
    const auto number = whole(value);
    if (!number) {
        return false;
    }
    if (setting.name == "initcwnd" && *number >= 1 && *number <= 1000) {
        config.host.tcp.initial_window_segments = *number;
        return true;
    }
    if (setting.name == "mtu" && *number >= 576 && *number <= 65'535) {
        config.mtu = *number;
        return true;
    }
    return setting.name == "rto_min" &&
           set_by_name(config.host.tcp, "tcp_rto_min_us", fmt::format("{}000", *number))
               .has_value();
}

}  // namespace

/// A shell line's settings over `config_`; false: it is not about those.
bool Play::configure_by(const ShellCommand& piece) {
    if (piece.kind == Kind::defaults) {
        config_.host.tcp = script_defaults();
        config_.host.tcp.super_segments = false;
        return true;
    }
    if (piece.kind == Kind::configure) {
        for (const ShellCommand::Setting& setting : piece.settings) {
            if (last_part(setting.name) == "accept_local") {
                config_.host.ip.accept_local = setting.value != "0";  // before the host exists
            } else if (!set_by_name(config_.host.tcp, last_part(setting.name), setting.value)) {
                verdict_.notes.push_back(fmt::format("skipped: {} = {}: no such setting here",
                                                     setting.name, setting.value));
            }
        }
        return true;
    }
    bool taken = piece.kind == Kind::route && !piece.settings.empty();
    for (const ShellCommand::Setting& setting : piece.settings) {
        taken = taken && set_by_route(setting, config_);
    }
    return taken || piece.kind == Kind::nothing || piece.kind == Kind::print ||
           piece.kind == Kind::query;
}

/// Before the host exists its configuration follows the script.
void Play::configure_by(const Command& command) {
    for (const ShellCommand& piece : classify(command)) {
        if (!configure_by(piece)) {
            verdict_.notes.push_back(fmt::format("skipped: {}", piece.text));
        }
    }
}

bool Play::command(const Event& event, const Command& command) {
    row(event, machine_->now(), "", true);
    if (configuring_) {
        return true;  // configure() has seen to it
    }
    for (const ShellCommand& piece : classify(command)) {
        if (piece.kind == Kind::sleep) {
            if (!advance(machine_->now() + piece.duration)) {
                return false;
            }
        } else if (piece.kind == Kind::counters) {
            std::string counters = "counters:";
            for (std::size_t i = 0; i < kDecisionCount; ++i) {
                const auto decision = static_cast<Decision>(i);
                if (const std::uint64_t count = machine_->host().recorder().count(decision)) {
                    counters += fmt::format(" {}={}", describe(decision).name, count);
                }
            }
            verdict_.notes.push_back(std::move(counters));
        } else if (configure_by(piece)) {
            machine_->host().tcp().configure(config_.host.tcp);
        } else {
            verdict_.notes.push_back(fmt::format("skipped at {}: {}", event.at.line, piece.text));
        }
    }
    return true;
}

bool Play::code(const Event& event, const Code& code) {
    const auto program = parse_code(script_.file.text, code);
    if (!program) {
        return program.error().unsupported() ? skip(program.error().at, program.error().message)
                                             : fail(program.error().at, program.error().message);
    }
    std::optional<TcpInfo> info;
    std::optional<Decision> plan;
    if (const auto socket = calls_->info_socket()) {
        if (const auto status = machine_->sockets().tcp_info(*socket)) {
            plan = status->plan;
        }
        if (const auto got = machine_->sockets().linux_tcp_info(*socket, machine_->now())) {
            info = *got;
        }
    }
    code_.lookup = [&](std::string_view name) -> std::optional<CodeValue> {
        if (name == "runnel_plan" && plan) {
            // What the connection would do next, which some answers are only given when asked.
            asked_[static_cast<std::size_t>(*plan)] += 1;
            return CodeValue(std::string(describe(*plan).name));
        }
        if (const auto decision = find_decision(name)) {
            return code_number(machine_->host().recorder().count(*decision));
        }
        return info ? tcp_info_value(*info, name) : std::nullopt;
    };
    const auto done = run_code(*program, code_);
    code_.lookup = nullptr;
    if (!code_.printed.empty()) {
        verdict_.notes.push_back("printed: " + code_.printed);
        code_.printed.clear();
    }
    row(event, machine_->now(), "", done.has_value());
    if (done) {
        return true;
    }
    return done.error().unsupported() ? skip(done.error().at, done.error().message)
                                      : fail(done.error().at, done.error().message);
}

}  // namespace runnel::drill
