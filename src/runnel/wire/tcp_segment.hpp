// The TCP segment as a value (RFC 9293 §3.1): parsed once from bytes that are never read again, or made
// by the engine and emitted once. Options are those this host understands; unknown ones are skipped
// (MUST-6, MUST-7), malformed ones make the parser say so.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <boost/container/static_vector.hpp>

#include "runnel/base/bytes.hpp"
#include "runnel/base/md5.hpp"
#include "runnel/wire/address.hpp"
#include "runnel/wire/seq_num.hpp"

namespace runnel {

/// Control bits (RFC 9293 §3.1, AccECN's AE from RFC 9768).
struct TcpFlags {
    static constexpr std::uint16_t kFin = 0x001, kSyn = 0x002, kRst = 0x004, kPsh = 0x008,
                                   kAck = 0x010, kUrg = 0x020, kEce = 0x040, kCwr = 0x080,
                                   kAe = 0x100;
    std::uint16_t bits = 0;

    constexpr bool operator==(const TcpFlags&) const = default;
    [[nodiscard]] constexpr bool fin() const { return (bits & kFin) != 0; }
    [[nodiscard]] constexpr bool syn() const { return (bits & kSyn) != 0; }
    [[nodiscard]] constexpr bool rst() const { return (bits & kRst) != 0; }
    [[nodiscard]] constexpr bool psh() const { return (bits & kPsh) != 0; }
    [[nodiscard]] constexpr bool ack() const { return (bits & kAck) != 0; }
    [[nodiscard]] constexpr bool urg() const { return (bits & kUrg) != 0; }
    [[nodiscard]] constexpr bool ece() const { return (bits & kEce) != 0; }
    [[nodiscard]] constexpr bool cwr() const { return (bits & kCwr) != 0; }
};

struct SackBlock {
    SeqNum left;   ///< first sequence number of the block
    SeqNum right;  ///< the one after its last
    constexpr bool operator==(const SackBlock&) const = default;
};

struct TcpTimestamps {
    std::uint32_t value = 0;  ///< TSval
    std::uint32_t echo = 0;   ///< TSecr
    constexpr bool operator==(const TcpTimestamps&) const = default;
};

/// TCP Fast Open (RFC 7413 §4.1.1): a cookie, or without one the wish for one.
struct FastOpenOption {
    static constexpr std::size_t kMinCookie = 4, kMaxCookie = 16;
    std::array<std::byte, kMaxCookie> octets{};
    std::uint8_t size = 0;  ///< octets of cookie, 0 for a request, else even and 4..16
    bool experimental =
        false;  ///< kind 254 with the magic 0xf989 instead of kind 34 (RFC 7413, A.2)

    constexpr bool operator==(const FastOpenOption&) const = default;
    [[nodiscard]] Bytes cookie() const { return Bytes(octets).first(size); }
};

/// AccECN (RFC 9768 §3.2.3): octets by the mark they came with, modulo 2^24.
struct AccurateEcnOption {
    bool ect1_first = false;  ///< kind 174: ECT(1), CE, ECT(0); else kind 172: ECT(0), CE, ECT(1)
    std::uint8_t size = 0;    ///< counters there are, 0..3: the last ones may be left out
    std::array<std::uint32_t, 3> counters{};  ///< in the order on the wire

    constexpr bool operator==(const AccurateEcnOption&) const = default;
};

struct TcpOptions {
    std::optional<std::uint16_t> mss;                    ///< RFC 9293 §3.7.1, only with SYN
    std::optional<std::uint8_t> window_scale;            ///< RFC 7323 §2.2, as sent (may exceed 14)
    bool sack_permitted = false;                         ///< RFC 2018 §2
    std::optional<TcpTimestamps> timestamps;             ///< RFC 7323 §3.2
    boost::container::static_vector<SackBlock, 4> sack;  ///< RFC 2018 §3, most recent first
    std::optional<Md5Digest> md5;                        ///< RFC 2385 §3.0
    std::optional<FastOpenOption> fast_open;             ///< RFC 7413, only with SYN
    std::optional<AccurateEcnOption> accurate_ecn;       ///< RFC 9768
};

/// The header of a segment. SEG.LEN counts SYN and FIN too; payload length is kept beside it.
struct TcpHeader {
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    SeqNum seq;
    SeqNum ack;  ///< meaningful only with ACK
    TcpFlags flags;
    std::uint16_t window = 0;  ///< as on the wire, unscaled
    std::uint16_t checksum = 0;
    std::uint16_t urgent_pointer = 0;
    std::uint8_t header_length = 20;  ///< bytes, 20..60
    TcpOptions options;
};

enum class TcpParseError : std::uint8_t {
    truncated,
    data_offset_too_small,
    data_offset_too_large,
    bad_option_length
};

/// Parses a TCP header at the start of `bytes` (header and payload). Does not look at the checksum.
/// A bad option length yields the error with no header: RFC 9293 §3.1 leaves the reaction open, we drop
/// as a segment that can't be trusted.
/// Bad is a length below 2 or past the header; a known option of another length than its own is skipped as
/// one that isn't understood, as Linux does. Options that only a SYN may carry are skipped without SYN.
struct TcpParse {
    TcpHeader header;
    std::optional<TcpParseError> error;
};
[[nodiscard]] TcpParse parse_tcp(Bytes bytes);

/// Bytes that `options` take in the header, padded to a multiple of four: 0..40.
[[nodiscard]] std::size_t tcp_options_size(const TcpOptions& options);

/// Writes the header with its options, padded with NOPs in the layout that Linux uses (MSS, SACK
/// permitted, timestamps, NOP, window scale / NOP NOP TS / NOP NOP SACK); checksum as given in
/// `header.checksum`. Returns the header's length. Precondition: the options fit in 40 bytes.
std::size_t emit_tcp(const TcpHeader& header, MutableBytes out);

/// The 16-bit one's complement sum of the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1), not inverted.
[[nodiscard]] std::uint16_t pseudo_header_sum(const IpAddress& source, const IpAddress& destination,
                                              std::uint8_t protocol, std::uint32_t length);

}  // namespace runnel
