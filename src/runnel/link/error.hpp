// What goes wrong when a real device is opened or a namespace is set up, in words for the person who
// asked for it: what happened, where, and what to try. Nothing here is on the data path.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "runnel/base/result.hpp"

namespace runnel {

enum class LinkErrorKind : std::uint8_t {
    no_permission,  ///< the machine forbids it to this user
    no_device,      ///< no such interface, device file or process
    not_supported,  ///< this kernel, or this kind of descriptor, can't do it
    busy,           ///< somebody else holds it, or it exists already
    other,
};

struct LinkError {
    LinkErrorKind kind = LinkErrorKind::other;
    int number = 0;    ///< errno, or 0 when no system call failed
    std::string what;  ///< one or two sentences for people
};

template <class T>
using LinkResult = Result<T, LinkError>;

/// The kind an errno falls under when the place where it happened says nothing more precise.
[[nodiscard]] LinkErrorKind kind_of_errno(int number);

/// "<what>: <the errno's sentence>. <advice>", as an error. `what` has no full stop; `advice` is a whole
/// sentence, or empty.
[[nodiscard]] std::unexpected<LinkError> link_failure(int number, std::string_view what,
                                                      std::string_view advice = {});
[[nodiscard]] std::unexpected<LinkError> link_failure(LinkErrorKind kind, int number,
                                                      std::string_view what,
                                                      std::string_view advice = {});

/// "no_permission" …, as written in the enum.
[[nodiscard]] const char* name(LinkErrorKind kind);

}  // namespace runnel
