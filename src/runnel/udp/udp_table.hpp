// UDP sockets of a host (RFC 768, RFC 1122 §4.1, RFC 8200 §8.1): enough for DNS and tests. Non-blocking,
// with bounded queues; it neither routes nor sends: the host hands datagrams in and polls them out.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "runnel/base/buffer.hpp"
#include "runnel/base/result.hpp"
#include "runnel/base/ring.hpp"
#include "runnel/base/siphash.hpp"
#include "runnel/base/slab.hpp"
#include "runnel/base/time.hpp"
#include "runnel/observe/flight_recorder.hpp"
#include "runnel/wire/address.hpp"
#include "runnel/wire/frame.hpp"

namespace runnel {

struct UdpTag;
using UdpHandle = Handle<UdpTag>;

struct UdpConfig {
    std::uint32_t sockets = 4096;  ///< at once
    std::uint32_t receive_queue_bytes =
        212'992;  ///< pinned by a socket's queue; Linux: rmem_default
    std::uint32_t receive_queue_datagrams = 256;
    std::uint32_t send_queue_datagrams = 256;    ///< of all sockets, until the host polls
    std::uint16_t first_ephemeral_port = 32768;  ///< Linux: ip_local_port_range
    std::uint16_t last_ephemeral_port = 60999;
};

/// A UDP datagram as the network layer delivered it, its UDP header at the front of `payload[0]`.
struct UdpArrival {
    IpAddress source;
    IpAddress destination;
    std::uint8_t interface = 0;
    bool to_unicast = true;
    bool checksum_trusted = false;  ///< the link vouches for it
    SliceList payload;
    std::uint32_t payload_size = 0;
};

/// What `receive` returns: a datagram without its header.
struct UdpMessage {
    Endpoint source;
    Endpoint destination;
    std::uint8_t interface = 0;
    SliceList payload;
    std::uint32_t size = 0;
};

/// A datagram to send: header in `frame.head` (checksum 0, to be filled in at offset 6), data in `frame.body`.
struct UdpTransmit {
    std::optional<IpAddress>
        source;  ///< none: the socket is bound to no address, choose one by the route
    IpAddress destination;
    Frame frame;
};

/// The front of the UDP header that an ICMP error quotes.
struct UdpQuote {
    IpAddress source;       ///< ours
    IpAddress destination;  ///< theirs
    Bytes transport;        ///< at least the two ports, else the error is ignored
};

class UdpTable {
public:
    static constexpr std::uint8_t kProtocol = 17;
    static constexpr std::uint16_t kChecksumOffset = 6;

    UdpTable(BufferPool& pool, FlightRecorder& recorder, const UdpConfig& config,
             const SipKey& secret);

    // --- the user's calls ------------------------------------------------------------------------------
    /// A socket on `local`; the unspecified address means every address of its family, port 0 a free one
    /// chosen at random (RFC 6056 §3.3.1). Fails with address_in_use or too_many_open.
    Result<UdpHandle> bind(const Endpoint& local);
    /// Only datagrams from `remote` are received from now on, and ICMP errors about it are reported.
    Status connect(UdpHandle socket, const Endpoint& remote);
    /// Queues one datagram to `to`, or to the connected remote. Fails with destination_address_required,
    /// message_too_long, would_block (queue full), a pending error (connection_refused), …
    Status send(UdpHandle socket, const SliceList& payload, std::optional<Endpoint> to = {});
    /// The same from bytes, which are copied into a pooled chunk (no_buffer_space without one).
    Status send(UdpHandle socket, Bytes payload, std::optional<Endpoint> to = {});
    /// The oldest datagram, would_block without one, or a pending error of a connected socket.
    Result<UdpMessage> receive(UdpHandle socket);
    Status close(UdpHandle socket);
    [[nodiscard]] bool readable(UdpHandle socket) const;
    [[nodiscard]] bool writable() const { return outgoing_.size() < config_.send_queue_datagrams; }
    [[nodiscard]] Result<Endpoint> local_endpoint(UdpHandle socket) const;
    [[nodiscard]] Result<Endpoint> remote_endpoint(UdpHandle socket) const;

    // --- the host's calls --------------------------------------------------------------------------------
    /// Takes a datagram. On udp_drop_no_socket the host answers with port unreachable (RFC 1122 §4.1.3.1).
    Decision on_datagram(UdpArrival&& arrival, Instant now);
    /// A validated ICMP error: `error` becomes the connected socket's pending error.
    Decision on_error(const UdpQuote& quote, Errc error, Instant now);
    /// The next datagram to send, if any.
    std::optional<UdpTransmit> poll_transmit();
    [[nodiscard]] bool has_transmit() const { return !outgoing_.empty(); }
    /// Sockets that became readable (or got an error) since the last call; `out` is cleared first.
    void take_readable(std::vector<UdpHandle>& out);
    [[nodiscard]] std::uint32_t size() const { return sockets_.size(); }

private:
    struct Socket {
        Endpoint local;
        std::optional<Endpoint> remote;
        Ring<UdpMessage> received;
        std::uint32_t pinned = 0;  ///< bytes of the chunks in `received`
        Errc error = Errc::ok;
        bool announced = false;  ///< stands in `readable_`
    };

    [[nodiscard]] UdpHandle find(const Endpoint& local, const Endpoint& remote);
    [[nodiscard]] bool port_taken(const Endpoint& local);
    void announce(UdpHandle handle, Socket& socket);
    Decision note(Decision decision, std::uint32_t length, bool inbound, Instant now);

    BufferPool& pool_;
    FlightRecorder& recorder_;
    UdpConfig config_;
    SipKey key_;
    std::uint64_t draws_ = 0;
    Slab<Socket, UdpTag> sockets_;
    Ring<UdpTransmit> outgoing_;
    std::vector<UdpHandle> readable_;
};

}  // namespace runnel
