// What a path costs a sender, in virtual time: Runnel to Runnel through one bottleneck with loss, reordering
// and a bounded queue, over a grid of paths. The same seed gives the same figures on every machine.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <mutex>
#include <numeric>
#include <thread>

#include "grid/flows.hpp"
#include "runnel/base/check.hpp"
#include "runnel/tcp/names.hpp"

namespace {
using namespace runnel;
using namespace runnel::bench;

struct Options {
    std::string mode = "bulk";
    std::vector<double> rates{10, 100, 1000};           // Mbit/s
    std::vector<double> rtts{1, 10, 50, 100, 300};      // ms
    std::vector<double> losses{0, 0.01, 0.1, 1, 3, 5};  // percent
    std::vector<double> reorders{0, 1};                 // percent
    double burst = 1, ack_loss = 0;
    double reorder_delay = 0.5;           // of the RTT
    double queue = 1;                     // of the bandwidth-delay product
    double least_queue = 20;              // packets
    double duration = 0;                  // s; 0: as the path needs
    double stall_every = 5, stall = 0.8;  // s
    std::uint32_t seeds = 1, transfers = 2'000;
    std::uint64_t first_seed = 1;
    unsigned jobs = 2;
    std::string profile = "modern", congestion;
    std::vector<std::string> settings, flows;
    bool json = false, decisions = false;
    std::string capture;
    double trace = 0;  // ms
};

struct Cell {
    double rate = 0, rtt = 0, loss = 0, reorder = 0;
    std::vector<BulkResult> bulk;  // a seed each
    std::vector<ShortResult> shorts;
};

[[noreturn]] void usage(const std::string& what) {
    fmt::print(stderr, "sim_grid: {}\n", what);
    std::exit(2);
}

tcp::TcpConfig host_tcp(const Options& options) {
    const auto profile = tcp::profile_named(options.profile);
    if (!profile) {
        usage(fmt::format("there is no profile \"{}\"", options.profile));
    }
    tcp::TcpConfig config = tcp::profile_config(*profile);
    if (!options.congestion.empty()) {
        const auto named = tcp::congestion_control_named(options.congestion);
        if (!named) {
            usage(fmt::format("there is no congestion control \"{}\"", options.congestion));
        }
        config.congestion_control = *named;
    }
    for (const std::string& setting : options.settings) {
        const auto equals = setting.find('=');
        if (equals == std::string::npos ||
            !tcp::set_by_name(config, std::string_view(setting).substr(0, equals),
                              std::string_view(setting).substr(equals + 1))) {
            usage(fmt::format("--set {}: no such setting or value", setting));
        }
    }
    return config;
}

Duration of_seconds(double seconds) {
    return nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
}

/// At least 100 round trips, two probes of BBR in each half, and at slow rates enough packets that rare losses occur.
double duration_of(const Options& options, const Cell& cell) {
    if (options.duration > 0) {
        return options.duration;
    }
    const double packets_a_second = cell.rate * 1e6 / 12'000;
    return std::max({12.0, 0.1 * cell.rtt, std::min(120.0, 200'000 / packets_a_second)});
}

NetConfig net_of(const Options& options, const Cell& cell, std::uint64_t seed) {
    NetConfig net;
    net.seed = seed;
    net.sender = net.receiver = host_tcp(options);
    const double bdp = cell.rate * 1e6 / 8 * cell.rtt / 1e3;
    WayConfig way;
    way.bits_per_second = static_cast<std::uint64_t>(cell.rate * 1e6);
    way.delay = of_seconds(cell.rtt / 2e3);
    way.queue_bytes =
        static_cast<std::uint64_t>(std::max(bdp * options.queue, options.least_queue * net.mtu));
    net.there = net.back = way;
    net.there.loss = cell.loss / 100;
    net.there.burst = options.burst;
    net.there.reorder = cell.reorder / 100;
    net.there.reorder_delay = of_seconds(cell.rtt / 1e3 * options.reorder_delay);
    net.back.loss = options.ack_loss / 100;
    net.back.burst = options.burst;
    if (options.mode == "stalls") {
        // Nothing may get lost: the window fits the queue, so that every timeout is in vain.
        net.there.stall_every = of_seconds(options.stall_every);
        net.there.stall = of_seconds(options.stall);
        const auto window = static_cast<std::uint32_t>(std::max(2 * bdp, 65'536.0));
        net.receiver.receive_buffer = std::min(net.receiver.receive_buffer, window);
        net.there.queue_bytes = std::uint64_t{window} * 4;
    }
    return net;
}

/// "cubic*4,bbr" and "4" (of the host's own).
std::vector<FlowConfig> flows_of(const Options& options) {
    std::vector<FlowConfig> flows;
    for (const std::string& item : options.flows) {
        const auto star = item.find('*');
        std::string name = item.substr(0, star);
        std::size_t count = star == std::string::npos ? 1 : std::stoul(item.substr(star + 1));
        if (!name.empty() && name.find_first_not_of("0123456789") == std::string::npos) {
            count = std::stoul(name);
            name.clear();
        }
        for (std::size_t i = 0; i < count; ++i) {
            flows.push_back({name, milliseconds(97) * static_cast<std::int64_t>(flows.size())});
        }
    }
    if (flows.empty()) {
        flows.emplace_back();
    }
    return flows;
}

void run_cell(const Options& options, Cell& cell, std::uint32_t seed) {
    NetConfig net = net_of(options, cell, options.first_seed + seed);
    net.capture = !options.capture.empty();
    if (options.mode == "tails") {
        ShortConfig config{net, options.transfers, 5, 50};
        cell.shorts[seed] = run_short(config);
        return;
    }
    BulkConfig config;
    config.net = net;
    config.flows = flows_of(options);
    config.duration = of_seconds(duration_of(options, cell));
    config.trace_every = of_seconds(options.trace / 1e3);
    cell.bulk[seed] = run_bulk(config);
    if (net.capture) {
        std::ofstream file(options.capture, std::ios::binary);
        const auto& bytes = cell.bulk[seed].capture;
        file.write(reinterpret_cast<const char*>(bytes.data()),
                   static_cast<std::streamsize>(bytes.size()));
    }
}

template <class Result, class F>
double mean(const std::vector<Result>& results, F&& f) {
    double sum = 0;
    for (const Result& result : results) {
        sum += static_cast<double>(f(result));
    }
    return results.empty() ? 0 : sum / static_cast<double>(results.size());
}

std::string congestion_of(const Cell& cell) {
    return cell.bulk.empty() || cell.bulk[0].flows.empty() ? "" : cell.bulk[0].flows[0].congestion;
}

void print_bulk_head() {
    fmt::print(
        "{:>6} {:>5} {:>6} {:>4} │ {:>6} {:>6} {:>6} {:>6} │ {:>7} {:>6} {:>6} {:>6} {:>6} │ {:>7} "
        "{:>7} {:>8} {:>7}\n",
        "Mbit/s", "RTT", "loss%", "reo%", "share%", "min", "max", "whole%", "retr%", "dups", "RTOs",
        "probes", "undone", "burst", "SRTT ms", "queue ms", "cwnd");
}

void print_bulk(const Cell& cell) {
    const auto& all = cell.bulk;
    const auto share = [](const BulkResult& r) { return r.share; };
    const auto [low, high] = std::minmax_element(
        all.begin(), all.end(),
        [&](const BulkResult& a, const BulkResult& b) { return share(a) < share(b); });
    const auto total = [](const BulkResult& r, auto member) {
        return std::accumulate(
            r.flows.begin(), r.flows.end(), 0.0,
            [&](double sum, const FlowResult& f) { return sum + static_cast<double>(f.*member); });
    };
    fmt::print(
        "{:>6g} {:>5g} {:>6g} {:>4g} │ {:>6.1f} {:>6.1f} {:>6.1f} {:>6.1f} │ {:>7.3f} {:>6.0f} {:>6.1f} "
        "{:>6.1f} {:>6.1f} │ {:>7.0f} {:>7.1f} {:>8.2f} {:>7.0f}\n",
        cell.rate, cell.rtt, cell.loss, cell.reorder, 100 * mean(all, share), 100 * low->share,
        100 * high->share, 100 * mean(all, [](auto& r) { return r.share_whole; }),
        100 * mean(all,
                   [&](auto& r) {
                       return total(r, &FlowResult::retransmitted) /
                              std::max(1.0, total(r, &FlowResult::sent));
                   }),
        mean(all, [&](auto& r) { return total(r, &FlowResult::duplicates); }),
        mean(all, [](auto& r) { return r.timeouts; }), mean(all, [](auto& r) { return r.probes; }),
        mean(all, [](auto& r) { return r.undone; }), mean(all, [](auto& r) { return r.burst; }),
        mean(all, [&](auto& r) { return total(r, &FlowResult::rtt_ms); }) /
            static_cast<double>(all[0].flows.size()),
        mean(all, [](auto& r) { return r.queue_ms; }),
        mean(all, [&](auto& r) { return total(r, &FlowResult::cwnd); }));
}

void print_flows(const Cell& cell) {
    for (std::size_t i = 0; i < cell.bulk[0].flows.size() && cell.bulk[0].flows.size() > 1; ++i) {
        fmt::print("{:>26} {:<8} {:>6.1f} %  SRTT {:.1f} ms  cwnd {:.0f}\n", "flow",
                   cell.bulk[0].flows[i].congestion,
                   100 * mean(cell.bulk, [&](auto& r) { return r.flows[i].share; }),
                   mean(cell.bulk, [&](auto& r) { return r.flows[i].rtt_ms; }),
                   mean(cell.bulk, [&](auto& r) { return r.flows[i].cwnd; }));
    }
    if (cell.bulk[0].flows.size() > 1) {
        fmt::print("{:>26} {:.4f}\n", "Jain", mean(cell.bulk, [](auto& r) { return r.jain; }));
    }
}

void print_short(const Cell& cell) {
    const auto sum = [&](auto member) {
        double value = 0;
        for (const ShortResult& result : cell.shorts) {
            value += static_cast<double>(result.*member);
        }
        return value;
    };
    const double tails = sum(&ShortResult::tail_lost);
    const double timeouts = sum(&ShortResult::tail_lost_timeout);
    fmt::print(
        "{:>6g} {:>5g} {:>6g} │ {:>9.0f} {:>6.0f} {:>9.0f} {:>8.0f} {:>9.1f} │ {:>8.0f} {:>8.0f} "
        "{:>7.0f} │ {:>8.1f} {:>8.1f}\n",
        cell.rate, cell.rtt, cell.loss, sum(&ShortResult::transfers), sum(&ShortResult::failed),
        tails, timeouts, tails > 0 ? 100 * (1 - timeouts / tails) : 100.0,
        sum(&ShortResult::any_lost), sum(&ShortResult::any_lost_timeout), sum(&ShortResult::probes),
        mean(cell.shorts, [](auto& r) { return r.mean_ms; }),
        mean(cell.shorts, [](auto& r) { return r.p99_ms; }));
}

void print_json(const Cell& cell, bool& first) {
    for (std::size_t seed = 0; seed < std::max(cell.bulk.size(), cell.shorts.size()); ++seed) {
        fmt::print("{}{{\"rate_mbit\":{},\"rtt_ms\":{},\"loss_percent\":{},\"reorder_percent\":{}",
                   first ? "\n" : ",\n", cell.rate, cell.rtt, cell.loss, cell.reorder);
        first = false;
        if (seed < cell.shorts.size()) {
            const ShortResult& r = cell.shorts[seed];
            fmt::print(
                ",\"transfers\":{},\"failed\":{},\"tail_lost\":{},\"tail_lost_timeout\":{},"
                "\"any_lost\":{},\"any_lost_timeout\":{},\"probes\":{},\"mean_ms\":{:.3f}}}",
                r.transfers, r.failed, r.tail_lost, r.tail_lost_timeout, r.any_lost,
                r.any_lost_timeout, r.probes, r.mean_ms);
            continue;
        }
        const BulkResult& r = cell.bulk[seed];
        fmt::print(
            ",\"share\":{:.5f},\"share_whole\":{:.5f},\"jain\":{:.5f},\"queue_ms\":{:.3f},"
            "\"burst_segments\":{:.0f},\"timeouts\":{},\"probes\":{},\"undone\":{},\"stalls_timed_out\":{},\"stalls_undone\":{},\"flows\":[",
            r.share, r.share_whole, r.jain, r.queue_ms, r.burst, r.timeouts, r.probes, r.undone,
            r.stalls_timed_out, r.stalls_undone);
        for (std::size_t i = 0; i < r.flows.size(); ++i) {
            const FlowResult& f = r.flows[i];
            fmt::print(
                "{}{{\"cc\":\"{}\",\"share\":{:.5f},\"sent\":{},\"retransmitted\":{},"
                "\"duplicates\":{},\"srtt_ms\":{:.3f},\"cwnd\":{:.1f}}}",
                i == 0 ? "" : ",", f.congestion, f.share, f.sent, f.retransmitted, f.duplicates,
                f.rtt_ms, f.cwnd);
        }
        fmt::print("]}}");
    }
}

void print_decisions(const Cell& cell) {
    for (const auto& [name, count] :
         cell.bulk.empty() ? std::map<std::string, std::uint64_t>{} : cell.bulk[0].decisions) {
        fmt::print("{:>52} {}\n", name, count);
    }
}

std::vector<Cell> cells_of(const Options& options) {
    std::vector<Cell> cells;
    for (const double rate : options.rates) {
        for (const double rtt : options.rtts) {
            for (const double reorder : options.reorders) {
                for (const double loss : options.losses) {
                    Cell& cell = cells.emplace_back();
                    cell.rate = rate;
                    cell.rtt = rtt;
                    cell.loss = loss;
                    cell.reorder = reorder;
                    if (options.mode == "tails") {
                        cell.shorts.resize(options.seeds);
                    } else {
                        cell.bulk.resize(options.seeds);
                    }
                }
            }
        }
    }
    return cells;
}

void print_cell(const Options& options, const Cell& cell, bool& first) {
    if (options.json) {
        print_json(cell, first);
    } else if (options.mode == "tails") {
        if (first) {
            fmt::print(
                "{:>6} {:>5} {:>6} │ {:>9} {:>6} {:>9} {:>8} {:>9} │ {:>8} {:>8} {:>7} │ {:>8} "
                "{:>8}\n",
                "Mbit/s", "RTT", "loss%", "transfers", "failed", "tail lost", "by RTO", "repaired%",
                "any lost", "by RTO", "probes", "mean ms", "p99 ms");
        }
        print_short(cell);
    } else {
        if (first) {
            fmt::print("congestion control: {}\n", congestion_of(cell));
            print_bulk_head();
        }
        print_bulk(cell);
        print_flows(cell);
        if (options.mode == "stalls") {
            fmt::print("{:>26} {:.1f}, undone {:.1f}\n", "stalls that timed out",
                       mean(cell.bulk, [](auto& r) { return r.stalls_timed_out; }),
                       mean(cell.bulk, [](auto& r) { return r.stalls_undone; }));
        }
    }
    if (options.decisions) {
        print_decisions(cell);
    }
    first = false;
    std::fflush(stdout);
}

/// Runs cell after cell by `jobs` threads and prints them in their order.
void run_all(const Options& options) {
    std::vector<Cell> cells = cells_of(options);
    std::vector<std::uint32_t> left(cells.size(), options.seeds);
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    std::size_t printed = 0;
    bool first = true;
    const auto work = [&] {
        for (;;) {
            const std::size_t job = next++;
            if (job >= cells.size() * options.seeds) {
                return;
            }
            const std::size_t index = job / options.seeds;
            run_cell(options, cells[index], static_cast<std::uint32_t>(job % options.seeds));
            const std::scoped_lock lock(mutex);
            --left[index];
            for (; printed < cells.size() && left[printed] == 0; ++printed) {
                print_cell(options, cells[printed], first);
            }
        }
    };
    if (options.json) {
        fmt::print("[");
    }
    std::vector<std::thread> threads;
    for (unsigned i = 1; i < options.jobs; ++i) {
        threads.emplace_back(work);
    }
    work();
    for (std::thread& thread : threads) {
        thread.join();
    }
    if (options.json) {
        fmt::print("\n]\n");
    }
}

void declare(CLI::App& app, Options& o) {
    app.add_option(
           "mode", o.mode,
           "bulk: goodput of a long transfer; tails: short transfers whose tails get lost; stalls: "
           "the line stands still for longer than the RTO")
        ->check(CLI::IsMember({"bulk", "tails", "stalls"}));
    app.add_option("--rate", o.rates, "Mbit/s")->delimiter(',');
    app.add_option("--rtt", o.rtts, "ms")->delimiter(',');
    app.add_option("--loss", o.losses, "percent of the data packets")->delimiter(',');
    app.add_option("--reorder", o.reorders, "percent of the data packets held back")
        ->delimiter(',');
    app.add_option("--reorder-delay", o.reorder_delay, "… by up to this share of the RTT");
    app.add_option("--burst", o.burst, "mean length of a row of losses; 1: independent");
    app.add_option("--ack-loss", o.ack_loss, "percent of the packets that go back");
    app.add_option("--queue", o.queue, "of the bottleneck, in bandwidth-delay products");
    app.add_option("--least-queue", o.least_queue, "packets");
    app.add_option("--duration", o.duration, "seconds of virtual time; 0: as the path needs");
    app.add_option("--stall-every", o.stall_every, "s, mode stalls");
    app.add_option("--stall", o.stall, "s, mode stalls");
    app.add_option("--transfers", o.transfers, "a cell and seed, mode tails");
    app.add_option("--flows", o.flows, "several flows: 4 (of --cc), or cubic*2,bbr")
        ->delimiter(',');
    app.add_option("--seeds", o.seeds, "runs a cell")->check(CLI::Range(1, 10'000));
    app.add_option("--first-seed", o.first_seed);
    app.add_option("--profile", o.profile, "modern, linux, rfc");
    app.add_option("--cc", o.congestion, "congestion control; the profile's without");
    app.add_option("--set", o.settings, "KEY=VALUE, of both hosts, as of runnel");
    app.add_option("--jobs", o.jobs)->check(CLI::Range(1, 64));
    app.add_option("--capture", o.capture,
                   "pcapng of the sender with its reasons; one cell and seed");
    app.add_option("--trace", o.trace, "ms: print the first flow's window so often");
    app.add_flag("-j,--json", o.json);
    app.add_flag("--decisions", o.decisions, "what both ends decided how often, of the first seed");
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{
        "Goodput over a grid of impaired paths in virtual time, Runnel to Runnel, as a share of the payload "
        "that the line could carry.\nExample: ./run bench sim_grid --rate 100 --rtt 50 --loss 0,0.1,1 "
        "--reorder 0 --seeds 4",
        "sim_grid"};
    Options options;
    declare(app, options);
    CLI11_PARSE(app, argc, argv);
    (void)host_tcp(options);
    run_all(options);
    return 0;
}
