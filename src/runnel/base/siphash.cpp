#include "runnel/base/siphash.hpp"

#include <bit>

namespace runnel {

namespace {
struct State {
    std::uint64_t v0, v1, v2, v3;

    void round() {
        v0 += v1;
        v1 = std::rotl(v1, 13) ^ v0;
        v0 = std::rotl(v0, 32);
        v2 += v3;
        v3 = std::rotl(v3, 16) ^ v2;
        v0 += v3;
        v3 = std::rotl(v3, 21) ^ v0;
        v2 += v1;
        v1 = std::rotl(v1, 17) ^ v2;
        v2 = std::rotl(v2, 32);
    }
    void absorb(std::uint64_t word) {
        v3 ^= word;
        round();
        round();
        v0 ^= word;
    }
};

std::uint64_t little_endian(Bytes bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
    }
    return value;
}
}  // namespace

std::uint64_t siphash(const SipKey& key, Bytes message) {
    State state{key.k0 ^ 0x736f6d6570736575, key.k1 ^ 0x646f72616e646f6d,
                key.k0 ^ 0x6c7967656e657261, key.k1 ^ 0x7465646279746573};
    const std::size_t whole = message.size() / 8 * 8;
    for (std::size_t i = 0; i < whole; i += 8) {
        state.absorb(little_endian(message.subspan(i, 8)));
    }
    const std::uint64_t length = static_cast<std::uint64_t>(message.size() & 0xff) << 56;
    state.absorb(length | little_endian(message.subspan(whole)));
    state.v2 ^= 0xff;
    for (int i = 0; i < 4; ++i) {
        state.round();
    }
    return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

SipKey derive_key(const SipKey& master, std::uint64_t use) {
    std::byte message[16] = {};
    ByteWriter writer(message);
    writer.u64(use);
    writer.u64(0);
    const std::uint64_t k0 = siphash(master, message);
    message[15] = std::byte{1};
    return {k0, siphash(master, message)};
}

}  // namespace runnel
