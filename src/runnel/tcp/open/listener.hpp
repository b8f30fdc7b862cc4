// A passive OPEN that names no peer: the listener, its embryos (connections in SYN-RECEIVED) and the queue
// of connections to be accepted. A listener is not a connection and has no Tcb.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "runnel/base/ring.hpp"
#include "runnel/base/slab.hpp"
#include "runnel/tcp/signature/md5_signature.hpp"
#include "runnel/tcp/stack.hpp"

namespace runnel::tcp {

struct Listener {
    Endpoint local;
    bool dual_stack = false;
    std::uint32_t backlog = 0;
    std::uint32_t embryos = 0;  ///< connections in SYN-RECEIVED that came from here
    ConnectionOptions options;
    Ring<std::uint64_t> accept_queue;  ///< packed handles of established connections, oldest first
    Instant cookies_until;             ///< until then an ACK may bring a SYN cookie back
    std::uint32_t fast_open_pending = 0;  ///< Fast Open connections in SYN-RECEIVED
    Ring<Instant> fast_open_resets;       ///< until when those that were reset count as well
    std::unique_ptr<FastOpenKeys> fast_open_keys;  ///< nullptr: the host's
    bool event_queued = false;
    std::vector<Md5Key> md5_keys;  ///< at most kMaxMd5Keys

    /// The key with the longest prefix that covers `peer`, or nullptr.
    [[nodiscard]] const Md5Key* md5_key(const IpAddress& peer) const {
        const Md5Key* best = nullptr;
        for (const Md5Key& key : md5_keys) {
            if (key.covers(peer) && (best == nullptr || key.prefix > best->prefix)) {
                best = &key;
            }
        }
        return best;
    }

    /// Linux: a backlog of n holds n + 1 connections.
    [[nodiscard]] bool full() const { return accept_queue.size() > backlog; }
    /// And as many embryos, of all listeners at most `most`.
    [[nodiscard]] bool backlog_full(std::uint32_t most) const {
        return embryos > backlog || embryos >= most;
    }
};

/// Listeners by port; of those that fit the one with the most exact address wins.
class ListenerTable {
public:
    explicit ListenerTable(std::uint32_t limit) : listeners_(limit) {}

    ListenerHandle insert(const Endpoint& local, bool dual_stack, std::uint32_t backlog,
                          const ConnectionOptions& options);
    void erase(ListenerHandle handle);
    [[nodiscard]] Listener* find(ListenerHandle handle) { return listeners_.find(handle); }
    [[nodiscard]] ListenerHandle lookup(const Endpoint& local);
    /// Whether a listener already answers for this address and port.
    [[nodiscard]] bool conflicts(const Endpoint& local, bool dual_stack);
    /// The table behind it, to be walked in pieces.
    [[nodiscard]] Slab<Listener, ListenerTag>& all() { return listeners_; }
    [[nodiscard]] std::uint32_t size() const { return listeners_.size(); }

private:
    struct ByPort {
        std::uint16_t port;
        ListenerHandle handle;
    };
    [[nodiscard]] std::vector<ByPort>::iterator first_of(std::uint16_t port);

    Slab<Listener, ListenerTag> listeners_;
    std::vector<ByPort> by_port_;  ///< sorted by port
};

}  // namespace runnel::tcp
