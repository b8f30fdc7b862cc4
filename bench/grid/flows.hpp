// What is measured over a Net: bulk flows through one bottleneck, and short transfers whose tails get lost.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "grid/net.hpp"

namespace runnel::bench {

struct FlowConfig {
    std::string congestion;  ///< empty: the host's
    Duration start = {};     ///< after the run's beginning
};

struct BulkConfig {
    NetConfig net;
    std::vector<FlowConfig> flows{1};
    Duration duration = seconds(4);  ///< of virtual time; measured is its second half
    Duration trace_every = {};       ///< prints the first flow's state so often; 0: never
};

struct FlowResult {
    std::string congestion;
    double goodput = 0;        ///< bits a second that the reader got, in the second half
    double goodput_whole = 0;  ///< in the whole run, since its start
    double share = 0;          ///< of what the line could carry of payload, second half
    std::uint64_t retransmitted = 0, sent = 0;  ///< segments
    std::uint64_t duplicates = 0;  ///< told of by D-SACK: retransmissions that were in vain
    double rtt_ms = 0;             ///< the sender's SRTT, mean of the second half
    double cwnd = 0;               ///< segments, mean of the second half
    bool connected = false;
};

struct BulkResult {
    std::vector<FlowResult> flows;
    double share = 0;  ///< of all flows together, second half
    double share_whole = 0;
    double jain = 1;      ///< of the goodputs of the second half
    double queue_ms = 0;  ///< waiting that packets of data met at the bottleneck, mean
    double burst = 0;     ///< segments, greatest at one instant, second half
    WayCounters there, back;
    std::map<std::string, std::uint64_t> decisions;  ///< of both, those that occurred
    std::uint64_t timeouts = 0, probes = 0, undone = 0;
    /// Of a line that stalls: stalls in which the retransmission timer fired, and those of them of which the sender
    /// has found out that it was in vain.
    std::uint32_t stalls_timed_out = 0, stalls_undone = 0;
    double seconds_of_work = 0;  ///< processor time that the run took
    std::vector<std::byte> capture;
};

[[nodiscard]] BulkResult run_bulk(const BulkConfig& config);

struct ShortConfig {
    NetConfig net;
    std::uint32_t transfers = 1'000;
    std::uint32_t least = 5, most = 50;  ///< segments of each, drawn
};

struct ShortResult {
    std::uint32_t transfers = 0, failed = 0;
    std::uint32_t tail_lost = 0;          ///< the last segment's first copy was lost
    std::uint32_t tail_lost_timeout = 0;  ///< … and the retransmission timer fired
    std::uint32_t any_lost = 0, any_lost_timeout = 0;
    std::uint64_t timeouts = 0, probes = 0;
    double mean_ms = 0, p99_ms = 0;  ///< of a transfer, until all is acknowledged
};

[[nodiscard]] ShortResult run_short(const ShortConfig& config);

}  // namespace runnel::bench
