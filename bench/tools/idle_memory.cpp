// What an idle established connection costs, everything counted: resident memory of a process with two
// hosts and N connections between them, of which a part has carried data and gone quiet, before and after.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "in_process.hpp"

namespace {

using namespace runnel;
using namespace runnel::bench;

struct Settings {
    std::size_t connections = 100'000;
    std::size_t batch = 500;     ///< opened at a time
    std::size_t data_every = 4;  ///< one connection in so many carries data, 0: none
    std::size_t data_bytes = 16'384;
    bool json = false;
};

constexpr std::uint16_t kFirstPort = 8000;
constexpr std::size_t kPerPort = 20'000;  ///< of some 28,000 ephemeral ports

struct Connections {
    std::vector<SocketId> client;
    std::vector<SocketId> server;
};

/// `block` there and back, wholly read.
void exchange(Pair& pair, SocketId client, SocketId server, std::vector<std::byte>& block) {
    const auto carry = [&](End& from, SocketId sender, End& to, SocketId receiver) {
        std::size_t sent = 0;
        std::size_t received = 0;
        std::vector<std::byte> into(block.size());
        while (received < block.size()) {
            sent += from.sockets.send(sender, Bytes(block).subspan(sent), {}, pair.now).value_or(0);
            pair.settle();
            const auto got = to.sockets.receive(receiver, into, {}, pair.now);
            must(got.has_value() && *got > 0, "data did not arrive");
            received += *got;
            pair.settle();
        }
    };
    carry(pair.client, client, pair.server, server);
    carry(pair.server, server, pair.client, client);
}

Connections open_all(Pair& pair, const Settings& settings) {
    Connections all;
    // No slack of our own in the figure.
    all.client.reserve(settings.connections);
    all.server.reserve(settings.connections);
    std::vector<std::byte> block(settings.data_bytes);
    while (all.client.size() < settings.connections) {
        const std::size_t first = all.client.size();
        const auto port = static_cast<std::uint16_t>(kFirstPort + first / kPerPort);
        static std::uint16_t listening = 0;
        static SocketId listener;
        if (listening != port) {
            listener = pair.listen(port, 4096);
            listening = port;
        }
        const std::size_t room = kPerPort - first % kPerPort;
        const std::size_t count = std::min({settings.batch, room, settings.connections - first});
        for (std::size_t i = 0; i < count; ++i) {
            all.client.push_back(pair.connect(port));
        }
        pair.settle();
        while (const auto accepted = pair.server.sockets.accept(listener, pair.now)) {
            all.server.push_back(*accepted);
        }
        must(all.server.size() == all.client.size(), "a connection was not accepted");
        pair.settle();
        for (std::size_t i = first; i < first + count; ++i) {
            if (settings.data_every != 0 && i % settings.data_every == 0) {
                // Accepted in the order of connecting: the wire keeps order.
                exchange(pair, all.client[i], all.server[i], block);
            }
        }
        pair.pass(milliseconds(50));
    }
    return all;
}

void close_all(Pair& pair, const Connections& all) {
    for (std::size_t i = 0; i < all.client.size(); ++i) {
        must(pair.client.sockets.close(all.client[i], pair.now).has_value(), "close");
        must(pair.server.sockets.close(all.server[i], pair.now).has_value(), "close");
        if (i % 500 == 499) {
            pair.settle();
            pair.pass(milliseconds(10));
        }
    }
    pair.settle();
    pair.pass(seconds(130));  // beyond 2MSL
}

void report(const Settings& settings, std::size_t before, std::size_t open, std::size_t closed) {
    const auto ends = static_cast<double>(settings.connections * 2);
    const double bytes = (static_cast<double>(open) - static_cast<double>(before)) / ends;
    const auto drift = static_cast<std::int64_t>(closed) - static_cast<std::int64_t>(before);
    if (settings.json) {
        fmt::print(
            "{{\"connections\":{},\"ends\":{},\"rss_before\":{},\"rss_open\":{},"
            "\"rss_closed\":{},\"bytes_per_idle_connection\":{:.1f}}}\n",
            settings.connections, settings.connections * 2, before, open, closed, bytes);
        return;
    }
    fmt::print("{:>10} connections, both ends in this process\n", settings.connections);
    fmt::print("{:>10.1f} bytes an idle connection (each end), by RSS\n", bytes);
    fmt::print(
        "{:>10} KiB resident before, {} KiB with all open, {} KiB after all closed "
        "({:+} KiB)\n",
        before >> 10, open >> 10, closed >> 10, drift / 1024);
}

}  // namespace

int main(int argc, char** argv) {
    Settings settings;
    CLI::App app{"Bytes an idle connection, counted by the resident memory of a process."};
    app.add_option("--connections", settings.connections, "connections to open")
        ->check(CLI::Range(1, 900'000))
        ->capture_default_str();
    app.add_option("--batch", settings.batch, "opened at a time")
        ->check(CLI::Range(1, 4000))
        ->capture_default_str();
    app.add_option("--data-every", settings.data_every,
                   "one connection in so many carries data first (0: none)")
        ->capture_default_str();
    app.add_option("--data-bytes", settings.data_bytes, "octets that it carries each way")
        ->check(CLI::Range(1, 1 << 20))
        ->capture_default_str();
    app.add_flag("-j,--json", settings.json, "print one JSON object");
    CLI11_PARSE(app, argc, argv);

    Pair pair;
    const std::size_t before = resident_bytes();
    const Connections all = open_all(pair, settings);
    pair.pass(seconds(5));  // all have gone quiet
    const std::size_t open =
        resident_bytes() - sizeof(SocketId) * 2 * settings.connections;  // our own two lists
    close_all(pair, all);
    report(settings, before, open, resident_bytes());
    return 0;
}
