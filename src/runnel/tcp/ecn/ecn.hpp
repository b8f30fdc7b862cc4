// Explicit Congestion Notification of one connection: what the handshake agreed on (RFC 3168 §6.1.1, RFC 9768
// §3.1), what came in marked and is still to be told, and what the peer has told of ours. Only connections that
// ask for it, or are asked, have it.
#pragma once

#include <compare>
#include <cstdint>

namespace runnel::tcp {

/// The two ECN bits of the IP header (RFC 3168 §5).
inline constexpr std::uint8_t kNotEct = 0, kEct1 = 1, kEct0 = 2, kCongested = 3;

/// RFC 9768 §3.2.1, §3.2.3: where ACE and the counters of octets begin, so that a field which somebody clears can be
/// told from a counter that has not moved; those of octets have 24 bits on the wire.
inline constexpr std::uint32_t kFirstAce = 5, kFirstOctets = 1, kOctetsMask = 0xff'ffff;

enum class EcnMode : std::uint8_t {
    none,
    classic,   ///< ECE until CWR, RFC 3168
    accurate,  ///< marks are counted, RFC 9768
};

/// Octets of payload by the mark they came with.
struct EcnOctets {
    std::uint64_t ect0 = 0, ect1 = 0, ce = 0;

    auto operator<=>(const EcnOctets&) const = default;
};

struct Ecn {
    EcnMode asked = EcnMode::none;       ///< by our SYN
    EcnMode mode = EcnMode::none;        ///< agreed on
    std::uint8_t handshake = 0;          ///< the mark with which the peer's SYN or SYN,ACK came
    std::uint8_t last_mark = 0;          ///< of the last segment with text
    std::uint8_t option_setting = 0;     ///< tcp_ecn_option when it opened
    std::uint8_t marked_unacked = 0;     ///< CE-marked segments since our last ACK
    std::uint32_t received_marked = 0;   ///< CE-marked segments that came (AccECN: r.cep - 5)
    std::uint32_t delivered_marked = 0;  ///< of ours, as the peer tells (AccECN: s.cep - 5)
    std::uint32_t usual_delivery =
        0;  ///< AccECN: segments that an ACK tells of, smoothed, in 64ths

    bool marks : 1 = false;     ///< our new data says that it is ECN-capable
    bool seen : 1 = false;      ///< what the peer sends is ECN-capable
    bool echo : 1 = false;      ///< classic: ECE until the peer's CWR
    bool cwr_due : 1 = false;   ///< classic: the next new data says that the window was reduced
    bool given_up : 1 = false;  ///< a SYN, or SYN,ACK, has gone out again without a word of it
    /// DCTCP: everything is ECN-capable, and ECE says how the last segment came (RFC 8257 §3).
    bool data_center : 1 = false;
    // AccECN
    bool handshake_ack : 1 = false;     ///< the next bare ACK says how the SYN,ACK came (§3.2.2.1)
    bool feedback_checked : 1 = false;  ///< the first ACE has been looked at (§3.2.2.4)
    bool feedback_ignored : 1 = false;  ///< somebody on the path writes into ACE
    bool option_seen : 1 = false;
    bool option_ignored : 1 = false;  ///< the peer's option arrives mangled
    bool option_due : 1 = false;      ///< a counter has moved that our options have not told
    bool option_told : 1 = false;     ///< an option has gone out after the handshake

    EcnOctets received;   ///< r.e0b - 1, r.e1b - 1, r.ceb
    EcnOctets delivered;  ///< s.e0b - 1, s.e1b - 1, s.ceb

    auto operator<=>(const Ecn&) const = default;
    [[nodiscard]] bool classic() const { return mode == EcnMode::classic; }
    [[nodiscard]] bool accurate() const { return mode == EcnMode::accurate; }
    /// Whether an AccECN option of the handshake says that they get through both ways (§3.2.3.2).
    [[nodiscard]] bool may_send_option() const {
        return accurate() && option_setting != 0 && (option_seen || option_setting == 3);
    }
    /// Options must be on the next segment, whatever it is.
    [[nodiscard]] bool must_send_option() const { return option_due && may_send_option(); }
};

}  // namespace runnel::tcp
