// Profiles and congestion controllers by the names users give them: one table for options, scenario files and
// scripts. A header of its own: most of the engine has no use for names.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "runnel/tcp/config.hpp"

namespace runnel::tcp {

template <class T, std::size_t N>
using NameTable = std::array<std::pair<std::string_view, T>, N>;

inline constexpr NameTable<Profile, 3> kProfileNames = {
    {{"modern", Profile::modern}, {"linux", Profile::linux_like}, {"rfc", Profile::rfc}}};
inline constexpr NameTable<CongestionControl, 5> kCongestionControlNames = {
    {{"reno", CongestionControl::new_reno},
     {"fixed", CongestionControl::fixed},
     {"cubic", CongestionControl::cubic},
     {"bbr", CongestionControl::bbr},
     {"dctcp", CongestionControl::dctcp}}};

template <class T, std::size_t N>
[[nodiscard]] constexpr std::optional<T> named(const NameTable<T, N>& table,
                                               std::string_view name) {
    for (const auto& [known, value] : table) {
        if (known == name) {
            return value;
        }
    }
    return std::nullopt;
}
template <class T, std::size_t N>
[[nodiscard]] constexpr std::string_view name_in(const NameTable<T, N>& table, T value) {
    for (const auto& [name, known] : table) {
        if (known == value) {
            return name;
        }
    }
    return {};
}

[[nodiscard]] constexpr std::optional<Profile> profile_named(std::string_view name) {
    return named(kProfileNames, name);
}
[[nodiscard]] constexpr std::optional<CongestionControl> congestion_control_named(
    std::string_view name) {
    return named(kCongestionControlNames, name);
}
[[nodiscard]] constexpr std::string_view name_of(Profile profile) {
    return name_in(kProfileNames, profile);
}
[[nodiscard]] constexpr std::string_view name_of(CongestionControl control) {
    return name_in(kCongestionControlNames, control);
}

}  // namespace runnel::tcp
