#include "runnel/report/why.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "runnel/report/text.hpp"

namespace runnel::report {

namespace {

using tcp::ConnectionStatus;
using tcp::State;
using tcp::Timer;

std::string bytes(std::uint64_t count) {
    return counted(count, "byte");
}

/// "1 byte waits", "2 bytes wait".
std::string waits(std::uint64_t count) {
    return fmt::format("{} {}", bytes(count), count == 1 ? "waits" : "wait");
}

std::string recovery_clause(const ConnectionStatus& c) {
    const std::string_view state = c.recovery_state;
    if (state == "recovery") {
        return "; it recovers from a loss";
    }
    if (state == "loss") {
        return fmt::format("; it starts anew after {}", counted(c.retransmits, "timeout"));
    }
    if (state == "cwr") {
        return "; the window goes down after a mark of congestion, or a loss that a probe has repaired";
    }
    return state == "disorder" ? "; something has arrived out of order" : "";
}

/// What the network has marked of what we sent, for who asks why the window is small.
std::string marks_clause(const ConnectionStatus& c) {
    if (!c.has_ecn || c.delivered_marked == 0) {
        return "";
    }
    return fmt::format("; {} of ours came marked ({})", counted(c.delivered_marked, "segment"),
                       c.has_accecn ? "AccECN" : "ECN");
}

std::string nothing_to_send(const ConnectionStatus& c) {
    if (c.state == State::syn_sent || c.state == State::syn_received) {
        return fmt::format(
            "The handshake: our SYN is on its way and not acknowledged yet ({}).",
            c.retransmits == 0 ? "first try" : counted(c.retransmits, "retransmission"));
    }
    const std::uint64_t flight = c.send_queue - std::min(c.unsent, c.send_queue);
    if (flight > 0) {
        return fmt::format(
            "The application: all it has written is sent; {} of it {} acknowledged yet{}.",
            bytes(flight), flight == 1 ? "is not" : "are not", recovery_clause(c));
    }
    if (c.state == State::fin_wait_1 || c.state == State::closing || c.state == State::last_ack) {
        return "Our FIN is sent and not acknowledged yet.";
    }
    if (c.sending_over) {
        return "Our side is closed: all data and the FIN are sent and acknowledged.";
    }
    return "The application: it has nothing to send, and all it has written is acknowledged.";
}

std::string sending(const ConnectionStatus& c) {
    switch (c.plan) {
        case Decision::tcp_hold_nothing_to_send:
        case Decision::tcp_hold_delayed_ack: return nothing_to_send(c);
        case Decision::tcp_hold_handshake:
            if (c.unsent == 0) {
                return nothing_to_send(c);
            }
            return fmt::format("The handshake: {} for its end.", waits(c.unsent));
        case Decision::tcp_hold_congestion_window:
            return fmt::format(
                "The congestion window ({}): it has room for {}, and as many are in the network; {}{}{}.",
                c.congestion_control, counted(c.cwnd_segments, "segment"), waits(c.unsent),
                recovery_clause(c), marks_clause(c));
        case Decision::tcp_hold_pacing:
            return fmt::format(
                "The pacing ({}): {} a second, so that the next segment may leave a little later; {}{}.",
                c.congestion_control, bytes(c.pacing_rate), waits(c.unsent), recovery_clause(c));
        case Decision::tcp_hold_zero_window:
            return fmt::format(
                "The peer's window: {} at its end; {}. Its application reads too slowly, or not at all.",
                c.snd_wnd == 0 ? std::string("it is closed, and we are")
                               : fmt::format("its {} are in flight, and we are", bytes(c.snd_wnd)),
                c.unsent == 0 ? std::string("our FIN waits") : waits(c.unsent));
        case Decision::tcp_hold_silly_window:
            return fmt::format(
                "The peer's window: the {} that it leaves open are too few to be worth a segment; {}.",
                bytes(c.snd_wnd), waits(c.unsent));
        case Decision::tcp_hold_nagle:
            return fmt::format(
                "Nagle's algorithm: {} until the small segment before is acknowledged (TCP_NODELAY ends "
                "that).",
                waits(c.unsent));
        case Decision::tcp_hold_cork:
            return fmt::format(
                "The application: it has corked the connection, or said that more follows; {}.",
                waits(c.unsent));
        default: break;
    }
    if (c.unsent > 0) {
        return fmt::format("Nothing: it sends at its next turn; {} for that.", waits(c.unsent));
    }
    return "Nothing: it sends at its next turn.";
}

std::string receiving(const ConnectionStatus& c) {
    std::string text;
    if (c.receive_queue > 0) {
        text = fmt::format("The application: {} to be read by it", waits(c.receive_queue));
        if (c.peer_closed) {
            text += ", the last ones: the peer has closed";
        } else if (c.rcv_wnd == 0) {
            text += ", and our window is closed until it reads";
        } else {
            text += fmt::format("; the peer may send {} more", bytes(c.rcv_wnd));
        }
    } else if (c.peer_closed) {
        text = "The peer has closed, and all it sent has been read";
    } else if (c.state == State::syn_sent || c.state == State::syn_received) {
        text = "Nothing yet";
    } else {
        text =
            fmt::format("The peer: nothing waits to be read, and it may send {}", bytes(c.rcv_wnd));
    }
    if (c.out_of_order > 0) {
        text += fmt::format("; {} beyond a gap for what is missing", waits(c.out_of_order));
    }
    return text + ".";
}

std::string effect(const ConnectionStatus& c) {
    switch (c.timer) {
        case Timer::retransmit:
            return fmt::format(
                "the retransmission timer fires: what is in flight is taken as lost and sent again, with a "
                "timeout of {}",
                duration_text(c.rto * 2));
        case Timer::persist:
            return fmt::format(
                "the persist timer fires: {} asks whether the peer's window has opened",
                c.probes == 0 ? "a probe" : "one more probe");
        case Timer::delayed_ack: return "the acknowledgement that is owed goes out by itself";
        case Timer::keepalive: return "the keep-alive timer looks whether the peer is still there";
        case Timer::fin_wait_2: return "the wait for the peer's FIN is given up";
        case Timer::loss_probe:
            return "a tail-loss probe goes out, so that the peer says what has arrived";
        case Timer::reorder: return "what was overtaken counts as lost, and is sent again";
        case Timer::pacing:
            return "the next segment may leave: they are spread over the round trip";
        case Timer::memory: return "it looks again whether there is memory for what is written";
        case Timer::time_wait: return "2MSL has passed: the addresses are free again";
        case Timer::count_: break;
    }
    return "";
}

std::string timer(const ConnectionStatus& c, Instant now) {
    if (c.timer == Timer::count_ || c.timer_deadline.is_never()) {
        return "No timer is armed: only the application or the peer changes anything.";
    }
    const Duration left = c.timer_deadline > now ? c.timer_deadline - now : Duration{};
    return fmt::format("In {} {}.", duration_text(left), effect(c));
}

std::string sooner(const ConnectionStatus& c) {
    switch (c.plan) {
        case Decision::tcp_hold_congestion_window:
            return "An acknowledgement makes room in the congestion window.";
        case Decision::tcp_hold_zero_window:
        case Decision::tcp_hold_silly_window: return "The peer reads and opens its window.";
        case Decision::tcp_hold_nagle:
            return "The acknowledgement comes, or more data fills a segment.";
        case Decision::tcp_hold_cork: return "The application writes on, or takes the cork out.";
        default: break;
    }
    const bool opening = c.state == State::syn_sent || c.state == State::syn_received;
    if (opening || c.send_queue > c.unsent || c.state == State::fin_wait_1 ||
        c.state == State::closing || c.state == State::last_ack) {
        return "An acknowledgement comes.";
    }
    if (c.sending_over) {
        return c.peer_closed ? "" : "The peer sends, or closes its side.";
    }
    return "The application writes or closes, or the peer sends.";
}

}  // namespace

Explanation explain_connection(const ConnectionStatus& connection, Instant now) {
    Explanation out;
    switch (connection.state) {
        case State::listen:
            out.sending = fmt::format(
                "It listens: {} of at most {} wait to be accepted, {} under way.",
                connection.receive_queue, counted(connection.send_queue + 1, "connection"),
                connection.embryos == 1 ? std::string("1 handshake is")
                                        : fmt::format("{} handshakes are", connection.embryos));
            out.timer = "A SYN to this address begins a connection.";
            return out;
        case State::time_wait:
            out.sending =
                "It is over: both sides have closed. Its addresses stay taken, so that no late segment is "
                "taken for one of a new connection.";
            out.timer = timer(connection, now);
            out.sooner =
                "A new SYN from the peer, certainly newer, begins a new connection (RFC 6191).";
            return out;
        case State::closed: out.sending = "It is closed."; return out;
        default: break;
    }
    out.sending = sending(connection);
    out.receiving = receiving(connection);
    out.timer = timer(connection, now);
    out.sooner = sooner(connection);
    return out;
}

}  // namespace runnel::report
