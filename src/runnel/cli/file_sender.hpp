// Bytes from a file, or the same bytes over and over, into a Runnel socket without a copy in user space.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>

#include "runnel/asio/tcp_socket.hpp"

namespace runnel {

/// Sends `size` bytes of a file from the byte `offset` on. Returns how many there were: fewer when the file
/// has become shorter meanwhile. `idle` limits the time without any progress. Throws system_error.
boost::asio::awaitable<std::uint64_t> send_file(tcp::socket& socket, int fd, std::uint64_t offset,
                                                std::uint64_t size, Duration idle);

/// Sends `pattern` (at most 64 KiB) again and again until the connection fails, which it returns.
boost::asio::awaitable<boost::system::error_code> send_forever(tcp::socket& socket, Bytes pattern);

}  // namespace runnel
