#include "runnel/tcp/signature/md5_signature.hpp"

#include <array>

#include "runnel/wire/ip_protocol.hpp"

namespace runnel::tcp {

namespace {

constexpr std::size_t kHeaderSize = 20;

void add_pseudo_header(Md5& hash, const IpAddress& from, const IpAddress& to, std::size_t length) {
    hash.update(from.wire_bytes());
    hash.update(to.wire_bytes());
    std::array<std::byte, 8> rest{};
    ByteWriter writer(rest);
    if (from.is_v4()) {
        // Zero-padded protocol number and segment length.
        writer.u16(kProtocolTcp);
        writer.u16(static_cast<std::uint16_t>(length));
        hash.update(Bytes(rest).first(4));
    } else {
        writer.u32(static_cast<std::uint32_t>(length));  // RFC 8200 §8.1
        writer.u32(kProtocolTcp);
        hash.update(rest);
    }
}

}  // namespace

bool Md5Key::covers(const IpAddress& address) const {
    return address.family() == peer.family() && Cidr{peer, prefix}.contains(address);
}

Md5Digest md5_signature(const IpAddress& from, const IpAddress& to, const TcpHeader& header,
                        std::size_t header_length, const SliceList& payload, const Md5Key& key) {
    std::size_t length = header_length;
    for (const Slice& slice : payload) {
        length += slice.size();
    }
    Md5 hash;
    add_pseudo_header(hash, from, to, length);
    std::array<std::byte, kHeaderSize> fixed{};
    ByteWriter writer(fixed);
    writer.u16(header.source_port);
    writer.u16(header.destination_port);
    writer.u32(header.seq.value);
    writer.u32(header.ack.value);
    writer.u16(static_cast<std::uint16_t>((header_length / 4) << 12 | (header.flags.bits & 0x1ff)));
    writer.u16(header.window);
    writer.u16(0);
    writer.u16(header.urgent_pointer);
    hash.update(fixed);
    for (const Slice& slice : payload) {
        hash.update(slice.bytes());
    }
    hash.update({key.bytes.data(), key.bytes.size()});
    return hash.finish();
}

void sign(const FourTuple& tuple, TcpHeader& header, const SliceList& payload, const Md5Key& key) {
    header.options.md5 = Md5Digest{};
    const std::size_t length = kHeaderSize + tcp_options_size(header.options);
    header.options.md5 =
        md5_signature(tuple.local.address, tuple.remote.address, header, length, payload, key);
}

std::optional<Decision> check_signature(const FourTuple& tuple, const TcpHeader& header,
                                        const SliceList& payload, const Md5Key* key) {
    const auto& signature = header.options.md5;
    if (key == nullptr) {
        return signature ? std::optional(Decision::tcp_drop_md5_unexpected) : std::nullopt;
    }
    if (!signature) {
        return Decision::tcp_drop_md5_missing;
    }
    const Md5Digest right = md5_signature(tuple.remote.address, tuple.local.address, header,
                                          header.header_length, payload, *key);
    // In constant time: how much of a guess was right is nobody's business.
    std::byte different{};
    for (std::size_t i = 0; i < right.size(); ++i) {
        different |= right[i] ^ (*signature)[i];
    }
    return different == std::byte{} ? std::nullopt : std::optional(Decision::tcp_drop_md5_bad);
}

}  // namespace runnel::tcp
