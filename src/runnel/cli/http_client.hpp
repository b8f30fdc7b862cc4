// One HTTP/1.1 exchange over Runnel's sockets (RFC 9110, RFC 9112), with Beast for the header.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runnel/asio/driver.hpp"
#include "runnel/cli/byte_sink.hpp"

namespace runnel {

struct HttpAnswer;

struct HttpRequest {
    std::string method = "GET";
    Endpoint server;
    std::string authority;  ///< for the Host header
    std::string target = "/";
    int body_fd = -1;  ///< a file to send with PUT or POST; -1: no body
    std::uint64_t body_size = 0;
    bool digest = false;                                           ///< SHA-256 of the received body
    std::vector<std::pair<std::string, std::string>> fields = {};  ///< further header fields
    Duration idle = seconds(3600);  ///< greatest time without progress once connected
    std::optional<Duration> connect_limit =
        std::nullopt;                                    ///< of the handshake; none: the TCP's own
    std::optional<Duration> total_limit = std::nullopt;  ///< of the whole exchange
    /// Called with the answer's header: where its body is to go; nullptr throws it away. Without this the
    /// body of a status below 400 goes to the sink, others nowhere.
    std::function<ByteSink*(const HttpAnswer&)> on_header = {};
};

struct HttpAnswer {
    unsigned status = 0;
    std::string reason;
    std::string content_type;
    std::string content_range;
    std::string location;
    std::string head;  ///< the whole header as text, with its empty line
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

/// Carries out the exchange and closes the connection. Throws system_error, timed_out for each of the limits;
/// `stage` says how far it came.
boost::asio::awaitable<HttpAnswer> http_exchange(Driver& driver, const HttpRequest& request,
                                                 ByteSink& sink, HttpStage& stage);

}  // namespace runnel
