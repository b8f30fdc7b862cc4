#include "grid/net.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace runnel::bench {

namespace {
constexpr std::array<std::string_view, 2> kAddresses{"10.5.0.1/24", "10.5.0.2/24"};
constexpr std::size_t kPollBudget = 64;
constexpr std::uint32_t kSnapLength = 128;  ///< of captures: headers

HostConfig host_config(const tcp::TcpConfig& tcp, std::uint64_t seed, unsigned side) {
    HostConfig config;
    config.name = side == kSender ? "sender" : "receiver";
    config.tcp = tcp;
    // Nobody else is on this path: no search for duplicates and routers.
    config.ip.dad_transmits = 0;
    config.ip.router_solicitations = 0;
    config.ip.accept_router_advertisements = false;
    Random secret(seed * 2 + side);
    config.secret.k0 = secret.next();
    config.secret.k1 = secret.next();
    return config;
}

std::uint32_t be(const std::byte* at, unsigned bytes) {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) {
        value = value << 8 | std::to_integer<std::uint32_t>(at[i]);
    }
    return value;
}

void must(bool holds, const char* what) {
    if (!holds) {
        std::fprintf(stderr, "grid: %s\n", what);
        std::exit(1);
    }
}
}  // namespace

Net::Net(const NetConfig& config) : config_(config) {
    Random seeds(config.seed);
    for (unsigned side = 0; side < 2; ++side) {
        const tcp::TcpConfig& tcp = side == kSender ? config.sender : config.receiver;
        machines_[side] = std::make_unique<Machine>(host_config(tcp, config.seed, side));
        InterfaceConfig interface;
        interface.name = "path0";
        interface.capabilities.layer = LinkLayer::raw_ip;
        interface.capabilities.mtu = config.mtu;
        Host& host = machines_[side]->host;
        host.add_interface(interface);
        must(host.add_address(0, *parse_cidr(kAddresses[side]), now_).has_value(), "add_address");
        ways_[side] =
            std::make_unique<Way>(side == kSender ? config.there : config.back, seeds.next());
    }
    if (config.capture) {
        report::PcapngOptions capture;
        capture.snap_length = kSnapLength;
        writer_ = std::make_unique<report::PcapngWriter>(captured_, capture);
        writer_->add_interface("sender", LinkLayer::raw_ip);
        host(kSender).set_capture(true);
    }
}

Endpoint Net::receiver_at(std::uint16_t port) {
    return {*parse_ip_address("10.5.0.2"), port};
}

// --- out ---------------------------------------------------------------------------------------------

bool Net::flush() {
    bool any = false;
    for (unsigned side = 0; side < 2; ++side) {
        for (bool more = true; more;) {
            batch_.clear();
            more = host(side).poll_transmit(now_, batch_, kPollBudget);
            any = any || more || !batch_.empty();
            for (const Frame& frame : batch_) {
                send(side, frame);
            }
        }
    }
    batch_.clear();
    capture();
    return any;
}

void Net::send(unsigned side, const Frame& frame) {
    Parcel parcel;
    if (!spare_.empty()) {
        parcel.bytes = std::move(spare_.back());
        spare_.pop_back();
    }
    parcel.bytes.assign(frame.head().begin(), frame.head().end());
    for (const Slice& slice : frame.body) {
        parcel.bytes.insert(parcel.bytes.end(), slice.bytes().begin(), slice.bytes().end());
    }
    must(parcel.bytes.size() <= config_.mtu, "a packet above the MTU");
    const auto size = static_cast<std::uint32_t>(parcel.bytes.size());
    const Verdict verdict = ways_[side]->enter(size, now_);
    if (side == kSender) {
        burst_ = burst_at_ == now_ ? burst_ + size : size;
        burst_at_ = now_;
        greatest_burst_ = std::max(greatest_burst_, burst_);
        if (watching_) {
            note(parcel.bytes, verdict.fate);
        }
    }
    if (verdict.fate != Fate::arrives) {
        spare_.push_back(std::move(parcel.bytes));
        return;
    }
    parcel.arrives = verdict.arrives;
    parcel.number = numbers_++;
    Flight& flight = flights_[side];
    if (verdict.held_back) {
        flight.held.push_back(std::move(parcel));
        std::push_heap(flight.held.begin(), flight.held.end(), Later{});
    } else {
        flight.in_order.push_back(std::move(parcel));
    }
}

