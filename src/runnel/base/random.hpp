// A seeded generator (xoshiro256**, Blackman and Vigna) with our own distributions, so that the same seed
// gives the same run from every compiler and library. Secrets come from the driver, never from here.
#pragma once

#include <bit>
#include <cstdint>

namespace runnel {

class Random {
public:
    constexpr explicit Random(std::uint64_t seed) {
        for (std::uint64_t& word : state_) {  // splitmix64, as the authors recommend for seeding
            seed += 0x9e3779b97f4a7c15;
            std::uint64_t z = seed;
            z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
            z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
            word = z ^ (z >> 31);
        }
    }

    constexpr std::uint64_t next() {
        const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
        const std::uint64_t t = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= t;
        state_[3] = std::rotl(state_[3], 45);
        return result;
    }

    /// Uniform in [0, bound); 0 for a bound of 0.
    constexpr std::uint64_t below(std::uint64_t bound) {
        __extension__ typedef unsigned __int128 Wide;  // not ISO C++, which -Wpedantic would say
        return static_cast<std::uint64_t>((static_cast<Wide>(next()) * bound) >> 64);
    }
    /// True in `parts` of `whole` cases.
    constexpr bool chance(std::uint64_t parts, std::uint64_t whole) { return below(whole) < parts; }

private:
    std::uint64_t state_[4] = {};
};

}  // namespace runnel
