// The second host of an in-process wire and its services.
#include "runnel/cli/far_end.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include "runnel/asio/wire.hpp"
#include "runnel/cli/connection_server.hpp"
#include "runnel/cli/http_server.hpp"
#include "runnel/link/file_descriptor.hpp"

namespace runnel {

namespace {

constexpr std::uint32_t kMaxConnections = 256;
constexpr std::uint16_t kWebPort = 80;
constexpr std::uint64_t kZerosSize = std::uint64_t{1} << 30;
constexpr std::string_view kPage =
    "Hello from the other end of the wire: a Runnel host in this very process.\n"
    "Here are also /zeros (1 GiB), echo on port 7, discard on 9 and chargen on 19.\n";

struct ServicePort {
    Service service;
    std::uint16_t port;
};
constexpr ServicePort kServices[] = {
    {Service::echo, 7}, {Service::discard, 9}, {Service::chargen, 19}};

}  // namespace

struct FarEnd::Services {
    FileDescriptor page;
    FileDescriptor zeros;
    std::unique_ptr<HttpServer> web;
    std::vector<std::unique_ptr<ConnectionServer>> others;
};

FarEnd::FarEnd(boost::asio::io_context& io, Driver& near, const std::vector<Cidr>& addresses,
               std::uint32_t mtu)
    : addresses_(addresses) {
    DriverOptions options;
    options.host.name = "far end";
    driver_ = std::make_unique<Driver>(io, options);
    const WireEnds ends = connect_wire(near, *driver_, wire_capabilities(mtu));
    near_interface_ = ends.first;
    for (const Cidr& address : addresses_) {
        (void)driver_->host().add_address(ends.second, address, driver_->now());
    }
}

FarEnd::~FarEnd() = default;

void FarEnd::close() {
    services_.reset();
    driver_->close();
}

void FarEnd::serve() {
    services_ = std::make_unique<Services>();
    services_->page = FileDescriptor(::memfd_create("page", MFD_CLOEXEC));
    (void)!::write(services_->page.get(), kPage.data(), kPage.size());
    // A file with no blocks: all zeros, and it takes no memory.
    services_->zeros = FileDescriptor(::memfd_create("zeros", MFD_CLOEXEC));
    (void)!::ftruncate(services_->zeros.get(), static_cast<off_t>(kZerosSize));
    HttpServerOptions options;
    options.files["/"] = {services_->page.get(), kPage.size()};
    options.files["/zeros"] = {services_->zeros.get(), kZerosSize};
    services_->web = std::make_unique<HttpServer>(*driver_, std::move(options));
    for (const ServicePort& entry : kServices) {
        services_->others.push_back(std::make_unique<ConnectionServer>(
            *driver_, kMaxConnections, [service = entry.service](tcp::socket socket) {
                return run_service(service, std::move(socket));
            }));
    }
    for (const Cidr& address : addresses_) {
        services_->web->listen({address.address, kWebPort});
        for (std::size_t i = 0; i < std::size(kServices); ++i) {
            services_->others[i]->listen({address.address, kServices[i].port});
        }
    }
}

}  // namespace runnel
