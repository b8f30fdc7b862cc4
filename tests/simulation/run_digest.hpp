// One number for all that a run shows: every frame with its instant, how often each decision was made, and what
// the connections told of themselves on the way. tests/simulation/digests.txt keeps those of the seeds, so that
// another compiler, or a change that is to change nothing, is caught by the first seed that runs otherwise.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <string_view>

#include "support/two_hosts.hpp"

namespace runnel::test {

class RunDigest {
public:
    void add(std::uint64_t value) {
        sum_ = (sum_ ^ value) * 0x9e37'79b9'7f4a'7c15;
        sum_ ^= sum_ >> 29;
    }
    void add(std::string_view text) {
        for (const char c : text) {
            add(static_cast<std::uint64_t>(static_cast<unsigned char>(c)));
        }
    }
    void add(const tcp::ConnectionStatus& s) {
        add(s.tuple.local.port);
        add(s.tuple.remote.port);
        const auto ns = [](auto value) { return static_cast<std::uint64_t>(value.ns); };
        for (const std::uint64_t value : {static_cast<std::uint64_t>(s.state),
                                          s.receive_queue,
                                          s.send_queue,
                                          ns(s.timer_deadline),
                                          std::uint64_t{s.timers},
                                          std::uint64_t{s.snd_una},
                                          std::uint64_t{s.snd_nxt},
                                          std::uint64_t{s.rcv_nxt},
                                          s.snd_wnd,
                                          s.rcv_wnd,
                                          std::uint64_t{s.snd_mss},
                                          std::uint64_t{s.rcv_mss},
                                          std::uint64_t{s.cwnd_segments},
                                          std::uint64_t{s.ssthresh_segments},
                                          std::uint64_t{s.segments_out},
                                          std::uint64_t{s.segments_sacked},
                                          std::uint64_t{s.segments_lost},
                                          std::uint64_t{s.segments_retransmitted_out},
                                          ns(s.rtt),
                                          ns(s.rtt_variance),
                                          ns(s.rtt_min),
                                          ns(s.rto),
                                          std::uint64_t{s.backoff},
                                          std::uint64_t{s.retransmits},
                                          std::uint64_t{s.probes},
                                          s.bytes_sent,
                                          s.bytes_acked,
                                          s.bytes_received,
                                          s.bytes_retransmitted,
                                          s.segments_sent,
                                          s.segments_received,
                                          s.total_retransmissions,
                                          ns(s.last_data_sent),
                                          ns(s.last_data_received),
                                          ns(s.last_ack_received),
                                          static_cast<std::uint64_t>(s.limited_by),
                                          s.unsent,
                                          s.out_of_order,
                                          std::uint64_t{s.send_buffer},
                                          std::uint64_t{s.receive_buffer},
                                          s.pinned,
                                          std::uint64_t{s.embryos},
                                          ns(s.ack_delay),
                                          std::uint64_t{s.data_segments_sent},
                                          std::uint64_t{s.data_segments_received},
                                          std::uint64_t{s.delivered},
                                          std::uint64_t{s.duplicates_reported},
                                          std::uint64_t{s.reorderings},
                                          std::uint64_t{s.reordering},
                                          std::uint64_t{s.out_of_order_received},
                                          static_cast<std::uint64_t>(s.busy_kind),
                                          ns(s.spent.busy),
                                          ns(s.spent.window_limited),
                                          ns(s.spent.buffer_limited)}) {
            add(value);
        }
        add(std::string_view(s.recovery_state));
        add(describe(s.plan).name);
    }
    void add(const FlightRecorder& recorder) {
        for (std::size_t i = 0; i < kDecisionCount; ++i) {
            const auto decision = static_cast<Decision>(i);
            if (recorder.count(decision) != 0) {  // by name: a new one elsewhere changes nothing
                add(describe(decision).name);
                add(recorder.count(decision));
            }
        }
    }
    /// What the connections of both hosts tell now.
    void look(TwoHosts& hosts) {
        for (const sim::HostId host : {hosts.client, hosts.server}) {
            for (const tcp::ConnectionStatus& status : hosts.table(host)) {
                add(status);
            }
        }
    }
    /// What remains to be said at the end of the run.
    void finish(TwoHosts& hosts) {
        add(hosts.world.digest());
        add(hosts.world.host(hosts.client).recorder());
        add(hosts.world.host(hosts.server).recorder());
    }
    [[nodiscard]] std::uint64_t value() const { return sum_; }

private:
    std::uint64_t sum_ = 0;
};

/// Digests by seed, compared with those of tests/simulation/digests.txt.
class DigestFile {
public:
    void add(std::uint64_t seed, std::uint64_t digest) { digests_[seed] = digest; }

    void compare(const char* suite) const {
        const std::string path = RUNNEL_SOURCE_DIR "/tests/simulation/digests.txt";
        if (std::getenv("RUNNEL_WRITE_DIGESTS") != nullptr) {
            std::ofstream file(path);
            for (const auto& [seed, digest] : digests_) {
                file << seed << ' ' << std::hex << digest << std::dec << '\n';
            }
            return;
        }
        std::ifstream file(path);
        ASSERT_TRUE(file.is_open()) << path;
        std::map<std::uint64_t, std::uint64_t> kept;
        for (std::uint64_t seed = 0, digest = 0; file >> seed >> std::hex >> digest >> std::dec;) {
            kept[seed] = digest;
        }
        std::vector<std::uint64_t> others;
        for (const auto& [seed, digest] : digests_) {
            if (kept.count(seed) == 0 || kept[seed] != digest) {
                others.push_back(seed);
            }
        }
        EXPECT_TRUE(others.empty())
            << others.size() << " of " << digests_.size() << " worlds run otherwise than when "
            << path << " was written, the first with seed " << others.front()
            << ".\nIf the change is meant: RUNNEL_WRITE_DIGESTS=1 "
               "simulation_tests --gtest_filter='"
            << suite << "'";
    }

private:
    std::map<std::uint64_t, std::uint64_t> digests_;
};

}  // namespace runnel::test
