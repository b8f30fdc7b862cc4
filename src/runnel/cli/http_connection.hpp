// One client's connection to the web server: requests one after the other, each with its answer. The only
// source of the server's side that needs Beast stands behind it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <unordered_set>

#include "runnel/asio/tcp_socket.hpp"
#include "runnel/cli/http_server.hpp"

namespace runnel {

/// What the connections of one server share. It lives as long as the last of them.
struct HttpShared {
    HttpServerOptions options;
    /// Connections that wait for a request: they are closed at once when the server stops.
    std::unordered_set<tcp::socket*> idle;
    bool stopping = false;
};

boost::asio::awaitable<void> serve_http(tcp::socket socket, std::shared_ptr<HttpShared> shared);

}  // namespace runnel
