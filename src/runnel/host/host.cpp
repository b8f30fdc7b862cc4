// Set-up, time and captures of a host. The two journeys of a segment stand in host_input.cpp and
// host_output.cpp; here is what is neither: which deadline comes first, and whose timers have fired.
#include "runnel/host/host.hpp"

#include <algorithm>
#include <utility>

#include "runnel/base/check.hpp"

namespace runnel {

namespace {
// Each room below has a key of its own (DESIGN §5).
constexpr std::uint64_t kIpUse = 1;
constexpr std::uint64_t kTcpUse = 2;
constexpr std::uint64_t kUdpUse = 3;
}  // namespace

Host::Host(const HostConfig& config)
    : config_(config),
      pool_(config.buffer_limit),
      recorder_(config.recorder_capacity),
      ip_(pool_, recorder_, config.ip, derive_key(config.secret, kIpUse)),
      tcp_(pool_, recorder_, config.tcp, derive_key(config.secret, kTcpUse)),
      udp_(pool_, recorder_, config.udp, derive_key(config.secret, kUdpUse)),
      user_timers_(kMaxUserTimers) {}

Host::~Host() = default;

std::uint8_t Host::add_interface(const InterfaceConfig& config) {
    const Result<std::uint8_t> index = ip_.add_interface(config);
    RUNNEL_CHECK(index.has_value());
    return *index;
}

Status Host::add_address(std::uint8_t interface, const Cidr& address, Instant now) {
    return ip_.add_address(interface, address, now);
}

Status Host::add_route(const Route& route) {
    return ip_.add_route(route);
}

// --- time --------------------------------------------------------------------------------------------

Instant Host::next_timeout() const {
    return std::min({tcp_.next_timeout(), ip_.next_timeout(), timers_.next_deadline()});
}

void Host::on_timeout(Instant now) {
    ip_.on_timeout(now);
    tcp_.on_timeout(now);
    tcp_.take_suspects(suspects_);
    for (const IpAddress& address : suspects_) {
        ip_.suspect_neighbor(address, now);  // RFC 9293 §3.8.3, MUST-20 (b); RFC 1122 §3.3.1.4
    }
    timers_.expire(now, [this](TimerNode& node) {
        const auto handle = UserTimerHandle::from_packed(node.owner);
        fired_.push_back(user_timers_.find(handle)->token);
        user_timers_.erase(handle);
    });
}

UserTimerHandle Host::start_timer(Instant deadline, std::uint64_t token) {
    if (user_timers_.size() + fired_.size() >= kMaxUserTimers) {
        return {};
    }
    const UserTimerHandle handle = user_timers_.emplace();
    UserTimer& timer = *user_timers_.find(handle);
    timer.token = token;
    timer.node.owner = handle.packed();
    timers_.schedule(timer.node, deadline);
    return handle;
}

void Host::cancel_timer(UserTimerHandle handle) {
    if (UserTimer* timer = user_timers_.find(handle)) {
        timers_.cancel(timer->node);
        user_timers_.erase(handle);
    }
}

void Host::take_fired_timers(std::vector<std::uint64_t>& out) {
    out.clear();
    out.swap(fired_);
}

// --- captures ----------------------------------------------------------------------------------------

bool Host::may_capture() {
    if (captured_.size() < kMaxCapturedFrames) {
        return true;
    }
    ++captured_dropped_;
    return false;
}

void Host::capture_in(const Frame& frame, Instant now) {
    captured_.push_back({now, frame.interface, true, frame, {}});
}

void Host::capture_decisions(std::uint64_t first_record) {
    CapturedFrame& captured = captured_.back();
    for (std::uint64_t number = first_record; number < recorder_.next_number(); ++number) {
        if (captured.decisions.size() == captured.decisions.capacity()) {
            return;
        }
        const EventRecord* record = recorder_.find(number);
        // A change of state is told by the reason beside it, and shown by whoever draws the capture.
        if (record != nullptr && record->decision != Decision::tcp_note_state) {
            captured.decisions.push_back(record->decision);
        }
    }
}

void Host::take_captured(std::vector<CapturedFrame>& out) {
    out.clear();
    out.swap(captured_);
}

}  // namespace runnel
