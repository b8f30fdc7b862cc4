// How each kind of Device is opened: TUN and TAP (Linux's Documentation/networking/tuntap.rst), packet
// sockets (packet(7)) and descriptors handed in. Every refusal becomes a sentence that says what to try.
#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/filter.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "runnel/link/device.hpp"
#include "runnel/link/netlink.hpp"

namespace runnel {

namespace {

constexpr const char* kTunPath = "/dev/net/tun";
/// Where a frame starts in a chunk: a cache line in, so that its virtio_net_hdr fits before it; two bytes
/// more for Ethernet, whose 14 bytes would leave the IP header at an odd place.
constexpr std::uint8_t kRawOffset = 64;
constexpr std::uint8_t kEthernetOffset = 66;
constexpr int kSendBuffer = 4 * 1024 * 1024;

std::unexpected<LinkError> open_tun_failure(int number) {
    const std::string what = fmt::format("Can't open {}", kTunPath);
    if (number == ENOENT || number == ENXIO || number == ENODEV) {
        return link_failure(LinkErrorKind::no_device, number, what,
                            "The kernel has no TUN devices, or a container hides them: `modprobe "
                            "tun`, or start the container with --device /dev/net/tun. A packet "
                            "socket on a veth pair needs neither.");
    }
    if (number == EACCES || number == EPERM) {
        return link_failure(number, what,
                            "The device file belongs to root, and a user namespace doesn't change "
                            "that: run as root, let root `chmod 666 /dev/net/tun`, or use a packet "
                            "socket on a veth pair.");
    }
    return link_failure(number, what);
}

std::unexpected<LinkError> attach_tun_failure(int number, const std::string& name,
                                              const char* kind) {
    const std::string what =
        fmt::format("Can't make or attach to the {} device \"{}\"", kind, name);
    switch (number) {
        case EPERM:
            return link_failure(number, what,
                                fmt::format("It needs CAP_NET_ADMIN: run as root or in a private "
                                            "namespace (unshare -rn), or let root prepare one: ip "
                                            "tuntap add dev NAME mode {} user $USER.",
                                            kind));
        case EBUSY:
            return link_failure(number, what,
                                "Another process holds it, or an interface of another kind has "
                                "that name.");
        case EINVAL:
            return link_failure(LinkErrorKind::busy, number, what,
                                "An interface of that name exists and is of another kind, or has "
                                "another number of queues.");
        default: return link_failure(number, what);
    }
}

/// Classic BPF that keeps what a network card with this address would: frames to it, to groups and to
/// all, and none of a VLAN, whose tag the kernel has moved out of the frame (VLAN 0 is only a priority).
LinkResult<void> attach_filter(int socket, const MacAddress& mac) {
    auto at = [&](std::size_t i) { return std::to_integer<std::uint32_t>(mac.bytes[i]); };
    const std::uint32_t first_four = at(0) << 24 | at(1) << 16 | at(2) << 8 | at(3);
    const std::uint32_t last_two = at(4) << 8 | at(5);
    constexpr std::uint32_t kTagPresent =
        static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT);
    constexpr std::uint32_t kTag = static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_VLAN_TAG);
    std::array<sock_filter, 14> code{{
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kTagPresent),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, kTag),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x0fff),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 7),  // else drop
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1, 4, 0),  // to a group: keep
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, first_four, 0, 3),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, last_two, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0),
    }};
    const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
    if (::setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0) {
        return link_failure(errno, "Can't attach an address filter to a packet socket");
    }
    return {};
}

LinkResult<void> set_packet_option(int socket, int option, const char* option_name) {
    const int on = 1;
    if (::setsockopt(socket, SOL_PACKET, option, &on, sizeof(on)) == 0) {
        return {};
    }
    return link_failure(LinkErrorKind::not_supported, errno,
                        fmt::format("Can't set {} on a packet socket", option_name),
                        "It needs Linux 4.20.");
}

/// As much as asked for with CAP_NET_ADMIN in the first namespace, else what net.core.?mem_max allows.
/// Returns what it has become, in bytes; the kernel doubles what one asks for.
std::size_t set_buffer(int socket, int forced, int ordinary, std::uint32_t bytes) {
    const int value = static_cast<int>(std::min<std::uint32_t>(bytes, 1U << 30));
    if (::setsockopt(socket, SOL_SOCKET, forced, &value, sizeof(value)) != 0) {
        (void)::setsockopt(socket, SOL_SOCKET, ordinary, &value, sizeof(value));
    }
    int granted = 0;
    socklen_t size = sizeof(granted);
    (void)::getsockopt(socket, SOL_SOCKET, ordinary, &granted, &size);
    return static_cast<std::size_t>(granted) / 2;
}

