#include "grid/flows.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "runnel/base/check.hpp"

namespace runnel::bench {

namespace {
constexpr std::uint16_t kFirstPort = 5'000;
constexpr std::uint32_t kSamples = 200;
constexpr std::size_t kBlock = 64 * 1024;

/// Decisions by words of their names, so that those a build doesn't have count nothing.
std::vector<Decision> decisions_with(std::initializer_list<std::string_view> words) {
    std::vector<Decision> found;
    for (std::size_t i = 0; i < kDecisionCount; ++i) {
        const std::string_view name = describe(static_cast<Decision>(i)).name;
        if (std::any_of(words.begin(), words.end(), [&](std::string_view word) {
                return name.find(word) != std::string_view::npos;
            })) {
            found.push_back(static_cast<Decision>(i));
        }
    }
    return found;
}

std::uint64_t count_of(const FlightRecorder& recorder, const std::vector<Decision>& decisions) {
    std::uint64_t sum = 0;
    for (const Decision decision : decisions) {
        sum += recorder.count(decision);
    }
    return sum;
}
std::uint64_t timeouts_of(const FlightRecorder& recorder) {
    static const auto kDecisions = decisions_with({"note_retransmission_timeout"});
    return count_of(recorder, kDecisions);
}
std::uint64_t probes_of(const FlightRecorder& recorder) {
    static const auto kDecisions = decisions_with({"loss_probe"});
    return count_of(recorder, kDecisions);
}
std::uint64_t undone_of(const FlightRecorder& recorder) {
    static const auto kDecisions = decisions_with({"note_undo"});
    return count_of(recorder, kDecisions);
}

double seconds_of(Duration duration) {
    return static_cast<double>(duration.ns) / 1e9;
}

/// Bulk flows from the sender to the receiver, a port each, and their users.
class Bulk {
public:
    explicit Bulk(const BulkConfig& config)
        : config_(config), net_(config.net), flows_(config.flows.size()) {}

    BulkResult run();

private:
    struct Flow {
        SocketId listener, writer, reader;
        bool started = false, connected = false;
        std::uint64_t received = 0;
        std::uint64_t received_at_half = 0;
        double rtt_sum = 0, cwnd_sum = 0;
        std::uint32_t samples = 0;
    };

    void start(std::size_t index);
    void pump();
    void write(Flow& flow);
    void read(Flow& flow);
    void run_to(Instant limit);
    void run_traced(Instant limit);
    void trace();
    void watch_stalls();
    void sample();
    [[nodiscard]] FlowResult result_of(std::size_t index);
    void fill(BulkResult& result);

