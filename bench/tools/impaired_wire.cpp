// A path in real time with a rate, a delay, a queue, losses and reordering, through which kernels' TCP and
// Runnel's carry streams to each other; one run, one line of JSON. Everything happens in private network
// namespaces. bench/impaired.py makes comparisons of many such runs.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>

#include "real/ends.hpp"
#include "real/wire.hpp"
#include "runnel/link/device.hpp"
#include "runnel/link/netlink.hpp"
#include "runnel/link/network_namespace.hpp"
#include "runnel/tcp/names.hpp"

namespace {
using namespace runnel;
using namespace runnel::bench;

constexpr int kSkipped = 77;
constexpr int kSocketBuffer = 8 << 20;
constexpr std::uint32_t kRing = 20'000;
/// Share of the packets that may be late, and of the time that the wire may be away, in a run that counts.
constexpr double kTolerated = 0.03;
constexpr Duration kPatience = seconds(5);  ///< for the first packet

struct Options {
    std::vector<std::string> flows{"kernel-kernel:cubic"};
    double rate = 100, rtt = 20, loss = 0, reorder = 0;  // Mbit/s, ms, percent, percent
    double burst = 1, reorder_delay = 0.5, queue = 1, least_queue = 20, ack_loss = 0;
    double seconds = 10;
    std::uint64_t octets = 0, seed = 1;
    std::uint32_t buffer = 32u << 20;
    std::vector<std::string> settings;
    std::string profile = "modern", capture;
    bool fates = false;
};

struct Flow {
    std::string from, to, congestion;
};

/// An end with its process and what holds its plug open.
struct End {
    std::unique_ptr<NetworkNamespace> network;
    std::unique_ptr<Device> device;  ///< of a kernel end
    pid_t process = -1;
};

[[noreturn]] void die(const std::string& what, int code = 1) {
    fmt::print(stderr, "impaired_wire: {}\n", what);
    std::exit(code);
}
template <class T>
T need(LinkResult<T> result) {
    if (!result.has_value()) {
        die(result.error().what);
    }
    if constexpr (!std::is_void_v<T>) {
        return std::move(*result);
    }
}

/// "runnel-kernel:cubic*2": two flows from a Runnel host to the kernel's.
std::vector<Flow> flows_of(const Options& options) {
    std::vector<Flow> flows;
    const auto known = [](const std::string& stack) {
        return stack == "kernel" || stack == "runnel";
    };
    for (const std::string& text : options.flows) {
        const auto dash = text.find('-');
        const auto colon = text.find(':');
        const auto star = text.find('*');
        if (dash == std::string::npos || colon == std::string::npos || colon < dash) {
            die(fmt::format("--flow {}: write FROM-TO:CC, such as runnel-kernel:cubic", text), 2);
        }
        const Flow flow{text.substr(0, dash), text.substr(dash + 1, colon - dash - 1),
                        text.substr(colon + 1, star - colon - 1)};
        if (!known(flow.from) || !known(flow.to)) {
            die(fmt::format("--flow {}: an end is \"kernel\" or \"runnel\"", text), 2);
        }
        const std::size_t count = star == std::string::npos ? 1 : std::stoul(text.substr(star + 1));
        flows.insert(flows.end(), count, flow);
    }
    if (flows.size() > Board::kFlows) {
        die(fmt::format("at most {} flows", Board::kFlows), 2);
    }
    return flows;
}

std::string address_of(unsigned side, std::size_t flow) {
    return fmt::format("10.6.{}.{}", side, flow + 1);
}
std::uint32_t number_of(unsigned side, std::size_t flow) {
    return 10u << 24 | 6u << 16 | side << 8 | static_cast<std::uint32_t>(flow + 1);
}

/// Inside its namespace: a TUN without offloads, so that the path carries packets of the MTU, and buffers
/// that autotuning may grow to `buffer`.
std::unique_ptr<Device> make_kernel_end(const Options& options, unsigned side, std::size_t flow) {
    TunOptions tun;
    tun.name = "wire0";
    tun.queue_length = kRing;
    tun.offloads = false;
    auto device = std::make_unique<Device>(need(Device::open_tun(tun)));
    need(write_sysctl("net.ipv4.tcp_rmem", fmt::format("4096 131072 {}", options.buffer)));
    need(write_sysctl("net.ipv4.tcp_wmem", fmt::format("4096 16384 {}", options.buffer)));
    need(write_sysctl("net.ipv6.conf.wire0.disable_ipv6", "1"));
    Netlink netlink = need(Netlink::open());
    need(netlink.add_address("wire0", *parse_cidr(address_of(side, flow) + "/16")));
    need(netlink.set_up("wire0"));
    return device;
}

tcp::TcpConfig runnel_tcp(const Options& options, const std::string& congestion) {
    tcp::TcpConfig config =
        tcp::profile_config(tcp::profile_named(options.profile).value_or(tcp::Profile::modern));
    config.send_buffer = config.receive_buffer = options.buffer;
    const auto control = tcp::congestion_control_named(congestion);
    if (!control) {
        die(fmt::format("Runnel has no congestion control \"{}\"", congestion), 2);
    }
    config.congestion_control = *control;
    for (const std::string& setting : options.settings) {
        const auto equals = setting.find('=');
        if (equals == std::string::npos ||
            !tcp::set_by_name(config, std::string_view(setting).substr(0, equals),
                              std::string_view(setting).substr(equals + 1))) {
            die(fmt::format("--set {}: no such setting or value", setting), 2);
        }
    }
    return config;
}

class Run {
public:
    explicit Run(const Options& options);
    ~Run();
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;
    int go();

private:
    static Board* make_board();
    static WayConfig way_of(const Options& options);
    void make_end(std::size_t flow, unsigned side);
    void wait_for_listeners();
    bool turn(Instant now);
    void sample(std::vector<std::uint64_t>& into) const;
    [[nodiscard]] std::uint64_t device_drops() const;
    [[nodiscard]] bool valid() const;
    void print() const;

