// Where control sockets lie: a directory that only their user can open, one socket a process, named after
// it. Found, checked against tricks of other users, and cleaned of what dead processes left.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "runnel/link/file_descriptor.hpp"

namespace runnel::control {

/// The directories where this user's sockets may lie, best first: $XDG_RUNTIME_DIR/runnel,
/// /run/user/UID/runnel, /tmp/runnel-UID. UID is the user's outside of a user namespace. Where
/// $RUNNEL_CONTROL_DIR names a directory, that one alone.
[[nodiscard]] std::vector<std::string> directories();

/// Opens a directory, which must be a real one, ours, and closed to others; with `make` it is made when it
/// isn't there. Else a sentence.
[[nodiscard]] std::expected<FileDescriptor, std::string> open_directory(const std::string& path,
                                                                        bool make);

/// A socket that listens, under a name that others see only now that it listens.
class ListeningSocket {
public:
    /// In the first of directories() that will do. A sentence when none does.
    [[nodiscard]] static std::expected<ListeningSocket, std::string> open();
    ListeningSocket(ListeningSocket&&) = default;
    ListeningSocket& operator=(ListeningSocket&&) = delete;
    /// Takes the name away.
    ~ListeningSocket();

    [[nodiscard]] int release() { return socket_.release(); }
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    ListeningSocket() = default;
    FileDescriptor directory_;
    FileDescriptor socket_;
    std::string name_;
    std::string path_;
};

/// A running process's socket, connected.
struct Connected {
    FileDescriptor socket;
    int pid = 0;  ///< as seen from here
    std::string path;
};

/// Connects to every socket there is, one a process; sockets nobody listens on any more are removed if
/// their process is gone. `notes` gets a sentence for each directory or socket that was not trusted.
[[nodiscard]] std::vector<Connected> connect_all(std::vector<std::string>& notes);

/// Whether the process at the other end is the same user's, or root's.
[[nodiscard]] bool same_user(int socket, int* pid = nullptr);

}  // namespace runnel::control
