// Runnel's data path and connections without a kernel, and lwIP's beside it: nanoseconds a segment,
// throughput, nanoseconds to open and close. `./run bench` shows them in one table with everything else.
#include <benchmark/benchmark.h>

#include "in_process.hpp"
#ifdef RUNNEL_BENCH_LWIP
#include "lwip_pair.hpp"
#endif

namespace {

using namespace runnel;
using namespace runnel::bench;

void report(benchmark::State& state, std::uint64_t bytes, std::uint64_t segments) {
    state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
    state.counters["ns_a_segment"] =
        benchmark::Counter(static_cast<double>(segments) * 1e-9,
                           benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void in_order(benchmark::State& state, const Link& link) {
    Pair pair(link);
    const SocketId listener = pair.listen(80, 4);
    const SocketId writer = pair.connect(80);
    pair.settle();
    const SocketId reader = *pair.server.sockets.accept(listener, pair.now);
    Stream stream(pair, writer, reader);
    const std::uint64_t chunk = link.offload ? 64u << 20 : 8u << 20;
    stream.carry(chunk);  // past slow start, buffers at their size
    const std::uint64_t first = pair.client.frames_sent;
    std::uint64_t bytes = 0;
    for ([[maybe_unused]] auto _ : state) {
        stream.carry(chunk);
        bytes += chunk;
    }
    report(state, bytes, pair.client.frames_sent - first);
}

void open_close(benchmark::State& state) {
    Pair pair;
    const SocketId listener = pair.listen(80, 16);
    std::int64_t rounds = 0;
    for ([[maybe_unused]] auto _ : state) {
        const SocketId client = pair.connect(80);
        pair.settle();
        const SocketId server = *pair.server.sockets.accept(listener, pair.now);
        must(pair.client.sockets.close(client, pair.now).has_value(), "close");
        pair.settle();
        must(pair.server.sockets.close(server, pair.now).has_value(), "close");
        pair.settle();
        // TIME-WAIT ends in virtual time, so that ports and tables stay as in a server at rest.
        pair.now = pair.now + milliseconds(5);
        if (++rounds % 64 == 0) {
            pair.pass({});
        }
    }
    state.SetItemsProcessed(state.iterations());
}

BENCHMARK_CAPTURE(in_order, mtu1500, Link{.mtu = 1500, .offload = false})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(in_order, super64k, Link{.mtu = 1500, .offload = true})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(open_close);

#ifdef RUNNEL_BENCH_LWIP
void lwip_in_order(benchmark::State& state) {
    LwipPair pair(1500);
    constexpr std::uint64_t kChunk = 8u << 20;
    pair.transfer(kChunk);
    const std::uint64_t first = pair.packets();
    std::uint64_t bytes = 0;
    for ([[maybe_unused]] auto _ : state) {
        pair.transfer(kChunk);
        bytes += kChunk;
    }
    report(state, bytes, pair.packets() - first);
}
void lwip_open_close(benchmark::State& state) {
    LwipPair pair(1500);
    for ([[maybe_unused]] auto _ : state) {
        pair.open_and_close();
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(lwip_in_order)->Name("lwip_in_order/mtu1500")->Unit(benchmark::kMillisecond);
BENCHMARK(lwip_open_close);
#endif

}  // namespace
