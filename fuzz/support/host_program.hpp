// The input of the target `host` as a program: one byte of set-up, then steps, of which a frame carries its own
// bytes. Shared by the target, which runs it, and by the mutator, which changes it and keeps it one.
#pragma once

#include <cstdint>
#include <vector>

#include "fuzz/support/target.hpp"

namespace runnel::fuzz {

/// The byte of set-up.
struct HostSetup {
    static constexpr std::uint8_t kEthernet = 1, kChecksumOffload = 2, kSegmentation = 4,
                                  kSmallMtu = 8, kCapture = 16, kScarceMemory = 32;
};

struct HostStep {
    enum class Kind : std::uint8_t {
        frame = 0,       // and 1, 2, 3
        pass_time = 4,   // argument: milliseconds, or from 128 on so many timeouts
        call = 5,        // argument: which call of the user's
        repeat = 6,      // the last frame once more
        pass_hours = 7,  // argument: 16 seconds each
    };
    static constexpr std::uint8_t kLive = 8;      ///< numbers are relative to the live connection
    static constexpr std::uint8_t kSplit = 16;    ///< in two pieces, as a device may hand it over
    static constexpr std::uint8_t kOffload = 32;  ///< with a virtio_net_hdr that claims something

    Kind kind = Kind::frame;
    std::uint8_t options = 0;
    std::uint8_t argument = 0;
    std::uint32_t offload = 0;
    std::vector<std::byte> frame;

    static HostStep read(Input& input) {
        HostStep step;
        const std::uint8_t op = input.u8();
        const std::uint8_t kind = op & 7;
        step.options = op & 0xf8;
        step.kind = static_cast<Kind>(kind < 4 ? 0 : kind);
        if (step.kind != Kind::frame) {
            step.argument = input.u8();
            return step;
        }
        step.offload = (step.options & kOffload) != 0 ? input.u32() : 0;
        const std::size_t length = input.u16();
        const Bytes bytes = input.take(length);
        step.frame.assign(bytes.begin(), bytes.end());
        return step;
    }

    void write(std::vector<std::byte>& out) const {
        const auto put = [&](std::uint32_t value, int bytes) {
            for (int i = 0; i < bytes; ++i) {
                out.push_back(static_cast<std::byte>((value >> (8 * i)) & 0xff));
            }
        };
        put(static_cast<std::uint32_t>(kind) | options, 1);
        if (kind != Kind::frame) {
            put(argument, 1);
            return;
        }
        if ((options & kOffload) != 0) {
            put(offload, 4);
        }
        put(static_cast<std::uint32_t>(frame.size()), 2);
        out.insert(out.end(), frame.begin(), frame.end());
    }
};

inline constexpr std::size_t kMostHostSteps = 64;

}  // namespace runnel::fuzz
