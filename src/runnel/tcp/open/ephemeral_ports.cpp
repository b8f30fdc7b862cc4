#include "runnel/tcp/open/ephemeral_ports.hpp"

#include "runnel/tcp/demux/tuple_hash.hpp"

namespace runnel::tcp {

namespace {

enum Use : std::uint64_t { kOffset = 1, kCounter = 2, kStart = 3 };

}  // namespace

EphemeralPorts::EphemeralPorts(const SipKey& key)
    : offset_key_(derive_key(key, kOffset)),
      counter_key_(derive_key(key, kCounter)),
      start_key_(derive_key(key, kStart)) {}

EphemeralPorts::Start EphemeralPorts::start_of(const IpAddress& local,
                                               const Endpoint& remote) const {
    const FourTuple destination{{local, 0}, remote};
    const auto counter =
        static_cast<std::size_t>(tuple_hash(counter_key_, destination) % kCounters);
    // RFC 6056 §3.3.4: the table starts with values that can't be guessed.
    const auto number = IpAddress::v4(static_cast<std::uint32_t>(counter));
    return {static_cast<std::uint32_t>(tuple_hash(offset_key_, destination)), counter,
            static_cast<std::uint32_t>(tuple_hash(start_key_, {{number, 0}, {number, 0}}))};
}

}  // namespace runnel::tcp
