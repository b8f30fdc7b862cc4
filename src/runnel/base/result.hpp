// A value or an error. std::expected of C++23 as g++ 12 has it lacks the monadic calls, so this thin
// type adds `and_then` and `transform`. Errors of user calls are `Errc`, with the names of errno.
#pragma once

#include <expected>
#include <type_traits>
#include <utility>

namespace runnel {

/// What a user call can fail with. Named after errno; `to_errno` (errno.hpp) maps them to numbers.
enum class Errc : unsigned char {
    ok = 0,
    address_family_not_supported,
    address_in_use,
    address_not_available,
    already_connected,
    argument_invalid,
    bad_descriptor,
    broken_pipe,
    connection_aborted,
    connection_refused,
    connection_reset,
    connection_already_in_progress,
    destination_address_required,
    host_unreachable,
    in_progress,
    message_too_long,
    network_unreachable,
    no_buffer_space,
    not_connected,
    not_supported,
    option_not_supported,
    permission_denied,
    protocol_error,
    timed_out,
    too_many_open,
    would_block,
};

/// The name as errno spells it ("ECONNREFUSED") and the sentence people know ("Connection refused").
const char* errno_name(Errc code);
const char* message(Errc code);

template <class T, class E = Errc>
class [[nodiscard]] Result : public std::expected<T, E> {
public:
    using Base = std::expected<T, E>;
    using Base::Base;
    Result(Base&& other) : Base(std::move(other)) {}

    template <class F>
    auto and_then(F&& f) && -> std::invoke_result_t<F, T&&> {
        if (!this->has_value()) {
            return std::unexpected(std::move(this->error()));
        }
        return std::forward<F>(f)(std::move(**this));
    }
    template <class F>
    auto transform(F&& f) && -> Result<std::invoke_result_t<F, T&&>, E> {
        if (!this->has_value()) {
            return std::unexpected(std::move(this->error()));
        }
        return std::forward<F>(f)(std::move(**this));
    }
};

template <class E>
class [[nodiscard]] Result<void, E> : public std::expected<void, E> {
public:
    using Base = std::expected<void, E>;
    using Base::Base;
};

using Status = Result<void, Errc>;

constexpr std::unexpected<Errc> fail(Errc code) {
    return std::unexpected<Errc>(code);
}

}  // namespace runnel
