#include "lwip_pair.hpp"

// Its headers are C, and their macros are full of old casts and sign conversions.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wpedantic"
extern "C" {
#include <lwip/init.h>
#include <lwip/ip4.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/sys.h>
#include <lwip/tcp.h>
#include <lwip/tcpip.h>
#include <lwip/timeouts.h>
}

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <vector>

namespace runnel::bench {

namespace {

constexpr std::uint16_t kPort = 80;

/// What is between the interfaces, and the connection under test; one a process, as the library's own state.
struct World {
    netif client_if{};
    netif server_if{};
    std::deque<std::pair<netif*, pbuf*>> wire;  ///< where to, what
    std::uint64_t packets = 0;
    tcp_pcb* listener = nullptr;
    tcp_pcb* client = nullptr;
    tcp_pcb* server = nullptr;
    bool connected = false;
    bool closed = false;
    std::uint64_t received = 0;
};
World* world = nullptr;

void need(bool holds, const char* what) {
    if (!holds) {
        std::fprintf(stderr, "bench: lwIP: %s\n", what);
        std::exit(1);
    }
}

err_t to_wire(netif* from, pbuf* packet, const ip4_addr_t*) {
    netif* to = from == &world->client_if ? &world->server_if : &world->client_if;
    // Copied, as a device would.
    pbuf* copy = pbuf_alloc(PBUF_RAW, packet->tot_len, PBUF_RAM);
    if (copy == nullptr) {
        return ERR_MEM;
    }
    pbuf_copy(copy, packet);
    world->packets += from == &world->client_if ? 1U : 0U;
    world->wire.emplace_back(to, copy);
    return ERR_OK;
}

std::uint16_t wire_mtu = 1500;
err_t set_up(netif* interface) {
    interface->mtu = wire_mtu;
    interface->output = to_wire;
    interface->name[0] = 'w';
    interface->name[1] = '0';
    return ERR_OK;
}

err_t on_receive(void*, tcp_pcb* pcb, pbuf* data, err_t) {
    if (data == nullptr) {
        world->closed = true;
        tcp_arg(pcb, nullptr);
        tcp_recv(pcb, nullptr);
        need(tcp_close(pcb) == ERR_OK, "close");
        world->server = nullptr;
        return ERR_OK;
    }
    // Read as a user would: into his own memory.
    static std::vector<std::byte> into(1 << 20);
    pbuf_copy_partial(data, into.data(), data->tot_len, 0);
    world->received += data->tot_len;
    tcp_recved(pcb, data->tot_len);
    pbuf_free(data);
    return ERR_OK;
}
err_t on_accept(void*, tcp_pcb* pcb, err_t) {
    world->server = pcb;
    tcp_recv(pcb, on_receive);
    return ERR_OK;
}
err_t on_connected(void*, tcp_pcb*, err_t) {
    world->connected = true;
    return ERR_OK;
}
err_t ignore(void*, tcp_pcb* pcb, pbuf* data, err_t) {
    if (data != nullptr) {
        tcp_recved(pcb, data->tot_len);
        pbuf_free(data);
    }
    return ERR_OK;
}

struct Lock {
    Lock() { LOCK_TCPIP_CORE(); }
    ~Lock() { UNLOCK_TCPIP_CORE(); }
};

void add(netif& interface, unsigned last_octet) {
    ip4_addr_t address;
    ip4_addr_t mask;
    ip4_addr_t none;
    IP4_ADDR(&address, 10, 2, 0, last_octet);
    IP4_ADDR(&mask, 255, 255, 255, 0);
    IP4_ADDR(&none, 0, 0, 0, 0);
    need(netif_add(&interface, &address, &mask, &none, nullptr, set_up, ip4_input) != nullptr,
         "netif_add");
    netif_set_up(&interface);
    netif_set_link_up(&interface);
}

}  // namespace

LwipPair::LwipPair(std::uint16_t mtu) {
    static bool initialised = false;
    if (!initialised) {
        tcpip_init(nullptr, nullptr);
        initialised = true;
    }
    const Lock lock;
    world = new World;
    wire_mtu = mtu;
    add(world->client_if, 1);
    add(world->server_if, 2);
    tcp_pcb* pcb = tcp_new_ip_type(IPADDR_TYPE_V4);
    tcp_bind_netif(pcb, &world->server_if);
    need(tcp_bind(pcb, netif_ip_addr4(&world->server_if), kPort) == ERR_OK, "bind");
    world->listener = tcp_listen(pcb);
    need(world->listener != nullptr, "listen");
    tcp_accept(world->listener, on_accept);
}

LwipPair::~LwipPair() {
    const Lock lock;
    for (tcp_pcb* pcb : {world->client, world->server}) {
        if (pcb != nullptr) {
            tcp_abort(pcb);
        }
    }
    for (const auto& [to, packet] : world->wire) {
        pbuf_free(packet);
    }
    tcp_close(world->listener);
    netif_remove(&world->client_if);
    netif_remove(&world->server_if);
    delete world;
    world = nullptr;
}

void LwipPair::settle() {
    while (!world->wire.empty()) {
        const auto [to, packet] = world->wire.front();
        world->wire.pop_front();
        if (to->input(packet, to) != ERR_OK) {
            pbuf_free(packet);
        }
    }
}

namespace {
void begin_connect() {
    world->connected = false;
    world->client = tcp_new_ip_type(IPADDR_TYPE_V4);
    need(world->client != nullptr, "tcp_new");
    tcp_bind_netif(world->client, &world->client_if);
    tcp_recv(world->client, ignore);
    need(tcp_connect(world->client, netif_ip_addr4(&world->server_if), kPort, on_connected) ==
             ERR_OK,
         "connect");
}
}  // namespace

void LwipPair::transfer(std::uint64_t bytes) {
    const Lock lock;
    static const std::vector<std::byte> block(256 * 1024);
    if (world->client == nullptr) {
        begin_connect();
        settle();
        need(world->connected && world->server != nullptr, "not connected");
    }
    const std::uint64_t end = world->received + bytes;
    std::uint64_t left = bytes;
    while (world->received < end) {
        const auto room = std::min<std::uint64_t>(
            {left, std::uint64_t{tcp_sndbuf(world->client)}, 0xffffU, block.size()});
        if (room > 0 && tcp_write(world->client, block.data(), static_cast<u16_t>(room),
                                  TCP_WRITE_FLAG_COPY) == ERR_OK) {
            left -= room;
        }
        tcp_output(world->client);
        settle();
        if (world->wire.empty() && world->received < end) {
            tcp_tmr();  // a delayed ACK: no need to wait for the real time it takes
            settle();
        }
    }
}

void LwipPair::open_and_close() {
    const Lock lock;
    begin_connect();
    settle();
    need(world->connected && world->server != nullptr, "not connected");
    need(tcp_close(world->client) == ERR_OK, "close");
    world->client = nullptr;
    settle();
    while (tcp_tw_pcbs != nullptr) {
        tcp_abort(tcp_tw_pcbs);
    }
}

std::uint64_t LwipPair::packets() const {
    return world->packets;
}

}  // namespace runnel::bench
