// What moves in the demo, and who says how much of it arrived: the sender's digest is taken of the file, the
// receiver's of what came out of its TCP.
#include "runnel/cli/demo_transfers.hpp"

// g++ 12 takes the recycling allocator of Asio's coroutine frames for a mismatch where both are inlined.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <optional>

#include "runnel/base/random.hpp"
#include "runnel/cli/byte_sink.hpp"
#include "runnel/cli/demo_peer.hpp"
#include "runnel/cli/exit_code.hpp"
#include "runnel/cli/http_client.hpp"
#include "runnel/cli/http_server.hpp"
#include "runnel/cli/sha256.hpp"

namespace runnel {

namespace net = boost::asio;

namespace {

constexpr std::uint16_t kRunnelPort = 80;
constexpr std::uint16_t kOtherPort = 8080;
constexpr std::uint64_t kSmallSize = 20'000;
constexpr std::size_t kBlock = 1u << 20;
constexpr std::uint64_t kContentSeed = 9293;

struct Content {
    FileDescriptor fd;
    std::uint64_t size = 0;
    std::string sha256;
};

/// Bytes without a pattern, in memory only.
Content make_content(const char* name, std::uint64_t size, std::uint64_t seed) {
    Content content{FileDescriptor(::memfd_create(name, MFD_CLOEXEC)), size, {}};
    Random random(seed);
    Sha256 digest;
    std::vector<std::uint64_t> words(kBlock / sizeof(std::uint64_t));
    std::uint64_t left = size;
    while (left != 0) {
        for (std::uint64_t& word : words) {
            word = random.next();
        }
        const Bytes block =
            std::as_bytes(std::span(words)).first(std::min<std::uint64_t>(left, kBlock));
        digest.update(block);
        if (::write(content.fd.get(), block.data(), block.size()) !=
            static_cast<ssize_t>(block.size())) {
            throw CommandError(kExitFailed, "no memory for the demo's file");
        }
        left -= block.size();
    }
    content.sha256 = digest.finish();
    return content;
}

Endpoint endpoint_of(const std::vector<Cidr>& addresses, Family family, std::uint16_t port) {
    for (const Cidr& cidr : addresses) {
        if (cidr.address.family() == family) {
            return {cidr.address, port};
        }
    }
    return {addresses.front().address, port};
}

double rate(std::uint64_t bytes, double seconds) {
    return seconds <= 0 ? 0 : static_cast<double>(bytes) * 8 / seconds / 1e9;
}

}  // namespace

struct DemoTransfers::Parts {
    Content large;
    Content small;
    std::unique_ptr<HttpServer> near_server;
    std::unique_ptr<HttpServer> far_server;
    std::unique_ptr<KernelServer> kernel_server;
    HttpExchange last_upload;  ///< as the server of the present upload saw it
    bool curl = false;
};

DemoTransfers::DemoTransfers(Driver& driver, Driver* far, const DemoNetwork& network,
                             std::uint64_t size, Progress progress)
    : driver_(driver),
      far_(far),
      network_(network),
      size_(size),
      progress_(std::move(progress)),
      parts_(std::make_unique<Parts>()) {
    parts_->large = make_content("large", size_, kContentSeed);
    parts_->small = make_content("small", kSmallSize, kContentSeed + 1);
    HttpServerOptions options;
    options.files["/large"] = {parts_->large.fd.get(), size_};
    options.files["/small"] = {parts_->small.fd.get(), kSmallSize};
    options.on_exchange = [parts = parts_.get()](const HttpExchange& exchange) {
        if (!exchange.sha256.empty()) {
            parts->last_upload = exchange;
        }
    };
    parts_->near_server = std::make_unique<HttpServer>(driver_, options);
    for (const Cidr& own : network_.runnel) {
        parts_->near_server->listen({own.address, kRunnelPort});
    }
    if (far_ != nullptr) {
        client_name_ = "a second Runnel host";
        parts_->far_server = std::make_unique<HttpServer>(*far_, options);
        for (const Cidr& own : network_.other) {
            parts_->far_server->listen({own.address, kOtherPort});
        }
        return;
    }
    parts_->curl = has_curl();
    client_name_ = parts_->curl ? "curl" : "a client over kernel sockets";
    std::vector<Endpoint> locals;
    for (const Cidr& address : network_.other) {
        locals.push_back({address.address, kOtherPort});
    }
    parts_->kernel_server = std::make_unique<KernelServer>(locals, parts_->large.fd.get(), size_);
}

DemoTransfers::~DemoTransfers() = default;

net::awaitable<DemoTransfer> DemoTransfers::small_transfer() {
    const Endpoint server = endpoint_of(network_.runnel, Family::ipv4, kRunnelPort);
    const std::string what = client_name_ + " fetches a small file from Runnel";
    DemoTransfer transfer;
    if (far_ != nullptr) {
        transfer = co_await exchange(*far_, what, server, "/small", false);
    } else {
        // Runnel closes first: its end is the one that stays in TIME-WAIT.
        transfer = co_await kernel_download(what, server, "/small", true);
    }
    co_return transfer;
}

net::awaitable<std::vector<DemoTransfer>> DemoTransfers::large_transfers() {
    const Endpoint runnel_v4 = endpoint_of(network_.runnel, Family::ipv4, kRunnelPort);
    const Endpoint runnel_v6 = endpoint_of(network_.runnel, Family::ipv6, kRunnelPort);
    const Endpoint other = endpoint_of(network_.other, Family::ipv4, kOtherPort);
    const std::string down = client_name_ + " downloads from Runnel";
    const std::string up = client_name_ + " uploads to Runnel";
    const std::string get =
        far_ != nullptr ? "Runnel gets from the second host" : "Runnel gets from a kernel server";
    std::vector<DemoTransfer> transfers;
    const auto add = [&](DemoTransfer transfer) {
        progress_(fmt::format("{} ({}): {:.2f} s, {:.2f} Gbit/s", transfer.what,
                              transfer.family == Family::ipv4 ? "IPv4" : "IPv6", transfer.seconds,
                              rate(transfer.bytes, transfer.seconds)));
        transfers.push_back(std::move(transfer));
    };
    DemoTransfer transfer;
    if (far_ != nullptr) {
        transfer = co_await exchange(*far_, down, runnel_v4, "/large", false);
        add(transfer);
        transfer = co_await exchange(*far_, up, runnel_v6, "/upload", true);
        add(transfer);
    } else {
        transfer = co_await kernel_download(down, runnel_v4, "/large", false);
        add(transfer);
        transfer = co_await kernel_upload(up, runnel_v6);
        add(transfer);
    }
    transfer = co_await exchange(driver_, get, other, "/large", false);
    add(transfer);
    co_return transfers;
}

net::awaitable<std::string> DemoTransfers::read_all(int fd) {
    DescriptorSource source(driver_.context(), fd);
    std::string text;
    std::vector<std::byte> buffer(4096);
    while (true) {
        const std::size_t size = co_await source.read(buffer);
        if (size == 0) {
            break;
        }
        text.append(reinterpret_cast<const char*>(buffer.data()), size);
    }
    co_return text;
}

net::awaitable<DemoTransfer> DemoTransfers::kernel_download(std::string what, Endpoint server,
                                                            std::string target, bool close_asked) {
    const Content& content = target == "/large" ? parts_->large : parts_->small;
    PeerRequest request;
    request.server = server;
    request.target = target;
    request.close_asked = close_asked;
    KernelClient client(request, parts_->curl);
    const std::string text = co_await read_all(client.result_fd());
    const PeerResult result = client.parse_result(text);
    DemoTransfer transfer;
    transfer.what = what;
    transfer.family = server.address.family();
    transfer.bytes = result.bytes;
    transfer.seconds = result.seconds;
    transfer.sent_sha256 = content.sha256;
    transfer.received_sha256 = result.sha256;
    if (!result.worked) {
        transfer.error = result.error.empty() ? "the client failed" : result.error;
    }
    co_return transfer;
}

net::awaitable<DemoTransfer> DemoTransfers::kernel_upload(std::string what, Endpoint server) {
    PeerRequest request;
    request.server = server;
    request.target = "/upload";
    request.upload = true;
    request.body_fd = parts_->large.fd.get();
    request.body_size = size_;
    parts_->last_upload = {};
    KernelClient client(request, parts_->curl);
    const std::string text = co_await read_all(client.result_fd());
    const PeerResult result = client.parse_result(text);
    DemoTransfer transfer;
    transfer.what = what;
    transfer.family = server.address.family();
    transfer.bytes = parts_->last_upload.bytes_received;
    transfer.seconds = result.seconds;
    transfer.sent_sha256 = parts_->large.sha256;
    transfer.received_sha256 = parts_->last_upload.sha256;
    if (!result.worked) {
        transfer.error = result.error.empty() ? "the client failed" : result.error;
    }
    co_return transfer;
}

net::awaitable<DemoTransfer> DemoTransfers::exchange(Driver& from, std::string what,
                                                     Endpoint server, std::string target,
                                                     bool upload) {
    DemoTransfer transfer;
    transfer.what = what;
    transfer.family = server.address.family();
    transfer.sent_sha256 = target == "/small" ? parts_->small.sha256 : parts_->large.sha256;
    HttpRequest request;
    request.server = server;
    request.authority = to_string(server);
    request.target = target;
    request.digest = !upload;
    if (upload) {
        request.method = "PUT";
        request.body_fd = parts_->large.fd.get();
        request.body_size = size_;
        parts_->last_upload = {};
    }
    HttpStage stage{};
    NullSink sink;
    try {
        const HttpAnswer answer = co_await http_exchange(from, request, sink, stage);
        transfer.bytes = upload ? parts_->last_upload.bytes_received : answer.body_bytes;
        transfer.seconds = static_cast<double>(answer.total_time.ns) / 1e9;
        transfer.received_sha256 = upload ? parts_->last_upload.sha256 : answer.sha256;
        if (answer.status >= 400) {
            transfer.error = fmt::format("the server answered {}", answer.status);
        }
    } catch (const boost::system::system_error& error) {
        transfer.error = error.code().message();
    }
    co_return transfer;
}

}  // namespace runnel
