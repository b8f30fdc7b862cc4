// The other end of `--link wire`: a second Runnel host in the same process, with a small web server (port
// 80) and echo, discard and chargen (7, 9, 19), so that commands can be tried without any privilege.
#pragma once

#include <memory>
#include <vector>

#include "runnel/asio/driver.hpp"
#include "runnel/wire/address.hpp"

namespace runnel {

class FarEnd {
public:
    /// Joins a new host to `near` by a wire. It has the kernel's addresses on a TUN: see `kernel_ends`.
    FarEnd(boost::asio::io_context& io, Driver& near, const std::vector<Cidr>& addresses,
           std::uint32_t mtu);
    ~FarEnd();
    FarEnd(const FarEnd&) = delete;
    FarEnd& operator=(const FarEnd&) = delete;

    [[nodiscard]] Driver& driver() { return *driver_; }
    /// The interface of the wire in the near host.
    [[nodiscard]] std::uint8_t near_interface() const { return near_interface_; }
    /// Starts the services.
    void serve();
    /// Ends them and closes the driver: before the io_context goes.
    void close();

private:
    struct Services;
    std::unique_ptr<Driver> driver_;
    std::vector<Cidr> addresses_;
    std::uint8_t near_interface_ = 0;
    std::unique_ptr<Services> services_;
};

}  // namespace runnel