    const BulkConfig& config_;
    Net net_;
    std::vector<Flow> flows_;
    std::vector<ReadyEvent> ready_;
    std::vector<std::byte> block_ = std::vector<std::byte>(kBlock, std::byte{0x52});
    std::vector<std::byte> into_ = std::vector<std::byte>(1u << 20);
    Instant begin_;
    WayCounters at_half_;
    double payload_share_ = 1;
    std::uint64_t timeouts_seen_ = 0, undone_seen_ = 0;
    std::int64_t stall_timed_out_ = -1;  ///< number of the latest stall with a timeout
    bool stall_undone_ = true;
    std::uint32_t stalls_timed_out_ = 0, stalls_undone_ = 0;
};

void Bulk::start(std::size_t index) {
    Flow& flow = flows_[index];
    const auto port = static_cast<std::uint16_t>(kFirstPort + index);
    SocketLayer& there = net_.sockets(kReceiver);
    flow.listener = *there.open(Family::ipv4, SocketType::stream);
    RUNNEL_CHECK(there.bind(flow.listener, Net::receiver_at(port), net_.now()).has_value());
    RUNNEL_CHECK(there.listen(flow.listener, 4, net_.now()).has_value());
    SocketLayer& here = net_.sockets(kSender);
    flow.writer = *here.open(Family::ipv4, SocketType::stream);
    const std::string& name = config_.flows[index].congestion;
    if (!name.empty() && !here.set_congestion(flow.writer, name, net_.now())) {
        std::fprintf(stderr, "sim_grid: there is no congestion control \"%s\"\n", name.c_str());
        std::exit(2);
    }
    (void)here.connect(flow.writer, Net::receiver_at(port), net_.now());
    flow.started = true;
}

void Bulk::write(Flow& flow) {
    SocketLayer& here = net_.sockets(kSender);
    while (here.send(flow.writer, block_, {}, net_.now()).value_or(0) > 0) {
        flow.connected = true;
    }
}

void Bulk::read(Flow& flow) {
    SocketLayer& there = net_.sockets(kReceiver);
    if (flow.reader.is_none()) {
        const auto accepted = there.accept(flow.listener, net_.now());
        if (!accepted) {
            return;
        }
        flow.reader = *accepted;
    }
    for (;;) {
        const auto got = there.receive(flow.reader, into_, {}, net_.now());
        if (got.value_or(0) == 0) {
            return;
        }
        flow.received += *got;
    }
}

/// Lets the users of both ends act on what has changed.
void Bulk::pump() {
    for (unsigned side = 0; side < 2; ++side) {
        net_.sockets(side).take_ready(ready_);
        for (const ReadyEvent& event : ready_) {
            for (Flow& flow : flows_) {
                if (side == kSender && event.socket == flow.writer) {
                    write(flow);
                } else if (side == kReceiver &&
                           (event.socket == flow.reader || event.socket == flow.listener)) {
                    read(flow);
                }
            }
        }
    }
}

void Bulk::run_to(Instant limit) {
    do {
        do {
            pump();
        } while (net_.flush());
        watch_stalls();
    } while (net_.advance(limit));
}

void Bulk::trace() {
    const auto s = net_.sockets(kSender).tcp_info(flows_[0].writer);
    if (!s) {
        return;
    }
    std::printf(
        "%9.4f s  cwnd %6u  ssthresh %6u  %-9s out %6u  sacked %5u  lost %5u  again %5u  srtt %7.2f ms  "
        "queue %7.2f ms  reordering %u (%u)  retransmitted %llu  undone %llu\n",
        seconds_of(net_.now() - begin_), s->cwnd_segments, std::min(s->ssthresh_segments, 999'999U),
        s->recovery_state, s->segments_out, s->segments_sacked, s->segments_lost,
        s->segments_retransmitted_out, seconds_of(s->rtt) * 1e3,
        static_cast<double>(net_.way(kSender).backlog(net_.now())) * 8e3 /
            static_cast<double>(config_.net.there.bits_per_second),
        s->reordering, s->reorderings, static_cast<unsigned long long>(s->total_retransmissions),
        static_cast<unsigned long long>(undone_of(net_.host(kSender).recorder())));
}

void Bulk::run_traced(Instant limit) {
    while (config_.trace_every.ns > 0 && net_.now() + config_.trace_every < limit) {
        run_to(net_.now() + config_.trace_every);
        trace();
    }
    run_to(limit);
}

void Bulk::watch_stalls() {
    const Duration every = config_.net.there.stall_every;
    if (every.ns == 0) {
        return;
    }
    const FlightRecorder& recorder = net_.host(kSender).recorder();
    if (const std::uint64_t seen = timeouts_of(recorder); seen != timeouts_seen_) {
        timeouts_seen_ = seen;
        const std::int64_t stall = (net_.now() - begin_).ns / every.ns;
        if (stall != stall_timed_out_) {
            stall_timed_out_ = stall;
            stall_undone_ = false;
            ++stalls_timed_out_;
        }
    }
    if (const std::uint64_t seen = undone_of(recorder); seen != undone_seen_) {
        undone_seen_ = seen;
        stalls_undone_ += stall_undone_ ? 0 : 1;
        stall_undone_ = true;
    }
}

void Bulk::sample() {
    for (Flow& flow : flows_) {
        if (const auto status = net_.sockets(kSender).tcp_info(flow.writer); status) {
            flow.rtt_sum += seconds_of(status->rtt) * 1e3;
            flow.cwnd_sum += status->cwnd_segments;
            ++flow.samples;
        }
    }
}

BulkResult Bulk::run() {
    const std::clock_t clock = std::clock();
    begin_ = net_.now();
    std::vector<std::size_t> order(flows_.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        order[i] = i;
    }
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        const Duration x = config_.flows[a].start;
        const Duration y = config_.flows[b].start;
        return x != y ? x < y : a < b;
    });
    for (const std::size_t index : order) {
        run_to(begin_ + config_.flows[index].start);
        start(index);
    }
    const Duration half = config_.duration / 2;
    run_traced(begin_ + half);
    for (Flow& flow : flows_) {
        flow.received_at_half = flow.received;
    }
    at_half_ = net_.way(kSender).counters();
    net_.reset_burst();
    for (std::uint32_t i = 1; i <= kSamples; ++i) {
        run_traced(begin_ + half + half / kSamples * i);
        sample();
    }
    BulkResult result;
    fill(result);
    result.seconds_of_work = static_cast<double>(std::clock() - clock) / CLOCKS_PER_SEC;
    return result;
}

FlowResult Bulk::result_of(std::size_t index) {
    const Flow& flow = flows_[index];
    FlowResult result;
    const double half = seconds_of(net_.now() - begin_) / 2;
    result.connected = flow.connected;
    result.goodput = static_cast<double>(flow.received - flow.received_at_half) * 8 / half;
    result.goodput_whole = static_cast<double>(flow.received) * 8 /
                           (half * 2 - seconds_of(config_.flows[index].start));
    if (const auto status = net_.sockets(kSender).tcp_info(flow.writer); status) {
        result.congestion = status->congestion_control;
        result.retransmitted = status->total_retransmissions;
        result.sent = status->data_segments_sent;
        result.duplicates = status->duplicates_reported;
        if (status->snd_mss != 0) {
            payload_share_ =
                static_cast<double>(status->snd_mss) / static_cast<double>(config_.net.mtu);
        }
    }
    const double samples = std::max(flow.samples, 1u);
    result.rtt_ms = flow.rtt_sum / samples;
    result.cwnd = flow.cwnd_sum / samples;
    return result;
}

void Bulk::fill(BulkResult& result) {
    double sum = 0, squares = 0, whole = 0;
    for (std::size_t i = 0; i < flows_.size(); ++i) {
        result.flows.push_back(result_of(i));
        const double goodput = result.flows.back().goodput;
        sum += goodput;
        squares += goodput * goodput;
        whole += static_cast<double>(flows_[i].received) * 8 / seconds_of(net_.now() - begin_);
    }
    const auto rate = static_cast<double>(config_.net.there.bits_per_second) * payload_share_;
    for (FlowResult& flow : result.flows) {
        flow.share = flow.goodput / rate;
    }
    result.share = sum / rate;
    result.share_whole = whole / rate;
    result.jain = squares > 0 ? sum * sum / (static_cast<double>(flows_.size()) * squares) : 1;
    result.there = net_.way(kSender).counters();
    result.back = net_.way(kReceiver).counters();
    const auto packets =
        static_cast<double>(std::max<std::uint64_t>(result.there.packets - at_half_.packets, 1));
    result.queue_ms = static_cast<double>(result.there.backlog_sum - at_half_.backlog_sum) /
                      packets * 8e3 / static_cast<double>(config_.net.there.bits_per_second);
    result.burst = static_cast<double>(net_.greatest_burst()) / config_.net.mtu;
    const FlightRecorder& recorder = net_.host(kSender).recorder();
    for (std::size_t i = 0; i < kDecisionCount; ++i) {
        const auto decision = static_cast<Decision>(i);
        const std::string name(describe(decision).name);
        if (const std::uint64_t count = recorder.count(decision); count != 0) {
            result.decisions[name] = count;
        }
        const std::uint64_t theirs = net_.host(kReceiver).recorder().count(decision);
        if (theirs != 0) {
            result.decisions["receiver: " + name] = theirs;
        }
    }
    result.timeouts = timeouts_of(recorder);
    result.probes = probes_of(recorder);
    result.undone = undone_of(recorder);
    result.stalls_timed_out = stalls_timed_out_;
    result.stalls_undone = stalls_undone_;
    result.capture = net_.captured();
}

// --- short transfers -------------------------------------------------------------------------------------

/// One transfer after the other, a connection each.
class Shorts {
public:
    explicit Shorts(const ShortConfig& config) : config_(config), net_(config.net) {
        net_.watch_data(true);
    }
    ShortResult run();

private:
    void one(std::uint32_t segments, std::uint16_t port);
    bool connect(std::uint16_t port);
    void turn();
    [[nodiscard]] std::uint64_t acked();
    void judge(std::uint64_t bytes, std::uint64_t timeouts_before);

