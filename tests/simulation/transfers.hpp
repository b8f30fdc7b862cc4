// Bulk transfers over sockets with an oracle of their content: every octet is a function of a seed and
// its offset, and the receiver compares each one. Both ways at once, with half-close.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "runnel/base/random.hpp"
#include "runnel/sim/pattern.hpp"
#include "runnel/sim/world.hpp"

namespace runnel::test {

using sim::HostId;
using sim::World;

struct TransferConfig {
    HostId client = 0;
    HostId server = 1;
    Endpoint listen;                    ///< of the server; each transfer has its own
    std::optional<Endpoint> bind;       ///< of the client
    std::uint64_t upload = 1u << 20;    ///< bytes from client to server
    std::uint64_t download = 1u << 20;  ///< and back
    std::uint64_t seed = 1;             ///< of contents and of the sizes of calls
    std::size_t largest_call = 32 * 1024;
};

struct TransferResult {
    std::uint64_t received[2] = {};  ///< by the client, by the server
    bool closed[2] = {};             ///< that end has seen the other's end of stream and closed
    Errc error = Errc::ok;           ///< the first error of either end
    unsigned error_side = 0;         ///< 0 the client, 1 the server
    bool mismatch = false;           ///< a byte was wrong, or there was one too many
    std::uint64_t mismatch_at = 0;

    [[nodiscard]] bool done() const {
        return (closed[0] && closed[1]) || error != Errc::ok || mismatch;
    }
    /// Everything arrived, and nothing else.
    [[nodiscard]] bool exact(const TransferConfig& config) const {
        return closed[0] && closed[1] && error == Errc::ok && !mismatch &&
               received[0] == config.download && received[1] == config.upload;
    }
};

/// Any number of transfers in one world. It acts on readiness alone, so that a wake-up which is lost shows
/// as a transfer which never ends. It takes all readiness events of the hosts it uses.
class Transfers {
public:
    explicit Transfers(World& world) : world_(world) {}

    /// Listens and connects. Fails with what the calls fail with.
    Status start(const TransferConfig& config);
    /// Goes on with whatever is ready. For `run_until`: returns whether all are done.
    bool pump();
    [[nodiscard]] bool all_done() const;
    [[nodiscard]] std::size_t size() const { return transfers_.size(); }
    [[nodiscard]] const TransferResult& result(std::size_t i) const { return transfers_[i].result; }
    [[nodiscard]] const TransferConfig& config(std::size_t i) const { return transfers_[i].config; }
    /// The sockets of the client (0) and server (1), while they are open.
    [[nodiscard]] SocketId socket(std::size_t i, unsigned side) const {
        return transfers_[i].end[side].socket;
    }

private:
    struct End {
        HostId host = 0;
        SocketId socket;
        std::uint64_t send_seed = 0, receive_seed = 0;
        std::uint64_t to_send = 0, sent = 0;
        bool connected = false;
        bool shut = false;
        bool end_seen = false;
    };
    struct Transfer {
        TransferConfig config;
        SocketId listener;
        End end[2];
        Random random{1};
        TransferResult result;
    };
    struct Place {
        std::size_t transfer = 0;
        unsigned side = 0;
        bool listener = false;
    };

    void on_ready(const Place& place);
    void accept(Transfer& transfer, std::size_t index);
    void advance(Transfer& transfer, unsigned side);
    bool send_some(Transfer& transfer, unsigned side);
    bool receive_some(Transfer& transfer, unsigned side);
    void check(Transfer& transfer, unsigned side, Bytes bytes);
    void fail_with(Transfer& transfer, unsigned side, Errc error);
    void remember(HostId host, SocketId socket, Place place);

    World& world_;
    std::vector<Transfer> transfers_;
    std::map<std::pair<HostId, std::uint64_t>, Place> places_;
    std::vector<ReadyEvent> ready_;
    std::vector<std::byte> buffer_;
};

}  // namespace runnel::test
