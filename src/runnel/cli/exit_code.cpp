// From an operation's error to the program's exit code (DESIGN §8).
#include "runnel/cli/exit_code.hpp"

#include <boost/asio/error.hpp>

namespace runnel {

int exit_code_for(const boost::system::error_code& error) {
    namespace codes = boost::asio::error;
    if (!error) {
        return kExitOk;
    }
    if (error == codes::connection_refused) {
        return kExitRefused;
    }
    if (error == codes::timed_out) {
        return kExitTimedOut;
    }
    if (error == codes::connection_reset || error == codes::broken_pipe ||
        error == codes::connection_aborted) {
        return kExitReset;
    }
    return kExitFailed;
}

}  // namespace runnel
