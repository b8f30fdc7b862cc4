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

#include "runnel/asio/host_timer.hpp"
#include "runnel/asio/tcp_socket.hpp"
#include "runnel/cli/byte_sink.hpp"
#include "runnel/cli/commands.hpp"
#include "runnel/cli/exit_code.hpp"
#include "runnel/cli/names.hpp"
#include "runnel/cli/session.hpp"
#include "runnel/report/json_writer.hpp"

namespace runnel {

namespace net = boost::asio;

namespace {

struct NcArguments {
    HostArguments host;
    OutputOptions output;
    std::vector<std::string> where;  ///< HOST PORT, or with -l [ADDRESS] PORT
    bool listen = false;
    bool keep_listening = false;
    bool half_close = false;
    bool scan = false;
    std::uint32_t wait_seconds = 0;  ///< 0: without limit
};

constexpr std::size_t kTake = 256 * 1024;
constexpr std::size_t kInputBuffer = 64 * 1024;

struct PortRange {
    std::uint16_t first;
    std::uint16_t last;
};

/// Both directions of one connection, until both have ended or one has failed.
class Relay {
public:
    Relay(Session& session, const NcArguments& arguments, tcp::socket socket)
        : arguments_(arguments),
          socket_(std::move(socket)),
          input_(session.io(), STDIN_FILENO),
          output_(session.io(), STDOUT_FILENO),
          ended_(session.io()),
          idle_(session.driver()) {
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
        note_progress();
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
            note_progress();
            const net::const_buffer bytes(buffer.data(), size);
            co_await net::async_write(socket_, bytes, net::use_awaitable);
        }
        if (arguments_.half_close) {
            // The peer learns that no more comes, and may go on sending (RFC 9293 §3.6).
            boost::system::error_code ignored;
            socket_.shutdown(net::socket_base::shutdown_send, ignored);
        }
    }

