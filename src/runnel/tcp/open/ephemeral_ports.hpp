// Ephemeral ports by RFC 6056 §3.3.4 (double-hash port selection): each destination has its own
// sequence of ports at an offset that an outsider can't know, so that ports are hard to guess and
// late to repeat.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "runnel/base/siphash.hpp"
#include "runnel/wire/address.hpp"

namespace runnel::tcp {

/// Ports `low` to `high`, both included; low <= high.
struct PortRange {
    std::uint16_t low = 32'768;
    std::uint16_t high = 60'999;
    [[nodiscard]] constexpr std::uint32_t size() const { return std::uint32_t{high} - low + 1U; }
};

class EphemeralPorts {
public:
    /// Counters (the RFC's table); a destination uses one of them.
    static constexpr std::size_t kCounters = 1024;

    /// The counters start at values drawn from the key, each when it is first asked: a host costs nothing
    /// until it opens.
    explicit EphemeralPorts(const SipKey& key);

    /// The next port for a connection from `local` to `remote` for which `is_free(port)`; none when
    /// no port of the range is. Tries each port once. To bind without a destination, `remote` is
    /// {}.
    template <class F>
    std::optional<std::uint16_t> choose(PortRange range, const IpAddress& local,
                                        const Endpoint& remote, F&& is_free) {
        const Start start = start_of(local, remote);
        std::uint32_t& taken = counters_[start.counter];
        for (std::uint32_t tries = range.size(); tries > 0; --tries) {
            const std::uint64_t step = std::uint64_t{start.offset} + (start.first + taken++);
            const auto port = static_cast<std::uint16_t>(range.low + step % range.size());
            if (is_free(port)) {
                return port;
            }
        }
        return std::nullopt;
    }

private:
    struct Start {
        std::uint32_t offset;  ///< F of the RFC
        std::size_t counter;   ///< G of the RFC
        std::uint32_t first;   ///< what that counter starts at
    };
    [[nodiscard]] Start start_of(const IpAddress& local, const Endpoint& remote) const;

    SipKey offset_key_;
    SipKey counter_key_;
    SipKey start_key_;
    std::array<std::uint32_t, kCounters> counters_{};  ///< from where each started
};

}  // namespace runnel::tcp
