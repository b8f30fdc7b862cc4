// Profiles and congestion controllers by the names users give them: one table for options, scenario files and
// scripts. A header of its own: most of the engine has no use for names.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "runnel/tcp/config.hpp"

namespace runnel::tcp {

inline constexpr std::array<std::pair<std::string_view, Profile>, 3> kProfileNames = {
    {{"modern", Profile::modern}, {"linux", Profile::linux_like}, {"rfc", Profile::rfc}}};

inline constexpr std::array<std::pair<std::string_view, CongestionControl>, 2>
    kCongestionControlNames = {
        {{"reno", CongestionControl::new_reno}, {"fixed", CongestionControl::fixed}}};

[[nodiscard]] constexpr std::optional<Profile> profile_named(std::string_view name) {
    for (const auto& [known, profile] : kProfileNames) {
        if (known == name) {
            return profile;
        }
    }
    return std::nullopt;
}

[[nodiscard]] constexpr std::string_view name_of(Profile profile) {
    for (const auto& [name, known] : kProfileNames) {
        if (known == profile) {
            return name;
        }
    }
    return {};
}
[[nodiscard]] constexpr std::string_view name_of(CongestionControl control) {
    for (const auto& [name, known] : kCongestionControlNames) {
        if (known == control) {
            return name;
        }
    }
    return {};
}

}  // namespace runnel::tcp
