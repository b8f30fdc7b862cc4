// Figures as people write them for networks: "50ms", "100mbit", "64kb", "1%"; and back, exactly.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runnel/base/time.hpp"

namespace runnel::sim_command {

/// A number with ns, us, ms, s, m or h behind it, a fraction allowed ("1.5s"); "0" needs no unit. At most
/// 30 days either way; none when it is something else.
[[nodiscard]] std::optional<Duration> parse_duration(std::string_view text);
/// Bytes a second from "100mbit", "1.5gbit", "64kbit", "8000bit" (decimal, as tc does); "0" or "unlimited":
/// as fast as packets come. Whole bytes only; at most 1,000 Gbit/s.
[[nodiscard]] std::optional<std::uint64_t> parse_rate(std::string_view text);
/// Bytes from "1500", "64kb", "10mb", "1gb" (decimal) or "64kib", "4mib".
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);
/// Parts per million from "1%", "0.05%", "300ppm" or a plain number of ppm; at most 1,000,000.
[[nodiscard]] std::optional<std::uint32_t> parse_share(std::string_view text);

// What the functions above read as the same value.
[[nodiscard]] std::string duration_spelt(Duration duration);
[[nodiscard]] std::string rate_spelt(std::uint64_t bytes_per_second);
[[nodiscard]] std::string share_spelt(std::uint32_t ppm);

/// For people, rounded: "12.3 Mbit/s".
[[nodiscard]] std::string rate_text(double bytes_per_second);

}  // namespace runnel::sim_command