/// The interface's MTU, or that of Ethernet when there is no such interface in this namespace.
std::uint32_t mtu_of_interface(const std::string& interface) {
    if (auto netlink = Netlink::open()) {
        if (const auto info = netlink->find_interface(interface)) {
            return info->mtu;
        }
    }
    return ETH_DATA_LEN;
}

LinkResult<void> join_promiscuously(int socket, unsigned index, const std::string& name) {
    packet_mreq request{};
    request.mr_ifindex = static_cast<int>(index);
    request.mr_type = PACKET_MR_PROMISC;
    if (::setsockopt(socket, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof(request)) == 0) {
        return {};
    }
    return link_failure(errno, fmt::format("Can't make {} promiscuous", name));
}

}  // namespace

void Device::set_offloads(bool vnet_hdr, bool may_send) {
    header_size_ = vnet_hdr ? kVirtioNetHeaderSize : 0;
    frame_offset_ = capabilities_.layer == LinkLayer::ethernet ? kEthernetOffset : kRawOffset;
    capabilities_.checksum_offload = vnet_hdr && may_send;
    capabilities_.tso4 = vnet_hdr && may_send;
    capabilities_.tso6 = vnet_hdr && may_send;
}

/// Reads index, MTU and MAC of the interface `name_`. `own_mac`: Runnel's address if not the default.
LinkResult<void> Device::describe_interface(std::optional<MacAddress> own_mac) {
    auto netlink = Netlink::open();
    if (!netlink) {
        return std::unexpected(std::move(netlink.error()));
    }
    auto info = netlink->find_interface(name_);
    if (!info) {
        return std::unexpected(std::move(info.error()));
    }
    interface_index_ = info->index;
    capabilities_.mtu = info->mtu;
    if (capabilities_.layer == LinkLayer::ethernet) {
        mac_ = info->mac;
        if (kind_ == DeviceKind::tap) {
            // The interface's own address is the kernel's at its end of the cable.
            mac_.bytes[5] ^= std::byte{1};
        }
        mac_ = own_mac.value_or(mac_);
    }
    return {};
}

LinkResult<Device> Device::open_tun(const TunOptions& options) {
    return open_tuntap(options, LinkLayer::raw_ip);
}

LinkResult<Device> Device::open_tap(const TunOptions& options) {
    return open_tuntap(options, LinkLayer::ethernet);
}

LinkResult<Device> Device::open_tuntap(const TunOptions& options, LinkLayer layer) {
    const bool tap = layer == LinkLayer::ethernet;
    const char* kind = tap ? "tap" : "tun";
    if (options.name.size() >= IFNAMSIZ) {
        return link_failure(LinkErrorKind::no_device, 0,
                            fmt::format("\"{}\" is too long for an interface's name", options.name),
                            "A name has at most 15 characters.");
    }
    Device device;
    device.kind_ = tap ? DeviceKind::tap : DeviceKind::tun;
    device.capabilities_.layer = layer;
    device.fd_ = FileDescriptor(::open(kTunPath, O_RDWR | O_CLOEXEC | O_NONBLOCK));
    if (!device.fd_.valid()) {
        return open_tun_failure(errno);
    }
    ifreq request{};
    options.name.copy(request.ifr_name, IFNAMSIZ - 1);
    const int flags = (tap ? IFF_TAP : IFF_TUN) | IFF_NO_PI |
                      (options.offloads ? IFF_VNET_HDR : 0) |
                      (options.multi_queue ? IFF_MULTI_QUEUE : 0);
    request.ifr_flags = static_cast<short>(flags);
    if (::ioctl(device.fd_.get(), TUNSETIFF, &request) != 0) {
        return attach_tun_failure(errno, options.name, kind);
    }
    device.name_ = request.ifr_name;
    device.set_offloads(options.offloads, true);
    if (options.offloads) {
        const int size = device.header_size_;
        if (::ioctl(device.fd_.get(), TUNSETVNETHDRSZ, &size) != 0) {
            return link_failure(errno, fmt::format("Can't set {}'s virtio_net_hdr", device.name_));
        }
        // What the kernel may hand to Runnel; what Runnel may hand to the kernel needs no asking.
        const unsigned long offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
        if (::ioctl(device.fd_.get(), TUNSETOFFLOAD, offloads) != 0) {
            return link_failure(LinkErrorKind::not_supported, errno,
                                fmt::format("Can't switch {}'s offloads on", device.name_));
        }
    }
    auto netlink = Netlink::open();
    if (!netlink) {
        return std::unexpected(std::move(netlink.error()));
    }
    if (options.mtu != 0) {
        if (auto done = netlink->set_mtu(device.name_, options.mtu); !done) {
            return std::unexpected(std::move(done.error()));
        }
    }
    if (options.queue_length != 0) {
        // The owner of a persistent device without CAP_NET_ADMIN may not; it works with 500, too.
        (void)netlink->set_transmit_queue_length(device.name_, options.queue_length);
    }
    if (auto done = device.describe_interface(options.mac); !done) {
        return std::unexpected(std::move(done.error()));
    }
    return device;
}

