// The server around its connections: who may come in, and how it stops.
#include "runnel/cli/http_server.hpp"

#include "runnel/cli/connection_server.hpp"
#include "runnel/cli/http_connection.hpp"

namespace runnel {

struct HttpServer::State {
    State(Driver& driver, std::shared_ptr<HttpShared> common)
        : shared(std::move(common)),
          server(driver, shared->options.max_connections, [each = shared](tcp::socket socket) {
              return serve_http(std::move(socket), each);
          }) {
        server.on_end(shared->options.on_connection_end);
    }
    std::shared_ptr<HttpShared> shared;
    ConnectionServer server;
};

HttpServer::HttpServer(Driver& driver, HttpServerOptions options) {
    auto shared = std::make_shared<HttpShared>();
    shared->options = std::move(options);
    state_ = std::make_unique<State>(driver, std::move(shared));
}
HttpServer::~HttpServer() = default;

void HttpServer::listen(const Endpoint& local) {
    state_->server.listen(local);
}
void HttpServer::stop() {
    state_->server.stop();
    state_->shared->stopping = true;
    for (tcp::socket* socket : state_->shared->idle) {
        socket->cancel();
    }
}
std::uint32_t HttpServer::open_connections() const {
    return state_->server.open();
}

}  // namespace runnel
