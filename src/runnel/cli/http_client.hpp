// One HTTP/1.1 exchange over Runnel's sockets (RFC 9110, RFC 9112), with Beast for the header.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <string>

#include "runnel/asio/driver.hpp"
#include "runnel/cli/byte_sink.hpp"

namespace runnel {

struct HttpRequest {
    std::string method = "GET";
    Endpoint server;
    std::string authority;  ///< for the Host header
    std::string target = "/";
    int body_fd = -1;  ///< a file to send with PUT or POST; -1: no body
    std::uint64_t body_size = 0;
    bool digest = false;            ///< SHA-256 of the received body
    Duration idle = seconds(3600);  ///< greatest time without progress once connected
};

struct HttpAnswer {
    unsigned status = 0;
    std::string reason;
    std::string content_type;
    std::uint64_t body_bytes = 0;
    std::uint64_t announced_bytes = 0;  ///< Content-Length, or 0 when there was none
    bool complete = false;              ///< everything that was announced came
    std::string sha256;                 ///< of the body, when asked for
    Endpoint local;
    Duration connect_time;  ///< the handshake
    Duration total_time;    ///< to the end of the body
};

/// Where an exchange failed, when it throws.
enum class HttpStage : std::uint8_t { connecting, sending, receiving };

/// Carries out the exchange and closes the connection. The body goes to `sink` when the status is below
/// 400, else nowhere. Throws system_error; `stage` says how far it came.
boost::asio::awaitable<HttpAnswer> http_exchange(Driver& driver, const HttpRequest& request,
                                                 ByteSink& sink, HttpStage& stage);

}  // namespace runnel
