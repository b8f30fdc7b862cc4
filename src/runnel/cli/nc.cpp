// `runnel nc`: stdin to a connection and the connection to stdout, each direction with an end of its own.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "runnel/asio/tcp_socket.hpp"
#include "runnel/cli/byte_sink.hpp"
#include "runnel/cli/commands.hpp"
#include "runnel/cli/exit_code.hpp"
#include "runnel/cli/names.hpp"
#include "runnel/cli/session.hpp"

namespace runnel {

namespace net = boost::asio;

namespace {

struct NcArguments {
    HostArguments host;
    OutputOptions output;
    std::vector<std::string> where;  ///< HOST PORT, or with -l [ADDRESS] PORT
    bool listen = false;
    std::uint32_t wait_seconds = 0;
};

constexpr std::size_t kTake = 256 * 1024;
constexpr std::size_t kInputBuffer = 64 * 1024;

/// Both directions of one connection, until both have ended or one has failed.
class Relay {
public:
    Relay(Session& session, tcp::socket socket)
        : socket_(std::move(socket)),
          input_(session.io(), STDIN_FILENO),
          output_(session.io(), STDOUT_FILENO),
          ended_(session.io()) {
        ended_.expires_at(net::steady_timer::time_point::max());
    }

    net::awaitable<int> run() {
        boost::system::error_code ignored;
        const Endpoint peer = socket_.remote_endpoint(ignored).value();
        // Without input nothing of ours would ever tell that the peer has died (RFC 9293 §3.8.4).
        socket_.set_option(net::socket_base::keep_alive(true), ignored);
        const auto note = [this](std::exception_ptr thrown) { note_end(thrown); };
        net::co_spawn(socket_.get_executor(), send_input(), note);
        net::co_spawn(socket_.get_executor(), print_received(), note);
        while (running_ != 0) {
            co_await ended_.async_wait(net::redirect_error(net::use_awaitable, ignored));
        }
        try {
            if (failure_) {
                std::rethrow_exception(failure_);
            }
        } catch (const boost::system::system_error& error) {
            throw CommandError(exit_code_for(error.code()),
                               fmt::format("{}: {}", to_string(peer), error.code().message()));
        }
        co_return kExitOk;
    }

private:
    net::awaitable<void> send_input() {
        std::vector<std::byte> buffer(kInputBuffer);
        while (true) {
            const std::size_t size = co_await input_.read(buffer);
            if (size == 0) {
                break;
            }
            const net::const_buffer bytes(buffer.data(), size);
            co_await net::async_write(socket_, bytes, net::use_awaitable);
        }
        // Half-close: the peer learns that no more comes, and may go on sending (RFC 9293 §3.6).
        boost::system::error_code ignored;
        socket_.shutdown(net::socket_base::shutdown_send, ignored);
    }

    net::awaitable<void> print_received() {
        std::vector<Bytes> pieces;
        while (true) {
            auto [error, slices] =
                co_await socket_.async_read_slices(kTake, net::as_tuple(net::use_awaitable));
            if (error == net::error::eof) {
                co_return;
            }
            if (error) {
                throw boost::system::system_error(error);
            }
            pieces.clear();
            for (const Slice& slice : slices) {
                pieces.push_back(slice.bytes());
            }
            co_await output_.write(pieces);
        }
    }

    /// The first failure counts; it ends the other direction too.
    void note_end(std::exception_ptr thrown) {
        --running_;
        if (thrown && !failure_) {
            failure_ = thrown;
            socket_.cancel();
            input_.cancel();
        }
        ended_.cancel();
    }

