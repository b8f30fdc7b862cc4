#include "runnel/base/result.hpp"

namespace runnel {

namespace {
struct Text {
    const char* name;
    const char* sentence;
};

constexpr Text text_of(Errc code) {
    switch (code) {
        case Errc::ok: return {"OK", "Success"};
        case Errc::address_family_not_supported:
            return {"EAFNOSUPPORT", "Address family not supported by protocol"};
        case Errc::address_in_use: return {"EADDRINUSE", "Address already in use"};
        case Errc::address_not_available:
            return {"EADDRNOTAVAIL", "Cannot assign requested address"};
        case Errc::already_connected: return {"EISCONN", "Transport endpoint is already connected"};
        case Errc::argument_invalid: return {"EINVAL", "Invalid argument"};
        case Errc::bad_descriptor: return {"EBADF", "Bad file descriptor"};
        case Errc::broken_pipe: return {"EPIPE", "Broken pipe"};
        case Errc::connection_aborted: return {"ECONNABORTED", "Software caused connection abort"};
        case Errc::connection_refused: return {"ECONNREFUSED", "Connection refused"};
        case Errc::connection_reset: return {"ECONNRESET", "Connection reset by peer"};
        case Errc::connection_already_in_progress:
            return {"EALREADY", "Operation already in progress"};
        case Errc::destination_address_required:
            return {"EDESTADDRREQ", "Destination address required"};
        case Errc::host_unreachable: return {"EHOSTUNREACH", "No route to host"};
        case Errc::in_progress: return {"EINPROGRESS", "Operation now in progress"};
        case Errc::message_too_long: return {"EMSGSIZE", "Message too long"};
        case Errc::network_unreachable: return {"ENETUNREACH", "Network is unreachable"};
        case Errc::no_buffer_space: return {"ENOBUFS", "No buffer space available"};
        case Errc::not_connected: return {"ENOTCONN", "Transport endpoint is not connected"};
        case Errc::not_supported: return {"EOPNOTSUPP", "Operation not supported"};
        case Errc::option_not_supported: return {"ENOPROTOOPT", "Protocol not available"};
        case Errc::permission_denied: return {"EACCES", "Permission denied"};
        case Errc::protocol_error: return {"EPROTO", "Protocol error"};
        case Errc::timed_out: return {"ETIMEDOUT", "Connection timed out"};
        case Errc::too_many_open: return {"EMFILE", "Too many open files"};
        case Errc::would_block: return {"EAGAIN", "Resource temporarily unavailable"};
    }
    return {"EINVAL", "Invalid argument"};
}
}  // namespace

const char* errno_name(Errc code) {
    return text_of(code).name;
}
const char* message(Errc code) {
    return text_of(code).sentence;
}

}  // namespace runnel
