#include "runnel/wire/tcp_segment.hpp"

#include <algorithm>

#include <boost/container/static_vector.hpp>

#include "runnel/base/check.hpp"
#include "runnel/base/checksum.hpp"

namespace runnel {

namespace {

constexpr std::size_t kTcpHeaderSize = 20;
constexpr std::size_t kMaxOptionBytes = 40;

// RFC 9293 §3.2, RFC 2018, RFC 7323.
constexpr std::uint8_t kOptionEnd = 0, kOptionNop = 1, kOptionMss = 2, kOptionWindowScale = 3,
                       kOptionSackPermitted = 4, kOptionSack = 5, kOptionTimestamps = 8,
                       kOptionMd5 = 19, kOptionFastOpen = 34, kOptionAccurateEcn0 = 172,
                       kOptionAccurateEcn1 = 174,  // RFC 9768
    kOptionExperiment = 254;                       // RFC 7413, RFC 6994
constexpr std::uint16_t kFastOpenMagic = 0xf989;
constexpr std::uint8_t kMssLength = 4, kWindowScaleLength = 3, kSackPermittedLength = 2,
                       kSackBlockLength = 8, kTimestampsLength = 10, kMd5Length = 18;
constexpr std::size_t kEcnCounterSize = 3;
// NOP NOP TS: what nearly every segment of an established connection carries, alone (RFC 7323 §A).
constexpr std::uint32_t kAlignedTimestamps = 0x0101'080a;
constexpr std::size_t kAlignedTimestampsSize = 12;

void read_sack(ByteReader option, std::size_t size, TcpOptions& options) {
    options.sack.clear();
    for (std::size_t at = 2; at < size; at += kSackBlockLength) {
        const SeqNum left{option.u32()};
        const SeqNum right{option.u32()};
        if (options.sack.size() < options.sack.capacity()) {
            options.sack.push_back({left, right});
        }
    }
}

// RFC 7413 §4.1.1: what is no request and has no length of a cookie is as if it weren't there.
void read_fast_open(ByteReader option, std::size_t size, bool experimental, TcpOptions& options) {
    FastOpenOption found;
    const bool fits = size >= FastOpenOption::kMinCookie && size <= FastOpenOption::kMaxCookie;
    if (size != 0 && (!fits || size % 2 != 0)) {
        return;
    }
    const Bytes cookie = option.take(size);
    std::copy(cookie.begin(), cookie.end(), found.octets.begin());
    found.size = static_cast<std::uint8_t>(size);
    found.experimental = experimental;
    options.fast_open = found;
}

// RFC 9768 §3.2.3: none to three counters of three octets; what follows them belongs to a later version.
void read_accurate_ecn(ByteReader option, std::size_t size, bool ect1_first, TcpOptions& options) {
    AccurateEcnOption& found = options.accurate_ecn.emplace();
    found.ect1_first = ect1_first;
    found.size = static_cast<std::uint8_t>(std::min<std::size_t>(size / kEcnCounterSize, 3));
    for (std::size_t i = 0; i < found.size; ++i) {
        const std::uint32_t high = option.u8();
        found.counters[i] = high << 16 | option.u16();
    }
}

// An option whose length is not the one its kind has is skipped, as one that isn't understood.
void read_option(std::uint8_t kind, std::uint8_t length, Bytes body, bool syn,
                 TcpOptions& options) {
    ByteReader option(body);
    // RFC 9293 §3.1, MUST-4: end of list and NOP are dealt with in read_options, MSS is here.
    switch (kind) {
        case kOptionMss:  // RFC 9293 §3.7.1, MUST-65: only with SYN, so that elsewhere it means nothing
            if (syn && length == kMssLength) {
                options.mss = option.u16();
            }
            break;
        case kOptionWindowScale:  // RFC 7323 §2.2, 7323-M2: ignored without SYN
            if (syn && length == kWindowScaleLength) {
                options.window_scale = option.u8();
            }
            break;
        case kOptionSackPermitted:  // RFC 2018 §2: MUST NOT be sent without SYN
            if (syn && length == kSackPermittedLength) {
                options.sack_permitted = true;
            }
            break;
        case kOptionSack:
            if (length > 2 && (length - 2) % kSackBlockLength == 0) {
                read_sack(option, length, options);
            }
            break;
        case kOptionTimestamps:
            if (length == kTimestampsLength) {
                const std::uint32_t value = option.u32();
                options.timestamps = TcpTimestamps{value, option.u32()};
            }
            break;
        case kOptionMd5:  // RFC 2385 §3.0
            if (length == kMd5Length) {
                std::ranges::copy(body, options.md5.emplace().begin());
            }
            break;
        case kOptionFastOpen:
            if (syn) {
                read_fast_open(option, length - 2U, false, options);
            }
            break;
        case kOptionExperiment:  // RFC 6994 §3: two octets say whose experiment it is
            if (syn && length >= 4 && option.u16() == kFastOpenMagic) {
                read_fast_open(option, length - 4U, true, options);
            }
            break;
        case kOptionAccurateEcn0:
        case kOptionAccurateEcn1:
            read_accurate_ecn(option, length - 2U, kind == kOptionAccurateEcn1, options);
            break;
        default:  // RFC 9293 §3.1 MUST-6: ignore options that are not implemented
            break;
    }
}

// False when an option's length can't be walked over (RFC 9293 §3.1 MUST-7). All but two have one (MUST-68),
// and none need begin on a word (§3.2, MUST-64).
bool read_options(Bytes bytes, bool syn, TcpOptions& options) {
    ByteReader reader(bytes);
    while (reader.remaining() > 0) {
        const std::uint8_t kind = reader.u8();
        if (kind == kOptionEnd) {
            return true;
        }
        if (kind == kOptionNop) {
            continue;
        }
        const std::uint8_t length = reader.u8();
        if (length < 2) {
            return false;
        }
        const Bytes body = reader.take(length - 2U);
        if (!reader.ok()) {
            return false;
        }
        read_option(kind, length, body, syn, options);
    }
    return true;
}

}  // namespace

TcpParse parse_tcp(Bytes bytes) {
    TcpParse parse;
    TcpHeader& header = parse.header;
    ByteReader reader(bytes);
    header.source_port = reader.u16();
    header.destination_port = reader.u16();
    header.seq.value = reader.u32();
    header.ack.value = reader.u32();
    const std::uint16_t offset_and_flags = reader.u16();
    header.window = reader.u16();
    header.checksum = reader.u16();
    header.urgent_pointer = reader.u16();
    if (!reader.ok()) {
        parse.error = TcpParseError::truncated;
        return parse;
    }
    header.flags.bits =
        offset_and_flags & 0x1ff;  // the three reserved bits are ignored (RFC 9293 §3.1)
    header.header_length = static_cast<std::uint8_t>((offset_and_flags >> 12) * 4);
    if (header.header_length == kTcpHeaderSize) {
        return parse;
    }
    if (header.header_length < kTcpHeaderSize) {
        parse.error = TcpParseError::data_offset_too_small;
        return parse;
    }
    // RFC 9293 §3.1, MUST-5: options in any segment.
    const Bytes options = reader.take(header.header_length - kTcpHeaderSize);
    if (!reader.ok()) {
        parse.error = TcpParseError::data_offset_too_large;
        return parse;
    }
    if (options.size() == kAlignedTimestampsSize) {
        ByteReader aligned(options);
        if (aligned.u32() == kAlignedTimestamps) {
            const std::uint32_t value = aligned.u32();
            header.options.timestamps = TcpTimestamps{value, aligned.u32()};
            return parse;
        }
    }
    if (!read_options(options, header.flags.syn(), header.options)) {
        parse.error = TcpParseError::bad_option_length;
    }
    return parse;
}

namespace {

std::size_t fast_open_length(const FastOpenOption& option) {
    return (option.experimental ? 4U : 2U) + option.size;
}

void write_fast_open(const FastOpenOption& option, ByteWriter& writer) {
    const std::size_t length = fast_open_length(option);
    writer.u8(option.experimental ? kOptionExperiment : kOptionFastOpen);
    writer.u8(static_cast<std::uint8_t>(length));
    if (option.experimental) {
        writer.u16(kFastOpenMagic);
    }
    writer.put(option.cookie());
    if (length % 4 != 0) {
        writer.u16(kOptionNop << 8 | kOptionNop);
    }
}

std::size_t accurate_ecn_length(const AccurateEcnOption& option) {
    return 2 + kEcnCounterSize * option.size;
}

void write_accurate_ecn(const AccurateEcnOption& option, ByteWriter& writer) {
    const std::size_t length = accurate_ecn_length(option);
    for (std::size_t pad = length; pad % 4 != 0; ++pad) {
        writer.u8(kOptionNop);
    }
    writer.u8(option.ect1_first ? kOptionAccurateEcn1 : kOptionAccurateEcn0);
    writer.u8(static_cast<std::uint8_t>(length));
    for (std::size_t i = 0; i < option.size; ++i) {
        writer.u8(static_cast<std::uint8_t>(option.counters[i] >> 16));
        writer.u16(static_cast<std::uint16_t>(option.counters[i]));
    }
}

}  // namespace

std::size_t tcp_options_size(const TcpOptions& options) {
    std::size_t size = options.md5 ? std::size_t{2} + kMd5Length : 0;
    if (options.mss) {
        size += 4;
    }
    if (options.timestamps) {
        size += 12;  // SACK permitted takes the place of the two NOPs before it
    } else if (options.sack_permitted) {
        size += 4;
    }
    if (options.window_scale) {
        size += 4;
    }
    if (!options.sack.empty()) {
        size += 4 + kSackBlockLength * options.sack.size();
    }
    if (options.fast_open) {
        size += (fast_open_length(*options.fast_open) + 3) / 4 * 4;
    }
    if (options.accurate_ecn) {
        size += (accurate_ecn_length(*options.accurate_ecn) + 3) / 4 * 4;
    }
    return size;
}

std::size_t emit_tcp(const TcpHeader& header, MutableBytes out) {
    const TcpOptions& options = header.options;
    const std::size_t size = kTcpHeaderSize + tcp_options_size(options);
    RUNNEL_CHECK(size <= kTcpHeaderSize + kMaxOptionBytes);
    ByteWriter writer(out);
    writer.u16(header.source_port);
    writer.u16(header.destination_port);
    writer.u32(header.seq.value);
    writer.u32(header.ack.value);
    writer.u16(static_cast<std::uint16_t>((size / 4) << 12 | (header.flags.bits & 0x1ff)));
    writer.u16(header.window);
    writer.u16(header.checksum);
    writer.u16(header.urgent_pointer);

    // RFC 9293 §3.1, MUST-4, MUST-68; MUST-69: whole words of options leave nothing to be padded.
    // Every option begins on a word of its own (RFC 7323 §A), in the order in which Linux writes them.
    if (options.md5) {
        writer.u16(kOptionNop << 8 | kOptionNop);
        writer.u8(kOptionMd5);
        writer.u8(kMd5Length);
        writer.put(*options.md5);
    }
    if (options.mss) {
        writer.u8(kOptionMss);
        writer.u8(kMssLength);
        writer.u16(*options.mss);
    }
    if (options.timestamps) {
        if (options.sack_permitted) {
            writer.u8(kOptionSackPermitted);
            writer.u8(kSackPermittedLength);
            writer.u16(kAlignedTimestamps & 0xffff);
        } else {
            writer.u32(kAlignedTimestamps);
        }
        writer.u32(options.timestamps->value);
        writer.u32(options.timestamps->echo);
    } else if (options.sack_permitted) {
        writer.u16(kOptionNop << 8 | kOptionNop);
        writer.u8(kOptionSackPermitted);
        writer.u8(kSackPermittedLength);
    }
    if (options.window_scale) {
        writer.u8(kOptionNop);
        writer.u8(kOptionWindowScale);
        writer.u8(kWindowScaleLength);
        writer.u8(*options.window_scale);
    }
    if (!options.sack.empty()) {
        writer.u16(kOptionNop << 8 | kOptionNop);
        writer.u8(kOptionSack);
        writer.u8(static_cast<std::uint8_t>(2 + kSackBlockLength * options.sack.size()));
        for (const SackBlock& block : options.sack) {
            writer.u32(block.left.value);
            writer.u32(block.right.value);
        }
    }
    if (options.fast_open) {
        write_fast_open(*options.fast_open, writer);
    }
    if (options.accurate_ecn) {
        write_accurate_ecn(*options.accurate_ecn, writer);
    }
    RUNNEL_CHECK(writer.ok() && writer.position() == size);
    return size;
}

std::uint16_t pseudo_header_sum(const IpAddress& source, const IpAddress& destination,
                                std::uint8_t protocol, std::uint32_t length) {
    const Bytes from = source.wire_bytes();
    const Bytes to = destination.wire_bytes();
    RUNNEL_CHECK(from.size() == to.size());
    ByteReader from_reader(from);
    ByteReader to_reader(to);
    // 32-bit words may be added before folding: 2^16 is 1 modulo 2^16 - 1 (RFC 1071 §2 (C)).
    std::uint64_t sum = std::uint64_t{protocol} + length;
    for (std::size_t at = 0; at < from.size(); at += 4) {
        sum += from_reader.u32();
        sum += to_reader.u32();
    }
    return fold_checksum(sum);
}

}  // namespace runnel
