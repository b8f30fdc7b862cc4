// Small captures made by hand: segments emitted through the room `wire`, put together as a conversation that
// is written as a sentence a segment.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/report/capture_reader.hpp"
#include "runnel/report/conversation.hpp"
#include "runnel/wire/tcp_segment.hpp"

namespace runnel::report::test {

using Octets = std::vector<std::byte>;

inline constexpr std::int64_t kStart = 1'700'000'000'000'000'000;  ///< time of the first packet, ns
inline constexpr std::uint32_t kLeftIss = 1000;
inline constexpr std::uint32_t kRightIss = 0xffff'fff0;  ///< wraps within the first octets

Octets octets(std::initializer_list<int> values);
Octets joined(std::initializer_list<Octets> parts);
/// An IP packet of either family (by the addresses) with the right checksums.
Octets ip_packet(const IpAddress& source, const IpAddress& destination, std::uint8_t protocol,
                 const Octets& payload);
/// A TCP segment in an IP packet; ports and checksum are filled in.
Octets tcp_packet(const Endpoint& source, const Endpoint& destination, TcpHeader header,
                  std::size_t payload_size, char fill = 'x');
/// The same behind an Ethernet header.
Octets in_ethernet(const Octets& packet, std::uint16_t ether_type = 0x0800);

/// One end's next segments, in relative numbers.
struct Say {
    std::string_view flags;  ///< letters: S F R P A U E C N
    std::int64_t seq = 0;
    std::int64_t ack = 0;
    std::uint32_t length = 0;
    std::uint16_t window = 1000;
    TcpOptions options = {};
    char fill = 'x';  ///< every octet of the payload
    std::uint16_t urgent_pointer = 0;
};

/// Collects the packets of a capture and keeps their bytes.
class Scene {
public:
    explicit Scene(Endpoint left = {IpAddress::v4(0x0a090001), 40000},
                   Endpoint right = {IpAddress::v4(0x0a090002), 80});

    /// Time passes between segments; a segment takes none.
    Scene& after_us(std::int64_t microseconds);
    Scene& left(const Say& say) { return add(End::left, say); }
    Scene& right(const Say& say) { return add(End::right, say); }
    /// SYN, SYN,ACK, ACK a microsecond apart, with the options of a modern host.
    Scene& handshake();
    /// The latest packet gets a comment.
    Scene& comment(std::string text);
    Scene& corrupt();                        ///< one bit of the latest packet's last byte flips
    Scene& ecn_ce();                         ///< the latest packet (IPv4) gets marked
    Scene& interface(std::uint32_t number);  ///< of the latest packet
    /// An ICMP error from `reporter` about the packet at `index`, to its sender.
    Scene& icmp_error(const IpAddress& reporter, std::uint8_t type, std::uint8_t code,
                      std::uint32_t rest, std::size_t index);
    Scene& raw(Octets packet);

    /// The packets, as a reader would give them. Valid as long as the scene.
    [[nodiscard]] Capture capture() const;
    /// The only conversation there is.
    [[nodiscard]] Conversation conversation() const;
    [[nodiscard]] const std::vector<Octets>& packets() const { return packets_; }

private:
    Scene& add(End from, const Say& say);

    Endpoint ends_[2];
    std::int64_t now_ = kStart;
    std::vector<Octets> packets_;
    std::vector<std::int64_t> times_;
    std::vector<std::uint32_t> interfaces_;
    std::vector<std::vector<std::string>> comments_;
};

}  // namespace runnel::report::test
