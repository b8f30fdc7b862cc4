#include "runnel/report/capture_reader.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "runnel/report/capture_bytes.hpp"
#include "runnel/report/pcapng_format.hpp"

namespace runnel::report {

namespace {

constexpr std::size_t kBlockOverhead = 12;  // type, length, length again
constexpr std::size_t kPcapHeaderSize = 24;
constexpr std::size_t kPcapRecordSize = 16;

CaptureProblem damaged(std::uint64_t offset, std::string message) {
    return {offset, std::move(message), false};
}
CaptureProblem truncated(std::uint64_t offset, std::string message) {
    return {offset, std::move(message), true};
}

// The options of a block, one after the other.
class OptionReader {
public:
    explicit OptionReader(OrderedReader reader) : reader_(reader) {}

    // False at the end. A block may end without the end option.
    bool next() {
        if (reader_.remaining() < 4) {
            ok_ = reader_.remaining() == 0;
            return false;
        }
        code = reader_.u16();
        const std::uint16_t length = reader_.u16();
        if (code == kOptionEnd) {
            return false;
        }
        value = reader_.take(length);
        reader_.align();
        ok_ = reader_.ok();
        return ok_;
    }
    // False when an option ran past the block.
    [[nodiscard]] bool ok() const { return ok_; }

    std::uint16_t code = 0;
    Bytes value;

private:
    OrderedReader reader_;
    bool ok_ = true;
};

class PcapngReader {
public:
    PcapngReader(Bytes bytes, Capture& capture) : bytes_(bytes), capture_(capture) {}

    void read() {
        while (offset_ < bytes_.size() && read_block()) {
        }
    }

private:
    struct Interface {
        std::uint32_t number = 0;  // in Capture::interfaces
        CaptureClock clock;
    };

    bool stop(CaptureProblem problem) {
        capture_.problem = std::move(problem);
        return false;
    }
    bool bad(std::string message) { return stop(damaged(offset_, std::move(message))); }

    bool read_block() {
        const Bytes rest = bytes_.subspan(offset_);
        if (rest.size() < kBlockOverhead) {
            return stop(truncated(offset_, fmt::format("a block of at least {} bytes expected, {} "
                                                       "left",
                                                       kBlockOverhead, rest.size())));
        }
        const bool is_section = ByteReader(rest).u32() == kSectionHeaderBlock;
        if (is_section && !take_byte_order(rest)) {
            return false;
        }
        OrderedReader head(rest, order_);
        const std::uint32_t type = head.u32();
        const std::uint32_t length = head.u32();
        if (length < kBlockOverhead || length % 4 != 0 || length > kMaxCaptureBlock) {
            return bad(
                fmt::format("the block's length is {}; a multiple of 4 from {} to {} expected",
                            length, kBlockOverhead, kMaxCaptureBlock));
        }
        if (length > rest.size()) {
            return stop(truncated(offset_, fmt::format("a block of {} bytes expected, {} left",
                                                       length, rest.size())));
        }
        OrderedReader tail(rest.subspan(length - 4), order_);
        if (const std::uint32_t again = tail.u32(); again != length) {
            return bad(fmt::format("the block ends with length {}, {} expected", again, length));
        }
        const OrderedReader body(rest.subspan(8, length - kBlockOverhead), order_);
        if (!read_body(type, body)) {
            return false;
        }
        offset_ += length;
        return true;
    }

    bool take_byte_order(Bytes block) {
        ByteReader reader(block.subspan(8));
        const std::uint32_t magic = reader.u32();
        if (magic != kByteOrderMagic && std::byteswap(magic) != kByteOrderMagic) {
            return bad(fmt::format("byte-order magic {:08x}, {:08x} expected in either order",
                                   magic, kByteOrderMagic));
        }
        order_ = magic == kByteOrderMagic ? FileOrder::big : FileOrder::little;
        return true;
    }

    bool read_body(std::uint32_t type, OrderedReader body) {
        switch (type) {
            case kSectionHeaderBlock: return read_section(body);
            case kInterfaceBlock: return read_interface(body);
            case kOldPacketBlock:
            case kEnhancedPacketBlock: return read_packet(type, body);
            case kSimplePacketBlock: return read_simple_packet(body);
            default: return true;  // names, statistics, secrets, custom blocks: skipped
        }
    }

    bool read_section(OrderedReader body) {
        body.u32();
        const std::uint16_t major = body.u16();
        const std::uint16_t minor = body.u16();
        body.u64();
        if (!body.ok()) {
            return bad("a section header of at least 28 bytes expected");
        }
        if (major != 1) {
            return bad(fmt::format("pcapng version {}.{}, 1.x expected", major, minor));
        }
        interfaces_.clear();
        OptionReader options(body);
        while (options.next()) {
            if (options.code == kSectionApplication && capture_.application.empty()) {
                capture_.application = as_text(options.value);
            }
        }
        return options.ok() || bad_option();
    }

    bool bad_option() { return bad("an option that ends within its block expected"); }

