// Runnel as an end: a driver over its end of a socket pair that carries one packet a message.
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "real/ends.hpp"
#include "real/pattern.hpp"
#include "runnel/asio/driver.hpp"
#include "runnel/asio/tcp_socket.hpp"
#include "runnel/report/pcapng_writer.hpp"

namespace runnel::bench {

namespace {
namespace asio = boost::asio;
constexpr auto kTick = std::chrono::milliseconds(20);

class RunnelEnd {
public:
    RunnelEnd(const EndConfig& config, Device device, Board& board, FlowBoard& flow)
        : config_(config), board_(board), flow_(flow), driver_(io_, options(config)) {
        const std::uint8_t interface = driver_.add_link(std::move(device));
        (void)driver_.host().add_address(interface, *parse_cidr(config.local + "/16"),
                                         driver_.now());
        if (!config.capture.empty()) {
            writer_ = std::make_unique<report::PcapngWriter>(bytes_, report::PcapngOptions{});
            writer_->add_interface("wire", LinkLayer::raw_ip);
            driver_.set_capture([this](const CapturedFrame& frame) { writer_->write(frame); });
        }
    }

    int run() {
        if (config_.sends) {
            asio::co_spawn(io_, sending(), asio::detached);
        } else {
            asio::co_spawn(io_, receiving(), asio::detached);
        }
        asio::co_spawn(io_, watching(), asio::detached);
        io_.run();
        std::ofstream file(config_.capture, std::ios::binary);
        if (!config_.capture.empty()) {
            file.write(reinterpret_cast<const char*>(bytes_.data()),
                       static_cast<std::streamsize>(bytes_.size()));
        }
        return error_ ? 1 : 0;
    }

private:
    static DriverOptions options(const EndConfig& config) {
        DriverOptions o;
        o.host.tcp = config.tcp;
        o.host.ip.dad_transmits = 0;
        return o;
    }
    asio::awaitable<void> sending() {
        tcp::socket socket(driver_);
        const tcp::endpoint remote(*parse_ip_address(config_.remote), config_.port);
        boost::system::error_code ec;
        co_await socket.async_connect(remote, asio::redirect_error(asio::use_awaitable, ec));
        if (ec) {
            fail("connect", ec);
            co_return;
        }
        socket_ = socket.native_handle();
        flow_.connected = 1;
        const Pattern pattern;
        std::uint64_t sent = 0;
        while (config_.octets == 0 || sent < config_.octets) {
            const std::uint64_t left =
                config_.octets == 0 ? Pattern::kBlock : config_.octets - sent;
            const std::size_t size = std::min<std::uint64_t>(left, 64 * 1024);
            const auto piece = asio::buffer(pattern.at(sent), size);
            const std::size_t wrote = co_await socket.async_write_some(
                piece, asio::redirect_error(asio::use_awaitable, ec));
            if (ec) {
                fail("write", ec);
                co_return;
            }
            sent += wrote;
        }
        socket.shutdown(asio::socket_base::shutdown_send, ec);
        asio::steady_timer forever(io_, std::chrono::hours(1));
        co_await forever.async_wait(asio::use_awaitable);
    }
    asio::awaitable<void> receiving() {
        tcp::acceptor acceptor(driver_, tcp::endpoint(Family::ipv4, config_.port), 1);
        flow_.listening = 1;
        tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
        const Pattern pattern;
        std::vector<char> into(Pattern::kBlock);
        std::uint64_t received = 0;
        for (;;) {
            boost::system::error_code ec;
            const std::size_t got = co_await socket.async_read_some(
                asio::buffer(into), asio::redirect_error(asio::use_awaitable, ec));
            if (ec) {
                flow_.finished = ec == asio::error::eof ? 1 : 0;
                break;
            }
            flow_.wrong += pattern.matches(received, into.data(), got) ? 0 : got;
            received += got;
            flow_.received = received;
        }
        asio::steady_timer forever(io_, std::chrono::hours(1));
        co_await forever.async_wait(asio::use_awaitable);
    }
    asio::awaitable<void> watching() {
        asio::steady_timer timer(io_);
        while (board_.stop == 0) {
            timer.expires_after(kTick);
            co_await timer.async_wait(asio::use_awaitable);
            publish();
        }
        io_.stop();
    }
    void publish() {
        if (!config_.sends || socket_.is_none()) {
            return;
        }
        const auto status = driver_.sockets().tcp_info(socket_);
        if (!status) {
            return;
        }
        flow_.retransmitted = status->total_retransmissions;
        flow_.sent = status->data_segments_sent;
        flow_.rtt_us = static_cast<std::uint32_t>(status->rtt.micros());
        flow_.min_rtt_us = static_cast<std::uint32_t>(status->rtt_min.micros());
        flow_.cwnd = status->cwnd_segments;
        (void)std::snprintf(flow_.congestion, sizeof flow_.congestion, "%s",
                            status->congestion_control);
        flow_.timeouts = count({"note_retransmission_timeout"});
        flow_.probes = count({"loss_probe"});
        flow_.undone = count({"note_undo"});
    }
    [[nodiscard]] std::uint64_t count(std::initializer_list<std::string_view> words) const;
    void fail(const char* what, boost::system::error_code ec) {
        std::fprintf(stderr, "impaired_wire: Runnel's end: %s: %s\n", what, ec.message().c_str());
        error_ = true;
        io_.stop();
    }

    const EndConfig& config_;
    Board& board_;
    FlowBoard& flow_;
    asio::io_context io_{1};
    std::vector<std::byte> bytes_;
    std::unique_ptr<report::PcapngWriter> writer_;
    Driver driver_;
    SocketId socket_;
    bool error_ = false;
};

std::uint64_t RunnelEnd::count(std::initializer_list<std::string_view> words) const {
    const FlightRecorder& recorder = const_cast<Driver&>(driver_).host().recorder();
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < kDecisionCount; ++i) {
        const std::string_view name = describe(static_cast<Decision>(i)).name;
        for (const std::string_view word : words) {
            if (name.find(word) != std::string_view::npos) {
                sum += recorder.count(static_cast<Decision>(i));
                break;
            }
        }
    }
    return sum;
}
}  // namespace

int runnel_end(const EndConfig& config, int fd, Board& board, FlowBoard& flow) {
    auto device = Device::from_fd(fd, LinkLayer::raw_ip, false, 1500);
    if (!device) {
        std::fprintf(stderr, "impaired_wire: Runnel's end: %s\n", device.error().what.c_str());
        return 1;
    }
    RunnelEnd end(config, std::move(*device), board, flow);
    return end.run();
}

}  // namespace runnel::bench
