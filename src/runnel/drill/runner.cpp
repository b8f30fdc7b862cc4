#include "runnel/drill/runner.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "runnel/drill/packet_text.hpp"
#include "runnel/drill/parse.hpp"
#include "runnel/drill/play.hpp"
#include "runnel/drill/print.hpp"

namespace runnel::drill {

namespace {
/// Whether `next` happens to the host at the same instant as `event` (--batched).
bool goes_with(const Event& next, const Event& event) {
    const auto* packet = std::get_if<Packet>(&next.what);
    if (packet != nullptr && packet->direction == Direction::outbound) {
        return false;
    }
    return next.time.kind == EventTime::Kind::relative
               ? next.time.start.ns == 0
               : next.time.kind == EventTime::Kind::absolute && next.time == event.time;
}
}  // namespace

Play::Play(const Script& script, const RunOptions& options, const Settings& settings,
           Verdict& verdict)
    : script_(script),
      options_(options),
      settings_(settings),
      verdict_(verdict),
      tolerance_(options.strict ? Duration{} : settings.tolerance) {
    const tcp::Profile profile = settings.profile.value_or(options.profile);
    rules_.syn_options_as_set = profile == tcp::Profile::rfc && !options.strict;
    rules_.marks_not_written = options.strict;
    rules_.timestamp_tick = settings.timestamp_tick;
    rules_.tolerance = settings.tolerance;
}

/// The host as the settings, the profile and the shell lines before the first packet or call want it.
bool Play::configure() {
    MachineConfig& config = config_;
    config.mtu = settings_.mtu;
    config.capture = options_.capture;
    config.host.name = "drill";
    config.host.recorder_capacity = 1u << 12;
    config.host.tcp = tcp::profile_config(settings_.profile.value_or(options_.profile));
    config.host.ip.dad_transmits = 0;
    config.host.ip.router_solicitations = 0;
    for (const Command& command : script_.init) {
        configure_by(command);
    }
    for (const Event& event : script_.events) {
        const auto* command = std::get_if<Command>(&event.what);
        if (command == nullptr) {
            break;
        }
        configure_by(*command);
    }
    config.host.tcp.super_segments = false;
    const bool v6 = settings_.ip_version == IpVersion::ipv6;
    const IpAddress local =
        settings_.local_ip.value_or(*parse_ip_address(v6 ? "fd3d:fa7b:d17d::1" : "192.168.0.1"));
    config.addresses.push_back(
        {local, settings_.prefix_length.value_or(static_cast<std::uint8_t>(v6 ? 48 : 16))});
    machine_ = std::make_unique<Machine>(config);
    calls_ = std::make_unique<Calls>(*machine_, settings_);
    origin_ = previous_ = machine_->now();
    return true;
}

void Play::run() {
    if (!configure()) {
        return;
    }
    for (std::size_t i = 0; i < script_.events.size(); ++i) {
        const Event& event = script_.events[i];
        goes_with_last_ = machine_->held();
        const bool more = settings_.batched && i + 1 < script_.events.size() &&
                          goes_with(script_.events[i + 1], event);
        machine_->hold(more ? window_of(event.time).start : Instant::never());
        record_before_ = first_record_;
        first_record_ = machine_->host().recorder().next_number();
        if (!play(event)) {
            break;
        }
    }
    if (verdict_.outcome == Verdict::Outcome::passed) {
        finish_run();
    }
    if (verdict_.outcome == Verdict::Outcome::failed && verdict_.decisions.empty()) {
        collect_decisions();
    }
    verdict_.time = script_time(machine_->now());
    for (std::size_t i = 0; i < kDecisionCount; ++i) {
        verdict_.counts[i] =
            machine_->host().recorder().count(static_cast<Decision>(i)) + asked_[i];
    }
}

/// How far off an event at `when` may be: --tolerance_usecs, or --tolerance_percent of the time since the one before.
Duration Play::slack(Instant when) const {
    if (options_.strict || when <= previous_) {
        return tolerance_;
    }
    const auto share = static_cast<std::int64_t>(static_cast<double>((when - previous_).ns) *
                                                 settings_.tolerance_percent / 100);
    return std::max(tolerance_, nanoseconds(share));
}

Play::Window Play::window_of(const EventTime& time) const {
    if (time.kind == EventTime::Kind::any) {
        return {machine_->now(), previous_ - tolerance_, machine_->now() + kLongestWait};
    }
    const Instant zero = time.is_relative() ? previous_ : origin_;
    return {zero + time.start, zero + time.start - slack(zero + time.start),
            zero + time.end + slack(zero + time.end)};
}

bool Play::play(const Event& event) {
    const Instant start = window_of(event.time).start;
    configuring_ = configuring_ && std::holds_alternative<Command>(event.what);
    bool well = false;
    if (const auto* packet = std::get_if<Packet>(&event.what)) {
        if (packet->direction == Direction::outbound) {
            return expect(event, *packet);
        }
        well = advance(start) && inject(event, *packet);
    } else if (const auto* syscall = std::get_if<Syscall>(&event.what)) {
        well = call(event, *syscall);
    } else if (const auto* shell = std::get_if<Command>(&event.what)) {
        well = advance(start) && command(event, *shell);
    } else if (const auto* section = std::get_if<Code>(&event.what)) {
        well = advance(start) && code(event, *section);
    }
    previous_ = start;
    return well;
}

bool Play::advance(Instant when) {
    if (goes_with_last_ && when <= machine_->now()) {
        return true;
    }
    while (step(when)) {
    }
    if (over_) {
        return false;
    }
    if (when > machine_->now()) {
        machine_->advance(when);
    }
    return try_pending();
}

bool Play::step(Instant limit) {
    if (over_) {
        return false;
    }
    Instant next = machine_->next_timeout();
    if (pending_) {
        next = std::min({next, pending_->wake, pending_->end + tolerance_ + nanoseconds(1)});
    }
    if (next > limit) {
        return false;
    }
    if (++steps_ > kMaxSteps || machine_->stuck() || machine_->overflowed()) {
        fail({}, "the host does not come to rest");
        return false;
    }
    machine_->advance(std::max(next, machine_->now()));
    calls_->note_readiness();
    return try_pending();
}

/// The last line is past: a call still blocks or not, and the host keeps silent.
bool Play::finish_run() {
    if (pending_ && !wait_for_pending()) {
        return false;
    }
    if (!advance(machine_->now() + tolerance_)) {
        return false;
    }
    if (machine_->sent.empty() || !options_.silence || settings_.non_fatal.packet) {
        return true;
    }
    SeenPacket& seen = machine_->sent.front();
    if (TcpPacket* tcp = seen.tcp()) {
        *tcp = to_script(*tcp, flows_.of_outbound(seen));
    }
    verdict_.ladder.push_back({{}, script_time(seen.time), "", text_of(seen), false});
    const Position last = script_.events.empty() ? Position{} : script_.events.back().at;
    return fail(last, fmt::format("the host sends {} at {}, and the script does not expect it",
                                  text_of(seen), print(script_time(seen.time))));
}

bool Play::fail(Position at, std::string reason, std::vector<std::string> details) {
    over_ = true;
    if (verdict_.outcome == Verdict::Outcome::passed) {
        verdict_.outcome = Verdict::Outcome::failed;
        verdict_.at = at;
        verdict_.reason = std::move(reason);
        verdict_.details = std::move(details);
    }
    return false;
}

bool Play::skip(Position at, std::string reason) {
    over_ = true;
    if (verdict_.outcome == Verdict::Outcome::passed) {
        verdict_.outcome = Verdict::Outcome::skipped;
        verdict_.at = at;
        verdict_.reason = std::move(reason);
    }
    return false;
}

void Play::row(const Event& event, Instant when, std::string seen, bool right) {
    verdict_.ladder.push_back(
        {event.at, script_time(when), event.written.text, std::move(seen), right});
}

/// What the host has said to itself since the event before the failing one, newest last.
void Play::collect_decisions() {
    const FlightRecorder& recorder = machine_->host().recorder();
    const std::uint64_t end = recorder.next_number();
    std::uint64_t from = std::max(record_before_, recorder.oldest_number());
    from = std::max(from, end > kMaxRecordsShown ? end - kMaxRecordsShown : 1);
    for (std::uint64_t number = from; number < end; ++number) {
        const EventRecord* record = recorder.find(number);
        if (record == nullptr) {
            continue;
        }
        const DecisionText& text = describe(record->decision);
        verdict_.decisions.push_back(fmt::format("{} {}: {} ({})", print(script_time(record->time)),
                                                 text.name, text.sentence, text.clause));
    }
}

Verdict run_script(const Script& script, const RunOptions& options) {
    Verdict verdict;
    verdict.file = script.file.text;
    const auto refuse = [&](const Trouble& trouble) {
        verdict.outcome =
            trouble.unsupported() ? Verdict::Outcome::skipped : Verdict::Outcome::failed;
        verdict.at = trouble.at;
        verdict.reason = trouble.message;
    };
    if (const auto unsupported = first_unsupported(script)) {
        refuse(*unsupported);
        return verdict;
    }
    const auto settings = settings_of(script, options.more);
    if (!settings) {
        refuse(settings.error());
        return verdict;
    }
    if (!settings->dry_run) {
        Play(script, options, *settings, verdict).run();
    }
    return verdict;
}

}  // namespace runnel::drill