    net::awaitable<void> print_received() {
        std::vector<Bytes> pieces;
        while (true) {
            auto [error, slices] =
                co_await socket_.async_read_slices(kTake, net::as_tuple(net::use_awaitable));
            if (error == net::error::eof) {
                if (arguments_.keep_listening) {
                    // The next caller waits: this one has said all that it will.
                    over_ = true;
                    input_.cancel();
                }
                co_return;
            }
            note_progress();
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

    /// Sets the limit of silence anew.
    void note_progress() {
        if (arguments_.wait_seconds == 0) {
            return;
        }
        idle_.expires_after(seconds(arguments_.wait_seconds));
        idle_.async_wait([this](boost::system::error_code error) {
            if (!error && running_ != 0 && !failure_) {
                failure_ =
                    std::make_exception_ptr(boost::system::system_error(net::error::timed_out));
                socket_.cancel();
                input_.cancel();
            }
        });
    }

    /// The first failure counts; it ends the other direction too.
    void note_end(std::exception_ptr thrown) {
        --running_;
        if (thrown && !failure_ && !over_) {
            failure_ = thrown;
            socket_.cancel();
            input_.cancel();
        }
        ended_.cancel();
    }

    const NcArguments& arguments_;
    tcp::socket socket_;
    DescriptorSource input_;
    DescriptorSink output_;
    net::steady_timer ended_;  ///< never expires; cancelled when a direction has ended
    host_timer idle_;
    int running_ = 2;
    bool over_ = false;  ///< the peer has ended, and its end ends ours
    std::exception_ptr failure_;
};

net::awaitable<int> talk(Session& session, const NcArguments& arguments, tcp::socket socket) {
    Relay relay(session, arguments, std::move(socket));
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
    const int code = co_await talk(session, arguments, std::move(socket));
    co_return code;
}

/// With --keep-open one caller after the other, and what goes wrong with one is said and forgotten.
net::awaitable<int> wait_for_calls(Session& session, const NcArguments& arguments, Endpoint local) {
    constexpr int kBacklog = 64;
    tcp::acceptor acceptor(session.driver(), local, arguments.keep_listening ? kBacklog : 1);
    fmt::print(stderr, "listening on {}\n", to_string(local));
    boost::system::error_code ignored;
    while (true) {
        tcp::socket accepted = co_await acceptor.async_accept(net::use_awaitable);
        if (!arguments.keep_listening) {
            acceptor.close(ignored);
        }
        const Endpoint peer = accepted.remote_endpoint(ignored).value();
        fmt::print(stderr, "connection from {}\n", to_string(peer));
        try {
            const int code = co_await talk(session, arguments, std::move(accepted));
            if (!arguments.keep_listening) {
                co_return code;
            }
        } catch (const CommandError& error) {
            if (!arguments.keep_listening) {
                throw;
            }
            fmt::print(stderr, "runnel: {}\n", error.what());
        }
    }
}

void print_port(const Endpoint& port, const boost::system::error_code& error, bool json) {
    if (json) {
        std::string line;
        report::JsonWriter writer(line);
        writer.begin_object();
        writer.text("address", to_string(port.address));
        writer.number("port", port.port);
        writer.boolean("open", !error);
        if (error) {
            writer.text("error", error.message());
        }
        writer.end_object();
        fmt::print("{}\n", line);
    } else if (!error) {
        fmt::print("{} is open\n", to_string(port));
    } else {
        fmt::print(stderr, "{}: {}\n", to_string(port), error.message());
    }
}

/// Tries ports one after the other: ok when one at least is open, else as the last one failed.
net::awaitable<int> scan(Session& session, const NcArguments& arguments, IpAddress address,
                         PortRange ports) {
    bool any = false;
    int code = kExitOk;
    for (std::uint32_t port = ports.first; port <= ports.last; ++port) {
        const Endpoint server{address, static_cast<std::uint16_t>(port)};
        tcp::socket socket(session.driver());
        if (arguments.wait_seconds != 0) {
            socket.expires_after(seconds(arguments.wait_seconds));
        }
        boost::system::error_code failure;
        co_await socket.async_connect(server, net::redirect_error(net::use_awaitable, failure));
        print_port(server, failure, arguments.output.json);
        any = any || !failure;
        code = exit_code_for(failure);
    }
    co_return any ? int{kExitOk} : code;
}

std::uint16_t read_port(const std::string& text) {
    const auto port = parse_port(text);
    if (!port) {
        throw CommandError(kExitUsage, fmt::format("{}: that is no port (1 to 65535)", text));
    }
    return *port;
}

/// One port, or with -z also FIRST-LAST.
PortRange read_ports(const NcArguments& arguments) {
    const std::string& text = arguments.where.back();
    const std::size_t dash = text.find('-');
    if (!arguments.scan || dash == std::string::npos) {
        const std::uint16_t port = read_port(text);
        return {port, port};
    }
    const PortRange ports{read_port(text.substr(0, dash)), read_port(text.substr(dash + 1))};
    if (ports.last < ports.first) {
        throw CommandError(kExitUsage, fmt::format("{}: write FIRST-LAST", text));
    }
    return ports;
}

int netcat(const NcArguments& arguments) {
    const std::size_t words = arguments.where.size();
    if (words > 2 || words < (arguments.listen ? 1u : 2u)) {
        throw CommandError(kExitUsage, "write nc HOST PORT, or nc -l [ADDRESS] PORT");
    }
    if (arguments.keep_listening && !arguments.listen) {
        throw CommandError(kExitUsage, "-k goes with -l: it keeps listening");
    }
    if (arguments.scan && arguments.listen) {
        throw CommandError(kExitUsage, "-z calls, -l is called: choose one");
    }
    const PortRange ports = read_ports(arguments);
    const std::uint16_t port = ports.first;
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
    Session session(settings, "nc");
    if (arguments.scan) {
        return session.run(scan(session, arguments, hosts.front(), ports));
    }
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
    return session.run(wait_for_calls(session, arguments, {address, port}));
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
    command->add_flag("-k,--keep-open", arguments->keep_listening,
                      "With -l: take the next connection when one has ended");
    command->add_flag("-N,--half-close", arguments->half_close,
                      "At the end of stdin close that direction");
    command->add_flag("-z,--scan", arguments->scan,
                      "Only tell whether the port is open; PORT may be FIRST-LAST");
    command
        ->add_option("-W,--wait", arguments->wait_seconds,
                     "Give up connecting, or a silent connection, after so long")
        ->type_name("SECONDS")
        ->check(CLI::Range(1, 86'400));
    add_host_options(*command, arguments->host);
    add_output_options(*command, arguments->output);
    command->footer(
        "nc ends when the peer has closed its direction and stdin is at its end. With -N the peer is\n"
        "told of stdin's end at once, and may go on sending.\n"
        "Exit codes: 0 ok, 1 failed, 2 usage, 7 refused, 28 timed out, 56 reset, 77 no permission.\n\n"
        "Example, with an echo service at the other end of an in-process wire:\n"
        "  echo hello | runnel nc -N --link wire 10.9.0.1 7\n"
        "Which of its low ports are open:\n"
        "  runnel nc -z --link wire 10.9.0.1 5-9");
    command->callback([arguments, &exit_code] { exit_code = netcat(*arguments); });
}

}  // namespace runnel