    const Options& options_;
    std::vector<Flow> flows_;
    Board* board_;
    Duration tolerance_;
    RealWire wire_;
    std::vector<End> ends_;
    Instant began_;  ///< until a packet has come: when the wire was set up
    bool under_way_ = false;
    std::vector<std::uint64_t> at_half_, at_end_;
    double measured_ = 0;  ///< seconds from the half to the end
    double whole_ = 0;
};

Board* Run::make_board() {
    void* memory =
        mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        die("no shared memory");
    }
    return new (memory) Board{};
}

Duration milliseconds_of(double value) {
    return nanoseconds(static_cast<std::int64_t>(value * 1e6));
}

WayConfig Run::way_of(const Options& options) {
    WayConfig way;
    way.bits_per_second = static_cast<std::uint64_t>(options.rate * 1e6);
    way.delay = milliseconds_of(options.rtt / 2);
    const double bdp = options.rate * 1e6 / 8 * options.rtt / 1e3;
    way.queue_bytes =
        static_cast<std::uint64_t>(std::max(bdp * options.queue, options.least_queue * 1500));
    return way;
}

WayConfig with_data_faults(WayConfig way, const Options& options) {
    way.loss = options.loss / 100;
    way.burst = options.burst;
    way.reorder = options.reorder / 100;
    way.reorder_delay = milliseconds_of(options.rtt * options.reorder_delay);
    return way;
}
WayConfig with_ack_faults(WayConfig way, const Options& options) {
    way.loss = options.ack_loss / 100;
    return way;
}

/// A fiftieth of the RTT, but 20 to 200 µs: finer costs a turn a packet.
Duration quantum_of(const Options& options) {
    return microseconds(static_cast<std::int64_t>(std::clamp(options.rtt * 20, 20.0, 200.0)));
}
/// A tenth of the RTT, but not below 300 µs.
Duration tolerance_of(const Options& options) {
    return microseconds(static_cast<std::int64_t>(std::max(options.rtt * 100, 300.0)));
}