LinkResult<Device> Device::open_packet(const PacketOptions& options) {
    Device device;
    device.kind_ = DeviceKind::packet;
    device.capabilities_.layer = LinkLayer::ethernet;
    device.name_ = options.name;
    if (auto done = device.describe_interface(options.mac); !done) {
        return std::unexpected(std::move(done.error()));
    }
    // Protocol 0 receives nothing until bind: no frame of another interface gets in before.
    device.fd_ = FileDescriptor(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int fd = device.fd_.get();
    if (!device.fd_.valid()) {
        return link_failure(errno, fmt::format("Can't open a packet socket on {}", options.name),
                            "It needs CAP_NET_RAW: run as root or in a private namespace "
                            "(unshare -rn).");
    }
    ifreq request{};
    options.name.copy(request.ifr_name, IFNAMSIZ - 1);
    if (::ioctl(fd, SIOCGIFHWADDR, &request) != 0 || request.ifr_hwaddr.sa_family != ARPHRD_ETHER) {
        return link_failure(LinkErrorKind::not_supported, 0,
                            fmt::format("{} does not carry Ethernet frames", options.name),
                            "A packet link needs an interface such as one end of a veth pair.");
    }
    if (auto done = set_packet_option(fd, PACKET_VNET_HDR, "PACKET_VNET_HDR"); !done) {
        return std::unexpected(std::move(done.error()));
    }
    if (auto done = set_packet_option(fd, PACKET_IGNORE_OUTGOING, "PACKET_IGNORE_OUTGOING");
        !done) {
        return std::unexpected(std::move(done.error()));
    }
    device.set_offloads(true, options.offloads);
    const std::size_t granted = set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, options.receive_buffer);
    (void)set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, kSendBuffer);
    if (options.ring || granted < options.receive_buffer) {
        auto ring = PacketRing::open(fd, options.receive_buffer);
        if (!ring) {
            return std::unexpected(std::move(ring.error()));
        }
        device.ring_ = std::move(*ring);
    }
    if (auto done = attach_filter(fd, device.mac_); !done) {
        return std::unexpected(std::move(done.error()));
    }
    if (std::memcmp(request.ifr_hwaddr.sa_data, device.mac_.bytes.data(), 6) != 0) {
        if (auto done = join_promiscuously(fd, device.interface_index_, options.name); !done) {
            return std::unexpected(std::move(done.error()));
        }
    }
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(device.interface_index_);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        return link_failure(errno, fmt::format("Can't bind a packet socket to {}", options.name));
    }
    return device;
}

LinkResult<Device> Device::from_fd(int fd, LinkLayer layer, bool vnet_hdr, std::uint32_t mtu,
                                   std::optional<MacAddress> mac) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0) {
        return link_failure(LinkErrorKind::no_device, errno,
                            fmt::format("There is no open descriptor {}", fd));
    }
    Device device;
    device.capabilities_ = {layer, mtu, false, false, false};
    device.set_offloads(vnet_hdr, true);
    device.mac_ = mac.value_or(MacAddress{});
    device.fd_ = FileDescriptor(fd);
    // From here on, an error must not close what stays the caller's.
    auto refuse = [&](std::unexpected<LinkError> error) {
        (void)device.fd_.release();
        return error;
    };
    int type = 0;
    socklen_t size = sizeof(type);
    if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0) {
        if (type == SOCK_STREAM) {
            return refuse(link_failure(LinkErrorKind::not_supported, 0,
                                       fmt::format("Descriptor {} is a stream socket", fd),
                                       "A stream does not keep frames apart: use SOCK_SEQPACKET "
                                       "or SOCK_DGRAM."));
        }
        device.ends_with_empty_read_ = type == SOCK_SEQPACKET;
        if (auto done = device.adopt_socket(vnet_hdr, mac); !done) {
            return refuse(std::unexpected(std::move(done.error())));
        }
    } else if (auto done = device.adopt_tun(vnet_hdr); !done) {
        return refuse(std::unexpected(std::move(done.error())));
    }
    if (mtu == 0) {
        device.capabilities_.mtu = mtu_of_interface(device.name_);
    }
    if (::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        return refuse(
            link_failure(errno, fmt::format("Can't make descriptor {} non-blocking", fd)));
    }
    return device;
}