    bool read_interface(OrderedReader body) {
        CaptureInterface interface;
        Interface own;
        interface.link_type = body.u16();
        body.u16();
        interface.snap_length = body.u32();
        if (!body.ok()) {
            return bad("an interface description of at least 20 bytes expected");
        }
        OptionReader options(body);
        while (options.next()) {
            OrderedReader value(options.value, order_);
            switch (options.code) {
                case kInterfaceName: interface.name = as_text(options.value); break;
                case kInterfaceDescription: interface.description = as_text(options.value); break;
                case kInterfaceTimeResolution: own.clock.resolution = value.u8(); break;
                case kInterfaceTimeOffset:
                    own.clock.offset_seconds = static_cast<std::int64_t>(value.u64());
                    break;
                default: break;
            }
            if (!value.ok()) {
                return bad(fmt::format("option {} of an interface is {} bytes short of a value",
                                       options.code, options.value.size()));
            }
        }
        own.number = static_cast<std::uint32_t>(capture_.interfaces.size());
        capture_.interfaces.push_back(interface);
        interfaces_.push_back(own);
        return options.ok() || bad_option();
    }

    bool read_packet(std::uint32_t type, OrderedReader body) {
        std::uint32_t interface = 0;
        if (type == kEnhancedPacketBlock) {
            interface = body.u32();
        } else {
            interface = body.u16();
            body.u16();  // packets dropped since the one before
        }
        const std::uint64_t high = body.u32();
        const std::uint64_t ticks = (high << 32) | body.u32();
        const std::uint32_t captured = body.u32();
        CapturedPacket packet;
        packet.original_length = body.u32();
        if (!body.ok()) {
            return bad("a packet block of at least 32 bytes expected");
        }
        if (interface >= interfaces_.size()) {
            return bad(fmt::format("a packet on interface {}, and the section has {} so far",
                                   interface, interfaces_.size()));
        }
        if (captured > body.remaining()) {
            return bad(fmt::format("a packet of {} bytes in a block with {} left", captured,
                                   body.remaining()));
        }
        packet.bytes = body.take(captured);
        body.align();
        packet.time_ns = interfaces_[interface].clock.nanoseconds(ticks);
        last_time_ns_ = packet.time_ns;
        OptionReader options(body);
        while (options.next()) {
            if (options.code == kOptionComment) {
                packet.comments.push_back(as_text(options.value));
            } else if (options.code == kPacketFlags) {
                OrderedReader flags(options.value, order_);
                packet.direction = direction(flags.u32());
            }
        }
        if (!options.ok()) {
            return bad_option();
        }
        add(std::move(packet), interface);
        return true;
    }

    static PacketDirection direction(std::uint32_t flags) {
        switch (flags & 3) {
            case 1: return PacketDirection::inbound;
            case 2: return PacketDirection::outbound;
            default: return PacketDirection::unknown;
        }
    }

    // Without a time of its own: it gets that of the packet before it.
    bool read_simple_packet(OrderedReader body) {
        CapturedPacket packet;
        packet.original_length = body.u32();
        if (!body.ok() || interfaces_.empty()) {
            return bad("a simple packet block after an interface description expected");
        }
        const std::uint32_t snap_length =
            capture_.interfaces[interfaces_.front().number].snap_length;
        const std::uint32_t captured = snap_length == 0
                                           ? packet.original_length
                                           : std::min(packet.original_length, snap_length);
        if (captured > body.remaining()) {
            return bad(fmt::format("a packet of {} bytes in a block with {} left", captured,
                                   body.remaining()));
        }
        packet.bytes = body.take(captured);
        packet.time_ns = last_time_ns_;
        add(std::move(packet), 0);
        return true;
    }

    void add(CapturedPacket packet, std::uint32_t interface) {
        packet.interface = interfaces_[interface].number;
        packet.link_type = capture_.interfaces[packet.interface].link_type;
        packet.original_length =
            std::max(packet.original_length, static_cast<std::uint32_t>(packet.bytes.size()));
        capture_.packets.push_back(std::move(packet));
    }

