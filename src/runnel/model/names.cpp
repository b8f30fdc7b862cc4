// Names for people: states, signals and timers.
#include "runnel/model/block.hpp"

namespace runnel::model {

std::string_view name_of(State state) {
    switch (state) {
        case State::closed: return "CLOSED";
        case State::listen: return "LISTEN";
        case State::syn_sent: return "SYN-SENT";
        case State::syn_received: return "SYN-RECEIVED";
        case State::established: return "ESTABLISHED";
        case State::fin_wait_1: return "FIN-WAIT-1";
        case State::fin_wait_2: return "FIN-WAIT-2";
        case State::close_wait: return "CLOSE-WAIT";
        case State::closing: return "CLOSING";
        case State::last_ack: return "LAST-ACK";
        case State::time_wait: return "TIME-WAIT";
    }
    return "";
}

std::string_view name_of(Signal signal) {
    switch (signal) {
        case Signal::none: return "nothing";
        case Signal::reset: return "connection reset";
        case Signal::refused: return "connection refused";
        case Signal::ok: return "ok";
        case Signal::waits: return "waits";
        case Signal::closing: return "connection closing";
        case Signal::no_connection: return "connection does not exist";
        case Signal::exists: return "connection already exists";
    }
    return "";
}

std::string names_of_timers(unsigned timers) {
    static constexpr std::string_view kNames[] = {"retransmission", "persist",    "delayed-ack",
                                                  "keepalive",      "fin-wait-2", "time-wait"};
    std::string text;
    for (unsigned i = 0; i < 6; ++i) {
        if ((timers & (1U << i)) != 0) {
            text += (text.empty() ? "" : "+") + std::string(kNames[i]);
        }
    }
    return text.empty() ? "none" : text;
}

}  // namespace runnel::model
