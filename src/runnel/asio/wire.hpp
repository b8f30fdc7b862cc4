// An in-process wire between two drivers on one io_context, and virtual time for programs over it: nothing
// of the machine's network is needed. Faults, delays and topologies belong to the room `sim`.
#pragma once

#include <functional>
#include <span>

#include "runnel/asio/driver.hpp"

namespace runnel {

struct WireEnds {
    std::uint8_t first = 0;   ///< the interface's index in the first driver's host
    std::uint8_t second = 0;  ///< and in the second's
};

/// Joins two drivers: what one sends, the other receives, super-segments and partial checksums included as
/// `capabilities` allow. Both drivers must live as long as either is in use.
WireEnds connect_wire(Driver& first, Driver& second, const LinkCapabilities& capabilities);

/// A wire of bare IP packets with every offload.
[[nodiscard]] LinkCapabilities wire_capabilities(std::uint32_t mtu = 1500);

/// Runs `io` with all `drivers` (manual clocks) until `done` says so or `until` is reached, moving time from
/// one deadline to the next. True when it was `done`.
bool run_in_virtual_time(boost::asio::io_context& io, std::span<Driver* const> drivers,
                         Instant until, const std::function<bool()>& done);

}  // namespace runnel
