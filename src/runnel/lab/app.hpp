// A program of a lesson: it owns one connected socket, sends what it is told and keeps what it reads. It acts
// whenever the scene looks at it, which is after every event.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "runnel/sim/world.hpp"

namespace runnel::lab {

class App {
public:
    App(sim::World& world, sim::HostId host, SocketId socket)
        : began(world.now()), world_(world), host_(host), socket_(socket) {}

    // --- what it does; may be changed at any time -------------------------------------------------------
    bool reads = true;          ///< false: what arrives stays in TCP's buffer until `read`
    bool closes_at_end = true;  ///< closes its own direction once the peer has closed
    /// Called after something was read, with all that has been read so far in `received`.
    std::function<void(App&)> on_data;

    /// Sends as soon as TCP takes it.
    void send(std::string text);
    /// The same, urgent (MSG_OOB).
    void send_urgent(char octet);
    /// Closes the direction to the peer once everything is sent (shutdown).
    void finish() { finishing_ = true; }
    /// Gives the socket back at once; what is queued still goes out (close).
    void close();
    /// Takes at most `most` octets out of TCP's buffer.
    void read(std::size_t most);
    /// The octet that was sent urgent, read apart (MSG_OOB); "none" when there is none.
    [[nodiscard]] std::string read_urgent();
    void set(SocketOption option, std::int64_t value);

    // --- what has become of it --------------------------------------------------------------------------
    std::string received;
    bool connected = false;
    bool ended = false;     ///< the peer has closed its direction: there is no more to read
    bool finished = false;  ///< everything is sent, and the direction closed
    bool closed = false;    ///< by itself, or by `error`
    Errc error = Errc::ok;  ///< what a call told it
    Instant began;          ///< when its socket was made
    Instant told;           ///< when it learnt that: connected, end or error, the latest
    [[nodiscard]] tcp::ConnectionStatus status() const;
    /// "Connection refused", or "none".
    [[nodiscard]] std::string error_text() const;

    /// Does what can be done now.
    void act();

private:
    [[nodiscard]] SocketLayer& sockets() const { return world_.sockets(host_); }
    [[nodiscard]] Instant now() const { return world_.now(host_); }
    void fail_with(Errc error);
    bool receive_some(std::size_t most);

    sim::World& world_;
    sim::HostId host_;
    SocketId socket_;
    std::string unsent_;
    std::string urgent_;
    bool finishing_ = false;
};

}  // namespace runnel::lab