    Bytes bytes_;
    Capture& capture_;
    std::size_t offset_ = 0;
    FileOrder order_ = FileOrder::little;
    std::vector<Interface> interfaces_;  // of the present section
    std::int64_t last_time_ns_ = 0;
};

struct PcapMagic {
    FileOrder order;
    bool nanoseconds;
};

std::optional<PcapMagic> pcap_magic(Bytes bytes) {
    const std::uint32_t magic = ByteReader(bytes).u32();
    for (const FileOrder order : {FileOrder::big, FileOrder::little}) {
        const std::uint32_t value = order == FileOrder::big ? magic : std::byteswap(magic);
        if (value == kPcapMicroseconds || value == kPcapNanoseconds) {
            return PcapMagic{order, value == kPcapNanoseconds};
        }
    }
    return std::nullopt;
}

void read_pcap(Bytes bytes, PcapMagic magic, Capture& capture) {
    capture.format = CaptureFormat::pcap;
    OrderedReader header(bytes, magic.order);
    header.take(16);  // magic, version, time zone, accuracy
    CaptureInterface interface;
    interface.snap_length = header.u32();
    interface.link_type = static_cast<std::uint16_t>(header.u32() & 0xffff);
    if (!header.ok()) {
        capture.problem = truncated(0, fmt::format("a file header of {} bytes expected, {} there",
                                                   kPcapHeaderSize, bytes.size()));
        return;
    }
    capture.interfaces.push_back(interface);
    const std::uint32_t limit =
        std::min(std::max(interface.snap_length, kMaxSnapLength), kMaxCaptureBlock);
    const CaptureClock clock{static_cast<std::uint8_t>(magic.nanoseconds ? 9 : 6), 0};
    const std::uint64_t ticks_a_second = magic.nanoseconds ? 1'000'000'000 : 1'000'000;
    std::size_t offset = kPcapHeaderSize;
    while (offset < bytes.size()) {
        OrderedReader record(bytes.subspan(offset), magic.order);
        const std::uint64_t seconds = record.u32();
        const std::uint64_t ticks = seconds * ticks_a_second + record.u32();
        const std::uint32_t captured = record.u32();
        CapturedPacket packet;
        packet.original_length = record.u32();
        if (!record.ok()) {
            capture.problem =
                truncated(offset, fmt::format("a packet header of {} bytes expected, {} "
                                              "left",
                                              kPcapRecordSize, bytes.size() - offset));
            return;
        }
        if (captured > limit) {
            capture.problem = damaged(
                offset, fmt::format("a packet of {} bytes, at most {} expected", captured, limit));
            return;
        }
        if (captured > record.remaining()) {
            capture.problem =
                truncated(offset, fmt::format("a packet of {} bytes expected, {} left", captured,
                                              record.remaining()));
            return;
        }
        packet.bytes = record.take(captured);
        packet.original_length = std::max(packet.original_length, captured);
        packet.time_ns = clock.nanoseconds(ticks);
        packet.link_type = interface.link_type;
        capture.packets.push_back(std::move(packet));
        offset += kPcapRecordSize + captured;
    }
}

struct KnownBeginning {
    std::string_view bytes;
    std::string_view message;
};

// What people hand in by mistake, and what helps.
constexpr std::array kKnownBeginnings = {
    KnownBeginning{"\x1f\x8b", "it is compressed with gzip; pass what `gunzip -c` makes of it"},
    KnownBeginning{"\x28\xb5\x2f\xfd",
                   "it is compressed with zstd; pass what `zstd -dc` makes of it"},
    KnownBeginning{"\xfd\x37zXZ", "it is compressed with xz; pass what `xz -dc` makes of it"},
    KnownBeginning{"\x04\x22\x4d\x18",
                   "it is compressed with lz4; pass what `lz4 -dc` makes of it"},
    KnownBeginning{"snoop", "it is a snoop file; `editcap FILE OUT.pcapng` converts it"},
};

}  // namespace

std::int64_t CaptureClock::nanoseconds(std::uint64_t ticks) const {
    __extension__ using Wide = unsigned __int128;
    constexpr unsigned kBillion = 1'000'000'000;
    const unsigned exponent = resolution & 0x7f;
    Wide ns = ticks;
    if ((resolution & 0x80) != 0) {
        ns = exponent < 94 ? (ns * kBillion) >> exponent : 0;
    } else {
        for (unsigned i = exponent; i < 9; ++i) {
            ns *= 10;
        }
        for (unsigned i = 9; i < exponent && ns != 0; ++i) {
            ns /= 10;
        }
    }
    const std::int64_t since =
        ns > static_cast<Wide>(kMostCaptureTime) ? kMostCaptureTime : static_cast<std::int64_t>(ns);
    constexpr std::int64_t kMostSeconds = kMostCaptureTime / kBillion;
    const std::int64_t offset = std::clamp(offset_seconds, -kMostSeconds, kMostSeconds) * kBillion;
    return std::min(since + offset, kMostCaptureTime);
}

Result<Capture, CaptureProblem> read_capture(Bytes bytes) {
    if (bytes.empty()) {
        return std::unexpected(damaged(0, "a capture expected, and the file is empty"));
    }
    Capture capture;
    if (ByteReader(bytes).u32() == kSectionHeaderBlock) {
        PcapngReader(bytes, capture).read();
        return capture;
    }
    if (const auto magic = pcap_magic(bytes)) {
        read_pcap(bytes, *magic, capture);
        return capture;
    }
    for (const KnownBeginning& known : kKnownBeginnings) {
        if (as_text(bytes).starts_with(known.bytes)) {
            return std::unexpected(damaged(0, std::string(known.message)));
        }
    }
    std::string beginning;
    for (const std::byte byte : bytes.first(std::min<std::size_t>(bytes.size(), 4))) {
        beginning += fmt::format(" {:02x}", std::to_integer<unsigned>(byte));
    }
    return std::unexpected(damaged(
        0, fmt::format("the magic of pcapng or pcap expected, and it begins with{}", beginning)));
}

std::string to_string(const CaptureProblem& problem) {
    return fmt::format("offset {}: {}", problem.offset, problem.message);
}

}  // namespace runnel::report