void Net::note(const std::vector<std::byte>& bytes, Fate fate) {
    const std::size_t ip = (std::to_integer<std::size_t>(bytes[0]) & 0xf) * 4;
    const std::byte* tcp = bytes.data() + ip;
    const std::size_t header = (std::to_integer<std::size_t>(tcp[12]) >> 4) * 4;
    SeenPacket packet;
    packet.source_port = static_cast<std::uint16_t>(be(tcp, 2));
    packet.destination_port = static_cast<std::uint16_t>(be(tcp + 2, 2));
    packet.seq = be(tcp + 4, 4);
    packet.payload = static_cast<std::uint32_t>(bytes.size() - ip - header);
    packet.syn = (std::to_integer<unsigned>(tcp[13]) & 2) != 0;
    packet.fate = fate;
    seen_.push_back(packet);
}

void Net::capture() {
    if (!writer_) {
        return;
    }
    host(kSender).take_captured(frames_);
    for (const CapturedFrame& frame : frames_) {
        writer_->write(frame);
    }
    frames_.clear();
}

// --- time ----------------------------------------------------------------------------------------------

Instant Net::next_arrival(unsigned side) const {
    const Flight& flight = flights_[side];
    Instant next = Instant::never();
    if (flight.begin != flight.in_order.size()) {
        next = flight.in_order[flight.begin].arrives;
    }
    return flight.held.empty() ? next : std::min(next, flight.held.front().arrives);
}

Net::Parcel Net::take(unsigned side) {
    Flight& flight = flights_[side];
    const bool queued = flight.begin != flight.in_order.size();
    if (!flight.held.empty() &&
        (!queued || Later{}(flight.in_order[flight.begin], flight.held.front()))) {
        std::pop_heap(flight.held.begin(), flight.held.end(), Later{});
        Parcel parcel = std::move(flight.held.back());
        flight.held.pop_back();
        return parcel;
    }
    Parcel parcel = std::move(flight.in_order[flight.begin++]);
    // The queue's dead front goes when it is the greater part of it.
    if (flight.begin > 1024 && flight.begin * 2 > flight.in_order.size()) {
        flight.in_order.erase(flight.in_order.begin(),
                              flight.in_order.begin() + static_cast<std::ptrdiff_t>(flight.begin));
        flight.begin = 0;
    }
    return parcel;
}

void Net::deliver(unsigned to) {
    Parcel parcel = take(1 - to);
    Host& receiver = host(to);
    Slice slice = receiver.pool().copy(parcel.bytes);
    must(!slice.empty(), "a host ran out of packet memory");
    batch_.clear();
    batch_.emplace_back().body.push_back(std::move(slice));
    spare_.push_back(std::move(parcel.bytes));
    receiver.on_frames(0, batch_, now_);
}

bool Net::advance(Instant limit) {
    Instant next = Instant::never();
    unsigned what = 0;
    for (unsigned side = 0; side < 2;
         ++side) {  // at one instant what arrives goes before who waits
        if (const Instant at = next_arrival(1 - side); at < next) {
            next = at;
            what = side;
        }
    }
    for (unsigned side = 0; side < 2; ++side) {
        if (const Instant at = host(side).next_timeout(); at < next) {
            next = at;
            what = 2 + side;
        }
    }
    if (next > limit || next.is_never()) {
        now_ = std::max(now_, limit);
        return false;
    }
    now_ = std::max(now_, next);
    if (what < 2) {
        deliver(what);
    } else {
        host(what - 2).on_timeout(now_);
    }
    return true;
}

}  // namespace runnel::bench