    tcp::socket socket_;
    DescriptorSource input_;
    DescriptorSink output_;
    net::steady_timer ended_;  ///< never expires; cancelled when a direction has ended
    int running_ = 2;
    std::exception_ptr failure_;
};

net::awaitable<int> talk(Session& session, tcp::socket socket) {
    Relay relay(session, std::move(socket));
    const int code = co_await relay.run();
    co_return code;
}

net::awaitable<int> call(Session& session, const NcArguments& arguments, Endpoint server) {
    tcp::socket socket(session.driver());
    if (arguments.wait_seconds != 0) {
        // The socket opens when it connects; its limit of time stands from now on.
        socket.expires_after(seconds(arguments.wait_seconds));
    }
    boost::system::error_code failure;
    co_await socket.async_connect(server, net::redirect_error(net::use_awaitable, failure));
    if (failure) {
        throw CommandError(
            exit_code_for(failure),
            fmt::format("can't connect to {}: {}", to_string(server), failure.message()));
    }
    socket.expires_never();
    const int code = co_await talk(session, std::move(socket));
    co_return code;
}

net::awaitable<int> wait_for_call(Session& session, Endpoint local) {
    tcp::acceptor acceptor(session.driver(), local, 1);
    fmt::print(stderr, "listening on {}\n", to_string(local));
    tcp::socket accepted = co_await acceptor.async_accept(net::use_awaitable);
    boost::system::error_code ignored;
    acceptor.close(ignored);
    const Endpoint peer = accepted.remote_endpoint(ignored).value();
    fmt::print(stderr, "connection from {}\n", to_string(peer));
    const int code = co_await talk(session, std::move(accepted));
    co_return code;
}

std::uint16_t read_port(const std::string& text) {
    const auto port = parse_port(text);
    if (!port) {
        throw CommandError(kExitUsage, fmt::format("{}: that is no port (1 to 65535)", text));
    }
    return *port;
}

int netcat(const NcArguments& arguments) {
    const std::size_t words = arguments.where.size();
    if (words > 2 || words < (arguments.listen ? 1u : 2u)) {
        throw CommandError(kExitUsage, "write nc HOST PORT, or nc -l [ADDRESS] PORT");
    }
    const std::uint16_t port = read_port(arguments.where.back());
    std::vector<IpAddress> hosts;
    if (words == 2) {
        hosts = resolve_name(arguments.where.front());
        if (hosts.empty()) {
            throw CommandError(kExitFailed, fmt::format("{}: no such name in /etc/hosts",
                                                        arguments.where.front()));
        }
    }
    if (arguments.host.link.empty()) {
        refuse_without_link("nc");
    }
    const HostSettings settings = read_host_arguments(arguments.host);
    if (arguments.listen && settings.link.kind == LinkKind::wire) {
        throw CommandError(kExitUsage,
                           "nobody would call at the other end of a wire: use another --link");
    }
    Session session(settings);
    if (!arguments.listen) {
        return session.run(call(session, arguments, {hosts.front(), port}));
    }
    // Without an address any of the host's, of either family.
    const bool any_v6 =
        std::any_of(session.addresses().begin(), session.addresses().end(),
                    [](const Cidr& own) { return own.address.family() == Family::ipv6; });
    IpAddress address = IpAddress::any(any_v6 ? Family::ipv6 : Family::ipv4);
    if (words == 2) {
        address = hosts.front();
    }
    return session.run(wait_for_call(session, {address, port}));
}

}  // namespace

void add_nc(CLI::App& program, int& exit_code) {
    auto arguments = std::make_shared<NcArguments>();
    CLI::App* command =
        program.add_subcommand("nc", "Connect stdin and stdout with a TCP connection of Runnel's");
    command->add_option("WHERE", arguments->where, "HOST PORT, or with -l [ADDRESS] PORT")
        ->required()
        ->expected(1, 2);
    command->add_flag("-l,--listen", arguments->listen,
                      "Wait for one connection instead of making one");
    command->add_option("--wait", arguments->wait_seconds, "Give up connecting after so long")
        ->type_name("SECONDS")
        ->check(CLI::Range(1, 86'400));
    add_host_options(*command, arguments->host);
    add_output_options(*command, arguments->output);
    command->footer(
        "The end of stdin closes that direction only; nc ends when the peer has closed the other.\n"
        "Exit codes: 0 ok, 1 failed, 2 usage, 7 refused, 28 timed out, 56 reset, 77 no permission.\n\n"
        "Example, with an echo service at the other end of an in-process wire:\n"
        "  echo hello | runnel nc --link wire 10.9.0.1 7");
    command->callback([arguments, &exit_code] { exit_code = netcat(*arguments); });
}

}  // namespace runnel
