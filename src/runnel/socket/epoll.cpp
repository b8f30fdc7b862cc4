#include "runnel/socket/epoll.hpp"

#include <cerrno>

namespace runnel {

namespace {

/// Not what is waited for, but how (EP_PRIVATE_BITS).
constexpr std::uint32_t kHow =
    PollEvents::kExclusive | PollEvents::kWakeUp | PollEvents::kOneShot | PollEvents::kEdge;

}  // namespace

std::uint32_t Epoll::events_of(std::uint64_t socket, const Interest& interest) const {
    const std::uint32_t asked = interest.asked.events & ~kHow;
    if (asked == 0) {
        return 0;  // a one-shot that has been told
    }
    return sockets_.poll_events(SocketId::from_packed(socket)) & asked;
}

void Epoll::list(std::uint64_t socket, Interest& interest) {
    if (!interest.listed && events_of(socket, interest) != 0) {
        interest.listed = true;
        ready_.push_back(socket);
    }
}

int Epoll::add(SocketId socket, EpollEvent interest) {
    if ((sockets_.poll_events(socket) & PollEvents::kInvalid) != 0) {
        return EBADF;
    }
    const bool exclusive = (interest.events & PollEvents::kExclusive) != 0;
    if (exclusive && (interest.events & PollEvents::kOneShot) != 0) {
        return EINVAL;
    }
    interest.events |= PollEvents::kAlways;
    const auto [place, added] = interests_.try_emplace(socket.packed(), Interest{interest});
    if (!added) {
        return EEXIST;
    }
    list(socket.packed(), place->second);
    return 0;
}

int Epoll::modify(SocketId socket, EpollEvent interest) {
    const auto found = interests_.find(socket.packed());
    if (found == interests_.end()) {
        return ENOENT;
    }
    const std::uint32_t either = interest.events | found->second.asked.events;
    if ((either & PollEvents::kExclusive) != 0) {
        return EINVAL;
    }
    interest.events |= PollEvents::kAlways;
    found->second.asked = interest;
    list(socket.packed(), found->second);
    return 0;
}

int Epoll::remove(SocketId socket) {
    std::erase(ready_, socket.packed());
    return interests_.erase(socket.packed()) != 0 ? 0 : ENOENT;
}

void Epoll::note(SocketId socket) {
    const auto found = interests_.find(socket.packed());
    if (found != interests_.end()) {
        list(socket.packed(), found->second);
    }
}

std::size_t Epoll::wait(std::span<EpollEvent> out) {
    std::size_t told = 0;
    for (std::size_t left = ready_.size(); left > 0 && told < out.size(); --left) {
        const std::uint64_t socket = ready_.front();
        ready_.pop_front();
        const auto found = interests_.find(socket);
        if (found == interests_.end() || !found->second.listed) {
            continue;  // removed since, and perhaps added anew
        }
        Interest& interest = found->second;
        interest.listed = false;
        const std::uint32_t events = events_of(socket, interest);
        if ((sockets_.poll_events(SocketId::from_packed(socket)) & PollEvents::kInvalid) != 0) {
            interests_.erase(found);
            continue;
        }
        if (events == 0) {
            continue;  // it was ready, and is no more
        }
        out[told++] = {events, interest.asked.data};
        if ((interest.asked.events & PollEvents::kOneShot) != 0) {
            interest.asked.events &= kHow;
        } else if ((interest.asked.events & PollEvents::kEdge) == 0) {
            interest.listed = true;
            ready_.push_back(socket);
        }
    }
    return told;
}

}  // namespace runnel
