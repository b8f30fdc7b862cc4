// A frame crosses the wire by one copy into the receiver's pool, so that neither host holds memory of the
// other, with its headers at the front of the first slice as every link delivers them.
#include "runnel/asio/wire.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

namespace runnel {

namespace {

/// The frame as the other end receives it; none when its pool has no room (a dropped frame).
std::optional<Frame> copy_across(const Frame& sent, BufferPool& pool) {
    const std::size_t size = sent.size();
    ChunkRef chunk = pool.allocate(size);
    if (!chunk) {
        return std::nullopt;
    }
    std::byte* out = chunk.data();
    const auto put = [&out](Bytes bytes) {
        if (!bytes.empty()) {
            std::memcpy(out, bytes.data(), bytes.size());
            out += bytes.size();
        }
    };
    put(sent.head());
    for (const Slice& slice : sent.body) {
        put(slice.bytes());
    }
    std::optional<Frame> received(std::in_place);
    received->offload = sent.offload;
    received->body.push_back(Slice(std::move(chunk), 0, static_cast<std::uint32_t>(size)));
    return received;
}

Driver::FrameSink sink_to(Driver& other, std::shared_ptr<std::uint8_t> other_interface) {
    return [&other, other_interface = std::move(other_interface),
            batch = FrameBatch()](FrameBatch& frames) mutable {
        for (const Frame& frame : frames) {
            if (frame.size() > kLargeChunk) {
                continue;
            }
            if (auto received = copy_across(frame, other.host().pool())) {
                batch.push_back(std::move(*received));
            }
        }
        other.deliver(*other_interface, batch);
    };
}

}  // namespace

LinkCapabilities wire_capabilities(std::uint32_t mtu) {
    LinkCapabilities all;
    all.layer = LinkLayer::raw_ip;
    all.mtu = mtu;
    all.checksum_offload = true;
    all.tso4 = true;
    all.tso6 = true;
    return all;
}

WireEnds connect_wire(Driver& first, Driver& second, const LinkCapabilities& capabilities) {
    InterfaceConfig config;
    config.name = "wire0";
    config.capabilities = capabilities;
    // Locally administered addresses (RFC 7042 §2.1), one for each end.
    const auto mac = [](unsigned last) {
        return MacAddress{{std::byte{0x02}, std::byte{0}, std::byte{0x5e}, std::byte{0},
                           std::byte{0}, static_cast<std::byte>(last)}};
    };
    auto first_interface = std::make_shared<std::uint8_t>(std::uint8_t{0});
    auto second_interface = std::make_shared<std::uint8_t>(std::uint8_t{0});
    config.mac = mac(1);
    *first_interface = first.add_link(config, sink_to(second, second_interface));
    config.mac = mac(2);
    *second_interface = second.add_link(config, sink_to(first, first_interface));
    return {*first_interface, *second_interface};
}

bool run_in_virtual_time(boost::asio::io_context& io, std::span<Driver* const> drivers,
                         Instant until, const std::function<bool()>& done) {
    while (true) {
        io.restart();
        io.poll();
        if (done()) {
            return true;
        }
        Instant next = Instant::never();
        for (Driver* driver : drivers) {
            next = std::min(next, driver->next_timeout());
        }
        if (next > until) {
            return false;
        }
        for (Driver* driver : drivers) {
            driver->set_now(next);
        }
    }
}

}  // namespace runnel
