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

#include "runnel/asio/host_timer.hpp"
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
    EXPECT_EQ(world.raw(""), "") << "silence";
    EXPECT_GE(world.left.now().millis(), 60'000);
    EXPECT_EQ(world.server->open_connections(), 0u);
}

TEST(Http, AHeaderThatTakesTooLongIsAnswered408) {
    WebWorld world;
    const std::string half = world.raw("GET /hello");
    EXPECT_TRUE(half.starts_with("HTTP/1.1 408 ")) << half;
    EXPECT_GE(world.left.now().millis(), 20'000);
    EXPECT_LT(world.left.now().millis(), 40'000);
}

/// A header byte by byte: each is progress, but the whole takes too long.
TEST(Http, ATrickleIsCutOff) {
    WebWorld world;
    std::string answer;
    const auto trickle = [&]() -> net::awaitable<void> {
        tcp::socket socket(world.left);
        co_await socket.async_connect(TwoDrivers::right_endpoint(80), net::use_awaitable);
        const std::string letter = "G";
        for (int i = 0; i < 30; ++i) {
            auto [error, size] = co_await net::async_write(socket, net::buffer(letter),
                                                           net::as_tuple(net::use_awaitable));
            (void)size;
            if (error) {
                break;
            }
            host_timer pause(world.left);
            pause.expires_after(seconds(1));
            co_await pause.async_wait(net::use_awaitable);
        }
        co_await net::async_read(socket, net::dynamic_buffer(answer),
                                 net::as_tuple(net::use_awaitable));
    };
    world.spawn(trickle());
    ASSERT_TRUE(world.run());
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 408 ")) << answer;
}

/// A reader that takes a few bytes now and then makes progress: nothing ends it.
TEST(Http, ASlowReaderIsServedToTheEnd) {
    WebWorld world;
    // More than the buffers of both ends take, so that writes wait for the reader.
    constexpr std::size_t kSize = 16u << 20;
    std::ofstream(world.root / "huge.bin").close();
    fs::resize_file(world.root / "huge.bin", kSize);
    std::size_t got = 0;
    const auto read_slowly = [&]() -> net::awaitable<void> {
        tcp::socket socket(world.left);
        co_await socket.async_connect(TwoDrivers::right_endpoint(80), net::use_awaitable);
        const std::string request = "GET /huge.bin HTTP/1.0\r\n\r\n";
        co_await net::async_write(socket, net::buffer(request), net::use_awaitable);
        std::vector<char> some(32 * 1024);
        while (true) {
            auto [error, size] = co_await socket.async_read_some(net::buffer(some),
                                                                 net::as_tuple(net::use_awaitable));
            got += size;
            if (error) {
                EXPECT_EQ(error, net::error::eof);
                break;
            }
            host_timer pause(world.left);
            pause.expires_after(seconds(10));
            co_await pause.async_wait(net::use_awaitable);
        }
    };
    world.spawn(read_slowly());
    ASSERT_TRUE(world.run_until([&] { return got > kSize; }, seconds(10'000))) << got;
}

/// One that takes nothing at all is cut off when the idle limit has passed, twice at most.
TEST(Http, AReaderThatStopsIsCutOff) {
    WebWorld world;
    std::ofstream(world.root / "huge.bin").close();
    fs::resize_file(world.root / "huge.bin", 64u << 20);
    tcp::socket socket(world.left);
    const auto ask = [&]() -> net::awaitable<void> {
        co_await socket.async_connect(TwoDrivers::right_endpoint(80), net::use_awaitable);
        const std::string request = "GET /huge.bin HTTP/1.0\r\n\r\n";
        co_await net::async_write(socket, net::buffer(request), net::use_awaitable);
    };
    world.spawn(ask());
    ASSERT_TRUE(world.run());
    ASSERT_TRUE(world.run_until([&] { return !world.exchanges.empty(); }, seconds(150)));
    EXPECT_EQ(world.exchanges[0].error, "Connection timed out");
    EXPECT_GE(world.left.now().millis(), 60'000);
}

std::string status_of(const std::string& answer) {
    return answer.substr(0, 12);
}

TEST(Http, ServesRanges) {
    WebWorld world;
    const std::string text = some_text(3'000'000);
    const auto ask = [&](const std::string& more) {
        return world.raw("GET /large.bin HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + more +
                         "\r\n");
    };
    const std::string one = ask("Range: bytes=1000000-1000009\r\n");
    EXPECT_EQ(status_of(one), "HTTP/1.1 206");
    EXPECT_NE(one.find("Content-Range: bytes 1000000-1000009/3000000\r\n"), std::string::npos);
    EXPECT_NE(one.find("Content-Length: 10\r\n"), std::string::npos);
    EXPECT_TRUE(one.ends_with("\r\n\r\n" + text.substr(1'000'000, 10))) << one;

    const std::string two = ask("Range: bytes=0-4,-5\r\n");
    EXPECT_EQ(status_of(two), "HTTP/1.1 206");
    EXPECT_NE(two.find("Content-Type: multipart/byteranges; boundary="), std::string::npos);
    EXPECT_NE(two.find("Content-Range: bytes 0-4/3000000\r\n\r\n" + text.substr(0, 5) + "\r\n--"),
              std::string::npos);
    EXPECT_NE(two.find("bytes 2999995-2999999/3000000\r\n\r\n" + text.substr(2'999'995) + "\r\n--"),
              std::string::npos);
    const std::size_t length = two.find("Content-Length: ") + 16;
    EXPECT_EQ(std::stoul(two.substr(length)), two.size() - two.find("\r\n\r\n") - 4);

    const std::string beyond = ask("Range: bytes=3000000-\r\n");
    EXPECT_EQ(status_of(beyond), "HTTP/1.1 416");
    EXPECT_NE(beyond.find("Content-Range: bytes */3000000\r\n"), std::string::npos);
    EXPECT_EQ(status_of(ask("Range: nonsense\r\n")), "HTTP/1.1 200");
    EXPECT_EQ(status_of(ask("Range: bytes=0-1\r\nIf-Range: \"other\"\r\n")), "HTTP/1.1 200");
}

TEST(Http, AnswersConditions) {
    WebWorld world;
    const auto ask = [&](const std::string& more) {
        return world.raw("GET /hello.txt HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + more +
                         "\r\n");
    };
    const std::string first = ask("");
    const std::size_t tag = first.find("ETag: ") + 6;
    const std::string etag = first.substr(tag, first.find("\r\n", tag) - tag);
    const std::size_t at = first.find("Last-Modified: ") + 15;
    const std::string date = first.substr(at, first.find("\r\n", at) - at);
    const std::string unchanged = ask("If-None-Match: " + etag + "\r\n");
    EXPECT_EQ(status_of(unchanged), "HTTP/1.1 304");
    EXPECT_TRUE(unchanged.ends_with("\r\n\r\n")) << "no body";
    EXPECT_EQ(status_of(ask("If-Modified-Since: " + date + "\r\n")), "HTTP/1.1 304");
    EXPECT_EQ(status_of(ask("If-Match: \"other\"\r\n")), "HTTP/1.1 412");
    EXPECT_EQ(status_of(ask("If-Range: " + etag + "\r\nRange: bytes=0-1\r\n")), "HTTP/1.1 206");
    EXPECT_EQ(status_of(ask("If-Range: " + date + "\r\nRange: bytes=0-1\r\n")), "HTTP/1.1 206");
    std::ofstream(world.root / "hello.txt", std::ios::app) << "more\n";
    EXPECT_EQ(status_of(ask("If-None-Match: " + etag + "\r\n")), "HTTP/1.1 200");
}

TEST(Http, EachMistakeHasItsStatus) {
    WebWorld world;
    const std::string long_target =
        "GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n";
    const std::string very_long =
        "GET /" + std::string(40'000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n";
    const std::string long_field =
        "GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(20'000, 'a') + "\r\n\r\n";
    const std::pair<std::string, const char*> cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
        {"GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\nHost: h\r\nBad Name: x\r\n\r\n", "400"},
        {"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", "400"},
        {"PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
         "400"},
        {"PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", "501"},
        {"PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nExpect: miracles\r\n\r\n", "417"},
        {"BREW / HTTP/1.1\r\nHost: h\r\n\r\n", "501"},
        {"DELETE /hello.txt HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "405"},
        {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", "505"},
        {"GET /../x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "403"},
        {"GET /%2e%2e/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "403"},
        {"GET /..%2fx HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "403"},
        {long_target, "414"},
        {very_long, "414"},
        {long_field, "431"},
    };
    for (const auto& [request, status] : cases) {
        EXPECT_EQ(status_of(world.raw(request)), std::string("HTTP/1.1 ") + status)
            << request.substr(0, 100);
    }
    EXPECT_EQ(world.server->open_connections(), 0u);
}

TEST(Http, OldClientsAndOtherForms) {
    WebWorld world;
    const std::string old = world.raw("GET /hello.txt HTTP/1.0\r\n\r\n");
    EXPECT_EQ(status_of(old), "HTTP/1.1 200");
    EXPECT_TRUE(old.ends_with("\r\n\r\nhello\n")) << old;
    EXPECT_NE(old.find("Connection: close"), std::string::npos);
    const std::string kept = world.raw(
        "GET /hello.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        "GET /hello.txt HTTP/1.0\r\n\r\n");
    EXPECT_NE(kept.find("Connection: keep-alive"), std::string::npos) << kept;
    EXPECT_NE(kept.find("hello\nHTTP/1.1 200"), std::string::npos) << kept;
    const std::string absolute =
        world.raw("GET http://h/hello.txt HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(status_of(absolute), "HTTP/1.1 200");
    const std::string options =
        world.raw("OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(status_of(options), "HTTP/1.1 204");
    EXPECT_NE(options.find("Allow: GET, HEAD"), std::string::npos);
}

TEST(Http, ADirectoryIsListedAsHtmlOrJson) {
    WebWorld world;
    const auto ask = [&](const std::string& target, const std::string& more = "") {
        return world.raw("GET " + target + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + more +
                         "\r\n");
    };
    EXPECT_NE(ask("/").find("<a href=\"/hello.txt\">hello.txt</a>"), std::string::npos);
    for (const std::string& answer : {ask("/?json"), ask("/", "Accept: application/json\r\n")}) {
        EXPECT_NE(answer.find("Content-Type: application/json\r\n"), std::string::npos);
        EXPECT_NE(
            answer.find("{\"path\":\"/\",\"entries\":[{\"name\":\"in\",\"type\":\"directory\""),
            std::string::npos)
            << answer;
        EXPECT_NE(answer.find("{\"name\":\"hello.txt\",\"type\":\"file\",\"size\":6,"),
                  std::string::npos)
            << answer;
    }
    const std::string moved = ask("/in?json");
    EXPECT_EQ(status_of(moved), "HTTP/1.1 301");
    EXPECT_NE(moved.find("Location: /in/?json\r\n"), std::string::npos) << moved;
}

TEST(Http, StoppingClosesIdleConnectionsAndFinishesBusyOnes) {
    WebWorld world;
    std::string idle;
    bool idle_over = false;
    const auto wait = [&]() -> net::awaitable<void> {
        tcp::socket socket(world.left);
        co_await socket.async_connect(TwoDrivers::right_endpoint(80), net::use_awaitable);
        co_await net::async_read(socket, net::dynamic_buffer(idle),
                                 net::as_tuple(net::use_awaitable));
        idle_over = true;
    };
    world.spawn(wait());
    world.run_until([&] { return world.server->open_connections() == 1; }, seconds(1));
    world.server->stop();
    EXPECT_TRUE(world.run_until([&] { return idle_over; }, seconds(1)));
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
