#include "runnel/report/pcapng_writer.hpp"

#include <algorithm>

#include "runnel/base/check.hpp"
#include "runnel/base/checksum.hpp"
#include "runnel/ip/ip_types.hpp"
#include "runnel/report/decision_report.hpp"
#include "runnel/report/pcapng_format.hpp"
#include "runnel/wire/ethernet.hpp"
#include "runnel/wire/ip_protocol.hpp"
#include "runnel/wire/quoted_datagram.hpp"
#include "runnel/wire/tcp_segment.hpp"
#include "runnel/wire/udp.hpp"

namespace runnel::report {

namespace {

constexpr std::size_t kTcpChecksumOffset = 16;
constexpr std::size_t kUdpChecksumOffset = 6;
constexpr std::uint8_t kNanosecondResolution = 9;  // 10^-9 s

// The longest beginning of `text` that an option can hold, cut between characters of UTF-8.
std::string_view option_text(std::string_view text) {
    std::size_t size = std::min<std::size_t>(text.size(), 0xffff);
    while (size < text.size() && size > 0 &&
           (static_cast<std::uint8_t>(text[size]) & 0xc0) == 0x80) {
        --size;
    }
    return text.substr(0, size);
}

// The pieces of a super-segment share one pseudo-header checksum whose length means nothing for the
// whole: the sum is made anew from the addresses.
bool complete_super_segment(MutableBytes frame, LinkLayer layer) {
    std::size_t network_at = 0;
    if (layer == LinkLayer::ethernet) {
        const auto ethernet = parse_ethernet(frame);
        if (!ethernet) {
            return false;
        }
        network_at = ethernet->size();
    }
    const MutableBytes packet = frame.subspan(network_at);
    const bool v4 = !packet.empty() && std::to_integer<unsigned>(packet[0]) >> 4 == 4;
    const auto datagram = v4 ? parse_quoted_ipv4(packet) : parse_quoted_ipv6(packet);
    if (!datagram || datagram->protocol != kProtocolTcp || datagram->fragment_offset != 0) {
        return false;
    }
    const std::size_t transport_at = packet.size() - datagram->payload.size();
    const std::size_t end = std::min<std::size_t>(packet.size(), datagram->total_length);
    if (end < transport_at + kTcpChecksumOffset + 2) {
        return false;
    }
    const MutableBytes segment = packet.subspan(transport_at, end - transport_at);
    ByteWriter field(segment.subspan(kTcpChecksumOffset));
    field.u16(0);
    ChecksumAccumulator sum(pseudo_header_sum(datagram->source, datagram->destination, kProtocolTcp,
                                              static_cast<std::uint32_t>(segment.size())));
    sum.add(segment);
    ByteWriter(segment.subspan(kTcpChecksumOffset)).u16(sum.finish());
    return true;
}

}  // namespace

void complete_checksum(MutableBytes frame, LinkLayer layer, const Offload& offload) {
    if (offload.gso != Offload::Gso::none && complete_super_segment(frame, layer)) {
        return;
    }
    const std::size_t field_at = std::size_t{offload.csum_start} + offload.csum_offset;
    if (!offload.needs_checksum || field_at + 2 > frame.size()) {
        return;
    }
    std::uint16_t checksum = internet_checksum(frame.subspan(offload.csum_start));
    if (offload.csum_offset == kUdpChecksumOffset) {
        checksum = udp_checksum_field(checksum);
    }
    ByteWriter(frame.subspan(field_at)).u16(checksum);
}

PcapngWriter::PcapngWriter(std::vector<std::byte>& sink, const PcapngOptions& options)
    : sink_(sink), epoch_unix_ns_(options.epoch_unix_ns), snap_length_(options.snap_length) {
    by_host_index_.fill(-1);
    begin_block(kSectionHeaderBlock);
    put_u32(kByteOrderMagic);
    put_u16(1);  // version 1.0
    put_u16(0);
    put_u32(0xffff'ffff);  // the section's length isn't known yet: -1
    put_u32(0xffff'ffff);
    put_option(kSectionHardware, options.hardware);
    put_option(kSectionOs, options.os);
    put_option(kSectionApplication, options.application);
    put_u32(kOptionEnd);
    end_block();
}

std::uint32_t PcapngWriter::add_interface(std::string_view name, LinkLayer layer) {
    RUNNEL_CHECK(interfaces_.size() < kMaxCaptureInterfaces);
    begin_block(kInterfaceBlock);
    put_u16(layer == LinkLayer::ethernet ? kLinkEthernet : kLinkRaw);
    put_u16(0);
    put_u32(snap_length_);
    put_option(kInterfaceName, name);
    const std::byte resolution{kNanosecondResolution};
    put_option(kInterfaceTimeResolution, Bytes(&resolution, 1));
    put_u32(kOptionEnd);
    end_block();
    const auto number = static_cast<std::uint32_t>(interfaces_.size());
    interfaces_.push_back(layer);
    if (host_interfaces_ < kLoopbackInterface) {
        by_host_index_[host_interfaces_++] = static_cast<std::int16_t>(number);
    }
    return number;
}

void PcapngWriter::write(const CapturedFrame& frame) {
    if (frame.interface == kLoopbackInterface && by_host_index_[kLoopbackInterface] < 0) {
        const std::size_t before = host_interfaces_;
        by_host_index_[kLoopbackInterface] =
            static_cast<std::int16_t>(add_interface("lo", LinkLayer::raw_ip));
        host_interfaces_ = before;  // later ones still follow the host's order
    }
    const std::int16_t number = by_host_index_[frame.interface];
    RUNNEL_CHECK(number >= 0);  // an interface that was never added
    write(frame, static_cast<std::uint32_t>(number));
}

void PcapngWriter::write(const CapturedFrame& captured, std::uint32_t interface) {
    RUNNEL_CHECK(interface < interfaces_.size());
    const Frame& frame = captured.frame;
    const std::size_t size = frame.size();
    begin_block(kEnhancedPacketBlock);
    put_packet_fields(interface, captured.time, kept(size), size);
    const std::size_t data_at = sink_.size();
    put(frame.head());
    for (const Slice& slice : frame.body) {
        put(slice.bytes());
    }
    complete_checksum(MutableBytes(sink_).subspan(data_at), interfaces_[interface], frame.offload);
    sink_.resize(data_at + kept(size));
    pad();
    put_direction(captured.inbound ? PacketDirection::inbound : PacketDirection::outbound);
    const auto put_comment = [this](Decision decision) {
        comment_.clear();
        append_decision_comment(comment_, decision);
        put_option(kOptionComment, comment_);
    };
    for (const Decision decision : captured.decisions) {
        put_comment(decision);
    }
    if (captured.decisions.empty() && frame.reason != 0 && frame.reason < kDecisionCount) {
        put_comment(static_cast<Decision>(frame.reason));
    }
    put_u32(kOptionEnd);
    end_block();
}

void PcapngWriter::write_packet(std::uint32_t interface, Instant time, Bytes bytes,
                                std::size_t original_length, PacketDirection direction,
                                std::span<const std::string> comments) {
    RUNNEL_CHECK(interface < interfaces_.size() && original_length >= bytes.size());
    begin_block(kEnhancedPacketBlock);
    put_packet_fields(interface, time, kept(bytes.size()), original_length);
    put(bytes.first(kept(bytes.size())));
    pad();
    put_direction(direction);
    for (const std::string& comment : comments) {
        put_option(kOptionComment, comment);
    }
    put_u32(kOptionEnd);
    end_block();
}

std::size_t PcapngWriter::kept(std::size_t size) const {
    return snap_length_ == 0 ? size : std::min<std::size_t>(size, snap_length_);
}

// Always little endian, whatever the machine: the same run gives the same bytes.
void PcapngWriter::put_u16(std::uint16_t value) {
    sink_.push_back(static_cast<std::byte>(value & 0xff));
    sink_.push_back(static_cast<std::byte>(value >> 8));
}

void PcapngWriter::put_u32(std::uint32_t value) {
    put_u16(static_cast<std::uint16_t>(value & 0xffff));
    put_u16(static_cast<std::uint16_t>(value >> 16));
}

void PcapngWriter::put(Bytes bytes) {
    sink_.insert(sink_.end(), bytes.begin(), bytes.end());
}

// Counted from the block's beginning: what precedes it in the sink may have any size.
void PcapngWriter::pad() {
    while ((sink_.size() - block_begin_) % 4 != 0) {
        sink_.push_back(std::byte{0});
    }
}

void PcapngWriter::put_option(std::uint16_t code, Bytes value) {
    put_u16(code);
    put_u16(static_cast<std::uint16_t>(value.size()));
    put(value);
    pad();
}

void PcapngWriter::put_option(std::uint16_t code, std::string_view value) {
    const std::string_view text = option_text(value);
    if (!text.empty()) {
        put_option(code, as_bytes(text));
    }
}

void PcapngWriter::put_packet_fields(std::uint32_t interface, Instant time, std::size_t captured,
                                     std::size_t original) {
    const auto unix_ns = static_cast<std::uint64_t>(std::max<std::int64_t>(
        static_cast<std::int64_t>(static_cast<std::uint64_t>(time.ns) +
                                  static_cast<std::uint64_t>(epoch_unix_ns_)),
        0));
    put_u32(interface);
    put_u32(static_cast<std::uint32_t>(unix_ns >> 32));
    put_u32(static_cast<std::uint32_t>(unix_ns & 0xffff'ffff));
    put_u32(static_cast<std::uint32_t>(captured));
    put_u32(static_cast<std::uint32_t>(original));
}

void PcapngWriter::put_direction(PacketDirection direction) {
    if (direction != PacketDirection::unknown) {
        put_u16(kPacketFlags);
        put_u16(4);
        put_u32(static_cast<std::uint32_t>(direction));
    }
}

void PcapngWriter::begin_block(std::uint32_t type) {
    block_begin_ = sink_.size();
    put_u32(type);
    put_u32(0);
}

void PcapngWriter::end_block() {
    const auto length = static_cast<std::uint32_t>(sink_.size() - block_begin_ + 4);
    put_u32(length);
    for (std::size_t i = 0; i < 4; ++i) {
        sink_[block_begin_ + 4 + i] = static_cast<std::byte>((length >> (8 * i)) & 0xff);
    }
}

}  // namespace runnel::report
