// How fast frames go through a real device, and nothing else: Runnel's Device against the kernel in a
// private namespace, one direction at a time, on one core. Frames that Runnel sends are for nobody and die
// at the kernel's first look; frames it reads were put into the device's queue beforehand. Prints the
// median and the best of some runs beside those of the bare system call, as microseconds a frame and Gbit/s.
#include <fmt/format.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "runnel/link/device.hpp"
#include "runnel/link/netlink.hpp"
#include "runnel/link/network_namespace.hpp"

namespace {

using namespace runnel;

constexpr std::size_t kBatch = 64;
constexpr std::size_t kEthernetHeader = 14;

template <class T>
T must(LinkResult<T> result) {
    if (!result) {
        fmt::print(stderr, "link_speed: {}\n", result.error().what);
        std::exit(result.error().kind == LinkErrorKind::no_permission ? 77 : 1);
    }
    if constexpr (!std::is_void_v<T>) {
        return std::move(*result);
    }
}

double now_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

/// A TCP segment over IPv4 of `size` bytes in all, 10.9.0.`from` to 10.9.0.`to`; a super-segment if it is
/// longer than 1,500.
struct Template {
    std::vector<std::byte> bytes;
    Offload offload;
};

Template make_template(std::size_t size, std::uint8_t from, std::uint8_t to, bool ethernet) {
    Template made;
    made.bytes.resize(size + (ethernet ? kEthernetHeader : 0));
    ByteWriter writer{MutableBytes(made.bytes)};
    if (ethernet) {
        writer.u64(0x0200'0000'0001'0200);  // 02:00:00:00:00:01, and the first of the source
        writer.u32(0x0000'0002);
        writer.u16(0x0800);
    }
    writer.u16(0x4500);
    writer.u16(static_cast<std::uint16_t>(size));
    writer.u32(0x0001'4000);
    writer.u32(0x4006'0000);
    writer.u32(0x0a09'0000U + from);
    writer.u32(0x0a09'0000U + to);
    std::uint32_t sum =
        0x4500 + static_cast<std::uint32_t>(size) + 1 + 0x4000 + 0x4006 + 2 * 0x0a09U + from + to;
    sum = (sum & 0xffff) + (sum >> 16);
    // On a TUN a wrong header checksum is the first thing that the kernel finds; over Ethernet it is the
    // stranger's address.
    writer.patch_u16(ethernet ? 24 : 10, static_cast<std::uint16_t>(ethernet ? ~sum : sum));
    writer.u32(0x2000'2001);
    writer.u64(0);
    writer.u32(0x5010'ffff);
    const auto link = static_cast<std::uint16_t>(ethernet ? kEthernetHeader : 0);
    made.offload.needs_checksum = true;
    made.offload.csum_start = static_cast<std::uint16_t>(link + 20);
    made.offload.csum_offset = 16;
    made.offload.header_length = static_cast<std::uint16_t>(link + 40);
    if (size > 1500) {
        made.offload.gso = Offload::Gso::tcp_ipv4;
        made.offload.gso_size = 1460;
    }
    return made;
}

/// Puts frames into an interface's transmit queue from the kernel's side.
class Injector {
public:
    Injector(const std::string& interface, const Template& frame) : frame_(frame) {
        auto netlink = must(Netlink::open());
        index_ = static_cast<int>(must(netlink.find_interface(interface)).index);
        socket_ = FileDescriptor(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
        const int on = 1;
        (void)::setsockopt(socket_.get(), SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on));
        const int room = 1 << 30;
        (void)::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
        (void)emit_virtio_net(frame_.offload, header_);
    }
    void inject() {
        sockaddr_ll to{};
        to.sll_family = AF_PACKET;
        to.sll_protocol = htons(0x0800);
        to.sll_ifindex = index_;
        std::array<iovec, 2> pieces{
            {{header_.data(), header_.size()}, {frame_.bytes.data(), frame_.bytes.size()}}};
        msghdr message{};
        message.msg_name = &to;
        message.msg_namelen = sizeof(to);
        message.msg_iov = pieces.data();
        message.msg_iovlen = pieces.size();
        if (::sendmsg(socket_.get(), &message, 0) < 0) {
            fmt::print(stderr, "link_speed: can't put a frame into the queue (errno {})\n", errno);
            std::exit(1);
        }
    }

private:
    Template frame_;
    std::array<std::byte, kVirtioNetHeaderSize> header_{};
    FileDescriptor socket_;
    int index_ = 0;
};

/// Seconds a frame for the bare system call from one contiguous buffer: what sending can't go below.
double measure_bare_write(Device& device, const Template& frame, std::size_t count) {
    std::vector<std::byte> buffer(kVirtioNetHeaderSize);
    (void)emit_virtio_net(frame.offload, buffer);
    buffer.insert(buffer.end(), frame.bytes.begin(), frame.bytes.end());
    const double start = now_seconds();
    for (std::size_t i = 0; i < count; ++i) {
        if (::write(device.native_handle(), buffer.data(), buffer.size()) < 0) {
            fmt::print(stderr, "link_speed: write failed (errno {})\n", errno);
            std::exit(1);
        }
    }
    return (now_seconds() - start) / static_cast<double>(count);
}

/// Seconds a frame for sending.
double measure_send(Device& device, BufferPool& pool, const Template& frame, std::size_t count) {
    FrameBatch batch(kBatch);
    for (Frame& one : batch) {
        const Bytes bytes(frame.bytes);
        const std::size_t head = frame.offload.header_length;
        std::copy_n(bytes.begin(), head, one.head_space().begin());
        one.set_head_size(head);
        // Four slices, as a send buffer of 16 KB pieces would give.
        const std::size_t piece = std::max<std::size_t>((bytes.size() - head + 3) / 4, 1448);
        for (std::size_t at = head; at < bytes.size(); at += piece) {
            one.body.push_back(pool.copy(bytes.subspan(at, std::min(piece, bytes.size() - at))));
        }
        one.offload = frame.offload;
    }
    const std::uint64_t before = device.counters().frames_sent;
    const double start = now_seconds();
    for (std::size_t sent = 0; sent < count; sent += kBatch) {
        if (device.send(batch) != kBatch) {
            fmt::print(stderr, "link_speed: the device was full\n");
            std::exit(1);
        }
    }
    const double took = now_seconds() - start;
    return took / static_cast<double>(device.counters().frames_sent - before);
}

/// Reads everything that is queued; how many frames it was.
using Drain = std::function<std::size_t()>;

/// Seconds a frame for reading, from a queue filled beforehand with about what a cache holds: TCP's
/// queue seldom is longer.
double measure_receive(const Drain& drain, const Template& frame, std::size_t count,
                       const std::string& injected_at) {
    Injector injector(injected_at, frame);
    double took = 0;
    std::size_t received = 0;
    const std::size_t queued = frame.bytes.size() > 4096 ? 16 : 512;
    while (received < count) {
        for (std::size_t i = 0; i < queued; ++i) {
            injector.inject();
        }
        const double start = now_seconds();
        const std::size_t got = drain();
        took += now_seconds() - start;
        received += got;
        if (got == 0) {
            fmt::print(stderr, "link_speed: nothing came\n");
            std::exit(1);
        }
    }
    return took / static_cast<double>(received);
}

Drain drain_device(Device& device, BufferPool& pool) {
    return [&device, &pool, batch = FrameBatch()]() mutable {
        std::size_t total = 0;
        do {
            batch.clear();
            total += device.receive(pool, batch, kBatch);
        } while (!device.drained());
        return total;
    };
}

/// The bare system call into one buffer: what reading can't go below.
Drain drain_bare(Device& device) {
    return [&device, buffer = std::vector<std::byte>(kLargeChunk)]() mutable {
        std::size_t total = 0;
        while (::read(device.native_handle(), buffer.data(), buffer.size()) > 0) {
            ++total;
        }
        return total;
    };
}

void report(const std::string& what, std::size_t size, unsigned runs,
            const std::function<double()>& measure) {
    std::vector<double> seconds;
    (void)measure();  // warms pools and caches
    for (unsigned i = 0; i < runs; ++i) {
        seconds.push_back(measure());
    }
    std::sort(seconds.begin(), seconds.end());
    const auto bits = static_cast<double>(size) * 8;
    const double median = seconds[seconds.size() / 2];
    fmt::print(
        "{:<26} {:>6} B  median {:6.2f} us {:7.1f} Gbit/s   best {:6.2f} us {:7.1f} Gbit/s\n", what,
        size, median * 1e6, bits / median / 1e9, seconds.front() * 1e6,
        bits / seconds.front() / 1e9);
}

void quiet_and_up(const std::string& interface) {
    auto netlink = must(Netlink::open());
    must(netlink.set_ipv6_link_local(interface, false));
    must(netlink.set_up(interface));
}

void measure_device(const std::string& kind, Device& device, const std::string& injected_at,
                    const std::vector<std::size_t>& sizes, unsigned runs) {
    BufferPool pool(256 << 20);
    const bool ethernet = device.capabilities().layer == LinkLayer::ethernet;
    for (const std::size_t size : sizes) {
        const std::size_t count = size > 4096 ? 40'000 : 150'000;
        const Template out = make_template(size, 2, 77, ethernet);
        const Template in = make_template(size, 1, 2, ethernet);
        report(kind + " write", size, runs, [&] { return measure_send(device, pool, out, count); });
        report(kind + " write, bare", size, runs,
               [&] { return measure_bare_write(device, out, count); });
        report(kind + " read", size, runs,
               [&] { return measure_receive(drain_device(device, pool), in, count, injected_at); });
        report(kind + " read, bare", size, runs,
               [&] { return measure_receive(drain_bare(device), in, count, injected_at); });
    }
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Frames through a real device, one direction at a time, in a private namespace");
    std::vector<std::string> links{"tun", "tap", "packet"};
    std::vector<std::size_t> sizes{60, 1500, 64040};
    unsigned runs = 5;
    int core = -1;
    app.add_option("--link", links, "tun, tap, packet")->delimiter(',');
    app.add_option("--size", sizes, "IP packet sizes in bytes, 40 to 65535")
        ->delimiter(',')
        ->check(CLI::Range(40, 65535));
    app.add_option("--runs", runs, "Runs of each")->check(CLI::Range(1, 1000));
    app.add_option("--core", core, "Pin to this core");
    CLI11_PARSE(app, argc, argv);
    if (core >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(static_cast<std::size_t>(core), &set);
        (void)::sched_setaffinity(0, sizeof(set), &set);
    }
    must(enter_private_network());
    for (const std::string& link : links) {
        if (link == "packet") {
            auto netlink = must(Netlink::open());
            must(netlink.create_veth({.name = "kernel", .peer_name = "runnel"}));
            quiet_and_up("kernel");
            quiet_and_up("runnel");
            MacAddress mac;
            mac.bytes = {std::byte{2}, {}, {}, {}, {}, std::byte{1}};
            PacketOptions options;
            options.name = "runnel";
            options.mac = mac;
            options.receive_buffer = 256 << 20;
            Device device = must(Device::open_packet(options));
            measure_device(link, device, "kernel", sizes, runs);
        } else {
            TunOptions options;
            options.name = "speed0";
            Device device =
                must(link == "tap" ? Device::open_tap(options) : Device::open_tun(options));
            quiet_and_up(device.name());
            measure_device(link, device, device.name(), sizes, runs);
        }
    }
    return 0;
}
