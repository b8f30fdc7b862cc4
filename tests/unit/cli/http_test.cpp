// The HTTP server and client against each other and against raw bytes, over a wire in virtual time.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "runnel/cli/http_client.hpp"
#include "runnel/cli/http_server.hpp"
#include "runnel/cli/sha256.hpp"
#include "unit/asio/two_drivers.hpp"

namespace runnel::testing {
namespace {

namespace fs = std::filesystem;

/// Keeps what is written to it.
class MemorySink final : public ByteSink {
public:
    net::awaitable<void> write(std::span<const Bytes> pieces) override {
        for (const Bytes piece : pieces) {
            text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
        }
        co_return;
    }
    std::string text;
};

std::string some_text(std::size_t size) {
    std::string text;
    while (text.size() < size) {
        text += std::to_string(text.size()) + " ";
    }
    text.resize(size);
    return text;
}

std::string sha256_of(const std::string& text) {
    Sha256 digest;
    digest.update(as_bytes(text));
    return digest.finish();
}

/// A server on the right, with files in a directory of its own.
struct WebWorld : TwoDrivers {
    explicit WebWorld(bool store_uploads = false) {
        std::string name = (fs::temp_directory_path() / "runnel-http-XXXXXX").string();
        root = ::mkdtemp(name.data());
        std::ofstream(root / "hello.txt") << "hello\n";
        std::ofstream(root / "large.bin") << some_text(3'000'000);
        fs::create_directory(root / "in");
        HttpServerOptions options;
        options.root = root.string();
        options.upload_directory = store_uploads ? (root / "in").string() : "";
        options.on_exchange = [this](const HttpExchange& exchange) {
            exchanges.push_back(exchange);
        };
        server.emplace(right, std::move(options));
        server->listen(right_endpoint(80).value());
    }
    ~WebWorld() {
        server.reset();
        fs::remove_all(root);
    }

    HttpAnswer get(const std::string& target, const std::string& method = "GET",
                   const std::string* body = nullptr) {
        HttpRequest request;
        request.method = method;
        request.server = right_endpoint(80).value();
        request.authority = "server";
        request.target = target;
        request.digest = true;
        FileDescriptor file;
        if (body != nullptr) {
            file = FileDescriptor(::memfd_create("body", MFD_CLOEXEC));
            EXPECT_EQ(::write(file.get(), body->data(), body->size()),
                      static_cast<ssize_t>(body->size()));
            request.body_fd = file.get();
            request.body_size = body->size();
        }
        HttpAnswer answer;
        sink = {};
        spawn(fetch(request, answer));
        EXPECT_TRUE(run());
        return answer;
    }
    net::awaitable<void> fetch(const HttpRequest& request, HttpAnswer& answer) {
        HttpStage stage{};
        answer = co_await http_exchange(left, request, sink, stage);
    }

    /// Sends `text` as it is and returns everything until the server closes.
    std::string raw(const std::string& text) {
        std::string answer;
        spawn(raw_exchange(text, answer));
        EXPECT_TRUE(run());
        return answer;
    }
    net::awaitable<void> raw_exchange(const std::string& text, std::string& answer) {
        tcp::socket socket(left);
        co_await socket.async_connect(right_endpoint(80), net::use_awaitable);
        co_await net::async_write(socket, net::buffer(text), net::use_awaitable);
        auto [error, size] = co_await net::async_read(socket, net::dynamic_buffer(answer),
                                                      net::as_tuple(net::use_awaitable));
        EXPECT_EQ(error, net::error::eof) << error.message() << " after " << size;
    }

