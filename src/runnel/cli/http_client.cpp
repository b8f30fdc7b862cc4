// The client's side of an exchange. The request goes out as text, the answer's header is Beast's to parse,
// the body comes as the host's slices (RFC 9112 §6.3).
#include "runnel/cli/http_client.hpp"

#include <boost/asio/write.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/write.hpp>
#include <optional>
#include <sstream>

#include "runnel/cli/file_sender.hpp"
#include "runnel/cli/http_body.hpp"

namespace runnel {

namespace net = boost::asio;
namespace http = boost::beast::http;

namespace {

constexpr std::uint32_t kHeaderLimit = 64 * 1024;

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
    std::ostringstream text;
    text << message.base();
    return text.str();
}

}  // namespace

net::awaitable<HttpAnswer> http_exchange(Driver& driver, const HttpRequest& request, ByteSink& sink,
                                         HttpStage& stage) {
    HttpAnswer answer;
    const Instant begin = driver.now();
    tcp::socket socket(driver);
    stage = HttpStage::connecting;
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
    if (const auto length = parser.content_length()) {
        answer.announced_bytes = *length;
    }
    Sha256 digest;
    NullSink nowhere;
    ByteSink& target = answer.status < 400 ? sink : static_cast<ByteSink&>(nowhere);
    BodyReader<false> reader(socket, buffer, parser, request.idle);
    const BodyReport report = co_await reader.read_all(target, request.digest ? &digest : nullptr);
    answer.body_bytes = report.bytes;
    answer.complete = report.complete;
    if (request.digest) {
        answer.sha256 = digest.finish();
    }
    answer.total_time = driver.now() - begin;
    co_return answer;
}

}  // namespace runnel
