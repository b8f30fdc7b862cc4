#include "runnel/tcp/send/send_room.hpp"

#include <algorithm>

namespace runnel::tcp {

void grow_send_room(Tcb& tcb, Effects& effects) {
    const TcpConfig& config = effects.config();
    if (tcb.user.send_buffer != 0 || !config.send_buffer_autotuning) {
        return;
    }
    // One window in the network and one to follow it, so that losses which hold back SND.UNA for a round trip
    // don't stop the writer; and half as much again, since a writer is woken only when a third is free.
    const std::uint32_t now = tcb.send_limit(config);
    const std::uint64_t wanted = std::min<std::uint64_t>(
        config.send_buffer, std::uint64_t{3} * tcb.controller.window() * tcb.send_mss(config));
    if (wanted <= now) {
        return;
    }
    const BufferPool& pool = effects.pool();
    const std::size_t share = pool.limit() - (pool.limit() >> SendBuffer::kReserveShift);
    const std::size_t free = share - std::min(share, pool.bytes_in_use());
    tcb.send_room = static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted, now + free / 2));
    effects.wake_waiting_writer(tcb);
}

}  // namespace runnel::tcp
