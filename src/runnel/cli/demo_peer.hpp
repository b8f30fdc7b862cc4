// The demo's other side: programs over the kernel's own TCP, each a child process in the demo's private
// network. curl where there is one, else a small client of our own; and a small file server.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "runnel/link/file_descriptor.hpp"
#include "runnel/wire/address.hpp"

namespace runnel {

/// What the kernel's side of a transfer says of it.
struct PeerResult {
    bool worked = false;
    std::uint64_t bytes = 0;
    double seconds = 0;
    std::string sha256;  ///< of what it received; empty for an upload
    std::string error;
};

struct PeerRequest {
    Endpoint server;
    std::string target;
    bool upload = false;
    int body_fd = -1;  ///< what an upload sends, from its beginning
    std::uint64_t body_size = 0;
    bool close_asked = false;  ///< let the server close first ("Connection: close")
};

/// Whether curl can be run.
[[nodiscard]] bool has_curl();

/// A client at work. The child is killed when this goes.
class KernelClient {
public:
    /// Starts it; with `curl` that program, else our own client. Throws CommandError.
    KernelClient(const PeerRequest& request, bool curl);
    ~KernelClient();
    KernelClient(const KernelClient&) = delete;
    KernelClient& operator=(const KernelClient&) = delete;

    /// Readable when there is something to be read of the result; at its end it is complete.
    [[nodiscard]] int result_fd() const { return result_.get(); }
    /// From everything that was read there.
    [[nodiscard]] PeerResult parse_result(const std::string& text) const;

private:
    pid_t child_ = -1;
    FileDescriptor result_;
};

/// A file server over the kernel's TCP: answers every request with the same bytes and closes. The child is
/// killed when this goes.
class KernelServer {
public:
    /// Listens at once. `fd`: what to serve, `size` bytes. Throws CommandError.
    KernelServer(const std::vector<Endpoint>& locals, int fd, std::uint64_t size);
    ~KernelServer();
    KernelServer(const KernelServer&) = delete;
    KernelServer& operator=(const KernelServer&) = delete;

private:
    pid_t child_ = -1;
};

}  // namespace runnel