/// A packet socket tells the interface it is bound to; any other socket has nothing to tell.
LinkResult<void> Device::adopt_socket(bool vnet_hdr, std::optional<MacAddress> own_mac) {
    int domain = 0;
    socklen_t size = sizeof(domain);
    (void)::getsockopt(fd_.get(), SOL_SOCKET, SO_DOMAIN, &domain, &size);
    if (domain != AF_PACKET) {
        return {};
    }
    kind_ = DeviceKind::packet;
    int type = 0;
    size = sizeof(type);
    (void)::getsockopt(fd_.get(), SOL_SOCKET, SO_TYPE, &type, &size);
    if (type != SOCK_RAW || capabilities_.layer != LinkLayer::ethernet) {
        return link_failure(
            LinkErrorKind::not_supported, 0,
            fmt::format("Descriptor {} is a packet socket, which must be SOCK_RAW and "
                        "handed in as one that carries Ethernet frames",
                        fd_.get()));
    }
    int has = 0;
    size = sizeof(has);
    (void)::getsockopt(fd_.get(), SOL_PACKET, PACKET_VNET_HDR, &has, &size);
    if ((has != 0) != vnet_hdr) {
        return link_failure(LinkErrorKind::not_supported, 0,
                            fmt::format("Descriptor {} is a packet socket {} PACKET_VNET_HDR",
                                        fd_.get(), has != 0 ? "with" : "without"),
                            "Say so when handing it in.");
    }
    sockaddr_ll bound{};
    size = sizeof(bound);
    if (::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0 ||
        bound.sll_ifindex == 0) {
        return link_failure(
            LinkErrorKind::not_supported, errno,
            fmt::format("Descriptor {} is a packet socket of no interface", fd_.get()),
            "Bind it to one first.");
    }
    interface_index_ = static_cast<unsigned>(bound.sll_ifindex);
    std::array<char, IFNAMSIZ> interface{};
    if (::if_indextoname(interface_index_, interface.data()) != nullptr) {
        name_ = interface.data();
    }
    std::memcpy(mac_.bytes.data(), bound.sll_addr, mac_.bytes.size());
    mac_ = own_mac.value_or(mac_);
    return {};
}

/// A descriptor that is no socket must be a TUN or TAP, set up the way the caller says.
LinkResult<void> Device::adopt_tun(bool vnet_hdr) {
    ifreq request{};
    if (::ioctl(fd_.get(), TUNGETIFF, &request) != 0) {
        return link_failure(LinkErrorKind::not_supported, errno,
                            fmt::format("Descriptor {} is neither a socket nor an attached TUN or "
                                        "TAP device",
                                        fd_.get()));
    }
    name_ = request.ifr_name;
    const bool tap = (request.ifr_flags & IFF_TAP) != 0;
    const bool has_header = (request.ifr_flags & IFF_VNET_HDR) != 0;
    kind_ = tap ? DeviceKind::tap : DeviceKind::tun;
    auto mismatch = [&](const char* what) {
        return link_failure(LinkErrorKind::not_supported, 0,
                            fmt::format("Descriptor {} ({}) {}", fd_.get(), name_, what));
    };
    if (tap != (capabilities_.layer == LinkLayer::ethernet)) {
        return mismatch(tap ? "is a TAP and carries Ethernet frames, not IP packets"
                            : "is a TUN and carries IP packets, not Ethernet frames");
    }
    // Whether it was opened with IFF_NO_PI can't be asked: TUNGETIFF sets the same bit (as IFF_NOFILTER)
    // on every TUN that has no address filter. Measured on 6.18.
    if (has_header != vnet_hdr) {
        return mismatch(has_header ? "was opened with IFF_VNET_HDR: hand it in as such"
                                   : "was opened without IFF_VNET_HDR: hand it in as such");
    }
    if (has_header) {
        int size = 0;
        int little = 0;
        if (::ioctl(fd_.get(), TUNGETVNETHDRSZ, &size) != 0 || (size != 10 && size != 12)) {
            return mismatch("has a virtio_net_hdr that is neither 10 nor 12 bytes long");
        }
        header_size_ = static_cast<std::uint8_t>(size);
        if (::ioctl(fd_.get(), TUNGETVNETLE, &little) == 0 && little != 0) {
            order_ = VirtioNetOrder::little;
        }
    }
    return {};
}

}  // namespace runnel