    fs::path root;
    std::vector<HttpExchange> exchanges;
    std::optional<HttpServer> server;
    MemorySink sink;
};

TEST(Http, GetsAFileWithLengthAndType) {
    WebWorld world;
    const HttpAnswer answer = world.get("/hello.txt");
    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(answer.content_type, "text/plain; charset=utf-8");
    EXPECT_EQ(answer.announced_bytes, 6u);
    EXPECT_TRUE(answer.complete);
    EXPECT_EQ(world.sink.text, "hello\n");
    ASSERT_EQ(world.exchanges.size(), 1u);
    EXPECT_EQ(world.exchanges[0].bytes_sent, 6u);
}

TEST(Http, GetsMegabytesExactly) {
    WebWorld world;
    const HttpAnswer answer = world.get("/large.bin");
    EXPECT_EQ(answer.body_bytes, 3'000'000u);
    EXPECT_EQ(answer.sha256, sha256_of(some_text(3'000'000)));
}

TEST(Http, HeadHasTheHeaderOnly) {
    WebWorld world;
    const HttpAnswer answer = world.get("/large.bin", "HEAD");
    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(answer.announced_bytes, 3'000'000u);
    EXPECT_EQ(answer.body_bytes, 0u);
}

TEST(Http, RefusesWhatItDoesNotServe) {
    WebWorld world;
    EXPECT_EQ(world.get("/missing").status, 404u);
    EXPECT_EQ(world.get("/../etc/passwd").status, 403u);
    EXPECT_EQ(world.get("/%2e%2e/etc/passwd").status, 403u);
    EXPECT_EQ(world.get("/hello.txt", "DELETE").status, 405u);
    EXPECT_TRUE(world.sink.text.empty()) << "an error's body is not the file";
}

TEST(Http, AnUploadIsDigestedAndThrownAway) {
    WebWorld world;
    const std::string body = some_text(2'000'000);
    const HttpAnswer answer = world.get("/x", "PUT", &body);
    EXPECT_EQ(answer.status, 200u);
    EXPECT_TRUE(world.sink.text.starts_with(sha256_of(body)));
    ASSERT_EQ(world.exchanges.size(), 1u);
    EXPECT_EQ(world.exchanges[0].sha256, sha256_of(body));
    EXPECT_EQ(world.exchanges[0].bytes_received, body.size());
}

TEST(Http, AnUploadIsStoredBelowItsDirectoryOnly) {
    WebWorld world(true);
    const std::string body = "to be kept";
    EXPECT_EQ(world.get("/kept.txt", "PUT", &body).status, 201u);
    std::ifstream stored(world.root / "in" / "kept.txt");
    std::string text;
    std::getline(stored, text);
    EXPECT_EQ(text, body);
    EXPECT_EQ(world.get("/../out.txt", "PUT", &body).status, 403u);
    EXPECT_EQ(world.get("/no/such/out.txt", "PUT", &body).status, 403u);
    EXPECT_FALSE(fs::exists(world.root / "out.txt"));
}

TEST(Http, KeepsTheConnectionForFurtherRequests) {
    WebWorld world;
    const std::string answer = world.raw(
        "GET /hello.txt HTTP/1.1\r\nHost: h\r\n\r\n"
        "GET /missing HTTP/1.1\r\nHost: h\r\n\r\n"
        "HEAD /hello.txt HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    ASSERT_EQ(world.exchanges.size(), 3u);
    EXPECT_EQ(world.exchanges[0].status, 200u);
    EXPECT_EQ(world.exchanges[1].status, 404u);
    EXPECT_EQ(world.exchanges[2].status, 200u);
    EXPECT_EQ(world.exchanges[0].client, world.exchanges[2].client) << "one connection";
    EXPECT_NE(answer.find("\r\n\r\nhello\n"), std::string::npos);
}

TEST(Http, TakesAChunkedUploadAfterContinue) {
    WebWorld world;
    const std::string answer = world.raw(
        "PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        "5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n");
    EXPECT_NE(answer.find(sha256_of("hello, world")), std::string::npos) << answer;
}

TEST(Http, AnswersExpectContinue) {
    WebWorld world;
    std::string answer;
    const auto talk = [&]() -> net::awaitable<void> {
        tcp::socket socket(world.left);
        co_await socket.async_connect(TwoDrivers::right_endpoint(80), net::use_awaitable);
        const std::string head =
            "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n"
            "Connection: close\r\n\r\n";
        co_await net::async_write(socket, net::buffer(head), net::use_awaitable);
        std::array<char, 25> interim{};
        co_await net::async_read(socket, net::buffer(interim), net::use_awaitable);
        EXPECT_EQ(std::string(interim.data(), interim.size()), "HTTP/1.1 100 Continue\r\n\r\n");
        const std::string body = "abc";
        co_await net::async_write(socket, net::buffer(body), net::use_awaitable);
        co_await net::async_read(socket, net::dynamic_buffer(answer),
                                 net::as_tuple(net::use_awaitable));
    };
    world.spawn(talk());
    ASSERT_TRUE(world.run());
    EXPECT_NE(answer.find(sha256_of("abc")), std::string::npos);
}

TEST(Http, ABrokenRequestIsAnsweredAndClosed) {
    WebWorld world;
    const std::string answer = world.raw("THIS IS NOT HTTP\r\n\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400")) << answer;
}

TEST(Http, AnIdleClientIsClosed) {
    WebWorld world;
    EXPECT_EQ(world.raw("GET /hello"), "") << "half a header, then silence";
    EXPECT_GE(world.left.now().millis(), 60'000);
    EXPECT_EQ(world.server->open_connections(), 0u);
}

TEST(Http, LeavesNoConnectionBehind) {
    WebWorld world;
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(world.get("/hello.txt").status, 200u);
    }
    world.run_until([&] { return world.server->open_connections() == 0; }, seconds(10));
    EXPECT_EQ(world.server->open_connections(), 0u);
}

}  // namespace
}  // namespace runnel::testing
