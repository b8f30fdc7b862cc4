// The ends of a measurement on the real path: a process that sends or takes a stream by the kernel's TCP or
// by Runnel. What it has seen it writes into memory that it shares with the wire's process.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "runnel/tcp/config.hpp"

namespace runnel::bench {

/// Of one flow; plain memory shared between processes.
struct FlowBoard {
    std::atomic<std::uint32_t> listening, connected, finished;
    std::atomic<std::uint64_t> received;             ///< octets that the receiver's user has read
    std::atomic<std::uint64_t> wrong;                ///< of them: not the pattern's
    std::atomic<std::uint64_t> retransmitted, sent;  ///< segments, of the sender
    std::atomic<std::uint64_t> timeouts, probes, undone;  ///< of a Runnel sender
    std::atomic<std::uint32_t> rtt_us, min_rtt_us, cwnd;
    std::atomic<std::uint64_t> device_drops;  ///< of the kernel's devices, both ends
    char congestion[16];                      ///< as read back from the sender's socket
};
/// Of a run.
struct Board {
    static constexpr std::size_t kFlows = 32;
    std::atomic<std::uint32_t> stop;
    FlowBoard flow[kFlows];
};

struct EndConfig {
    bool sends = false;
    std::string local, remote;  ///< IPv4 addresses
    std::uint16_t port = 5201;
    std::string congestion;            ///< the sender's
    std::uint64_t octets = 0;          ///< to send, then close; 0: without end
    std::uint32_t buffer = 32u << 20;  ///< greatest, each way
    tcp::TcpConfig tcp;                ///< Runnel's
    std::string capture;               ///< Runnel's: a pcapng; empty for none
};

/// Both return the process's exit code; called in the child. `fd` is Runnel's end of a socket pair.
int kernel_end(const EndConfig& config, Board& board, FlowBoard& flow);
int runnel_end(const EndConfig& config, int fd, Board& board, FlowBoard& flow);

}  // namespace runnel::bench
