// Runnel's errors as Boost error codes: errno's numbers in the system category, as Asio's own are, so that
// they compare equal to boost::asio::error::connection_refused and its kin. The end of a stream is
// asio::error::eof, which the sockets make themselves.
#pragma once

#include <boost/system/error_code.hpp>

#include "runnel/base/errno.hpp"

namespace runnel {

/// A user call's error as an error code that Asio's users can compare with.
[[nodiscard]] boost::system::error_code to_error_code(Errc code);

}  // namespace runnel
