// pcapng (draft-ietf-opsawg-pcapng) with the reasons in it: each packet carries the host's decisions about
// it as comments, which Wireshark and tshark show (frame.comment). Blocks are appended to bytes of the
// caller's; whoever drives the host writes them to a file.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/base/bytes.hpp"
#include "runnel/base/time.hpp"
#include "runnel/host/host.hpp"
#include "runnel/wire/frame.hpp"

namespace runnel::report {

struct PcapngOptions {
    std::string hardware;                ///< e.g. the processor; left out when empty
    std::string os;                      ///< e.g. "Linux 6.18"; left out when empty
    std::string application = "Runnel";  ///< with its version
    /// Unix time of the driver's Instant 0, nanoseconds.
    std::int64_t epoch_unix_ns = 0;
    /// Bytes kept of a packet; 0: all. Checksums are completed over the whole packet before it is cut.
    std::uint32_t snap_length = 0;
};

/// Which way a packet went over its interface.
enum class PacketDirection : std::uint8_t { unknown = 0, inbound = 1, outbound = 2 };

/// Interfaces a writer can have.
inline constexpr std::size_t kMaxCaptureInterfaces = 256;

class PcapngWriter {
public:
    /// Appends the section header to `sink`, which must outlive the writer; the caller may empty it
    /// between calls (flushing).
    PcapngWriter(std::vector<std::byte>& sink, const PcapngOptions& options);

    /// Appends an interface's description; times have nanoseconds. Returns its number in the capture,
    /// from 0 on in the order of the calls. Add the host's interfaces in the order of their indices, and
    /// `write(frame)` finds them. Precondition: fewer than kMaxCaptureInterfaces so far.
    std::uint32_t add_interface(std::string_view name, LinkLayer layer);

    /// Appends a captured frame on the interface that its host's index names (the loopback interface is
    /// described when it first occurs), with its direction and a comment for each of its decisions; of
    /// the frame's own reason when it has none. A partial checksum is completed, over the whole of a
    /// super-segment, which stands in the capture as one packet, as in captures made by Linux.
    void write(const CapturedFrame& frame);
    /// The same on another interface of the capture (several hosts in one file).
    void write(const CapturedFrame& frame, std::uint32_t interface);

    /// Appends any packet. `original_length` is what it had on the wire, at least `bytes.size()`.
    void write_packet(std::uint32_t interface, Instant time, Bytes bytes,
                      std::size_t original_length, PacketDirection direction,
                      std::span<const std::string> comments);

private:
    void put_u16(std::uint16_t value);
    void put_u32(std::uint32_t value);
    void put(Bytes bytes);
    void pad();
    void put_option(std::uint16_t code, Bytes value);
    void put_option(std::uint16_t code, std::string_view value);
    void begin_block(std::uint32_t type);
    void end_block();  ///< fills in both lengths
    void put_packet_fields(std::uint32_t interface, Instant time, std::size_t captured,
                           std::size_t original);
    void put_direction(PacketDirection direction);
    [[nodiscard]] std::size_t kept(std::size_t size) const;

    std::vector<std::byte>& sink_;
    std::int64_t epoch_unix_ns_;
    std::uint32_t snap_length_;
    std::vector<LinkLayer> interfaces_;
    std::array<std::int16_t, 256> by_host_index_;  ///< capture number of a host's interface, or -1
    std::size_t host_interfaces_ = 0;
    std::size_t block_begin_ = 0;  ///< of the block being written, in the sink
    std::string comment_;
};

/// Fills in the transport checksum of a whole frame whose checksum is partial or, with `offload.gso`,
/// one for pieces. The frame is left alone when it isn't what `offload` says.
void complete_checksum(MutableBytes frame, LinkLayer layer, const Offload& offload);

}  // namespace runnel::report
