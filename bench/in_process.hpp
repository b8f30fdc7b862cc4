// Two hosts in one process whose frames are copied from one into the other's memory, as two devices would:
// what the benchmarks measure without a kernel in between. Time is virtual and moves when told.
#pragma once

#include <unistd.h>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "runnel/host/host.hpp"
#include "runnel/socket/socket_layer.hpp"

namespace runnel::bench {

[[noreturn]] inline void die(std::string_view what) {
    std::fprintf(stderr, "bench: %.*s\n", static_cast<int>(what.size()), what.data());
    std::exit(1);
}
inline void must(bool holds, std::string_view what) {
    if (!holds) {
        die(what);
    }
}

/// Resident memory of this process, bytes.
inline std::size_t resident_bytes() {
    std::FILE* file = std::fopen("/proc/self/statm", "r");
    unsigned long total = 0;
    unsigned long resident = 0;
    const bool read = file != nullptr && std::fscanf(file, "%lu %lu", &total, &resident) == 2;
    if (file != nullptr) {
        std::fclose(file);
    }
    must(read, "cannot read /proc/self/statm");
    return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

/// What the link between the hosts can do.
struct Link {
    std::uint32_t mtu = 1500;
    bool offload = false;  ///< checksums left open and 64 KB super-segments, as on a TUN device
};

/// A host, its sockets, and the frames it has been handed.
struct End {
    Host host;
    SocketLayer sockets{host};
    std::vector<ReadyEvent> ready;

    End(std::string_view address, const Link& link, const HostConfig& config = {}) : host(config) {
        InterfaceConfig interface;
        interface.name = "wire0";
        interface.capabilities.layer = LinkLayer::raw_ip;
        interface.capabilities.mtu = link.mtu;
        interface.capabilities.checksum_offload = link.offload;
        interface.capabilities.tso4 = link.offload;
        interface.capabilities.tso6 = link.offload;
        host.add_interface(interface);
        must(host.add_address(0, *parse_cidr(address), Instant{}).has_value(), "add_address");
    }

    /// Sends all there is to send to `other`; true when that was anything.
    bool transmit(End& other, Instant now) {
        bool any = false;
        for (bool more = true; more;) {
            more = host.poll_transmit(now, out_, 64);
            any = any || !out_.empty();
            for (const Frame& frame : out_) {
                Frame arrived;
                ChunkRef chunk = other.host.pool().allocate(frame.size());
                must(bool{chunk}, "a buffer pool ran out");
                std::byte* at = std::copy(frame.head().begin(), frame.head().end(), chunk.data());
                for (const Slice& slice : frame.body) {
                    at = std::copy(slice.bytes().begin(), slice.bytes().end(), at);
                }
                arrived.offload = frame.offload;
                arrived.body.push_back(
                    {std::move(chunk), 0, static_cast<std::uint32_t>(frame.size())});
                other.in_.push_back(std::move(arrived));
                ++frames_sent;
            }
            out_.clear();
            if (!other.in_.empty()) {
                other.host.on_frames(0, other.in_, now);
            }
        }
        return any;
    }

    std::uint64_t frames_sent = 0;

private:
    FrameBatch out_;
    FrameBatch in_;
};

/// A client and a server that share a wire and a clock.
struct Pair {
    Instant now{seconds(1).ns};
    End client;
    End server;

    explicit Pair(const Link& link = {}, const HostConfig& config = {})
        : client("10.1.0.1/16", link, config), server("10.1.0.2/16", link, config) {}

    [[nodiscard]] static Endpoint server_at(std::uint16_t port) {
        return {*parse_ip_address("10.1.0.2"), port};
    }
    /// Exchanges frames until nobody has any more to say, then lets the users take their events.
    void settle() {
        for (bool more = true; more;) {
            const bool there = client.transmit(server, now);
            const bool back = server.transmit(client, now);
            more = there || back;
        }
        client.sockets.take_ready(client.ready);
        server.sockets.take_ready(server.ready);
    }
    /// Moves time on by `step`, through every deadline before that.
    void pass(Duration step) {
        const Instant end = now + step;
        for (;;) {
            const Instant next = std::min(client.host.next_timeout(), server.host.next_timeout());
            if (next > end) {
                break;
            }
            now = std::max(now, next);
            client.host.on_timeout(now);
            server.host.on_timeout(now);
            settle();
        }
        now = end;
    }
    [[nodiscard]] SocketId listen(std::uint16_t port, std::uint32_t backlog) {
        const SocketId id = *server.sockets.open(Family::ipv4, SocketType::stream);
        must(server.sockets.bind(id, server_at(port), now).has_value(), "bind");
        must(server.sockets.listen(id, backlog, now).has_value(), "listen");
        return id;
    }
    [[nodiscard]] SocketId connect(std::uint16_t port) {
        const SocketId id = *client.sockets.open(Family::ipv4, SocketType::stream);
        (void)client.sockets.connect(id, server_at(port), now);
        return id;
    }
};

/// One direction of a connection: a writer that never tires and a reader that keeps up.
class Stream {
public:
    Stream(Pair& pair, SocketId writer, SocketId reader)
        : pair_(pair), writer_(writer), reader_(reader) {}

    /// Carries `bytes` from the client to the server.
    void carry(std::uint64_t bytes) {
        std::uint64_t sent = 0;
        std::uint64_t received = 0;
        while (received < bytes) {
            const std::size_t next = std::min<std::uint64_t>(block_.size(), bytes - sent);
            sent += pair_.client.sockets.send(writer_, Bytes(block_).first(next), {}, pair_.now)
                        .value_or(0);
            pair_.now = pair_.now + microseconds(50);
            pair_.settle();
            received += pair_.server.sockets.receive(reader_, into_, {}, pair_.now).value_or(0);
            pair_.settle();
        }
    }

private:
    Pair& pair_;
    SocketId writer_;
    SocketId reader_;
    std::vector<std::byte> block_ = std::vector<std::byte>(256 * 1024);
    std::vector<std::byte> into_ = std::vector<std::byte>(1024 * 1024);
};

}  // namespace runnel::bench
