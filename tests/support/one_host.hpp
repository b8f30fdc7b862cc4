// One host for tests: with a raw IP interface whose other side is the test, and its loopback. Time stands
// still unless the test moves it.
#pragma once

#include <string_view>
#include <vector>

#include "runnel/host/host.hpp"
#include "support/packets.hpp"

namespace runnel::test {

struct OneHost {
    Host host;
    Instant now = Instant{} + seconds(1'000);
    std::uint8_t interface = 0;
    std::vector<std::vector<std::byte>> sent;  ///< packets that left, in one piece

    static HostConfig default_config() {
        HostConfig config;
        config.secret = {1, 2};
        config.buffer_limit = 64u << 20;
        return config;
    }

    explicit OneHost(const HostConfig& config = default_config(), std::uint32_t mtu = 1500)
        : host(config) {
        InterfaceConfig link;
        link.name = "test0";
        link.capabilities.mtu = mtu;
        interface = host.add_interface(link);
        add_address("10.0.0.1/24");
        add_address("fd00::1/64");
        run();
        sent.clear();
    }

    void add_address(std::string_view cidr) {
        (void)host.add_address(interface, *parse_cidr(cidr), now).has_value();
    }
    /// Lets a packet arrive, and everything happen that follows from it.
    void receive(Bytes packet, const Offload& offload = {}) {
        FrameBatch batch;
        Frame& frame = batch.emplace_back();
        frame.offload = offload;
        frame.body.push_back(host.pool().copy(packet));
        host.on_frames(interface, batch, now);
        run();
    }
    /// Polls until nothing is left to say.
    void run() {
        FrameBatch out;
        bool more = true;
        for (int rounds = 0; more && rounds < 100'000; ++rounds) {
            out.clear();
            more = host.poll_transmit(now, out);
            for (const Frame& frame : out) {
                sent.push_back(frame_bytes(frame));
            }
        }
    }
    /// Moves time to `when`, through all deadlines before it.
    void run_to(Instant when) {
        while (host.next_timeout() <= when) {
            now = std::max(now, host.next_timeout());
            host.on_timeout(now);
            run();
        }
        now = when;
    }
    /// The TCP segments among what was sent since the last call.
    std::vector<SegmentView> take_segments() {
        taken_ = std::move(sent);
        sent.clear();
        std::vector<SegmentView> segments;
        for (const auto& packet : taken_) {
            if (const auto segment = view_segment(packet)) {
                segments.push_back(*segment);
            }
        }
        return segments;
    }

private:
    std::vector<std::vector<std::byte>> taken_;  // what the views look at
};

}  // namespace runnel::test
