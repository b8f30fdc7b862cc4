// A deadline passed (RFC 9293 §3.10.8): one function a timer.
#pragma once

#include "runnel/tcp/effects.hpp"

namespace runnel::tcp {

/// Runs every timer of `tcb` that is due at `effects.now`.
void on_timers(Tcb& tcb, Effects& effects);

/// RFC 6298 §5.4–§5.6; R2 reached ends the connection (RFC 9293 §3.8.3, MUST-20).
void on_retransmission_timeout(Tcb& tcb, Effects& effects);
/// RFC 8985 §7.2: arms the timer of a tail-loss probe, where one may go.
void schedule_loss_probe(Tcb& tcb, Effects& effects);
/// RFC 8985 §7.3: a probe goes out, one at a time.
void on_loss_probe_timeout(Tcb& tcb, Effects& effects);
/// RFC 8985 §6.2: what was overtaken, and has not come since, is lost.
void on_reorder_timeout(Tcb& tcb, Effects& effects);
/// §3.8.6.1, MUST-35, MUST-36: probe the window, or send what was held back.
void on_persist_timeout(Tcb& tcb, Effects& effects);
/// §3.8.6.3, MUST-40: the ACK can't wait any longer.
void on_delayed_ack_timeout(Tcb& tcb, Effects& effects);
/// §3.8.4, MUST-24 to MUST-29.
void on_keepalive_timeout(Tcb& tcb, Effects& effects);
/// A writer whom the pool turned away may try again.
void on_memory_timeout(Tcb& tcb, Effects& effects);
/// The peer never closed its half and nobody is left to read (Linux's tcp_fin_timeout).
void on_fin_wait_2_timeout(Tcb& tcb, Effects& effects);

}  // namespace runnel::tcp
