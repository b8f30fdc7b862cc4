// What our own SYN or SYN,ACK says of us. It follows from addresses, path and settings alone, so that a
// connection made of a SYN cookie has what the SYN,ACK had promised.
#pragma once

#include <cstdint>

#include "runnel/tcp/stack.hpp"

namespace runnel::tcp {

struct Offer {
    std::uint16_t mss = 0;            ///< MUST-67: the MTU less the fixed headers
    std::uint8_t scale = 0;           ///< shift of our windows, if the peer scales too
    std::uint32_t receive_limit = 0;  ///< octets that the window may offer at first

    /// The window field of a SYN, which is never scaled (RFC 7323 §2.2).
    [[nodiscard]] std::uint16_t syn_window() const {
        return static_cast<std::uint16_t>(receive_limit < 65'535 ? receive_limit : 65'535);
    }
};

[[nodiscard]] Offer make_offer(const FourTuple& tuple, std::uint32_t path_mtu,
                               const ConnectionOptions& options, const TcpConfig& config);

}  // namespace runnel::tcp
