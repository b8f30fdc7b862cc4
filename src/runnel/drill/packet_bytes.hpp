// Packets between a script's values and the wire's bytes: what is injected is built here, with every option a
// script may name, and what the host sends is read here, with its checksums verified. All numbers are the wire's;
// flows.hpp turns them into the script's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "runnel/base/bytes.hpp"
#include "runnel/base/time.hpp"
#include "runnel/drill/script.hpp"
#include "runnel/observe/decision.hpp"
#include "runnel/tcp/signature/md5_signature.hpp"
#include "runnel/wire/address.hpp"

namespace runnel::drill {

/// The part of an IP header that a script can say something about.
struct IpHead {
    IpAddress source;
    IpAddress destination;
    std::uint8_t traffic_class = 0;
    std::uint8_t ttl = 64;
    std::uint32_t flow_label = 0;
};

/// An ICMP message of either family as numbers.
struct IcmpOnWire {
    std::uint8_t type = 0;
    std::uint8_t code = 0;
    std::uint32_t rest = 0;       ///< the header's second word
    std::vector<std::byte> body;  ///< what follows it
};

/// What came out of the host.
struct SeenPacket {
    Instant time;
    IpHead head;
    Ports ports;  ///< TCP and UDP
    std::variant<std::monostate, TcpPacket, UdpPacket, IcmpOnWire> what;
    std::string trouble;  ///< a wrong checksum, a header that is none; empty: none
    std::vector<Decision> decisions;
    std::uint32_t merged = 1;  ///< segments that were put together

    [[nodiscard]] const TcpPacket* tcp() const { return std::get_if<TcpPacket>(&what); }
    [[nodiscard]] TcpPacket* tcp() { return std::get_if<TcpPacket>(&what); }
};

/// A whole IP packet. `packet`: sequence, ack and options as on the wire; its payload is zeros. Options are padded
/// to a multiple of four with EOL; more than 40 bytes of them, or more than 64 KiB in all, give an empty vector.
[[nodiscard]] std::vector<std::byte> build_tcp(const IpHead& head, const Ports& ports,
                                               const TcpPacket& packet);
/// Writes the right signature (RFC 2385) into the MD5 option of a packet that build_tcp has made.
void sign_tcp(const IpHead& head, std::vector<std::byte>& packet, const tcp::Md5Key& key);
/// What `own` says is wrong with it: its data offset, its checksum.
void spoil(const OwnMarks& own, const IpHead& head, std::vector<std::byte>& packet);
[[nodiscard]] std::vector<std::byte> build_udp(const IpHead& head, const Ports& ports,
                                               std::uint32_t length);
[[nodiscard]] std::vector<std::byte> build_icmp(const IpHead& head, const IcmpOnWire& message);
/// An IP header for `length` bytes of payload, and the payload's first bytes: what an ICMP error quotes.
[[nodiscard]] std::vector<std::byte> build_quote(const IpHead& head, std::uint8_t protocol,
                                                 std::uint32_t length, Bytes first);

/// Bytes that these options take, without padding.
[[nodiscard]] std::size_t options_size(const std::vector<TcpOption>& options);

/// Reads a whole IP packet. What can't be read is said in `trouble`.
[[nodiscard]] SeenPacket read_packet(Bytes packet);

}  // namespace runnel::drill
