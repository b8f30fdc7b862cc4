// A command's own host: link, addresses, routes, driver and capture made from the common options, and the
// loop that runs a coroutine over it until it ends, a signal comes, or the link goes.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runnel/asio/driver.hpp"
#include "runnel/cli/capture_file.hpp"
#include "runnel/cli/common_options.hpp"

namespace runnel {

class FarEnd;
namespace control {
class ControlServer;
}

class Session {
public:
    /// Opens the link and puts a host on it. Throws CommandError; no_permission when the machine forbids it.
    /// `command` is what `ss -p` calls this process.
    Session(const HostSettings& settings, std::string command);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    [[nodiscard]] boost::asio::io_context& io() { return *io_; }
    [[nodiscard]] Driver& driver() { return *driver_; }
    [[nodiscard]] const std::vector<Cidr>& addresses() const { return settings_.addresses; }
    /// The peer of an in-process wire, or nullptr.
    [[nodiscard]] FarEnd* far_end() { return far_end_.get(); }

    /// Runs `task` to its end, lets connections close (at most a few seconds), and returns its result. What
    /// it throws comes out, CommandError as it is. SIGINT and SIGTERM call `on_signal` if given, else end
    /// the program's work with 128 + the signal's number.
    int run(boost::asio::awaitable<int> task, std::function<void()> on_signal = {});

private:
    void open_device();
    void open_wire();
    void add_addresses();

    HostSettings settings_;
    std::unique_ptr<boost::asio::io_context> io_;
    std::unique_ptr<Driver> driver_;
    std::unique_ptr<FarEnd> far_end_;
    std::unique_ptr<CaptureFile> capture_;
    std::unique_ptr<control::ControlServer> control_;
};

/// Opens the device that `settings.link` names. A TUN or TAP that did not exist before gets the kernel's
/// address (the gateway, or the first other one of each prefix) and is switched on.
[[nodiscard]] Device open_link_device(const HostSettings& settings);

/// The kernel's addresses on a link that Runnel has made for itself: one in each prefix of `own` that has
/// room for it, the gateway where it lies in the prefix.
[[nodiscard]] std::vector<Cidr> kernel_ends(const std::vector<Cidr>& own,
                                            const std::vector<IpAddress>& gateways);

/// For a command without --link: what to write, with three examples that work on this machine; then it
/// throws CommandError with code 2.
[[noreturn]] void refuse_without_link(std::string_view command);

}  // namespace runnel
