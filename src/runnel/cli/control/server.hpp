// The control socket of a running process (docs/control.md): answers the same user's questions about its
// hosts from the io_context that drives them, in small pieces, at most half of the time.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

#include "runnel/asio/driver.hpp"

namespace runnel::control {

class ControlServer {
public:
    /// Opens the socket. When that can't be, a note goes to stderr and nothing else happens: a command does
    /// its work without a control socket too. `command` is the subcommand's name.
    ControlServer(boost::asio::io_context& io, std::string command);
    /// Removes the socket and ends all answers. Before the drivers and the io_context go.
    ~ControlServer();
    ControlServer(const ControlServer&) = delete;
    ControlServer& operator=(const ControlServer&) = delete;

    /// Questions are about this host too from now on.
    void watch(Driver& driver, std::string name);

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace runnel::control
