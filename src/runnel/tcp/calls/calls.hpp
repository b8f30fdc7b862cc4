// The user calls: RFC 9293 §3.10.1–§3.10.6 on a connection that has a Tcb.
#pragma once

#include "runnel/tcp/effects.hpp"

namespace runnel::tcp {

/// SEND, §3.10.2.
Result<std::size_t> send_bytes(Tcb& tcb, Bytes bytes, SendFlags flags, Effects& effects);
Result<std::size_t> send_slices(Tcb& tcb, std::span<const Slice> slices, SendFlags flags,
                                Effects& effects);
/// RECEIVE, §3.10.3.
Result<std::size_t> receive_bytes(Tcb& tcb, MutableBytes into, ReceiveFlags flags,
                                  Effects& effects);
Result<SliceList> receive_slices(Tcb& tcb, std::size_t limit, Effects& effects);
/// CLOSE of the sending half, §3.10.4: a FIN after what is queued.
Status close_send(Tcb& tcb, Effects& effects);
/// CLOSE by a user who has let go (`tcb.orphan` is set): both halves. Unread data makes it an ABORT (RFC 2525 §2.17).
void close_both(Tcb& tcb, Effects& effects);
/// ABORT, §3.10.5.
void abort_connection(Tcb& tcb, Effects& effects);

/// New options, with what follows from them at once.
void change_options(Tcb& tcb, const ConnectionOptions& options, const TcpConfig& config);
/// Linux: once the reader has taken all, an ACK that waits for company is sent, unless the exchange is interactive.
void acknowledge_when_read(Tcb& tcb, const TcpConfig& config);
/// Octets that RECEIVE would give now, up to the urgent mark.
[[nodiscard]] std::size_t readable_octets(const Tcb& tcb);
[[nodiscard]] bool at_urgent_mark(const Tcb& tcb);
[[nodiscard]] Readiness readiness_of(const Tcb& tcb, const TcpConfig& config);

}  // namespace runnel::tcp
