#include "runnel/tcp/open/offer.hpp"

#include <algorithm>

namespace runnel::tcp {

namespace {

/// The least shift with which the greatest window still fits in 16 bits (RFC 7323 §2.2).
std::uint8_t window_shift(std::uint32_t greatest) {
    std::uint8_t shift = 0;
    while (shift < 14 && (std::uint64_t{65'535} << shift) < greatest) {
        ++shift;
    }
    return shift;
}

std::uint16_t local_mss(const FourTuple& tuple, std::uint32_t path_mtu,
                        const ConnectionOptions& options) {
    // SHLD-6: the MTU is that of the way to this peer, as known now.
    const std::uint32_t headers = tuple.local.address.is_v4() ? 40 : 60;
    const std::uint32_t mss =
        std::clamp<std::uint32_t>(path_mtu - std::min(path_mtu, headers), 48, 65'535 - 60);
    // MUST-67: the MTU less the fixed headers, options not subtracted.
    return static_cast<std::uint16_t>(
        options.maximum_segment != 0 ? std::min<std::uint32_t>(mss, options.maximum_segment) : mss);
}

}  // namespace

Offer make_offer(const FourTuple& tuple, std::uint32_t path_mtu, const ConnectionOptions& options,
                 const TcpConfig& config) {
    Offer offer;
    offer.mss = local_mss(tuple, path_mtu, options);
    const bool fixed = options.receive_buffer != 0;
    const std::uint32_t greatest = fixed ? options.receive_buffer : config.receive_buffer;
    offer.scale = config.window_scaling ? window_shift(greatest) : std::uint8_t{0};
    offer.receive_limit = fixed ? options.receive_buffer
                                : std::min(config.initial_receive_window, config.receive_buffer);
    return offer;
}

}  // namespace runnel::tcp
