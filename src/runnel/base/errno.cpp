// The one table from Errc to errno.
#include "runnel/base/errno.hpp"

#include <cerrno>

namespace runnel {

int to_errno(Errc code) {
    switch (code) {
        case Errc::ok: return 0;
        case Errc::address_family_not_supported: return EAFNOSUPPORT;
        case Errc::address_in_use: return EADDRINUSE;
        case Errc::address_not_available: return EADDRNOTAVAIL;
        case Errc::already_connected: return EISCONN;
        case Errc::argument_invalid: return EINVAL;
        case Errc::bad_descriptor: return EBADF;
        case Errc::broken_pipe: return EPIPE;
        case Errc::connection_aborted: return ECONNABORTED;
        case Errc::connection_refused: return ECONNREFUSED;
        case Errc::connection_reset: return ECONNRESET;
        case Errc::connection_already_in_progress: return EALREADY;
        case Errc::destination_address_required: return EDESTADDRREQ;
        case Errc::host_unreachable: return EHOSTUNREACH;
        case Errc::in_progress: return EINPROGRESS;
        case Errc::message_too_long: return EMSGSIZE;
        case Errc::network_unreachable: return ENETUNREACH;
        case Errc::no_buffer_space: return ENOBUFS;
        case Errc::not_connected: return ENOTCONN;
        case Errc::not_supported: return EOPNOTSUPP;
        case Errc::option_not_supported: return ENOPROTOOPT;
        case Errc::permission_denied: return EACCES;
        case Errc::protocol_error: return EPROTO;
        case Errc::timed_out: return ETIMEDOUT;
        case Errc::too_many_open: return EMFILE;
        case Errc::would_block: return EAGAIN;
    }
    return EINVAL;
}

}  // namespace runnel
