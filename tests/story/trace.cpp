#include "trace.hpp"

namespace runnel::story {

namespace {

std::string flags_of(std::uint16_t bits) {
    const std::pair<std::uint16_t, char> names[] = {
        {TcpFlags::kSyn, 'S'}, {TcpFlags::kFin, 'F'}, {TcpFlags::kRst, 'R'}, {TcpFlags::kPsh, 'P'},
        {TcpFlags::kAck, 'A'}, {TcpFlags::kUrg, 'U'}, {TcpFlags::kEce, 'E'}, {TcpFlags::kCwr, 'C'}};
    std::string text;
    for (const auto& [bit, name] : names) {
        if ((bits & bit) != 0) {
            text += name;
        }
    }
    return text.empty() ? "-" : text;
}

double millis(Duration d) {
    return static_cast<double>(d.ns) / 1e6;
}

/// What waits in the connection, and what it would do next.
std::string describe_queues(const ConnectionStatus& s) {
    std::string text;
    const auto add = [&](std::string_view name, std::uint64_t value) {
        if (value != 0) {
            text += fmt::format(" {} {}", name, value);
        }
    };
    add("pinned", s.pinned);
    add("embryos", s.embryos);
    add("unsent", s.unsent);
    add("beyond a gap", s.out_of_order);
    if (s.snd_mss != 0) {
        text += fmt::format(" buffers {} {} {}", s.send_buffer, s.receive_buffer,
                            describe(s.plan).name);
    }
    text += s.peer_closed ? " peer-closed" : "";
    text += s.sending_over ? " sending-over" : "";
    text += s.orphan ? " orphan" : "";
    return text;
}

}  // namespace

std::string Traced::describe_options(const Sent& s) {
    std::string text;
    if (s.options.mss) {
        text += fmt::format(" mss {}", *s.options.mss);
    }
    if (s.options.window_scale) {
        text += fmt::format(" wscale {}", *s.options.window_scale);
    }
    if (s.options.sack_permitted) {
        text += " sackOK";
    }
    if (s.options.timestamps) {
        // Where it starts is a hash of the addresses: only how it goes on is a story.
        last_stamp_ = s.options.timestamps->value;
        first_stamp_ = first_stamp_.value_or(last_stamp_);
        text +=
            fmt::format(" ts +{} echo {}", last_stamp_ - *first_stamp_, s.options.timestamps->echo);
    }
    for (const SackBlock& b : s.options.sack) {
        text += fmt::format(" sack {}:{}", b.left.value - kPeerIss, b.right.value - kPeerIss);
    }
    if (s.urgent != 0) {
        text += fmt::format(" urgent {}", s.urgent);
    }
    if (s.gso_size != 0) {
        text += fmt::format(" pieces of {}", s.gso_size);
    }
    return text;
}

void Traced::drain(std::vector<Sent> all) {
    for (Sent& s : all) {
        waiting_.push_back(std::move(s));
    }
    for (; next_record_ < recorder_.next_number(); ++next_record_) {
        const EventRecord* record = recorder_.find(next_record_);
        ASSERT_NE(record, nullptr);
        add_record(*record);
    }
    EXPECT_TRUE(waiting_.empty()) << "a segment left without a record";
    waiting_.clear();
}

void Traced::add_record(const EventRecord& r) {
    if (r.connection != 0) {
        EXPECT_EQ(r.previous, newest_[r.connection]) << "the chain of records";
        newest_[r.connection] = next_record_;
    }
    const DecisionText& decision = describe(r.decision);
    const bool left = decision.kind == DecisionKind::transmit;
    std::string line = fmt::format("{:>11} ", since_start(r.time));
    if (r.inbound != 0 || left) {
        const std::uint32_t seq = r.seq - (left ? our_iss : kPeerIss);
        const std::uint32_t number = r.ack - (left ? kPeerIss : our_iss);
        const bool has_ack = (r.flags & TcpFlags::kAck) != 0;
        line += fmt::format("{} {:<3} {}:{} ack {} win {}", left ? "<" : ">", flags_of(r.flags),
                            seq, seq + r.length, has_ack ? std::to_string(number) : "-", r.window);
    } else {
        line += fmt::format(". at {}, {}", r.seq - our_iss, r.ack - kPeerIss);
    }
    if (left) {
        if (waiting_.empty()) {
            ADD_FAILURE() << "a record without a segment: " << decision.name;
        } else {
            const Sent s = std::move(waiting_.front());
            waiting_.pop_front();
            EXPECT_EQ(s.reason, r.decision);
            EXPECT_EQ(s.length, r.length);
            EXPECT_EQ(s.window, r.window);
            EXPECT_EQ(s.data.size(), s.length);
            line += describe_options(s);
        }
    }
    line += fmt::format("  {}", decision.name);
    if (r.value != 0) {
        line += fmt::format(" {}", r.value);
    }
    line += fmt::format("  [{}]", to_string(static_cast<State>(r.state)));
    lines_.push_back(std::move(line));
}

std::string Traced::describe_status(const ConnectionStatus& s) const {
    std::string text(to_string(s.state));
    const auto add = [&](std::string_view name, std::uint64_t value) {
        if (value != 0) {
            text += fmt::format(" {} {}", name, value);
        }
    };
    const auto add_time = [&](std::string_view name, Duration value) {
        if (value.ns != 0) {
            text += fmt::format(" {} {:.3f} ms", name, millis(value));
        }
    };
    add("port", s.tuple.local.port);
    add("peer", s.tuple.remote.port);
    add("to read", s.receive_queue);
    add("to send", s.send_queue);
    if (s.timer != Timer::count_) {
        text += fmt::format(" {} at {}", to_string(s.timer), since_start(s.timer_deadline));
    }
    add("timers", s.timers);
    if (s.state != State::listen) {
        // A TIME-WAIT entry has forgotten where its numbers began.
        const bool entry = s.state == State::time_wait;
        const std::uint32_t iss = entry ? our_iss : s.iss;
        const std::uint32_t irs = entry ? kPeerIss : s.irs;
        text += fmt::format(" una {} nxt {} rcv.nxt {}", s.snd_una - iss, s.snd_nxt - iss,
                            s.rcv_nxt - irs);
    }
    add("snd.wnd", s.snd_wnd);
    add("rcv.wnd", s.rcv_wnd);
    if (s.has_window_scale) {
        text += fmt::format(" scales {} {}", s.snd_wscale, s.rcv_wscale);
    }
    text += s.has_sack ? " sack" : "";
    text += s.has_timestamps ? " timestamps" : "";
    if (s.snd_mss != 0) {
        text +=
            fmt::format(" mss {} {} {} mtu {}", s.snd_mss, s.rcv_mss, s.advertised_mss, s.path_mtu);
    }
    add("cwnd", s.cwnd_segments);
    add("ssthresh", s.ssthresh_segments == 0x7fff'ffff ? 0 : s.ssthresh_segments);
    add("out", s.segments_out);
    add("sacked", s.segments_sacked);
    add("lost", s.segments_lost);
    add("resent", s.segments_retransmitted_out);
    add_time("rtt", s.rtt);
    add_time("var", s.rtt_variance);
    add_time("min", s.rtt_min);
    add_time("rto", s.rto);
    add("backoff", s.backoff);
    add("timeouts", s.retransmits);
    add("probes", s.probes);
    add("bytes sent", s.bytes_sent);
    add("acked", s.bytes_acked);
    add("received", s.bytes_received);
    add("sent again", s.bytes_retransmitted);
    add("segments sent", s.segments_sent);
    add("received", s.segments_received);
    add("sent again", s.total_retransmissions);
    if (s.last_data_sent != Instant{}) {
        text += fmt::format(" sent at {}", since_start(s.last_data_sent));
    }
    if (s.last_data_received != Instant{}) {
        text += fmt::format(" received at {}", since_start(s.last_data_received));
    }
    text += fmt::format(" {} {}", s.congestion_control, s.recovery_state);
    add("limit", static_cast<std::uint64_t>(s.limited_by));
    text += describe_queues(s);
    return text;
}

void Traced::matches(const std::string& name) {
    drain(sent());
    const std::string path = std::string(RUNNEL_SOURCE_DIR "/tests/story/traces/") + name + ".txt";
    if (std::getenv("RUNNEL_WRITE_TRACES") != nullptr) {
        std::ofstream file(path);
        for (const std::string& line : lines_) {
            file << line << "\n";
        }
        return;
    }
    std::ifstream file(path);
    ASSERT_TRUE(file.is_open()) << path;
    std::vector<std::string> wanted;
    for (std::string line; std::getline(file, line);) {
        wanted.push_back(line);
    }
    for (std::size_t i = 0; i < std::max(wanted.size(), lines_.size()); ++i) {
        const std::string is = i < lines_.size() ? lines_[i] : "(nothing more)";
        const std::string was = i < wanted.size() ? wanted[i] : "(nothing more)";
        ASSERT_EQ(is, was) << path << ":" << i + 1
                           << "\nIf the change is meant: RUNNEL_WRITE_TRACES=1 "
                           << "story_tests --gtest_filter='Traces*', and read the difference.";
    }
}

}  // namespace runnel::story
