// The fields of a scenario's parts by name, once for the reader and the writer: `visitor(name, member, form)`,
// the member as a pointer to it, the form saying how its value is spelt.
#pragma once

#include <array>
#include <string_view>
#include <utility>

#include "runnel/sim/scenario.hpp"
#include "runnel/tcp/names.hpp"

namespace runnel::sim_command {

struct Number {};
struct Seed {};  ///< 64 bits, of which TOML's integers have 63: a text where they don't do
struct Truth {};
struct Time {};
struct Rate {};
struct Size {};
struct Share {};  ///< ppm
template <class T, std::size_t N>
struct Choice {
    std::array<std::pair<std::string_view, T>, N> names;
};

inline constexpr Choice<tcp::Profile, 3> kProfiles = {tcp::kProfileNames};
inline constexpr Choice<sim::QueueKind, 2> kQueues = {
    {{{"drop_tail", sim::QueueKind::drop_tail}, {"codel", sim::QueueKind::codel}}}};
inline constexpr Choice<sim::Ways, 3> kWays = {
    {{{"both", sim::Ways::both}, {"forth", sim::Ways::forth}, {"back", sim::Ways::back}}}};
inline constexpr Choice<tcp::CongestionControl, 5> kControllers = {tcp::kCongestionControlNames};

template <class Visitor>
void visit_fields(Visitor& visitor, const sim::Scenario*) {
    visitor("seed", &sim::Scenario::seed, Seed{});
    visitor("limit", &sim::Scenario::limit, Time{});
    visitor("open_ended", &sim::Scenario::open_ended, Truth{});
}
template <class Visitor>
void visit_fields(Visitor& visitor, const sim::HostSpec*) {
    visitor("id", &sim::HostSpec::id, Number{});
    visitor("profile", &sim::HostSpec::profile, kProfiles);
    visitor("clock_offset", &sim::HostSpec::clock_offset, Time{});
    visitor("clock_skew", &sim::HostSpec::clock_skew, Number{});
    visitor("memory", &sim::HostSpec::memory, Size{});
    visitor("ring", &sim::HostSpec::ring, Number{});
    visitor("batch", &sim::HostSpec::batch, Number{});
    visitor("batch_wait", &sim::HostSpec::batch_wait, Time{});
}
template <class Visitor>
void visit_fields(Visitor& visitor, const sim::RouterSpec*) {
    visitor("id", &sim::RouterSpec::id, Number{});
    visitor("silent", &sim::RouterSpec::silent, Truth{});
}
template <class Visitor>
void visit_fields(Visitor& visitor, const sim::WaySpec*) {
    visitor("rate", &sim::WaySpec::rate, Rate{});
    visitor("delay", &sim::WaySpec::delay, Time{});
    visitor("jitter", &sim::WaySpec::jitter, Time{});
    visitor("queue", &sim::WaySpec::queue, kQueues);
    visitor("ecn", &sim::WaySpec::ecn, Truth{});
    visitor("queue_bytes", &sim::WaySpec::queue_bytes, Size{});
}
template <class Visitor>
void visit_fields(Visitor& visitor, const sim::LinkSpec*) {
    visitor("id", &sim::LinkSpec::id, Number{});
    visitor("a", &sim::LinkSpec::a, Number{});
    visitor("b", &sim::LinkSpec::b, Number{});
    visitor("mtu", &sim::LinkSpec::mtu, Number{});
}
template <class Visitor>
void visit_fields(Visitor& visitor, const sim::Fault*) {
    visitor("ways", &sim::Fault::ways, kWays);
    visitor("from", &sim::Fault::from, Time{});
    visitor("until", &sim::Fault::until, Time{});
    visitor("intensity", &sim::Fault::intensity, Share{});
    visitor("a", &sim::Fault::a, Number{});
    visitor("b", &sim::Fault::b, Number{});
    visitor("seed", &sim::Fault::seed, Seed{});
}
template <class Visitor>
void visit_fields(Visitor& visitor, const sim::Flow*) {
    visitor("id", &sim::Flow::id, Number{});
    visitor("client", &sim::Flow::client, Number{});
    visitor("server", &sim::Flow::server, Number{});
    visitor("v6", &sim::Flow::v6, Truth{});
    visitor("cc", &sim::Flow::congestion_control, kControllers);
    visitor("up", &sim::Flow::up, Size{});
    visitor("down", &sim::Flow::down, Size{});
    visitor("call", &sim::Flow::call, Size{});
    visitor("count", &sim::Flow::count, Number{});
    visitor("start", &sim::Flow::start, Time{});
    visitor("pause", &sim::Flow::pause, Time{});
    visitor("seed", &sim::Flow::seed, Seed{});
}

}  // namespace runnel::sim_command
