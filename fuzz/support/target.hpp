// What every fuzz target is made of: a function of bytes, the bytes read as choices, and a check that says what
// does not hold. The same sources are libFuzzer's targets (preset `fuzz`) and, with RUNNEL_FUZZ_REPLAY, one
// ordinary test that runs all committed inputs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runnel/base/bytes.hpp"

namespace runnel::fuzz {

/// Says where and what, and ends the process: libFuzzer keeps the input.
[[noreturn]] void fail(const char* file, int line, const char* what);

/// Bytes as choices. What is missing at the end reads as zeros, so that every input is one.
class Input {
public:
    explicit Input(Bytes bytes) : rest_(bytes) {}

    [[nodiscard]] bool empty() const { return rest_.empty(); }
    [[nodiscard]] std::size_t size() const { return rest_.size(); }
    std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
    std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
    std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
    std::uint64_t u64() { return number(8); }
    /// The next `count` bytes, or as many as there are.
    Bytes take(std::size_t count) {
        const Bytes taken = rest_.first(count < rest_.size() ? count : rest_.size());
        rest_ = rest_.subspan(taken.size());
        return taken;
    }
    Bytes rest() { return take(rest_.size()); }

private:
    std::uint64_t number(std::size_t count) {
        std::uint64_t value = 0;
        const Bytes bytes = take(count);
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
        }
        return value;
    }
    Bytes rest_;
};

/// A target as the replaying test finds it.
struct Target {
    using Function = void (*)(Bytes);
    Target(const char* target_name, Function target_function);

    const char* name;
    Function function;
    const Target* next;
};
[[nodiscard]] const Target* first_target();

}  // namespace runnel::fuzz

/// Holds in every build; not RUNNEL_CHECK, so that the report says which rule was broken.
#define FUZZ_CHECK(condition)                                     \
    do {                                                          \
        if (!(condition)) [[unlikely]]                            \
            ::runnel::fuzz::fail(__FILE__, __LINE__, #condition); \
    } while (false)

#ifdef RUNNEL_FUZZ_REPLAY
#define RUNNEL_FUZZ_TARGET(name, function) \
    static const ::runnel::fuzz::Target target_##name(#name, function)
#else
#define RUNNEL_FUZZ_TARGET(name, function)                                              \
    extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) { \
        function(std::as_bytes(std::span(data, size)));                                 \
        return 0;                                                                       \
    }                                                                                   \
    static_assert(true)
#endif
