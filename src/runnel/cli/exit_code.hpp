// The program's exit codes, curl's where curl has one, and the error that ends a command with one of them.
#pragma once

#include <boost/system/error_code.hpp>
#include <stdexcept>
#include <string>

namespace runnel {

enum ExitCode : int {
    kExitOk = 0,
    kExitFailed = 1,
    kExitUsage = 2,
    kExitRefused = 7,     ///< nobody listens there (curl's CURLE_COULDNT_CONNECT)
    kExitHttpError = 22,  ///< the server answered with 400 or more (as curl -f)
    kExitTimedOut = 28,   ///< curl's CURLE_OPERATION_TIMEDOUT
    kExitReset = 56,      ///< curl's CURLE_RECV_ERROR
    kExitNoPermission = 77,
};

/// The code for a failed operation of a connection.
[[nodiscard]] int exit_code_for(const boost::system::error_code& error);

/// Ends a command: the message goes to stderr behind "runnel: ", then the program exits with `code`.
class CommandError : public std::runtime_error {
public:
    CommandError(int code, const std::string& message) : std::runtime_error(message), code_(code) {}
    [[nodiscard]] int code() const { return code_; }

private:
    int code_;
};

}  // namespace runnel