Run::Run(const Options& options)
    : options_(options),
      flows_(flows_of(options)),
      board_(make_board()),
      tolerance_(tolerance_of(options)),
      wire_(with_data_faults(way_of(options), options), with_ack_faults(way_of(options), options),
            options.seed, quantum_of(options), tolerance_),
      ends_(flows_.size() * 2) {}

Run::~Run() {
    board_->stop = 1;
    for (int patience = 0; patience < 100; ++patience) {
        bool all = true;
        for (End& end : ends_) {
            if (end.process > 0 && waitpid(end.process, nullptr, WNOHANG) != 0) {
                end.process = -1;
            }
            all = all && end.process <= 0;
        }
        if (all) {
            return;
        }
        (void)poll(nullptr, 0, 10);
    }
    for (const End& end : ends_) {
        if (end.process > 0) {
            (void)kill(end.process, SIGKILL);
            (void)waitpid(end.process, nullptr, 0);
        }
    }
}

void Run::make_end(std::size_t flow, unsigned side) {
    const std::string& stack = side == 0 ? flows_[flow].from : flows_[flow].to;
    EndConfig config;
    config.sends = side == 0;
    config.local = address_of(side, flow);
    config.remote = address_of(1 - side, flow);
    config.congestion = flows_[flow].congestion;
    config.octets = options_.octets;
    FlowBoard& board = board_->flow[flow];
    End& end = ends_[flow * 2 + side];
    end.network = std::make_unique<NetworkNamespace>(need(NetworkNamespace::create()));
    Port port{-1, side, number_of(side, flow)};
    if (stack == "kernel") {
        need(end.network->run_inside([&] { end.device = make_kernel_end(options_, side, flow); }));
        port.fd = end.device->native_handle();
        end.process =
            need(end.network->fork_inside([&] { return kernel_end(config, *board_, board); }));
    } else {
        config.tcp = runnel_tcp(options_, side == 0 ? config.congestion : "reno");
        const bool first = flow == 0 && (side == 0 || flows_[flow].from == "kernel");
        config.capture = first ? options_.capture : "";
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
            die("no socket pair");
        }
        for (const int fd : pair) {
            if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &kSocketBuffer, sizeof kSocketBuffer) !=
                0) {
                (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kSocketBuffer, sizeof kSocketBuffer);
            }
        }
        port.fd = pair[0];
        end.process = need(end.network->fork_inside([&] {
            close(pair[0]);
            return runnel_end(config, pair[1], *board_, board);
        }));
        close(pair[1]);
    }
    wire_.add(port);
}

void Run::wait_for_listeners() {
    for (std::size_t flow = 0; flow < flows_.size(); ++flow) {
        for (int patience = 0; board_->flow[flow].listening == 0; ++patience) {
            if (patience == 1'000) {
                die("a receiver did not start");
            }
            (void)poll(nullptr, 0, 5);
        }
    }
}

void Run::sample(std::vector<std::uint64_t>& into) const {
    into.clear();
    for (std::size_t flow = 0; flow < flows_.size(); ++flow) {
        into.push_back(board_->flow[flow].received);
    }
}

bool Run::turn(Instant now) {
    if (!under_way_) {
        // How long a process takes to start says nothing about its TCP: time runs from the first packet.
        if (wire_.counters().read == 0 && now - began_ < kPatience) {
            return true;
        }
        under_way_ = true;
        began_ = now;
    }
    const double passed = static_cast<double>((now - began_).ns) / 1e9;
    if (at_half_.empty() && passed >= options_.seconds / 2) {
        sample(at_half_);
        measured_ = passed;
    }
    bool finished = options_.octets != 0;
    for (std::size_t flow = 0; flow < flows_.size(); ++flow) {
        finished = finished && board_->flow[flow].finished != 0;
    }
    if (passed < options_.seconds && !finished) {
        return true;
    }
    sample(at_end_);
    if (at_half_.empty()) {
        at_half_.assign(flows_.size(), 0);
    }
    measured_ = passed - measured_;
    whole_ = passed;
    return false;
}

