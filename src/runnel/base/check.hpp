// Invariants that stay on in release. Input from the network must never be able to trip one:
// it is dropped with a named decision instead.
#pragma once

namespace runnel {

/// Ends the process with SIGTRAP/SIGILL: an invariant of the engine is broken, going on would corrupt data.
[[noreturn]] inline void invariant_broken() {
    __builtin_trap();
}

}  // namespace runnel

/// Checks an invariant of the engine, in every build type.
#define RUNNEL_CHECK(condition)           \
    do {                                  \
        if (!(condition)) [[unlikely]]    \
            ::runnel::invariant_broken(); \
    } while (false)
