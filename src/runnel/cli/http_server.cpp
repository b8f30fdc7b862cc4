// The server's side: Beast parses the request's header, files go out from the page cache through the host's
// chunks, uploads come in as slices. A connection is kept alive as RFC 9112 §9.3 says, and its end lingers
// until the client has read what it was sent (§9.6).
#include "runnel/cli/http_server.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/write.hpp>
#include <ctime>
#include <sstream>

#include "runnel/cli/connection_server.hpp"
#include "runnel/cli/exit_code.hpp"
#include "runnel/cli/file_sender.hpp"
#include "runnel/cli/http_body.hpp"
#include "runnel/cli/served_files.hpp"

namespace runnel {

namespace net = boost::asio;
namespace http = boost::beast::http;

namespace {

constexpr std::uint32_t kHeaderLimit = 16 * 1024;
constexpr Duration kLinger = seconds(2);
constexpr std::size_t kLingerBytes = 1u << 20;

using Parser = BodyReader<true>::Parser;
using Answer = http::response<http::empty_body>;

/// RFC 9110 §5.6.7, whatever the locale.
std::string http_date() {
    static constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT",
                       kDays[static_cast<std::size_t>(utc.tm_wday)], utc.tm_mday,
                       kMonths[static_cast<std::size_t>(utc.tm_mon)], utc.tm_year + 1900,
                       utc.tm_hour, utc.tm_min, utc.tm_sec);
}

std::string head_text(const Answer& answer) {
    std::ostringstream text;
    text << answer.base();
    return text.str();
}

/// One client's connection.
class HttpConnection {
public:
    HttpConnection(tcp::socket socket, const HttpServerOptions& options)
        : socket_(std::move(socket)), options_(options) {}

    net::awaitable<void> run() {
        boost::system::error_code ec;
        client_ = socket_.remote_endpoint(ec).value();
        bool more = !ec;
        while (more) {
            more = co_await serve_one();
        }
        co_await end();
    }

private:
    /// One request and its answer; false when the connection is to be closed.
    net::awaitable<bool> serve_one() {
        Parser parser;
        parser.header_limit(kHeaderLimit);
        parser.body_limit(boost::none);
        boost::system::error_code ec;
        socket_.expires_after(options_.idle);
        co_await http::async_read_header(socket_, buffer_, parser,
                                         net::redirect_error(net::use_awaitable, ec));
        exchange_ = {};
        exchange_.client = client_;
        begin_ = socket_.driver().now();
        if (ec && ec.category() == http::make_error_code(http::error::bad_target).category() &&
            ec != http::error::end_of_stream && ec != http::error::partial_message) {
            keep_alive_ = false;
            exchange_.error = ec.message();
            co_await answer_text(parser, http::status::bad_request, "That is no HTTP request.\n");
            report();
            co_return false;
        }
        if (ec) {
            co_return false;
        }
        keep_alive_ = parser.keep_alive();
        exchange_.method = std::string(parser.get().method_string());
        exchange_.target = std::string(parser.get().target());
        try {
            co_await dispatch(parser);
        } catch (const boost::system::system_error& error) {
            exchange_.error = error.code().message();
        } catch (const CommandError& error) {
            exchange_.error = error.what();
        }
        report();
        co_return keep_alive_&& exchange_.error.empty();
    }

    net::awaitable<void> dispatch(Parser& parser) {
        const http::verb method = parser.get().method();
        const bool is_upload = method == http::verb::put || method == http::verb::post;
        const auto path = path_of_target(exchange_.target);
        if (method != http::verb::get && method != http::verb::head && !is_upload) {
            co_await refuse(parser, http::status::method_not_allowed,
                            "Only GET, HEAD, PUT and POST are served here.\n");
        } else if (!path) {
            co_await refuse(parser, http::status::forbidden, "That path leads nowhere.\n");
        } else if (is_upload) {
            co_await take_upload(parser, *path);
        } else {
            co_await discard_body(parser);
            co_await serve_path(parser, *path);
        }
    }

    net::awaitable<void> serve_path(Parser& parser, const std::string& path) {
        if (const auto named = options_.files.find("/" + path); named != options_.files.end()) {
            co_await answer_file(parser, named->second.fd, named->second.size, path);
            co_return;
        }
        ServedFile served;
        if (!options_.root.empty()) {
            served = open_served(options_.root, path);
        }
        switch (served.kind) {
            case ServedFile::Kind::file:
                co_await answer_file(parser, served.fd.get(), served.size, served.name);
                break;
            case ServedFile::Kind::directory: {
                const std::string page = directory_page(options_.root, served);
                co_await answer_text(parser, http::status::ok, page, "text/html; charset=utf-8");
                break;
            }
            case ServedFile::Kind::forbidden:
                co_await answer_text(parser, http::status::forbidden, "That is not served.\n");
                break;
            case ServedFile::Kind::missing:
                co_await answer_text(parser, http::status::not_found, "There is no such file.\n");
                break;
        }
    }

    net::awaitable<void> take_upload(Parser& parser, const std::string& path) {
        std::optional<UploadFile> file;
        if (!options_.upload_directory.empty()) {
            file.emplace(options_.upload_directory, path);
            if (!file->valid()) {
                co_await refuse(parser, http::status::forbidden, "That can't be stored.\n");
                co_return;
            }
        }
        co_await continue_if_expected(parser);
        Sha256 digest;
        BodyReader<true> reader(socket_, buffer_, parser, options_.idle);
        NullSink nowhere;
        std::optional<DescriptorSink> disk;
        ByteSink* sink = &nowhere;
        if (file) {
            disk.emplace(socket_.driver().context(), file->fd());
            sink = &*disk;
        }
        const BodyReport body = co_await reader.read_all(*sink, &digest);
        exchange_.bytes_received = body.bytes;
        if (!body.complete) {
            exchange_.error = "the client stopped in the middle of its upload";
            co_return;
        }
        exchange_.sha256 = digest.finish();
        if (file && !file->keep()) {
            co_await answer_text(parser, http::status::internal_server_error,
                                 "That can't be stored under its name.\n");
            co_return;
        }
        const auto status = file ? http::status::created : http::status::ok;
        const std::string text = fmt::format("{}  {} bytes\n", exchange_.sha256, body.bytes);
        co_await answer_text(parser, status, text);
    }

