// Captures read from memory: pcapng (draft-ietf-opsawg-pcapng; both byte orders, enhanced, simple and old
// packet blocks, comments, several interfaces and sections) and classic pcap (draft-ietf-opsawg-pcap;
// micro- and nanoseconds, both byte orders). Why not libpcap: docs/decisions/0001-capture-reader.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/base/bytes.hpp"
#include "runnel/base/result.hpp"
#include "runnel/report/pcapng_writer.hpp"

namespace runnel::report {

/// Blocks and packets longer than this are taken for damage, in bytes.
inline constexpr std::uint32_t kMaxCaptureBlock = 16u << 20;
/// No packet's time lies further from zero (1970 and 146 years), in ns: what a file says beyond is taken for
/// that, so that the time between any two packets is a number too.
inline constexpr std::int64_t kMostCaptureTime = INT64_MAX / 2;

struct CaptureInterface {
    std::string_view name;  ///< of untrusted text; empty when the file doesn't say
    std::string_view description;
    std::uint16_t link_type = 0;  ///< as in pcapng_format.hpp
    std::uint32_t snap_length = 0;
};

/// One packet. Views point into the bytes that were read, which must outlive them.
struct CapturedPacket {
    std::int64_t time_ns =
        0;  ///< since 1970, or what the file's clock counts from; ±kMostCaptureTime
    std::uint32_t interface = 0;
    std::uint16_t link_type = 0;
    PacketDirection direction = PacketDirection::unknown;
    std::uint32_t original_length = 0;  ///< bytes on the wire, at least bytes.size()
    Bytes bytes;
    std::vector<std::string_view> comments;  ///< untrusted text
};

/// Where reading stopped before the end of the bytes.
struct CaptureProblem {
    std::uint64_t offset = 0;  ///< of the block or record at fault, from the first byte
    std::string message;       ///< what was expected there and what was found
    bool truncated =
        false;  ///< the bytes just end too early, as when a capture is still being written
};

enum class CaptureFormat : std::uint8_t { pcapng, pcap };

struct Capture {
    CaptureFormat format = CaptureFormat::pcapng;
    std::string_view application;  ///< that wrote it; of the first section
    std::vector<CaptureInterface> interfaces;
    std::vector<CapturedPacket> packets;  ///< in the file's order
    /// Set when the packets are those up to a fault.
    std::optional<CaptureProblem> problem;
};

/// Reads all packets. An error only when `bytes` don't begin like a capture; a fault further on leaves the
/// packets before it and is told in `problem`.
[[nodiscard]] Result<Capture, CaptureProblem> read_capture(Bytes bytes);

/// "offset 132: the block ends with length 0, 48 expected".
[[nodiscard]] std::string to_string(const CaptureProblem& problem);

}  // namespace runnel::report
