// The eleven states of RFC 9293 §3.3.2 and the transitions between them (figure 5, with the notes below
// it and §3.10). A transition that is not in the table is a broken invariant.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace runnel::tcp {

enum class State : std::uint8_t {
    closed,
    listen,
    syn_sent,
    syn_received,
    established,
    fin_wait_1,
    fin_wait_2,
    close_wait,
    closing,
    last_ack,
    time_wait,
};

inline constexpr std::size_t kStateCount = 11;

inline constexpr std::array<std::string_view, kStateCount> kStateNames = {
    "CLOSED",     "LISTEN",     "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1",
    "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING",  "LAST-ACK",     "TIME-WAIT"};

constexpr std::string_view to_string(State state) {
    return kStateNames[static_cast<std::size_t>(state)];
}

/// What makes a connection change its state.
struct Transition {
    State from;
    State to;
    std::string_view cause;
};

inline constexpr std::array kTransitions = {
    Transition{State::closed, State::listen, "passive OPEN"},
    Transition{State::closed, State::syn_sent, "active OPEN, send SYN"},
    Transition{State::listen, State::syn_received, "receive SYN, send SYN,ACK"},
    Transition{State::listen, State::syn_sent, "SEND or active OPEN, send SYN"},
    Transition{State::listen, State::closed, "CLOSE"},
    Transition{State::syn_sent, State::syn_received, "receive SYN, send SYN,ACK"},
    Transition{State::syn_sent, State::established, "receive SYN,ACK, send ACK"},
    Transition{State::syn_sent, State::closed, "CLOSE, RST or timeout"},
    Transition{State::syn_received, State::established, "receive ACK of SYN"},
    Transition{State::syn_received, State::fin_wait_1, "CLOSE, send FIN"},
    Transition{State::syn_received, State::close_wait, "receive ACK of SYN with FIN, send ACK"},
    Transition{State::syn_received, State::listen, "receive RST (passive OPEN)"},
    Transition{State::syn_received, State::closed, "RST, ABORT or timeout"},
    Transition{State::established, State::fin_wait_1, "CLOSE, send FIN"},
    Transition{State::established, State::close_wait, "receive FIN, send ACK"},
    Transition{State::established, State::closed, "RST, ABORT or timeout"},
    Transition{State::fin_wait_1, State::fin_wait_2, "receive ACK of FIN"},
    Transition{State::fin_wait_1, State::closing, "receive FIN, send ACK"},
    Transition{State::fin_wait_1, State::time_wait, "receive FIN with ACK of FIN, send ACK"},
    Transition{State::fin_wait_1, State::closed, "RST, ABORT or timeout"},
    Transition{State::fin_wait_2, State::time_wait, "receive FIN, send ACK"},
    Transition{State::fin_wait_2, State::closed, "RST, ABORT or timeout"},
    Transition{State::close_wait, State::last_ack, "CLOSE, send FIN"},
    Transition{State::close_wait, State::closed, "RST, ABORT or timeout"},
    Transition{State::closing, State::time_wait, "receive ACK of FIN"},
    Transition{State::closing, State::closed, "RST, ABORT or timeout"},
    Transition{State::last_ack, State::closed, "receive ACK of FIN, RST or timeout"},
    Transition{State::time_wait, State::closed, "2MSL passed, or RST"},
    Transition{State::time_wait, State::syn_received, "receive new SYN (RFC 6191)"},
};

constexpr bool is_transition(State from, State to) {
    for (const Transition& t : kTransitions) {
        if (t.from == from && t.to == to) {
            return true;
        }
    }
    return false;
}

/// States in which the peer's data is taken (§3.10.7.4, seventh step).
constexpr bool receives_data(State s) {
    return s == State::established || s == State::fin_wait_1 || s == State::fin_wait_2;
}
/// States in which our data (or FIN) may still be sent or retransmitted.
constexpr bool sends_data(State s) {
    return s == State::established || s == State::close_wait || s == State::fin_wait_1 ||
           s == State::closing || s == State::last_ack;
}
/// SYN exchanged both ways.
constexpr bool is_synchronized(State s) {
    return s >= State::established;
}

}  // namespace runnel::tcp
