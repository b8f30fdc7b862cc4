// Where the demo takes place: a TUN device in a private network, else a veth pair there, else a wire inside
// this process; and why it is not the one before.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runnel/link/device.hpp"
#include "runnel/wire/address.hpp"

namespace runnel {

enum class DemoWay : std::uint8_t { tun, veth, wire };

struct DemoNetwork {
    DemoWay way = DemoWay::wire;
    std::vector<std::string> reasons;  ///< why not a better way, one sentence each
    std::optional<Device> device;      ///< Runnel's end; none on the wire
    std::vector<Cidr> runnel;
    std::vector<Cidr> other;  ///< the kernel's, or those of the host at the other end of the wire
    std::string congestion_control;  ///< the kernel's, as read back; empty on the wire
    bool own_user_namespace = false;
};

/// Enters a private network if it can, and opens the best link up to `best`. Call it before anything that
/// makes a thread.
[[nodiscard]] DemoNetwork open_demo_network(DemoWay best);

/// A row of the kernel's own table of TCP sockets in this network (/proc/net/tcp, tcp6).
struct KernelSocket {
    Endpoint local;
    Endpoint remote;
    std::string state;
};
[[nodiscard]] std::vector<KernelSocket> kernel_sockets();

}  // namespace runnel
