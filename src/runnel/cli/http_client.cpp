// The client's side of an exchange. The request goes out as text, the answer's header is Beast's to parse,
// the body comes as the host's slices (RFC 9112 §6.3).
#include "runnel/cli/http_client.hpp"

#include <boost/asio/write.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/write.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <sstream>

#include "runnel/asio/host_timer.hpp"
#include "runnel/cli/file_sender.hpp"
#include "runnel/cli/http_body.hpp"

namespace runnel {

namespace net = boost::asio;
namespace http = boost::beast::http;

namespace {

constexpr std::uint32_t kHeaderLimit = 64 * 1024;

template <class Message>
std::string header_text(const Message& message) {
    std::ostringstream text;
    text << message.base();
    return text.str();
}

std::string request_head(const HttpRequest& request) {
    http::request<http::empty_body> message;
    message.version(11);
    message.method_string(request.method);
    message.target(request.target);
    message.set(http::field::host, request.authority);
    message.set(http::field::user_agent, "runnel");
    message.set(http::field::accept, "*/*");
    message.set(http::field::connection, "close");
    if (request.body_fd >= 0) {
        message.set(http::field::content_length, std::to_string(request.body_size));
    }
    for (const auto& [name, value] : request.fields) {
        message.set(name, value);
    }
    return header_text(message);
}

/// What the limit of the whole exchange has to end when it passes.
struct Watch {
    tcp::socket* socket = nullptr;  ///< none once the exchange is over
    bool fired = false;
};

net::awaitable<HttpAnswer> exchange_on(tcp::socket& socket, const HttpRequest& request,
                                       ByteSink& sink, HttpStage& stage) {
    HttpAnswer answer;
    Driver& driver = socket.driver();
    const Instant begin = driver.now();
    stage = HttpStage::connecting;
    if (request.connect_limit) {
        // The socket opens when it connects; its limit of time stands from now on.
        socket.expires_after(*request.connect_limit);
    }
    co_await socket.async_connect(request.server, net::use_awaitable);
    answer.connect_time = driver.now() - begin;
    answer.local = socket.local_endpoint().value();

    stage = HttpStage::sending;
    const std::string head = request_head(request);
    socket.expires_after(request.idle);
    co_await net::async_write(socket, net::buffer(head), net::use_awaitable);
    if (request.body_fd >= 0) {
        co_await send_file(socket, request.body_fd, 0, request.body_size, request.idle);
    }

    stage = HttpStage::receiving;
    boost::beast::flat_buffer buffer;
    std::optional<BodyReader<false>::Parser> header;
    unsigned status = 0;
    do {
        // An interim answer (100, 103) stands before the one that counts (RFC 9110 §15.2).
        header.emplace();
        header->header_limit(kHeaderLimit);
        header->body_limit(boost::none);
        header->skip(request.method == "HEAD");
        socket.expires_after(request.idle);
        co_await http::async_read_header(socket, buffer, *header, net::use_awaitable);
        status = header->get().result_int();
    } while (status >= 100 && status < 200 && status != 101);
    BodyReader<false>::Parser& parser = *header;
    answer.status = status;
    answer.reason = std::string(parser.get().reason());
    answer.content_type = std::string(parser.get()[http::field::content_type]);
    answer.content_range = std::string(parser.get()[http::field::content_range]);
    answer.location = std::string(parser.get()[http::field::location]);
    answer.head = header_text(parser.get());
    if (const auto length = parser.content_length()) {
        answer.announced_bytes = *length;
    }
    Sha256 digest;
    NullSink nowhere;
    ByteSink* target = answer.status < 400 ? &sink : &nowhere;
    if (request.on_header) {
        ByteSink* chosen = request.on_header(answer);
        target = chosen != nullptr ? chosen : &nowhere;
    }
    BodyReader<false> reader(socket, buffer, parser, request.idle);
    const BodyReport report = co_await reader.read_all(*target, request.digest ? &digest : nullptr);
    answer.body_bytes = report.bytes;
    answer.complete = report.complete;
    if (request.digest) {
        answer.sha256 = digest.finish();
    }
    answer.total_time = driver.now() - begin;
    co_return answer;
}

}  // namespace

net::awaitable<HttpAnswer> http_exchange(Driver& driver, const HttpRequest& request, ByteSink& sink,
                                         HttpStage& stage) {
    tcp::socket socket(driver);
    host_timer limit(driver);
    const auto watch = std::make_shared<Watch>();
    if (request.total_limit) {
        watch->socket = &socket;
        limit.expires_after(*request.total_limit);
        limit.async_wait([watch](boost::system::error_code error) {
            if (!error && watch->socket != nullptr) {
                watch->fired = true;
                watch->socket->cancel();
            }
        });
    }
    HttpAnswer answer;
    std::exception_ptr failure;
    try {
        answer = co_await exchange_on(socket, request, sink, stage);
    } catch (...) {
        failure = std::current_exception();
    }
    watch->socket = nullptr;
    if (failure) {
        socket.abort();  // there is nothing to say goodbye for, and nobody who listens
    }
    if (failure && watch->fired) {
        throw boost::system::system_error(net::error::timed_out);
    }
    if (failure) {
        std::rethrow_exception(failure);
    }
    co_return answer;
}

}  // namespace runnel
