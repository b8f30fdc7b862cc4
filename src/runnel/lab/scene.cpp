#include "runnel/lab/scene.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "runnel/base/check.hpp"
#include "runnel/lab/toy.hpp"
#include "runnel/report/text.hpp"

namespace runnel::lab {

namespace {
constexpr std::uint16_t kServicePort = 80;
/// The run with the broken rule is played later and in another network.
constexpr Instant kStartWith = Instant{} + seconds(1'000);
constexpr Instant kStartWithout = Instant{} + seconds(100'000);

sim::WorldConfig world_config(const SceneConfig& config) {
    sim::WorldConfig world;
    world.start = config.rule ? kStartWith : kStartWithout;
    return world;
}
}  // namespace

std::string_view Outcome::fact(std::string_view name) const {
    const auto found = std::ranges::find(facts, name, &Fact::name);
    return found == facts.end() ? std::string_view{} : found->value;
}

Scene::Scene(const SceneConfig& config) : config_(config), world_(world_config(config)) {
    start_ = world_.now();
    for (const Side side : {Side::left, Side::right}) {
        const std::size_t i = index_of(side);
        HostConfig host;
        host.name = side == Side::left ? "left" : "right";
        host.tcp = config.tcp[i];
        host.secret = {0x1ab0 + i, config.rule ? 1U : 2U};
        host.buffer_limit = 64u << 20;
        host_[i] = world_.add_host(host);
    }
    sim::WireConfig wire;
    for (sim::DirectionConfig& direction : wire.direction) {
        direction.delay = config.delay;
    }
    wire.direction[0].bytes_per_second = config.bytes_per_second;
    wire.direction[0].queue_bytes = config.queue_bytes;
    wire_ = world_.connect(host_[0], host_[1], wire);
    for (const Side side : {Side::left, Side::right}) {
        const IpAddress address = at(side, 0).address;
        world_.add_address(host_[index_of(side)], 0, to_string(address) + "/24");
        world_.capture(host_[index_of(side)], captured_[index_of(side)]);
    }
    world_.wire(wire_).set_filter([this](unsigned side, MutableBytes frame, Instant) {
        return on_frame(static_cast<Side>(side), frame);
    });
}

Scene::~Scene() = default;

// --- the cast --------------------------------------------------------------------------------------------

Endpoint Scene::at(Side side, std::uint16_t port) const {
    const std::uint32_t network = config_.rule ? 0x0a000100 : 0x0a000200;  // 10.0.1.0, 10.0.2.0
    return {IpAddress::v4(network + 1 + static_cast<std::uint32_t>(index_of(side))), port};
}

Endpoint Scene::stranger(std::uint16_t port) const {
    return {IpAddress::v4(at(Side::left, 0).address.v4_value() + 65), port};
}

App& Scene::add_app(Side side, SocketId socket) {
    return apps_.emplace_back(world_, host_[index_of(side)], socket);
}

App& Scene::connect(Side side, std::uint16_t port) {
    return connect_to(side, port, kServicePort);
}

App& Scene::connect_to(Side side, std::uint16_t port, std::uint16_t to) {
    const sim::HostId host = host_[index_of(side)];
    SocketLayer& sockets = world_.sockets(host);
    const SocketId socket = *sockets.open(Family::ipv4, SocketType::stream);
    App& app = add_app(side, socket);
    const Status bound = sockets.bind(socket, at(side, port), world_.now(host));
    const Status begun =
        bound ? sockets.connect(socket, at(opposite(side), to), world_.now(host)) : bound;
    if (!begun && begun.error() != Errc::in_progress) {
        app.error = begun.error();
        app.closed = true;
        (void)sockets.close(socket, world_.now(host));
    }
    return app;
}

void Scene::serve(Side side, std::function<void(App&)> welcome, std::uint32_t backlog) {
    const sim::HostId host = host_[index_of(side)];
    SocketLayer& sockets = world_.sockets(host);
    const SocketId socket = *sockets.open(Family::ipv4, SocketType::stream);
    RUNNEL_CHECK(sockets.bind(socket, at(side, kServicePort), world_.now(host)).has_value());
    RUNNEL_CHECK(sockets.listen(socket, backlog, world_.now(host)).has_value());
    listeners_.push_back({side, socket, std::move(welcome)});
}

const std::vector<App*>& Scene::accepted(Side side) const {
    return accepted_[index_of(side)];
}

Toy& Scene::toy(Side side, const Habits& habits) {
    std::unique_ptr<Toy>& place = toy_[index_of(side)];
    place = std::make_unique<Toy>(*this, side, habits);
    return *place;
}

// --- the network -----------------------------------------------------------------------------------------

void Scene::remark(std::string text) {
    if (!text.empty()) {
        tap_.current().remarks.push_back(std::move(text));
    }
}

/// Shows a segment to whoever sits on the wire.
Transit Scene::carry(Side from, Segment segment, std::size_t packet) {
    Transit transit{from, std::move(segment), ++sent_[index_of(from)]};
    if (network_) {
        network_(transit);
    }
    tap_.packet(packet).lost = transit.lost;
    std::vector<std::byte>& delivered = tap_.packet(packet).delivered;
    if (transit.changed) {
        delivered = packet_of(transit.segment);
    }
    if (transit.corrupt) {
        delivered.back() ^= std::byte{1};
        transit.changed = true;
    }
    return transit;
}

/// A host sends. True when the simulated wire may carry the frame as it is.
bool Scene::on_frame(Side from, MutableBytes frame) {
    const Side to = opposite(from);
    const bool to_toy = toy_[index_of(to)] != nullptr;
    std::optional<Segment> segment = segment_of(frame);
    if (!segment) {
        return !to_toy;
    }
    const std::size_t packet = tap_.add(now(), from, frame);
    const Transit transit = carry(from, *std::move(segment), packet);
    if (transit.lost) {
        return false;
    }
    if (transit.segment.destination.address == stranger(0).address) {
        tap_.packet(packet).arrived = true;  // it is read off the wire there
        return false;
    }
    if (!to_toy && !transit.changed && transit.late == Duration{}) {
        return true;
    }
    after(config_.delay + transit.late, [this, to, packet] { deliver(to, packet); });
    return false;
}

void Scene::send(Side from, const Segment& segment) {
    const std::size_t packet = tap_.add(now(), from, packet_of(segment));
    const Transit transit = carry(from, segment, packet);
    if (segment.destination.address == stranger(0).address) {
        tap_.packet(packet).arrived = true;
    } else if (!transit.lost) {
        const Side to = opposite(from);
        after(config_.delay + transit.late, [this, to, packet] { deliver(to, packet); });
    }
}

void Scene::deliver(Side to, std::size_t number) {
    Tap::Packet& packet = tap_.packet(number);
    if (Toy* toy = toy_[index_of(to)].get()) {
        const std::optional<Segment> segment = segment_of(packet.delivered);
        if (segment && segment->destination.address == at(to, 0).address) {
            packet.arrived = true;
            tap_.set_current(number);
            toy->on_segment(*segment, checksum_is_right(packet.delivered));
        }
        return;
    }
    const std::vector<std::byte> bytes = packet.delivered;
    world_.inject(host_[index_of(to)], 0, bytes);
}

void Scene::inject(Side to, const Segment& segment, std::string text) {
    inject_packet(to, packet_of(segment), std::move(text));
}

void Scene::inject_packet(Side to, const std::vector<std::byte>& bytes, std::string text) {
    const std::size_t packet = tap_.add(now(), Side::nobody, bytes);
    remark(std::move(text));
    deliver(to, packet);
}

// --- time ------------------------------------------------------------------------------------------------

void Scene::after(Duration wait, std::function<void()> action) {
    events_.push_back({now() + wait, event_count_++, std::move(action)});
}

/// What is due now, in order; it may ask for more.
void Scene::run_events() {
    const auto earlier = [](const Event& a, const Event& b) {
        return a.when != b.when ? a.when < b.when : a.number < b.number;
    };
    while (!events_.empty()) {
        const auto next = std::ranges::min_element(events_, earlier);
        if (next->when > now()) {
            return;
        }
        const std::function<void()> action = std::move(next->action);
        events_.erase(next);
        action();
        act();
    }
}

bool Scene::run_until(const std::function<bool()>& done, Duration at_most) {
    const Instant limit = now() + at_most;
    const auto acted = [&] {
        act();
        return done();
    };
    const auto next_event = [&] {
        Instant next = limit;
        for (const Event& event : events_) {
            next = std::min(next, event.when);
        }
        return next;
    };
    while (true) {
        const Instant target = next_event();
        // What is sent meanwhile may be due earlier.
        const auto over = [&] { return acted() || next_event() < target; };
        if (world_.run_until(over, target) == sim::Outcome::satisfied) {
            if (done()) {
                return true;
            }
            continue;
        }
        run_events();
        if (done()) {
            return true;
        }
        if (now() >= limit) {
            return false;
        }
    }
}

void Scene::run_for(Duration duration) {
    (void)run_until([] { return false; }, duration);
}

void Scene::accept(Listener& listener) {
    const sim::HostId host = host_[index_of(listener.side)];
    while (const auto socket = world_.sockets(host).accept(listener.socket, world_.now(host))) {
        App& app = add_app(listener.side, *socket);
        accepted_[index_of(listener.side)].push_back(&app);
        if (listener.welcome) {
            listener.welcome(app);
        }
    }
}

/// Every program looks what it can do.
void Scene::act() {
    for (Listener& listener : listeners_) {
        accept(listener);
    }
    for (std::size_t i = 0; i < apps_.size(); ++i) {
        apps_[i].act();
    }
}

// --- what it comes to ------------------------------------------------------------------------------------

void Scene::fact(std::string name, std::string value) {
    facts_.push_back({std::move(name), std::move(value)});
}

void Scene::fact(std::string name, std::uint64_t value) {
    fact(std::move(name), report::count_text(value));
}

void Scene::fact(std::string name, Duration value) {
    fact(std::move(name), report::duration_text(value));
}

std::size_t Scene::count(Side from, const std::function<bool(const Segment&)>& which) const {
    std::size_t found = 0;
    for (const Tap::Packet& packet : tap_.packets()) {
        if (packet.from == from) {
            const std::optional<Segment> segment = segment_of(packet.bytes);
            found += segment && which(*segment) ? 1U : 0U;
        }
    }
    return found;
}

std::optional<Segment> Scene::latest(Side from) const {
    for (auto packet = tap_.packets().rbegin(); packet != tap_.packets().rend(); ++packet) {
        if (packet->from == from) {
            return segment_of(packet->bytes);
        }
    }
    return std::nullopt;
}

Outcome Scene::outcome() {
    for (const Side side : {Side::left, Side::right}) {
        tap_.take_reasons(side, captured_[index_of(side)]);
    }
    const std::string name = config_.rule ? "with the rule" : "without it";
    return {tap_.capture(name, first_shown_, now() - config_.delay * 2), std::move(facts_),
            std::move(shown_), drawn_};
}

}  // namespace runnel::lab
