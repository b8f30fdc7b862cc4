// In-order data from one host to another in one process: nothing but Runnel's own work. Under callgrind
// (bench/trace_cost.py) the difference of two lengths gives the instructions of a segment.
#include <chrono>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "in_process.hpp"

namespace {

using namespace runnel;
using namespace runnel::bench;

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t megabytes = 256;
    Link link;
    CLI::App app{"In-order data from one host to another in one process."};
    app.add_option("--megabytes", megabytes, "how much")->capture_default_str();
    app.add_option("--mtu", link.mtu, "bytes of an IP packet")->capture_default_str();
    app.add_flag("--offload", link.offload, "64 KB super-segments, checksums left open");
    CLI11_PARSE(app, argc, argv);

    Pair pair(link);
    const SocketId listener = pair.listen(80, 4);
    const SocketId writer = pair.connect(80);
    pair.settle();
    const auto reader = pair.server.sockets.accept(listener, pair.now);
    must(reader.has_value(), "not accepted");
    const auto start = std::chrono::steady_clock::now();
    Stream(pair, writer, *reader).carry(megabytes << 20);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    const std::uint64_t frames = pair.client.frames_sent;
    fmt::print("{} segments, {} back, {:.1f} ns a segment, {:.2f} Gbit/s\n", frames,
               pair.server.frames_sent, took.count() * 1e9 / static_cast<double>(frames),
               static_cast<double>(megabytes << 20) * 8 / took.count() / 1e9);
    return 0;
}
