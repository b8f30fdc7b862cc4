// The `--flags` at a script's head, read: all that packetdrill has, with its defaults. What only makes sense with a
// kernel or a second machine is known and either ignored (it changes no packet) or makes the script one to skip.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/base/result.hpp"
#include "runnel/base/time.hpp"
#include "runnel/drill/parse.hpp"
#include "runnel/drill/script.hpp"
#include "runnel/drill/trouble.hpp"
#include "runnel/tcp/config.hpp"
#include "runnel/wire/address.hpp"

namespace runnel::drill {

enum class IpVersion : std::uint8_t {
    ipv4,
    ipv4_mapped_ipv6,  ///< IPv6 sockets, IPv4 packets
    ipv6
};

/// Whose failures don't end a script (`--non_fatal=packet,syscall`).
struct NonFatal {
    bool packet = false;
    bool syscall = false;
};

struct Settings {
    IpVersion ip_version = IpVersion::ipv4;
    std::uint16_t bind_port = 8080;     ///< of `...` in bind()
    std::uint16_t connect_port = 8080;  ///< of `...` in connect()
    /// The host under test; absent: 192.168.0.1/16 or fd3d:fa7b:d17d::1.
    std::optional<IpAddress> local_ip;
    std::optional<IpAddress> gateway_ip;
    /// The other end of connections; absent: 192.0.2.1 or 2001:db8::1.
    std::optional<IpAddress> remote_ip;
    std::optional<std::uint8_t> prefix_length;  ///< of netmask_ip or remote_ip's /N
    std::uint32_t mtu = 1500;                   ///< bytes of an IP packet
    std::optional<std::uint32_t> mss;           ///< segment size of GRO packets injected
    std::uint64_t speed_mbit = 0;               ///< of the interface; 0: no limit
    Duration tolerance = microseconds(4000);    ///< an event may be this much early or late
    /// `--tolerance_percent`: more for events long after the last one, per cent of the time between; 0: none.
    double tolerance_percent = 0;
    /// One tick of the TCP timestamps; absent: don't check outbound TSval against the time.
    std::optional<Duration> timestamp_tick;
    bool scale_timestamp_echo = false;  ///< --ts_ecr_scaled: inbound ecr counts script ticks
    /// Segment for segment as written; else consecutive segments may be merged or split.
    bool strict_segments = false;
    NonFatal non_fatal;
    /// What stands at the same instant all happens before the host is asked what it sends, as with applications
    /// that have a loop of their own and packets that come in batches. Runnel's own.
    bool batched = false;
    /// Whose defaults the host has, over the command line's: modern, linux or rfc. Runnel's own.
    std::optional<tcp::Profile> profile;
    bool dry_run = false;  ///< parse only
    bool verbose = false;
    std::vector<std::string> ignored;  ///< names of options that were read and have no effect here
};

/// Whether packetdrill or Runnel has an option of that name (no dashes).
[[nodiscard]] bool known_option(std::string_view name);
/// "did you mean --mtu?", or empty.
[[nodiscard]] std::string option_hint(std::string_view name);

/// The script's options over the defaults; a later one wins. Trouble: a value that is none, or (kind unsupported) an
/// option that needs a wire server or a shared object.
/// `more`, of a command line, wins over both.
[[nodiscard]] Result<Settings, Trouble> settings_of(const Script& script,
                                                    std::span<const Option> more = {});
/// What the runner of Linux' own scripts defines for them: TFO_COOKIE and TFO_COOKIE_ZERO (cookies for the two addresses
/// under defaults.sh' key and a key of zeros), CMSG_LEVEL_IP and CMSG_TYPE_RECVERR.
[[nodiscard]] Defines suite_defines(const Settings& settings);
/// One option over `settings`, e.g. from a command line.
[[nodiscard]] Result<void, Trouble> apply_option(const Option& option, Settings& settings);

}  // namespace runnel::drill
