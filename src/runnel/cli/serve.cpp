// `runnel serve`: a web server for a directory, or echo, discard and chargen, over Runnel's own TCP.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "runnel/cli/commands.hpp"
#include "runnel/cli/connection_server.hpp"
#include "runnel/cli/exit_code.hpp"
#include "runnel/cli/far_end.hpp"
#include "runnel/cli/http_client.hpp"
#include "runnel/cli/http_server.hpp"
#include "runnel/cli/names.hpp"
#include "runnel/cli/session.hpp"
#include "runnel/report/json_writer.hpp"
#include "runnel/report/text.hpp"

namespace runnel {

namespace net = boost::asio;

namespace {

struct ServeArguments {
    HostArguments host;
    OutputOptions output;
    std::string directory;
    std::vector<std::string> listen;
    std::string upload;
    bool echo = false;
    bool discard = false;
    bool chargen = false;
    bool quiet = false;
    bool verbose = false;
    std::uint64_t exit_after = 0;
    std::uint32_t max_connections = 10'000;
    std::uint32_t idle_seconds = 60;
    std::uint32_t header_seconds = 20;

    [[nodiscard]] std::optional<Service> service() const {
        if (echo) {
            return Service::echo;
        }
        if (discard) {
            return Service::discard;
        }
        return chargen ? std::optional(Service::chargen) : std::nullopt;
    }
};

void print_exchange(const HttpExchange& exchange, bool json) {
    if (json) {
        std::string line;
        report::JsonWriter writer(line);
        writer.begin_object();
        writer.text("client", to_string(exchange.client));
        writer.text("method", exchange.method);
        writer.text("target", exchange.target);
        writer.number("status", exchange.status);
        writer.number("bytes_sent", exchange.bytes_sent);
        writer.number("bytes_received", exchange.bytes_received);
        if (!exchange.sha256.empty()) {
            writer.text("sha256", exchange.sha256);
        }
        writer.number("seconds", static_cast<double>(exchange.duration.ns) / 1e9);
        if (!exchange.error.empty()) {
            writer.text("error", exchange.error);
        }
        writer.end_object();
        fmt::print("{}\n", line);
        std::fflush(stdout);
        return;
    }
    std::string line = fmt::format(
        "{} {} {} {} {}", to_string(exchange.client), report::printable(exchange.method),
        report::printable(exchange.target), exchange.status,
        report::bytes_text(exchange.bytes_sent + exchange.bytes_received));
    if (!exchange.sha256.empty()) {
        line += " sha256 " + exchange.sha256;
    }
    if (!exchange.error.empty()) {
        line += " (" + exchange.error + ")";
    }
    fmt::print(stderr, "{}\n", line);
}

void print_connection(const Endpoint& client, std::optional<std::uint64_t> requests) {
    if (requests) {
        fmt::print(stderr, "{} has gone after {} request{}\n", to_string(client), *requests,
                   *requests == 1 ? "" : "s");
    } else {
        fmt::print(stderr, "{} has connected\n", to_string(client));
    }
}

/// How often, and how far apart, a server that stops looks whether its last answers have been taken: 3 s.
constexpr int kStopSteps = 150;
constexpr std::chrono::milliseconds kStopStep{20};

/// The server of one run and its end.
class ServeRun {
public:
    ServeRun(Session& session, const ServeArguments& arguments)
        : session_(session), arguments_(arguments), stopped_(session.io()) {
        stopped_.expires_at(net::steady_timer::time_point::max());
        const auto ended = [this] { note_end(); };
        if (const auto service = arguments.service()) {
            plain_ =
                std::make_unique<ConnectionServer>(session.driver(), arguments.max_connections,
                                                   [which = *service](tcp::socket socket) {
                                                       return run_service(which, std::move(socket));
                                                   });
            plain_->on_end(ended);
            return;
        }
        HttpServerOptions options;
        options.root = arguments.directory;
        options.upload_directory = arguments.upload;
        options.max_connections = arguments.max_connections;
        options.idle = seconds(arguments.idle_seconds);
        options.header_time = seconds(arguments.header_seconds);
        options.on_connection_end = ended;
        if (!arguments.quiet || arguments.output.json) {
            options.on_exchange = [json = arguments.output.json](const HttpExchange& exchange) {
                print_exchange(exchange, json);
            };
        }
        if (arguments.verbose) {
            options.on_connection = print_connection;
        }
        web_ = std::make_unique<HttpServer>(session.driver(), std::move(options));
    }

