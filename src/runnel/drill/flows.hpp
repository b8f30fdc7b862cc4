// Whose packets these are: each pair of ports has the difference between the script's numbers and the wire's. A
// script counts the host's sequence numbers from its ISN and writes timestamps as it likes; on the wire both are the
// host's. The far end's own numbers are sent as they are written.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "runnel/drill/packet_bytes.hpp"

namespace runnel::drill {

struct Flow {
    Endpoint host;  ///< on the wire
    Endpoint peer;
    bool tcp = true;
    std::optional<Ports> written;  ///< the host's port and the peer's, as the script names them
    /// Wire minus script of the host's sequence numbers; 0 until its SYN has been seen.
    std::uint32_t host_offset = 0;
    bool host_known = false;
    std::optional<std::uint32_t> peer_isn;  ///< of its last SYN
    std::optional<std::uint32_t> una;       ///< on the wire: the last ACK injected
    std::uint32_t last_sent = 0;            ///< on the wire: SEG.SEQ of the host's last segment
    bool over = false;  ///< its socket was closed by the script, or it was reset
    std::map<std::uint32_t, std::uint32_t> timestamps;  ///< script's TSval to the wire's
    struct FirstStamp {
        std::uint32_t written;
        Instant time;
    };
    std::optional<FirstStamp> first_stamp;
};

class Flows {
public:
    /// Flows kept; the oldest is forgotten beyond it.
    static constexpr std::size_t kMax = 4096;

    /// The flow of a packet of the host's, made if need be.
    Flow& of_outbound(const SeenPacket& seen);
    /// The flow with these ports as the script writes them (host's, peer's); nullptr when there is none.
    [[nodiscard]] Flow* written(std::uint16_t host_port, std::uint16_t peer_port);
    Flow& add(const Flow& flow);
    /// The newest; nullptr when there is none.
    [[nodiscard]] Flow* current() { return current_; }
    void make_current(Flow& flow) { current_ = &flow; }

private:
    std::map<std::pair<Endpoint, Endpoint>, Flow> flows_;
    Flow* current_ = nullptr;
};

/// An inbound packet's numbers for the wire. Unknown timestamps go out by the difference of a known one.
[[nodiscard]] TcpPacket to_wire(const TcpPacket& written, const Flow& flow);
/// An outbound packet's numbers as a script would write them (TSval aside).
[[nodiscard]] TcpPacket to_script(const TcpPacket& seen, const Flow& flow);

}  // namespace runnel::drill