    /// RFC 9110 §10.1.1.
    net::awaitable<void> continue_if_expected(Parser& parser) {
        static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
        if (boost::beast::iequals(parser.get()[http::field::expect], "100-continue") &&
            buffer_.size() == 0) {
            co_await net::async_write(socket_, net::buffer(kContinue), net::use_awaitable);
        }
    }

    /// A body that came with a GET: read past it.
    net::awaitable<void> discard_body(Parser& parser) {
        if (!parser.is_done()) {
            NullSink nowhere;
            BodyReader<true> reader(socket_, buffer_, parser, options_.idle);
            const BodyReport body = co_await reader.read_all(nowhere, nullptr);
            exchange_.bytes_received = body.bytes;
        }
    }

    /// An answer to a request whose body won't be read: the connection can't be used further.
    net::awaitable<void> refuse(Parser& parser, http::status status, std::string_view text) {
        if (!parser.is_done()) {
            keep_alive_ = false;
        }
        co_await answer_text(parser, status, text);
    }

    Answer make_answer(const Parser& parser, http::status status, std::string_view type,
                       std::uint64_t size) {
        Answer answer(status, parser.is_header_done() ? parser.get().version() : 11);
        answer.set(http::field::date, http_date());
        answer.set(http::field::server, "runnel/" RUNNEL_VERSION);
        answer.set(http::field::content_type, type);
        answer.set(http::field::content_length, std::to_string(size));
        if (status == http::status::method_not_allowed) {
            answer.set(http::field::allow, "GET, HEAD, PUT, POST");
        }
        answer.keep_alive(keep_alive_);
        exchange_.status = answer.result_int();
        return answer;
    }

    net::awaitable<void> answer_text(Parser& parser, http::status status, std::string_view text,
                                     std::string_view type = "text/plain; charset=utf-8") {
        const std::string head = head_text(make_answer(parser, status, type, text.size()));
        const bool body = exchange_.method != "HEAD";
        const std::array<net::const_buffer, 2> buffers = {
            net::buffer(head), net::buffer(text.data(), body ? text.size() : 0)};
        socket_.expires_after(options_.idle);
        co_await net::async_write(socket_, buffers, net::use_awaitable);
        exchange_.bytes_sent = body ? text.size() : 0;
    }

    net::awaitable<void> answer_file(Parser& parser, int fd, std::uint64_t size,
                                     std::string_view name) {
        const std::string head =
            head_text(make_answer(parser, http::status::ok, media_type(name), size));
        socket_.expires_after(options_.idle);
        co_await net::async_write(socket_, net::buffer(head), net::use_awaitable);
        if (exchange_.method == "HEAD") {
            co_return;
        }
        exchange_.bytes_sent = co_await send_file(socket_, fd, size, options_.idle);
        if (exchange_.bytes_sent != size) {
            exchange_.error = "the file became shorter while it was sent";
            keep_alive_ = false;
        }
    }

    void report() {
        exchange_.duration = socket_.driver().now() - begin_;
        if (options_.on_exchange) {
            options_.on_exchange(exchange_);
        }
    }

    /// Closes after the client has had the chance to read the last answer: closing with unread data would
    /// reset the connection and could take the answer away from it.
    net::awaitable<void> end() {
        boost::system::error_code ec;
        socket_.expires_never();
        socket_.shutdown(net::socket_base::shutdown_send, ec);
        socket_.expires_after(kLinger);
        std::size_t thrown_away = 0;
        while (!ec && thrown_away < kLingerBytes) {
            SliceList slices = co_await socket_.async_read_slices(
                kLingerBytes, net::redirect_error(net::use_awaitable, ec));
            for (const Slice& slice : slices) {
                thrown_away += slice.size();
            }
        }
    }

    tcp::socket socket_;
    const HttpServerOptions& options_;
    boost::beast::flat_buffer buffer_;
    Endpoint client_;
    HttpExchange exchange_;
    Instant begin_;
    bool keep_alive_ = false;
};

net::awaitable<void> serve_connection(tcp::socket socket,
                                      std::shared_ptr<const HttpServerOptions> options) {
    HttpConnection connection(std::move(socket), *options);
    co_await connection.run();
}

}  // namespace

struct HttpServer::State {
    State(Driver& driver, std::shared_ptr<const HttpServerOptions> settings)
        : options(std::move(settings)),
          server(driver, options->max_connections, [shared = options](tcp::socket socket) {
              return serve_connection(std::move(socket), shared);
          }) {
        server.on_end(options->on_connection_end);
    }
    std::shared_ptr<const HttpServerOptions> options;
    ConnectionServer server;
};

HttpServer::HttpServer(Driver& driver, HttpServerOptions options)
    : state_(std::make_unique<State>(
          driver, std::make_shared<const HttpServerOptions>(std::move(options)))) {}
HttpServer::~HttpServer() = default;

void HttpServer::listen(const Endpoint& local) {
    state_->server.listen(local);
}
void HttpServer::stop() {
    state_->server.stop();
}
std::uint32_t HttpServer::open_connections() const {
    return state_->server.open();
}

}  // namespace runnel
