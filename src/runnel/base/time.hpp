// Time as values. Nothing in the engine reads a clock (law 1): an Instant comes in as an argument.
// An Instant counts nanoseconds from an epoch that only the driver knows; a Duration is a difference.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>

namespace runnel {

/// A signed span of time in nanoseconds. Range: about ±292 years.
struct Duration {
    std::int64_t ns = 0;

    constexpr auto operator<=>(const Duration&) const = default;
    constexpr Duration operator+(Duration other) const { return {ns + other.ns}; }
    constexpr Duration operator-(Duration other) const { return {ns - other.ns}; }
    constexpr Duration operator*(std::int64_t factor) const { return {ns * factor}; }
    constexpr Duration operator/(std::int64_t divisor) const { return {ns / divisor}; }
    constexpr Duration& operator+=(Duration other) {
        ns += other.ns;
        return *this;
    }
    [[nodiscard]] constexpr std::int64_t micros() const { return ns / 1'000; }
    [[nodiscard]] constexpr std::int64_t millis() const { return ns / 1'000'000; }
    [[nodiscard]] constexpr std::int64_t seconds() const { return ns / 1'000'000'000; }
};

constexpr Duration nanoseconds(std::int64_t count) {
    return {count};
}
constexpr Duration microseconds(std::int64_t count) {
    return {count * 1'000};
}
constexpr Duration milliseconds(std::int64_t count) {
    return {count * 1'000'000};
}
constexpr Duration seconds(std::int64_t count) {
    return {count * 1'000'000'000};
}

/// A point in time in nanoseconds since the driver's epoch. `Instant::never()` lies after every other.
struct Instant {
    std::int64_t ns = 0;

    static constexpr Instant never() { return {std::numeric_limits<std::int64_t>::max()}; }
    [[nodiscard]] constexpr bool is_never() const { return *this == never(); }

    constexpr auto operator<=>(const Instant&) const = default;
    constexpr Instant operator+(Duration d) const {
        return is_never() ? *this : Instant{ns + d.ns};
    }
    constexpr Instant operator-(Duration d) const {
        return is_never() ? *this : Instant{ns - d.ns};
    }
    constexpr Duration operator-(Instant other) const { return {ns - other.ns}; }
    [[nodiscard]] constexpr std::int64_t millis() const { return ns / 1'000'000; }
    [[nodiscard]] constexpr std::int64_t micros() const { return ns / 1'000; }
};

}  // namespace runnel
