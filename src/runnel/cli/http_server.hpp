// A small HTTP/1.1 server over Runnel's sockets: files of a directory, named descriptors, and uploads that
// are stored or only digested (RFC 9110, RFC 9112).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "runnel/asio/driver.hpp"

namespace runnel {

/// One request as it was answered.
struct HttpExchange {
    Endpoint client;
    std::string method;
    std::string target;
    unsigned status = 0;
    std::uint64_t bytes_sent = 0;      ///< of the answer's body
    std::uint64_t bytes_received = 0;  ///< of the request's body
    std::string sha256;                ///< of the request's body, when it had one
    Duration duration;
    std::string error;  ///< why it broke off; empty when it didn't
};

struct HttpServerOptions {
    std::string root;  ///< directory to serve; empty: none
    std::string
        upload_directory;  ///< where PUT and POST store; empty: they are digested and thrown away
    /// What is served besides, before the directory: "/name" to an open descriptor and its size in bytes.
    struct NamedFile {
        int fd = -1;
        std::uint64_t size = 0;
    };
    std::map<std::string, NamedFile> files;
    std::uint32_t max_connections = 10'000;
    Duration idle = seconds(60);         ///< greatest time without progress on a connection
    Duration header_time = seconds(20);  ///< from a request's first byte to the end of its header
    std::function<void(const HttpExchange&)> on_exchange;
    /// A connection begins (`requests` none), or has ended after so many.
    std::function<void(const Endpoint& client, std::optional<std::uint64_t> requests)>
        on_connection;
    std::function<void()> on_connection_end;
};

class HttpServer {
public:
    HttpServer(Driver& driver, HttpServerOptions options);
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    /// Throws system_error when the endpoint can't be had.
    void listen(const Endpoint& local);
    /// No further connections. Those that wait for a request are closed, the others after their answer.
    void stop();
    [[nodiscard]] std::uint32_t open_connections() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace runnel
