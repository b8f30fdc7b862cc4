// The server's side: Beast parses the request's header, files go out from the page cache through the host's
// chunks, uploads come in as slices. A connection is kept alive as RFC 9112 §9.3 says, and its end lingers
// until the client has read what it was sent (§9.6).
#include "runnel/cli/http_connection.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/write.hpp>
#include <ctime>
#include <sstream>

#include "runnel/cli/exit_code.hpp"
#include "runnel/cli/file_sender.hpp"
#include "runnel/cli/http_body.hpp"
#include "runnel/cli/http_text.hpp"
#include "runnel/cli/served_files.hpp"

namespace runnel {

namespace net = boost::asio;
namespace http = boost::beast::http;

namespace {

constexpr std::uint32_t kHeaderLimit = 16 * 1024;
constexpr std::size_t kTargetLimit = 8 * 1024;
constexpr Duration kLinger = seconds(2);
constexpr std::size_t kLingerBytes = 1u << 20;
constexpr std::string_view kMethods = "GET, HEAD, PUT, POST, OPTIONS";
constexpr std::string_view kPlain = "text/plain; charset=utf-8";
/// Between the parts of several ranges; a file that holds it is still read rightly by the parts' lengths.
constexpr std::string_view kBoundary = "runnel-part-5f1c0d2e9b7a4863";

using Parser = BodyReader<true>::Parser;
using Answer = http::response<http::empty_body>;

/// A file to be answered with.
struct Content {
    int fd = -1;
    std::uint64_t size = 0;
    std::string_view type;
    Validators validators;
};

Content content_of(int fd, std::string_view name) {
    const FileFacts facts = facts_of(fd);
    return {fd,
            facts.size,
            media_type(name),
            // Strong: a file that changes gets another time of change, to the nanosecond.
            {fmt::format("\"{:x}-{:x}\"", facts.modified_ns, facts.size),
             facts.modified_ns / 1'000'000'000}};
}

std::string content_range(const ByteRange& range, std::uint64_t size) {
    return fmt::format("bytes {}-{}/{}", range.first, range.last, size);
}

/// What stands before a part of several ranges (RFC 9110 §14.6).
std::string part_head(const Content& content, const ByteRange& range) {
    return fmt::format("\r\n--{}\r\nContent-Type: {}\r\nContent-Range: {}\r\n\r\n", kBoundary,
                       content.type, content_range(range, content.size));
}

std::string head_text(const Answer& answer) {
    std::ostringstream text;
    text << answer.base();
    return text.str();
}

class HttpConnection {
public:
    HttpConnection(tcp::socket socket, HttpShared& shared)
        : socket_(std::move(socket)), shared_(shared), options_(shared.options) {}

    net::awaitable<void> run() {
        boost::system::error_code ec;
        client_ = socket_.remote_endpoint(ec).value();
        if (options_.on_connection) {
            options_.on_connection(client_, std::nullopt);
        }
        bool more = !ec;
        while (more && !shared_.stopping) {
            more = co_await serve_one();
        }
        co_await end();
        if (options_.on_connection) {
            options_.on_connection(client_, requests_);
        }
    }

private:
    /// One request and its answer; false when the connection is to be closed.
    net::awaitable<bool> serve_one() {
        boost::system::error_code ec;
        if (buffer_.size() == 0) {
            co_await wait_for_request(ec);
            if (ec) {
                co_return false;
            }
        }
        Parser parser;
        parser.header_limit(kHeaderLimit);
        parser.body_limit(boost::none);
        // A limit for the whole header: a client that sends it byte by byte holds its place no longer.
        socket_.expires_after(options_.header_time);
        begin_ = socket_.driver().now();
        co_await http::async_read_header(socket_, buffer_, parser,
                                         net::redirect_error(net::use_awaitable, ec));
        exchange_ = {};
        exchange_.client = client_;
        try {
            if (ec) {
                co_await refuse_header(parser, ec);
                co_return false;
            }
            ++requests_;
            keep_alive_ = parser.keep_alive() && !shared_.stopping;
            exchange_.method = std::string(parser.get().method_string());
            exchange_.target = std::string(parser.get().target());
            co_await dispatch(parser);
        } catch (const boost::system::system_error& error) {
            exchange_.error = error.code().message();
        } catch (const CommandError& error) {
            exchange_.error = error.what();
        }
        report();
        const bool more = keep_alive_ && exchange_.error.empty();
        co_return more;
    }

    /// Until something comes, the idle limit passes, or the server stops.
    net::awaitable<void> wait_for_request(boost::system::error_code& ec) {
        socket_.expires_after(options_.idle);
        shared_.idle.insert(&socket_);
        co_await socket_.async_wait(net::socket_base::wait_read,
                                    net::redirect_error(net::use_awaitable, ec));
        shared_.idle.erase(&socket_);
    }

    /// A header that did not come or can't be read.
    net::awaitable<void> refuse_header(Parser& parser, const boost::system::error_code& ec) {
        const bool of_http = ec.category() == make_error_code(http::error::bad_target).category();
        keep_alive_ = false;
        exchange_.error = ec.message();
        if (ec == net::error::timed_out) {
            co_await answer_text(http::status::request_timeout,
                                 "The request's header took too long.\n");
        } else if (!of_http || ec == http::error::end_of_stream ||
                   ec == http::error::partial_message) {
            co_return;  // the client has gone
        } else if (ec == http::error::header_limit) {
            // The request line is read first: without a target it alone was too long.
            const bool in_target = parser.get().target().empty();
            co_await answer_text(in_target ? http::status::uri_too_long
                                           : http::status::request_header_fields_too_large,
                                 "That is more header than is read here.\n");
        } else if (ec == http::error::bad_version &&
                   first_line().find(" HTTP/") != std::string::npos) {
            co_await answer_text(http::status::http_version_not_supported,
                                 "HTTP/1.1 is spoken here.\n");
        } else {
            co_await answer_text(http::status::bad_request, "That is no HTTP request.\n");
        }
        report();
    }

    [[nodiscard]] std::string_view first_line() const {
        const std::string_view got(static_cast<const char*>(buffer_.data().data()), buffer_.size());
        return got.substr(0, got.find("\r\n"));
    }

    /// What is wrong with a request whatever it asks for; `ok` when nothing is.
    [[nodiscard]] http::status mistake(const Parser& parser) const {
        const auto& request = parser.get();
        const std::size_t hosts = request.count(http::field::host);
        // RFC 9112 §3.2: exactly one Host, but HTTP/1.0 knows none.
        if (hosts > 1 || (hosts == 0 && request.version() >= 11)) {
            return http::status::bad_request;
        }
        if (exchange_.target.size() > kTargetLimit) {
            return http::status::uri_too_long;
        }
        if (request.method() == http::verb::unknown ||
            (request.count(http::field::transfer_encoding) != 0 && !parser.chunked())) {
            return http::status::not_implemented;
        }
        if (request.count(http::field::expect) != 0 &&
            !boost::beast::iequals(request[http::field::expect], "100-continue")) {
            return http::status::expectation_failed;
        }
        return http::status::ok;
    }

    net::awaitable<void> dispatch(Parser& parser) {
        const http::verb method = parser.get().method();
        const bool is_upload = method == http::verb::put || method == http::verb::post;
        const http::status wrong = mistake(parser);
        const auto path = decoded_path(exchange_.target);
        if (wrong != http::status::ok) {
            keep_alive_ = false;
            co_await refuse(parser, wrong, "That request can't be served.\n");
        } else if (method == http::verb::options) {
            co_await discard_body(parser);
            const Answer answer = make_answer(http::status::no_content);
            co_await answer_head(answer);
        } else if (method != http::verb::get && method != http::verb::head && !is_upload) {
            co_await refuse(parser, http::status::method_not_allowed,
                            "Only GET, HEAD, PUT and POST are served here.\n");
        } else if (!path) {
            co_await refuse(parser, http::status::bad_request, "That is no path.\n");
        } else if (!is_plain_path(*path)) {
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
            const Content content = content_of(named->second.fd, path);
            co_await answer_file(parser, content);
            co_return;
        }
        ServedFile served;
        if (!options_.root.empty()) {
            served = open_served(options_.root, path);
        }
        const bool without_slash = !path.empty() && !path.ends_with('/');
        const bool is_directory = served.kind == ServedFile::Kind::directory ||
                                  (served.kind == ServedFile::Kind::file && served.name != path);
        if (is_directory && without_slash) {
            co_await redirect(path);
            co_return;
        }
        switch (served.kind) {
            case ServedFile::Kind::file: {
                const Content content = content_of(served.fd.get(), served.name);
                co_await answer_file(parser, content);
                break;
            }
            case ServedFile::Kind::directory: co_await list(parser, served); break;
            case ServedFile::Kind::forbidden:
                co_await answer_text(http::status::forbidden, "That is not served.\n");
                break;
            case ServedFile::Kind::missing:
                co_await answer_text(http::status::not_found, "There is no such file.\n");
                break;
        }
    }

    /// To a directory's name with its slash, so that what its page refers to is found.
    net::awaitable<void> redirect(const std::string& path) {
        const std::string_view query = query_of_target(exchange_.target);
        location_ = "/" + percent_encoded(path) + "/";
        location_ += query.empty() ? "" : "?" + std::string(query);
        co_await answer_text(http::status::moved_permanently, "It has a slash.\n");
        location_.clear();
    }

    net::awaitable<void> list(Parser& parser, const ServedFile& directory) {
        const bool json = query_of_target(exchange_.target) == "json" ||
                          prefers_json(parser.get()[http::field::accept]);
        const std::string page = json ? directory_json(options_.root, directory)
                                      : directory_page(options_.root, directory);
        co_await answer_text(http::status::ok, page,
                             json ? "application/json" : "text/html; charset=utf-8");
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
            co_await answer_text(http::status::internal_server_error,
                                 "That can't be stored under its name.\n");
            co_return;
        }
        const auto status = file ? http::status::created : http::status::ok;
        const std::string text = fmt::format("{}  {} bytes\n", exchange_.sha256, body.bytes);
        co_await answer_text(status, text);
    }

    /// RFC 9110 §10.1.1.
    net::awaitable<void> continue_if_expected(Parser& parser) {
        static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
        if (parser.get().count(http::field::expect) != 0 && parser.get().version() >= 11 &&
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
        co_await answer_text(status, text);
    }

    Answer make_answer(http::status status) {
        Answer answer(status, 11);
        answer.set(http::field::date, http_date(std::time(nullptr)));
        answer.set(http::field::server, "runnel/" RUNNEL_VERSION);
        if (status == http::status::method_not_allowed || status == http::status::no_content) {
            answer.set(http::field::allow, kMethods);
        }
        if (!location_.empty()) {
            answer.set(http::field::location, location_);
        }
        // An HTTP/1.0 client keeps the connection only when it is told so (RFC 9112 §9.3).
        answer.set(http::field::connection, keep_alive_ ? "keep-alive" : "close");
        exchange_.status = answer.result_int();
        return answer;
    }

    net::awaitable<void> answer_head(const Answer& answer) {
        const std::string head = head_text(answer);
        socket_.expires_after(options_.idle);
        co_await net::async_write(socket_, net::buffer(head), net::use_awaitable);
    }

    net::awaitable<void> answer_text(http::status status, std::string_view text,
                                     std::string_view type = kPlain) {
        Answer answer = make_answer(status);
        answer.set(http::field::content_type, type);
        answer.set(http::field::content_length, std::to_string(text.size()));
        const std::string head = head_text(answer);
        const bool body = exchange_.method != "HEAD";
        const std::array<net::const_buffer, 2> buffers = {
            net::buffer(head), net::buffer(text.data(), body ? text.size() : 0)};
        socket_.expires_after(options_.idle);
        co_await net::async_write(socket_, buffers, net::use_awaitable);
        exchange_.bytes_sent = body ? text.size() : 0;
    }

    Answer make_answer(http::status status, const Content& content) {
        Answer answer = make_answer(status);
        answer.set(http::field::etag, content.validators.etag);
        answer.set(http::field::last_modified, http_date(content.validators.modified));
        answer.set(http::field::accept_ranges, "bytes");
        return answer;
    }

    net::awaitable<void> answer_file(Parser& parser, const Content& content) {
        const auto& request = parser.get();
        const std::int64_t now = std::time(nullptr);
        const Preconditions conditions{
            request[http::field::if_match], request[http::field::if_none_match],
            request[http::field::if_modified_since], request[http::field::if_unmodified_since]};
        const unsigned verdict = evaluate(conditions, content.validators, true, now);
        if (verdict == 304) {
            const Answer answer = make_answer(http::status::not_modified, content);
            co_await answer_head(answer);
            co_return;
        }
        if (verdict != 0) {
            co_await answer_text(http::status::precondition_failed, "It has changed.\n");
            co_return;
        }
        RangeAnswer range;
        if (exchange_.method == "GET" &&
            range_holds(request[http::field::if_range], content.validators, now)) {
            range = parse_range(request[http::field::range], content.size);
        }
        if (range.kind == RangeAnswer::Kind::unsatisfiable) {
            Answer answer = make_answer(http::status::range_not_satisfiable, content);
            answer.set(http::field::content_range, fmt::format("bytes */{}", content.size));
            answer.set(http::field::content_length, "0");
            co_await answer_head(answer);
        } else if (range.ranges.size() > 1) {
            co_await answer_parts(content, range.ranges);
        } else {
            co_await answer_piece(content, range.ranges);
        }
    }

    /// The whole file, or one range of it.
    net::awaitable<void> answer_piece(const Content& content, const std::vector<ByteRange>& range) {
        const bool part = !range.empty();
        Answer answer =
            make_answer(part ? http::status::partial_content : http::status::ok, content);
        const std::uint64_t offset = part ? range.front().first : 0;
        const std::uint64_t size = part ? range.front().size() : content.size;
        answer.set(http::field::content_type, content.type);
        answer.set(http::field::content_length, std::to_string(size));
        if (part) {
            answer.set(http::field::content_range, content_range(range.front(), content.size));
        }
        co_await answer_head(answer);
        if (exchange_.method != "HEAD") {
            co_await send_piece(content, offset, size);
        }
    }

    /// Several ranges, as multipart/byteranges.
    net::awaitable<void> answer_parts(const Content& content,
                                      const std::vector<ByteRange>& ranges) {
        const std::string ending = fmt::format("\r\n--{}--\r\n", kBoundary);
        std::uint64_t size = ending.size();
        for (const ByteRange& range : ranges) {
            size += part_head(content, range).size() + range.size();
        }
        Answer answer = make_answer(http::status::partial_content, content);
        answer.set(http::field::content_type,
                   fmt::format("multipart/byteranges; boundary={}", kBoundary));
        answer.set(http::field::content_length, std::to_string(size));
        co_await answer_head(answer);
        for (const ByteRange& range : ranges) {
            const std::string head = part_head(content, range);
            socket_.expires_after(options_.idle);
            co_await net::async_write(socket_, net::buffer(head), net::use_awaitable);
            co_await send_piece(content, range.first, range.size());
            if (!exchange_.error.empty()) {
                co_return;
            }
        }
        socket_.expires_after(options_.idle);
        co_await net::async_write(socket_, net::buffer(ending), net::use_awaitable);
    }

    net::awaitable<void> send_piece(const Content& content, std::uint64_t offset,
                                    std::uint64_t size) {
        const std::uint64_t sent =
            co_await send_file(socket_, content.fd, offset, size, options_.idle);
        exchange_.bytes_sent += sent;
        if (sent != size) {
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
    HttpShared& shared_;
    const HttpServerOptions& options_;
    boost::beast::flat_buffer buffer_;
    Endpoint client_;
    HttpExchange exchange_;
    std::string location_;
    Instant begin_;
    std::uint64_t requests_ = 0;
    bool keep_alive_ = false;
};

}  // namespace

net::awaitable<void> serve_http(tcp::socket socket, std::shared_ptr<HttpShared> shared) {
    HttpConnection connection(std::move(socket), *shared);
    co_await connection.run();
}

}  // namespace runnel
