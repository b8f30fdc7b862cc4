#include "runnel/tcp/open/listener.hpp"

#include <algorithm>

namespace runnel::tcp {

std::vector<ListenerTable::ByPort>::iterator ListenerTable::first_of(std::uint16_t port) {
    return std::lower_bound(
        by_port_.begin(), by_port_.end(), port,
        [](const ByPort& entry, std::uint16_t wanted) { return entry.port < wanted; });
}

ListenerHandle ListenerTable::insert(const Endpoint& local, bool dual_stack, std::uint32_t backlog,
                                     const ConnectionOptions& options) {
    const ListenerHandle handle = listeners_.emplace();
    if (handle.is_none()) {
        return handle;
    }
    Listener& listener = *listeners_.find(handle);
    listener.local = local;
    listener.dual_stack = dual_stack;
    listener.backlog = backlog;
    listener.options = options;
    by_port_.insert(first_of(local.port), {local.port, handle});
    return handle;
}

void ListenerTable::erase(ListenerHandle handle) {
    const auto found = std::find_if(by_port_.begin(), by_port_.end(),
                                    [&](const ByPort& entry) { return entry.handle == handle; });
    if (found != by_port_.end()) {
        by_port_.erase(found);
    }
    listeners_.erase(handle);
}

ListenerHandle ListenerTable::lookup(const Endpoint& local) {
    ListenerHandle best;
    int best_rank = 0;
    for (auto it = first_of(local.port); it != by_port_.end() && it->port == local.port; ++it) {
        const Listener& listener = *listeners_.find(it->handle);
        int rank = 0;
        if (listener.local.address == local.address) {
            rank = 3;
        } else if (listener.local.address.is_unspecified()) {
            const bool same_family = listener.local.address.family() == local.address.family();
            rank = same_family ? 2 : listener.dual_stack ? 1 : 0;
        }
        if (rank > best_rank) {
            best_rank = rank;
            best = it->handle;
        }
    }
    return best;
}

bool ListenerTable::conflicts(const Endpoint& local, bool dual_stack) {
    for (auto it = first_of(local.port); it != by_port_.end() && it->port == local.port; ++it) {
        const Listener& other = *listeners_.find(it->handle);
        if (other.local.address == local.address) {
            return true;
        }
        const bool same_family = other.local.address.family() == local.address.family();
        const bool any = other.local.address.is_unspecified() || local.address.is_unspecified();
        if (!any) {
            continue;
        }
        if (same_family || (other.local.address.is_unspecified() && other.dual_stack) ||
            (local.address.is_unspecified() && dual_stack)) {
            return true;
        }
    }
    return false;
}

}  // namespace runnel::tcp
