#include "runnel/drill/machine.hpp"

#include <utility>

#include "runnel/base/check.hpp"

namespace runnel::drill {

Machine::Machine(const MachineConfig& config) : host_(config.host), sockets_(host_, 4096) {
    InterfaceConfig interface;
    interface.name = "tun0";
    interface.capabilities.mtu = config.mtu;
    interface_ = host_.add_interface(interface);
    for (const Cidr& address : config.addresses) {
        RUNNEL_CHECK(host_.add_address(interface_, address, now_).has_value());
    }
    for (const Family family : {Family::ipv4, Family::ipv6}) {
        Route route;
        route.destination = {IpAddress::any(family), 0};
        route.interface = interface_;
        RUNNEL_CHECK(host_.add_route(route).has_value());
    }
    if (config.capture != nullptr) {
        writer_ = std::make_unique<report::PcapngWriter>(*config.capture, report::PcapngOptions{});
        writer_->add_interface(interface.name, LinkLayer::raw_ip);
    }
    host_.set_capture(true);
    flush();
}

void Machine::advance(Instant when) {
    if (when > now_) {
        now_ = when;
        timeouts_in_a_row_ = 0;
    }
    if (host_.next_timeout() <= now_) {
        ++timeouts_in_a_row_;
        host_.on_timeout(now_);
    }
    flush();
}

void Machine::inject(const std::vector<std::byte>& packet, std::uint16_t gso_size,
                     std::uint32_t times) {
    batch_.clear();
    for (std::uint32_t i = 0; i < times; ++i) {
        Slice slice = host_.pool().copy(packet);
        if (slice.empty()) {
            break;  // no buffers: as a device drops what it has no room for
        }
        Frame& frame = batch_.emplace_back();
        if (gso_size != 0) {
            const bool v6 = std::to_integer<unsigned>(packet[0]) >> 4 == 6;
            const std::size_t ip = v6 ? 40 : 20;
            const std::size_t tcp = std::to_integer<std::size_t>(packet[ip + 12]) >> 4 << 2;
            frame.offload.gso = v6 ? Offload::Gso::tcp_ipv6 : Offload::Gso::tcp_ipv4;
            frame.offload.gso_size = gso_size;
            frame.offload.header_length = static_cast<std::uint16_t>(ip + tcp);
            frame.offload.checksum_valid = true;
        }
        frame.body.push_back(std::move(slice));
    }
    host_.on_frames(interface_, batch_, now_);
    flush();
}

void Machine::flush() {
    bool more = !held();
    while (more && !overflowed_) {
        batch_.clear();
        more = host_.poll_transmit(now_, batch_) || !batch_.empty();
        collect();
    }
    batch_.clear();
}

void Machine::collect() {
    host_.take_captured(captured_);
    for (const CapturedFrame& one : captured_) {
        if (writer_) {
            writer_->write(one);
        }
        if (one.inbound || one.interface != interface_) {
            continue;
        }
        std::vector<std::byte> bytes(one.frame.head().begin(), one.frame.head().end());
        for (const Slice& slice : one.frame.body) {
            bytes.insert(bytes.end(), slice.bytes().begin(), slice.bytes().end());
        }
        SeenPacket seen = read_packet(bytes);
        seen.time = one.time;
        seen.decisions.assign(one.decisions.begin(), one.decisions.end());
        sent.push_back(std::move(seen));
        overflowed_ = sent.size() >= kMaxWaiting;
    }
    captured_.clear();
}

}  // namespace runnel::drill