/// What the kernel's devices dropped because the wire had not read it: transmit drops of /proc/net/dev.
std::uint64_t Run::device_drops() const {
    std::uint64_t sum = 0;
    for (const End& end : ends_) {
        if (!end.device) {
            continue;
        }
        (void)end.network->run_inside([&] {
            std::ifstream file("/proc/thread-self/net/dev");
            for (std::string line; std::getline(file, line);) {
                const auto at = line.find("wire0:");
                std::istringstream fields(at == std::string::npos ? "" : line.substr(at + 6));
                std::uint64_t value = 0;
                for (int i = 0; i < 12 && fields >> value; ++i) {
                    if (i == 3 || i == 11) {  // dropped on the way in, and out
                        sum += value;
                    }
                }
            }
        });
    }
    return sum;
}

/// Whether the wire did what it was told: hardly anything late, and nothing lost that it did not mean to lose.
bool Run::valid() const {
    const WireCounters& w = wire_.counters();
    const double late =
        static_cast<double>(w.late) / static_cast<double>(std::max<std::uint64_t>(w.delivered, 1));
    return late <= kTolerated && static_cast<double>(w.absent_ns) <= whole_ * 1e9 * kTolerated &&
           w.refused == 0 && device_drops() == 0;
}

void Run::print() const {
    const WireCounters& w = wire_.counters();
    const bench::WayCounters& there = wire_.way(0).counters();
    const bench::WayCounters& back = wire_.way(1).counters();
    fmt::print(
        "{{\"rate_mbit\":{},\"rtt_ms\":{},\"loss_percent\":{},\"reorder_percent\":{},\"seed\":{},"
        "\"seconds\":{:.3f},\"valid\":{},\"flows\":[",
        options_.rate, options_.rtt, options_.loss, options_.reorder, options_.seed, whole_,
        valid());
    for (std::size_t i = 0; i < flows_.size(); ++i) {
        const FlowBoard& b = board_->flow[i];
        fmt::print(
            "{}{{\"from\":\"{}\",\"to\":\"{}\",\"cc\":\"{}\",\"cc_read_back\":\"{}\",\"received\":{},"
            "\"wrong\":{},\"finished\":{},\"mbit\":{:.4f},\"mbit_half\":{:.4f},\"segments\":{},"
            "\"retransmitted\":{},\"timeouts\":{},\"probes\":{},\"undone\":{},\"rtt_us\":{},"
            "\"min_rtt_us\":{},\"cwnd\":{}}}",
            i == 0 ? "" : ",", flows_[i].from, flows_[i].to, flows_[i].congestion, b.congestion,
            at_end_[i], b.wrong.load(), b.finished != 0,
            static_cast<double>(at_end_[i]) * 8e-6 / whole_,
            measured_ > 0 ? static_cast<double>(at_end_[i] - at_half_[i]) * 8e-6 / measured_ : 0,
            b.sent.load(), b.retransmitted.load(), b.timeouts.load(), b.probes.load(),
            b.undone.load(), b.rtt_us.load(), b.min_rtt_us.load(), b.cwnd.load());
    }
    fmt::print(
        "],\"wire\":{{\"data_packets\":{},\"data_lost\":{},\"data_overflowed\":{},\"data_held_back\":{},"
        "\"ack_packets\":{},\"ack_lost\":{},\"delivered\":{},\"refused\":{},\"device_drops\":{},"
        "\"strangers\":{},\"late\":{},\"latest_us\":{},\"mean_late_us\":{:.1f},\"absent_ms\":{:.2f},"
        "\"turns\":{},\"queue_ms\":{:.3f}}}",
        there.packets, there.lost, there.overflowed, there.held_back, back.packets, back.lost,
        w.delivered, w.refused, device_drops(), w.nobody, w.late, w.latest_ns / 1000,
        static_cast<double>(w.late_sum_ns) / 1e3 /
            static_cast<double>(std::max<std::uint64_t>(w.delivered, 1)),
        static_cast<double>(w.absent_ns) / 1e6, w.turns,
        static_cast<double>(there.backlog_sum) /
            static_cast<double>(std::max<std::uint64_t>(there.packets, 1)) * 8e3 /
            static_cast<double>(wire_.way(0).config().bits_per_second));
    if (options_.fates) {
        fmt::print(",\"fates\":\"{}\"", wire_.fates());
    }
    fmt::print("}}\n");
}

