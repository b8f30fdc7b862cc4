#include "runnel/tcp/close/reset.hpp"

namespace runnel::tcp {

ControlSegment make_reset(const FourTuple& tuple, const TcpHeader& header,
                          std::uint32_t payload_size, Decision reason) {
    ControlSegment reset;
    reset.tuple = tuple;
    reset.reason = reason;
    reset.header.source_port = tuple.local.port;
    reset.header.destination_port = tuple.remote.port;
    if (header.flags.ack()) {
        reset.header.seq = header.ack;
        reset.header.flags.bits = TcpFlags::kRst;
    } else {
        const std::uint32_t length =
            payload_size + (header.flags.syn() ? 1U : 0U) + (header.flags.fin() ? 1U : 0U);
        reset.header.ack = header.seq + length;
        reset.header.flags.bits = TcpFlags::kRst | TcpFlags::kAck;
    }
    return reset;
}

}  // namespace runnel::tcp