    void listen(const ListenAddress& where) {
        std::vector<IpAddress> addresses;
        if (where.address) {
            addresses.push_back(*where.address);
        } else {
            for (const Cidr& own : session_.addresses()) {
                addresses.push_back(own.address);
            }
        }
        for (const IpAddress& address : addresses) {
            const Endpoint local{address, where.port};
            try {
                if (web_ != nullptr) {
                    web_->listen(local);
                } else {
                    plain_->listen(local);
                }
            } catch (const boost::system::system_error& error) {
                throw CommandError(kExitFailed,
                                   fmt::format("can't listen on {}: {}", to_string(local),
                                               error.code().message()));
            }
            fmt::print(stderr, "listening on {}{}\n", web_ != nullptr ? "http://" : "",
                       to_string(local));
        }
    }

    void stop() {
        if (web_ != nullptr) {
            web_->stop();
        } else {
            plain_->stop();
        }
        stopped_.cancel();
    }

    net::awaitable<int> run() {
        boost::system::error_code ignored;
        co_await stopped_.async_wait(net::redirect_error(net::use_awaitable, ignored));
        // Answers that are on their way may arrive; services without an end of their own have no such.
        for (int i = 0; i < kStopSteps && web_ != nullptr && web_->open_connections() != 0; ++i) {
            stopped_.expires_after(kStopStep);
            co_await stopped_.async_wait(net::redirect_error(net::use_awaitable, ignored));
        }
        co_return kExitOk;
    }

private:
    void note_end() {
        if (++ended_ == arguments_.exit_after) {
            stop();
        }
    }

    Session& session_;
    const ServeArguments& arguments_;
    net::steady_timer stopped_;
    std::unique_ptr<HttpServer> web_;
    std::unique_ptr<ConnectionServer> plain_;
    std::uint64_t ended_ = 0;
};

/// Who looks in at `--link wire`: the far end fetches / once, onto stdout.
net::awaitable<int> visit(Session& session, std::uint16_t port) {
    HttpRequest request;
    request.server = {session.addresses().front().address, port};
    request.authority = to_string(request.server);
    DescriptorSink out(session.io(), STDOUT_FILENO);
    HttpStage stage{};
    const HttpAnswer answer =
        co_await http_exchange(session.far_end()->driver(), request, out, stage);
    fmt::print(stderr, "the visitor at the other end of the wire got {} and {}\n", answer.status,
               report::bytes_text(answer.body_bytes));
    co_return answer.status < 400 ? kExitOk : kExitHttpError;
}

net::awaitable<int> visit_echo(Session& session, std::uint16_t port) {
    tcp::socket socket(session.far_end()->driver());
    const Endpoint server{session.addresses().front().address, port};
    co_await socket.async_connect(server, net::use_awaitable);
    fmt::print(stderr, "a visitor at the other end of the wire has connected\n");
    socket.shutdown(net::socket_base::shutdown_send);
    co_return kExitOk;
}

void check_directory(const std::string& path, const char* what) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
        throw CommandError(kExitUsage,
                           fmt::format("{} {}: there is no such directory", what, path));
    }
}

