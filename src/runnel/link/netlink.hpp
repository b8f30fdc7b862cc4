// Interfaces, addresses and routes of a network namespace, set by rtnetlink(7) and never by calling a
// program. A Netlink works on the namespace it was opened in, wherever its thread goes afterwards. The
// kernel's own explanation of a refusal (extended acknowledgement) is part of the error's sentence.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/base/bytes.hpp"
#include "runnel/link/error.hpp"
#include "runnel/link/file_descriptor.hpp"
#include "runnel/wire/address.hpp"

namespace runnel {

class NetlinkRequest;

/// An interface as the kernel describes it.
struct InterfaceInfo {
    unsigned index = 0;
    std::string name;
    std::string kind;  ///< "tun", "veth", "bridge" …; empty for hardware and lo
    std::uint32_t mtu = 0;
    std::uint32_t transmit_queue_length = 0;  ///< frames
    MacAddress mac;                           ///< zero when it has none (TUN)
    bool up = false;                          ///< switched on (IFF_UP)
    bool running = false;                     ///< and its other side is there (IFF_LOWER_UP)
};

struct AddressOptions {
    bool duplicate_address_detection = false;  ///< IPv6 only: RFC 4862 §5.4 delays use by a second
    std::optional<IpAddress> peer;             ///< the other end of a point-to-point link
};

struct RouteOptions {
    Cidr destination;  ///< bits behind the prefix are ignored; 0.0.0.0/0 is the default route
    std::optional<IpAddress> gateway;
    std::string interface;
    std::optional<std::uint32_t> metric;
    std::string congestion_control;  ///< RTAX_CC_ALGO: for connections over this route only
    std::uint32_t mtu = 0;           ///< RTAX_MTU; 0: the interface's
    bool replace = false;            ///< take the place of a route with the same key
};

struct VethOptions {
    std::string name;
    std::string peer_name;
    std::uint32_t mtu = 0;                   ///< both ends; 0: 1500
    std::optional<int> peer_namespace = {};  ///< a namespace's fd (NetworkNamespace::fd)
    std::optional<MacAddress> mac = {};
    std::optional<MacAddress> peer_mac = {};
};

class Netlink {
public:
    [[nodiscard]] static LinkResult<Netlink> open();

    [[nodiscard]] LinkResult<std::vector<InterfaceInfo>> list_interfaces();
    [[nodiscard]] LinkResult<InterfaceInfo> find_interface(std::string_view interface);

    LinkResult<void> set_up(std::string_view interface, bool up = true);
    /// `mtu` in bytes of an IP packet.
    LinkResult<void> set_mtu(std::string_view interface, std::uint32_t mtu);
    LinkResult<void> set_mac(std::string_view interface, const MacAddress& mac);
    /// `length` in frames; for a TUN or TAP it is also the length of the ring Runnel reads from.
    LinkResult<void> set_transmit_queue_length(std::string_view interface, std::uint32_t length);
    /// Whether the kernel gives the interface an IPv6 link-local address of its own when it comes up.
    LinkResult<void> set_ipv6_link_local(std::string_view interface, bool generate);
    LinkResult<void> move_to_namespace(std::string_view interface, int namespace_fd);

    /// Gives the interface an address. An IPv4 address is ready at once. For IPv6 the kernel finishes the
    /// work some milliseconds later, even without duplicate address detection, and until then drops what
    /// comes for it (seen on 6.18: enough to lose a SYN and wait a second for the next); so this waits for
    /// it when the interface is on already. Else call `wait_for_address` after `set_up`.
    LinkResult<void> add_address(std::string_view interface, const Cidr& address,
                                 const AddressOptions& options = {});
    /// Waits until the kernel takes packets for an address of its own, at most two seconds.
    LinkResult<void> wait_for_address(const IpAddress& address);
    LinkResult<void> remove_address(std::string_view interface, const Cidr& address);
    LinkResult<void> add_route(const RouteOptions& route);
    LinkResult<void> create_veth(const VethOptions& options);
    LinkResult<void> delete_interface(std::string_view interface);

private:
    explicit Netlink(FileDescriptor socket) : socket_(std::move(socket)) {}

    using Handler = std::function<void(std::uint16_t type, Bytes payload)>;
    /// Sends a request and reads until its acknowledgement or the end of its dump. `what` opens the
    /// error's sentence.
    LinkResult<void> transact(NetlinkRequest& request, const std::string& what,
                              const Handler& handler = {});
    LinkResult<bool> read_answer(std::uint32_t sequence, const std::string& what,
                                 const Handler& handler);
    LinkResult<void> change_link(std::string_view interface, const std::string& what,
                                 const std::function<void(NetlinkRequest&)>& fill,
                                 unsigned flags = 0, unsigned change = 0);
    /// Whether a packet for `address` would be delivered here.
    [[nodiscard]] bool is_local(const IpAddress& address);
    LinkResult<void> change_address(std::uint16_t type, std::uint16_t flags,
                                    const InterfaceInfo& interface, const Cidr& address,
                                    const AddressOptions& options, const std::string& what);

    FileDescriptor socket_;
    std::uint32_t sequence_ = 0;
};

}  // namespace runnel
