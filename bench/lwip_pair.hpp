// The same path through Debian's lwIP (liblwip, its raw API): two of its interfaces in one process, whose
// packets are copied from one to the other as in_process.hpp does it for Runnel.
#pragma once

#include <cstddef>
#include <cstdint>

namespace runnel::bench {

class LwipPair {
public:
    /// lwIP has one stack a process: make only one at a time.
    explicit LwipPair(std::uint16_t mtu);
    ~LwipPair();
    LwipPair(const LwipPair&) = delete;
    LwipPair& operator=(const LwipPair&) = delete;

    /// Carries `bytes` from client to server over one connection.
    void transfer(std::uint64_t bytes);
    /// Opens a connection, closes it from the client's side, and forgets what TIME-WAIT keeps.
    void open_and_close();
    /// Packets from client to server so far.
    [[nodiscard]] std::uint64_t packets() const;

private:
    void settle();
};

}  // namespace runnel::bench