int serve(const ServeArguments& arguments) {
    const int services = int{arguments.echo} + int{arguments.discard} + int{arguments.chargen};
    if (services + int{!arguments.directory.empty()} != 1) {
        throw CommandError(kExitUsage,
                           "serve needs a directory or one of --echo, --discard and --chargen");
    }
    if (!arguments.directory.empty()) {
        check_directory(arguments.directory, "serve");
    }
    if (!arguments.upload.empty()) {
        check_directory(arguments.upload, "--upload");
    }
    std::vector<ListenAddress> endpoints;
    for (const std::string& text : arguments.listen) {
        const auto where = parse_listen_address(text);
        if (!where) {
            throw CommandError(
                kExitUsage,
                fmt::format("--listen {}: write PORT, ADDRESS:PORT or [V6]:PORT", text));
        }
        endpoints.push_back(*where);
    }
    if (arguments.host.link.empty()) {
        refuse_without_link("serve");
    }
    Session session(read_host_arguments(arguments.host), "serve");
    ServeRun run(session, arguments);
    for (const ListenAddress& where : endpoints) {
        run.listen(where);
    }
    if (session.far_end() != nullptr) {
        const std::uint16_t port = endpoints.front().port;
        return session.run(arguments.service() ? visit_echo(session, port) : visit(session, port));
    }
    return session.run(run.run(), [&run] { run.stop(); });
}

}  // namespace

void add_serve(CLI::App& program, int& exit_code) {
    auto arguments = std::make_shared<ServeArguments>();
    CLI::App* command = program.add_subcommand(
        "serve", "Serve a directory over HTTP, or echo, discard or chargen, over Runnel's TCP");
    command->add_option("DIR", arguments->directory, "Directory to serve");
    command
        ->add_option("--listen", arguments->listen,
                     "Where to listen: PORT, ADDRESS:PORT or [V6]:PORT; repeatable")
        ->required()
        ->type_name("PORT")
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command
        ->add_option(
            "--upload", arguments->upload,
            "Store what PUT and POST send below this directory (default: answer with its SHA-256 "
            "and throw it away)")
        ->type_name("DIR");
    command->add_flag("--echo", arguments->echo, "Send everything back (RFC 862)");
    command->add_flag("--discard", arguments->discard, "Throw everything away (RFC 863)");
    command->add_flag("--chargen", arguments->chargen, "Send letters without end (RFC 864)");
    command->add_option("--exit-after", arguments->exit_after, "End after so many connections")
        ->type_name("N");
    command
        ->add_option("--max-connections", arguments->max_connections,
                     "Connections at once; more wait")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    command
        ->add_option("--idle", arguments->idle_seconds,
                     "Close a connection without progress after so long")
        ->type_name("SECONDS")
        ->check(CLI::Range(1, 86'400))
        ->capture_default_str();
    command
        ->add_option("--header-time", arguments->header_seconds,
                     "Answer 408 when a request's header isn't complete after so long")
        ->type_name("SECONDS")
        ->check(CLI::Range(1, 86'400))
        ->capture_default_str();
    CLI::Option* quiet = command->add_flag("-q,--quiet", arguments->quiet, "Do not print requests");
    command->add_flag("-v,--verbose", arguments->verbose, "Print connections too")->excludes(quiet);
    add_host_options(*command, arguments->host);
    add_output_options(*command, arguments->output);
    command->footer(
        "A directory is listed as HTML, or as JSON for `?json` or an Accept header that prefers it.\n"
        "Range, If-Range, ETag and the conditional headers are honoured. Nothing outside of DIR is\n"
        "served, whatever links lead there. Requests are printed on stderr, with -j as JSON on stdout.\n"
        "SIGINT or SIGTERM: no further connections, those that are busy finish (at most 3 s), exit 0.\n\n"
        "Example, in a private network with the kernel's curl as the client:\n"
        "  unshare -rn sh -c 'runnel serve --link tun --listen 80 --exit-after 1 . & sleep 1; "
        "curl -s http://10.9.0.2/; wait'");
    command->callback([arguments, &exit_code] { exit_code = serve(*arguments); });
}

}  // namespace runnel
