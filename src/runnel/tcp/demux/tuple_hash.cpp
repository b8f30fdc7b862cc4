#include "runnel/tcp/demux/tuple_hash.hpp"

#include <array>
#include <cstring>

#include "runnel/base/bytes.hpp"

namespace runnel::tcp {

std::uint64_t tuple_hash(const SipKey& key, const FourTuple& tuple) {
    // 12 bytes for IPv4 and 36 otherwise: SipHash hashes the length too, so the two never meet.
    std::array<std::byte, 36> message;
    std::size_t size = 0;
    const auto put = [&](const void* from, std::size_t count) {
        std::memcpy(message.data() + size, from, count);
        size += count;
    };
    if (tuple.local.address.is_v4() && tuple.remote.address.is_v4()) {
        put(tuple.local.address.bytes().data() + 12, 4);
        put(tuple.remote.address.bytes().data() + 12, 4);
    } else {
        put(tuple.local.address.bytes().data(), 16);
        put(tuple.remote.address.bytes().data(), 16);
    }
    const std::array<std::byte, 4> ports = {
        static_cast<std::byte>(tuple.local.port >> 8),
        static_cast<std::byte>(tuple.local.port & 0xff),
        static_cast<std::byte>(tuple.remote.port >> 8),
        static_cast<std::byte>(tuple.remote.port & 0xff),
    };
    put(ports.data(), ports.size());
    return siphash(key, Bytes(message).first(size));
}

}  // namespace runnel::tcp
