// The TCP conversations of a capture: packets sorted by four-tuple and incarnation, each segment's numbers
// made relative to its sender's ISS and unwrapped to 64 bits, so that a ladder can count on from 0.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runnel/report/capture_reader.hpp"
#include "runnel/report/packet_decoder.hpp"
#include "runnel/wire/address.hpp"
#include "runnel/wire/tcp_segment.hpp"

namespace runnel::report {

/// The two ends. Left is the one that sent the first SYN; where none was captured, the one that the
/// SYN,ACK went to, or else the sender of the first segment.
enum class End : std::uint8_t { left = 0, right = 1 };
constexpr End other(End end) {
    return end == End::left ? End::right : End::left;
}
constexpr std::size_t index_of(End end) {
    return static_cast<std::size_t>(end);
}

/// One segment as it was seen.
struct SeenSegment {
    std::size_t packet = 0;    ///< in Capture::packets
    std::int64_t time_ns = 0;  ///< as there
    End from = End::left;
    TcpHeader header;
    boost::container::static_vector<std::uint8_t, kMaxOtherOptions> other_options;
    bool options_malformed = false;
    std::uint32_t payload_size = 0;
    ChecksumState checksum = ChecksumState::unknown;
    std::uint8_t ecn = 0;
    PacketDirection direction = PacketDirection::unknown;  ///< seen from where it was captured
    Bytes bytes;  ///< header and payload as far as they were captured; in the capture's memory
    std::int64_t seq = 0;  ///< relative to its sender's ISS (or so that the first octet seen is 1)
    std::int64_t ack = 0;  ///< relative to the peer's; meaningful with ACK
    std::uint64_t window = 0;  ///< bytes; scaled where the handshake was seen

    /// SEG.LEN: payload, SYN and FIN (RFC 9293 §3.4).
    [[nodiscard]] std::uint32_t length() const {
        return payload_size + (header.flags.syn() ? 1U : 0U) + (header.flags.fin() ? 1U : 0U);
    }
    [[nodiscard]] std::int64_t end() const { return seq + length(); }
    /// The part of the payload that was captured.
    [[nodiscard]] Bytes payload() const {
        return bytes.subspan(std::min<std::size_t>(header.header_length, bytes.size()));
    }
    /// The option bytes of the header that were captured.
    [[nodiscard]] Bytes option_bytes() const {
        const std::size_t end = std::min<std::size_t>(header.header_length, bytes.size());
        return end > 20 ? bytes.subspan(20, end - 20) : Bytes{};
    }
    /// The capture holds less of it than was on the wire.
    [[nodiscard]] bool cut_short() const {
        return bytes.size() < std::size_t{header.header_length} + payload_size;
    }
    /// Nothing but an acknowledgement.
    [[nodiscard]] bool pure_ack() const {
        return length() == 0 && header.flags.ack() && !header.flags.rst();
    }
};

/// An ICMP error about a segment of the conversation.
struct SeenIcmpError {
    std::size_t packet = 0;
    std::int64_t time_ns = 0;
    End about = End::left;  ///< whose segment it quotes; the error goes there
    IpAddress reporter;
    std::int64_t seq = 0;  ///< of the quoted segment, relative
    std::string meaning;
};

struct Conversation {
    std::size_t number = 1;  ///< in the order of their first packets
    Endpoint left;
    Endpoint right;
    std::vector<SeenSegment> segments;
    std::vector<SeenIcmpError> icmp_errors;
    std::optional<SeqNum> iss[2];      ///< of each End, where its SYN was seen
    bool scales_known = false;         ///< both SYNs were seen: `window` is right
    std::uint64_t seen_elsewhere = 0;  ///< packets left out: already seen on another interface

    [[nodiscard]] const Endpoint& endpoint(End end) const {
        return end == End::left ? left : right;
    }
    [[nodiscard]] std::int64_t start_ns() const;  ///< time of its first packet
    [[nodiscard]] std::int64_t end_ns() const;    ///< and of its last
};

/// What else a capture holds, in packets.
struct OtherPackets {
    std::uint64_t udp = 0, icmp = 0, arp = 0, fragments = 0, other = 0, unreadable = 0;
};

struct Conversations {
    std::vector<Conversation> list;
    OtherPackets others;
};

/// Sorts the packets of `capture`. A SYN with a new ISS after a reset, after both FINs or where no
/// handshake was completed opens a new conversation of the same endpoints. Of packets seen on several
/// interfaces those count that stand on the interface where their direction was seen first.
[[nodiscard]] Conversations find_conversations(const Capture& capture);

}  // namespace runnel::report
