// A packet on its way: one IP packet in one piece, with what its headers say read once, so that nobody who
// looks at it has to read them again.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "runnel/sim/scenario.hpp"
#include "runnel/wire/tcp_segment.hpp"

namespace runnel::sim {

struct Packet {
    std::vector<std::byte> bytes;
    std::uint64_t number = 0;  ///< of the frame a host sent, from 1 on; copies and pieces share it
    Instant sent;              ///< when its host let go of it (the world's clock)
    Instant queued;            ///< when it entered the queue of the way it is on
    NodeId source = kNoNode;   ///< by their addresses
    NodeId destination = kNoNode;
    bool is_tcp = false;  ///< a whole TCP segment, not a fragment: the fields below are set
    bool damaged =
        false;            ///< altered so that a checksum or length must betray it; fields as before
    bool forged = false;  ///< made by an adversary
    std::uint8_t hops = 0;
    std::uint8_t traffic_class = 0;
    std::uint16_t network_header = 0;  ///< bytes before the TCP header
    std::uint16_t payload_size = 0;
    FourTuple tuple;  ///< as its sender sees it: local is the source
    TcpHeader tcp;

    [[nodiscard]] bool v6() const { return (bytes[0] & std::byte{0xf0}) == std::byte{0x60}; }
    [[nodiscard]] std::size_t payload_at() const {
        return std::size_t{network_header} + tcp.header_length;
    }
    [[nodiscard]] Bytes payload() const { return Bytes(bytes).subspan(payload_at(), payload_size); }
    /// Octets of sequence space: SEG.LEN.
    [[nodiscard]] std::uint32_t sequence_length() const {
        return payload_size + (tcp.flags.syn() ? 1U : 0U) + (tcp.flags.fin() ? 1U : 0U);
    }
    /// The flow's server port tells which flow it is of; kMaxFlows when of none.
    [[nodiscard]] std::size_t flow() const;
};

/// Reads the headers of `packet.bytes` and sets the fields from them. Fields of what can't be read keep
/// their defaults.
void read_packet(Packet& packet);

/// Writes `header` in place of the segment's (whose length in bytes may change), sets lengths and checksums
/// right, and reads the packet again. Preconditions: is_tcp, and the options fit.
void write_tcp(Packet& packet, const TcpHeader& header, Bytes payload);
/// Sets the TCP checksum (and IPv4's) right after bytes have been changed, and reads the packet again.
void seal(Packet& packet);
/// A new segment between the ends of `tuple` (local sends).
void make_segment(Packet& packet, const FourTuple& tuple, const TcpHeader& header, Bytes payload);

/// Sets CE (RFC 3168 §5) where the sender said that it understands; false where it did not.
[[nodiscard]] bool mark_congestion(Packet& packet);
/// Replaces the two ECN bits.
void set_ecn(Packet& packet, std::uint8_t ecn);

/// Packets are made once and used again.
class PacketPool {
public:
    /// An empty packet; its vector keeps its memory.
    Packet* take();
    Packet* copy(const Packet& packet);
    void give_back(Packet* packet) { free_.push_back(packet); }
    /// Packets taken and not given back.
    [[nodiscard]] std::size_t in_use() const { return all_.size() - free_.size(); }

private:
    std::vector<std::unique_ptr<Packet>> all_;
    std::vector<Packet*> free_;
};

/// Equal tuples, faster told than by ==: the simulated world asks for every event.
[[nodiscard]] inline bool same(const FourTuple& a, const FourTuple& b) {
    const auto address = [](const IpAddress& x, const IpAddress& y) {
        return std::memcmp(x.bytes().data(), y.bytes().data(), x.bytes().size()) == 0;
    };
    return a.local.port == b.local.port && a.remote.port == b.remote.port &&
           address(a.local.address, b.local.address) && address(a.remote.address, b.remote.address);
}

/// The address of a node: 10.0.0.(id + 1) or fd00::(id + 1).
[[nodiscard]] IpAddress node_address(NodeId node, Family family);
[[nodiscard]] NodeId node_of(const IpAddress& address);

}  // namespace runnel::sim
