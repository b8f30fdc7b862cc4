// The bits of poll(2) and epoll(7), with Linux's values.
#pragma once

#include <cstdint>

namespace runnel {

struct PollEvents {
    static constexpr std::uint32_t kIn = 0x001, kPri = 0x002, kOut = 0x004, kErr = 0x008,
                                   kHup = 0x010, kInvalid = 0x020, kReadNormal = 0x040,
                                   kReadBand = 0x080, kWriteNormal = 0x100, kWriteBand = 0x200,
                                   kReadHup = 0x2000;
    /// epoll alone: how an interest is meant.
    static constexpr std::uint32_t kExclusive = 1U << 28, kWakeUp = 1U << 29, kOneShot = 1U << 30,
                                   kEdge = 1U << 31;
    /// Told whether asked for or not.
    static constexpr std::uint32_t kAlways = kErr | kHup;
};

}  // namespace runnel
