#include "runnel/link/error.hpp"

#include <cerrno>
#include <system_error>

namespace runnel {

LinkErrorKind kind_of_errno(int number) {
    switch (number) {
        case EPERM:
        case EACCES: return LinkErrorKind::no_permission;
        case ENODEV:
        case ENXIO:
        case ENOENT:
        case ESRCH: return LinkErrorKind::no_device;
        case EOPNOTSUPP:
        case EPROTONOSUPPORT:
        case EAFNOSUPPORT:
        case ENOPROTOOPT:
        case ENOTTY:
        case ENOSYS: return LinkErrorKind::not_supported;
        case EBUSY:
        case EEXIST: return LinkErrorKind::busy;
        default: return LinkErrorKind::other;
    }
}

std::unexpected<LinkError> link_failure(int number, std::string_view what,
                                        std::string_view advice) {
    return link_failure(kind_of_errno(number), number, what, advice);
}

std::unexpected<LinkError> link_failure(LinkErrorKind kind, int number, std::string_view what,
                                        std::string_view advice) {
    std::string text(what);
    if (number != 0) {
        text += ": " + std::generic_category().message(number);
    }
    text += '.';
    if (!advice.empty()) {
        text += ' ';
        text += advice;
    }
    return std::unexpected(LinkError{kind, number, std::move(text)});
}

const char* name(LinkErrorKind kind) {
    switch (kind) {
        case LinkErrorKind::no_permission: return "no_permission";
        case LinkErrorKind::no_device: return "no_device";
        case LinkErrorKind::not_supported: return "not_supported";
        case LinkErrorKind::busy: return "busy";
        case LinkErrorKind::other: return "other";
    }
    return "other";
}

}  // namespace runnel
