// epoll(7) as a value over the socket layer: interests in sockets, and which of them have news. No descriptors and no
// waiting: who blocks asks again once something has happened.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <span>

#include "runnel/socket/socket_layer.hpp"

namespace runnel {

struct EpollEvent {
    std::uint32_t events = 0;  ///< bits of PollEvents
    std::uint64_t data = 0;    ///< the user's
};

class Epoll {
public:
    /// The layer must outlive it.
    explicit Epoll(SocketLayer& sockets) : sockets_(sockets) {}

    /// epoll_ctl(2). An errno: EEXIST, ENOENT, EBADF (no such socket), EINVAL (kExclusive with kOneShot, or in a
    /// change; by itself it is taken and means nothing: one who waits is all there is).
    int add(SocketId socket, EpollEvent interest);
    int modify(SocketId socket, EpollEvent interest);
    int remove(SocketId socket);

    /// Something has happened to the socket: whoever calls SocketLayer::take_ready hands each event on.
    void note(SocketId socket);

    /// epoll_wait(2) without a wait: those ready, in the order in which they became so, round and round; returns how
    /// many. Level-triggered ones stay in the round, edge-triggered ones come again with their next news (of
    /// any kind: a layer's news does not say of which), one-shot ones once. A socket that was closed is forgotten.
    std::size_t wait(std::span<EpollEvent> out);
    [[nodiscard]] std::size_t size() const { return interests_.size(); }

private:
    struct Interest {
        EpollEvent asked;
        bool listed = false;  ///< stands in `ready_`
    };
    [[nodiscard]] std::uint32_t events_of(std::uint64_t socket, const Interest& interest) const;
    void list(std::uint64_t socket, Interest& interest);

    SocketLayer& sockets_;
    std::map<std::uint64_t, Interest> interests_;  ///< by packed SocketId
    std::deque<std::uint64_t> ready_;
};

}  // namespace runnel
