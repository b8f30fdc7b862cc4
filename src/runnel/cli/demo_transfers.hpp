// The demo's transfers: one small one whose every segment is shown, and three large ones whose digests are
// compared; against the kernel's TCP, or against a second Runnel host when there is no network for the demo.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runnel/asio/driver.hpp"
#include "runnel/cli/demo_network.hpp"
#include "runnel/link/file_descriptor.hpp"

namespace runnel {

struct DemoTransfer {
    std::string what;  ///< a sentence's beginning: "curl downloads from Runnel"
    Family family = Family::ipv4;
    std::uint64_t bytes = 0;
    double seconds = 0;
    std::string sent_sha256;
    std::string received_sha256;
    std::string error;  ///< empty when it worked

    [[nodiscard]] bool worked() const {
        return error.empty() && !sent_sha256.empty() && sent_sha256 == received_sha256;
    }
};

class DemoTransfers {
public:
    using Progress = std::function<void(const std::string&)>;

    /// `far`: the driver at the other end of the wire, or nullptr when the kernel is the peer. `size`: bytes
    /// of each large transfer. Starts Runnel's server. The kernel's server is started here, too, so that
    /// construction comes before the io_context runs.
    DemoTransfers(Driver& driver, Driver* far, const DemoNetwork& network, std::uint64_t size,
                  Progress progress);
    ~DemoTransfers();
    DemoTransfers(const DemoTransfers&) = delete;
    DemoTransfers& operator=(const DemoTransfers&) = delete;

    /// Whom the transfers are with: "curl", "a client over the kernel's sockets", "a second Runnel host".
    [[nodiscard]] const std::string& client_name() const { return client_name_; }
    /// A page of some kilobytes from Runnel: handshake, data and close of one connection.
    boost::asio::awaitable<DemoTransfer> small_transfer();
    /// The three large ones.
    boost::asio::awaitable<std::vector<DemoTransfer>> large_transfers();

private:
    struct Parts;
    boost::asio::awaitable<DemoTransfer> kernel_download(std::string what, Endpoint server,
                                                         std::string target, bool close_asked);
    boost::asio::awaitable<DemoTransfer> kernel_upload(std::string what, Endpoint server);
    boost::asio::awaitable<DemoTransfer> exchange(Driver& from, std::string what, Endpoint server,
                                                  std::string target, bool upload);
    boost::asio::awaitable<std::string> read_all(int fd);

    Driver& driver_;
    Driver* far_;
    DemoNetwork const& network_;
    std::uint64_t size_;
    Progress progress_;
    std::string client_name_;
    std::unique_ptr<Parts> parts_;
};

}  // namespace runnel