int Run::go() {
    for (std::size_t flow = 0; flow < flows_.size(); ++flow) {
        make_end(flow, 1);
    }
    wait_for_listeners();
    for (std::size_t flow = 0; flow < flows_.size(); ++flow) {
        make_end(flow, 0);
    }
    // The wire is the clock of all: it comes before them, where that is permitted. Ends never inherit it.
    (void)prctl(PR_SET_TIMERSLACK, 1);
    const sched_param priority{.sched_priority = 10};
    if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority) != 0) {
        (void)setpriority(PRIO_PROCESS, 0, -20);
    }
    began_ = RealWire::clock();
    wire_.run([this](Instant now) { return turn(now); });
    print();
    std::fflush(stdout);
    return 0;
}

void declare(CLI::App& app, Options& o) {
    app.add_option(
        "--flow", o.flows,
        "FROM-TO:CC[*N], the ends \"kernel\" or \"runnel\"; each flow has hosts of its own");
    app.add_option("--rate", o.rate, "Mbit/s of IP packets, each way")->check(CLI::Range(0.1, 1e4));
    app.add_option("--rtt", o.rtt, "ms, without queue")->check(CLI::Range(0.1, 5e3));
    app.add_option("--loss", o.loss, "percent of the data packets")->check(CLI::Range(0.0, 90.0));
    app.add_option("--burst", o.burst, "mean length of a row of losses; 1: independent");
    app.add_option("--ack-loss", o.ack_loss, "percent of the packets that go back");
    app.add_option("--reorder", o.reorder, "percent of the data packets held back");
    app.add_option("--reorder-delay", o.reorder_delay, "… by up to this share of the RTT");
    app.add_option("--queue", o.queue, "of the bottleneck, in bandwidth-delay products");
    app.add_option("--least-queue", o.least_queue, "packets");
    app.add_option("--seconds", o.seconds, "of the run; its second half is measured apart")
        ->check(CLI::Range(0.1, 600.0));
    app.add_option("--octets", o.octets, "of each flow, then it ends; 0: without end");
    app.add_option("--seed", o.seed, "of the losses and the reordering");
    app.add_option("--buffer", o.buffer, "bytes that both stacks' buffers may grow to");
    app.add_option("--set", o.settings, "KEY=VALUE, of Runnel's hosts");
    app.add_option("--profile", o.profile, "of Runnel's hosts");
    app.add_option("--capture", o.capture, "pcapng of the first flow's Runnel end");
    app.add_flag("--fates", o.fates, "what befell the first data packets, a letter each");
}
}  // namespace

int main(int argc, char** argv) {
    CLI::App app{
        "Streams of the kernel's TCP and Runnel's over an impaired path in real time; prints one JSON object.\n"
        "Example: impaired_wire --flow runnel-kernel:reno --rate 100 --rtt 20 --loss 0.1 --seconds 5",
        "impaired_wire"};
    Options options;
    declare(app, options);
    CLI11_PARSE(app, argc, argv);
    (void)flows_of(options);
    if (const auto entered = enter_private_network(); !entered.has_value()) {
        die(entered.error().what, kSkipped);
    }
    if (access("/dev/net/tun", R_OK | W_OK) != 0) {
        die("no access to /dev/net/tun", kSkipped);
    }
    Run run(options);
    return run.go();
}
