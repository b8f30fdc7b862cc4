// What crossed the wire of a lesson, as somebody sees it who sees everything: each segment at the moment it
// was sent, the reasons of both ends beside it, and a remark on those that were lost or changed on the way.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "runnel/base/bytes.hpp"
#include "runnel/base/time.hpp"

namespace runnel::lab {

/// The two ends of a lesson's wire. A third party (an attacker, a router) is on neither side.
enum class Side : std::uint8_t { left = 0, right = 1, nobody = 2 };
constexpr Side opposite(Side side) {
    return side == Side::left ? Side::right : Side::left;
}
constexpr std::size_t index_of(Side side) {
    return static_cast<std::size_t>(side);
}

class Tap {
public:
    struct Packet {
        Instant sent;
        Side from = Side::nobody;
        std::vector<std::byte> bytes;      ///< as sent
        std::vector<std::byte> delivered;  ///< as it arrives, if it does
        std::vector<std::string> remarks;  ///< of the lesson: "lost on the way"
        std::vector<std::string> reasons;  ///< of the hosts: "sent: tcp_transmit_syn — …"
        bool arrived = false;
        bool lost = false;       ///< the lesson's network has lost it
        bool explained = false;  ///< its sender has told why
    };

    /// The number of the new packet; it stays valid.
    std::size_t add(Instant now, Side from, Bytes bytes);
    [[nodiscard]] Packet& packet(std::size_t number) { return packets_[number]; }
    /// The one that was sent, or arrived at a toy, last: what a remark is about.
    [[nodiscard]] Packet& current() { return packets_[current_]; }
    void set_current(std::size_t number) { current_ = number; }
    [[nodiscard]] const std::vector<Packet>& packets() const { return packets_; }

    /// Takes the reasons and arrivals out of a host's own capture (pcapng).
    void take_reasons(Side host, Bytes capture);
    /// The packets from `first` on as one pcapng whose only interface is called `name`. What the lesson has
    /// lost, and what was sent before `settled` and has not arrived, is marked as lost.
    [[nodiscard]] std::vector<std::byte> capture(const std::string& name, std::size_t first,
                                                 Instant settled) const;

private:
    [[nodiscard]] Packet* find(Side host, bool outbound, Instant time, Bytes bytes);

    std::vector<Packet> packets_;
    std::size_t current_ = 0;
    std::array<std::size_t, 2> first_open_ = {};  ///< by receiver: all before it have arrived
};

}  // namespace runnel::lab