    const ShortConfig& config_;
    Net net_;
    ShortResult result_;
    SocketId listener_, writer_, reader_;
    std::vector<ReadyEvent> ready_;
    std::vector<std::byte> into_ = std::vector<std::byte>(1u << 20);
    std::vector<double> times_;
};

void Shorts::turn() {
    do {
        for (unsigned side = 0; side < 2; ++side) {
            net_.sockets(side).take_ready(ready_);
        }
        SocketLayer& there = net_.sockets(kReceiver);
        if (reader_.is_none()) {
            reader_ = there.accept(listener_, net_.now()).value_or(SocketId{});
        }
        while (!reader_.is_none() &&
               there.receive(reader_, into_, {}, net_.now()).value_or(0) > 0) {
        }
    } while (net_.flush());
}

bool Shorts::connect(std::uint16_t port) {
    SocketLayer& here = net_.sockets(kSender);
    writer_ = *here.open(Family::ipv4, SocketType::stream);
    reader_ = {};
    (void)here.connect(writer_, Net::receiver_at(port), net_.now());
    const Instant patience = net_.now() + seconds(120);
    do {
        turn();
        const auto status = here.tcp_info(writer_);
        if (status && status->state == tcp::State::established && !reader_.is_none()) {
            return true;
        }
    } while (net_.advance(patience));
    return false;
}

std::uint64_t Shorts::acked() {
    const auto status = net_.sockets(kSender).tcp_info(writer_);
    return status ? status->bytes_acked : 0;
}

/// What the bottleneck has seen of this transfer: was the first copy of the last octet lost, or any?
void Shorts::judge(std::uint64_t bytes, std::uint64_t timeouts_before) {
    bool tail_seen = false, tail_lost = false, any_lost = false;
    std::uint32_t first = 0;
    bool known = false;
    for (const SeenPacket& packet : net_.seen()) {
        if (packet.payload == 0) {
            continue;
        }
        if (!known) {
            known = true;
            first = packet.seq;
        }
        const bool lost = packet.fate != Fate::arrives;
        any_lost = any_lost || lost;
        if (!tail_seen &&
            packet.seq - first + packet.payload == static_cast<std::uint32_t>(bytes)) {
            tail_seen = true;
            tail_lost = lost;
        }
    }
    const bool timeout = timeouts_of(net_.host(kSender).recorder()) != timeouts_before;
    result_.tail_lost += tail_lost ? 1 : 0;
    result_.tail_lost_timeout += tail_lost && timeout ? 1 : 0;
    result_.any_lost += any_lost ? 1 : 0;
    result_.any_lost_timeout += any_lost && timeout ? 1 : 0;
}

void Shorts::one(std::uint32_t segments, std::uint16_t port) {
    SocketLayer& here = net_.sockets(kSender);
    ++result_.transfers;
    if (!connect(port)) {
        ++result_.failed;
        return;
    }
    const std::uint32_t mss = here.tcp_info(writer_)->snd_mss;
    const std::vector<std::byte> data(std::size_t{mss} * segments, std::byte{0x53});
    net_.seen().clear();
    const std::uint64_t timeouts = timeouts_of(net_.host(kSender).recorder());
    const std::uint64_t before = acked();
    const Instant begin = net_.now();
    const Instant patience = begin + seconds(120);
    std::size_t written = 0;
    bool done = false;
    do {
        written += here.send(writer_, Bytes(data).subspan(written), {}, net_.now()).value_or(0);
        turn();
        done = acked() - before >= data.size();
    } while (!done && net_.advance(patience));
    if (done) {
        times_.push_back(seconds_of(net_.now() - begin) * 1e3);
        judge(data.size(), timeouts);
    } else {
        ++result_.failed;
    }
    (void)here.abort(writer_, net_.now());
    (void)net_.sockets(kReceiver).abort(reader_, net_.now());
    const Instant rest = net_.now() + net_.way(kSender).config().delay * 4;
    do {
        turn();
    } while (net_.advance(rest));
}

ShortResult Shorts::run() {
    SocketLayer& there = net_.sockets(kReceiver);
    listener_ = *there.open(Family::ipv4, SocketType::stream);
    RUNNEL_CHECK(there.bind(listener_, Net::receiver_at(kFirstPort), net_.now()).has_value());
    RUNNEL_CHECK(there.listen(listener_, 4, net_.now()).has_value());
    Random sizes(config_.net.seed + 0x5407);
    for (std::uint32_t i = 0; i < config_.transfers; ++i) {
        const std::uint64_t more = sizes.below(config_.most - config_.least + 1);
        one(config_.least + static_cast<std::uint32_t>(more), kFirstPort);
    }
    const FlightRecorder& recorder = net_.host(kSender).recorder();
    result_.timeouts = timeouts_of(recorder);
    result_.probes = probes_of(recorder);
    if (!times_.empty()) {
        std::sort(times_.begin(), times_.end());
        for (const double time : times_) {
            result_.mean_ms += time / static_cast<double>(times_.size());
        }
        result_.p99_ms = times_[std::min(times_.size() - 1, times_.size() * 99 / 100)];
    }
    return result_;
}
}  // namespace

BulkResult run_bulk(const BulkConfig& config) {
    Bulk bulk(config);
    return bulk.run();
}

ShortResult run_short(const ShortConfig& config) {
    Shorts shorts(config);
    return shorts.run();
}

}  // namespace runnel::bench
