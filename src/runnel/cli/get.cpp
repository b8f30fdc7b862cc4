// `runnel get`: fetches a URL over Runnel's own TCP, with curl's exit codes.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/error.hpp>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "runnel/cli/commands.hpp"
#include "runnel/cli/exit_code.hpp"
#include "runnel/cli/http_client.hpp"
#include "runnel/cli/names.hpp"
#include "runnel/cli/session.hpp"
#include "runnel/report/json_writer.hpp"
#include "runnel/report/text.hpp"

namespace runnel {

namespace net = boost::asio;

namespace {

struct GetArguments {
    HostArguments host;
    OutputOptions output;
    std::string url;
    std::string file = "-";
    bool head = false;
    bool digest = false;
    std::uint32_t idle_seconds = 300;
};

/// The first address of the name whose family the host has an address of.
IpAddress choose_address(const std::vector<IpAddress>& found, const std::vector<Cidr>& own) {
    for (const IpAddress& address : found) {
        for (const Cidr& mine : own) {
            if (mine.address.family() == address.family()) {
                return address;
            }
        }
    }
    return found.front();
}

double rate_of(std::uint64_t bytes, Duration time) {
    return time.ns == 0 ? 0.0 : static_cast<double>(bytes) * 8 / static_cast<double>(time.ns);
}

void print_json(const GetArguments& arguments, const HttpAnswer& answer) {
    std::string line;
    report::JsonWriter writer(line);
    writer.begin_object();
    writer.text("url", arguments.url);
    writer.number("status", answer.status);
    writer.text("content_type", answer.content_type);
    writer.number("bytes", answer.body_bytes);
    if (arguments.digest) {
        writer.text("sha256", answer.sha256);
    }
    writer.number("connect_seconds", static_cast<double>(answer.connect_time.ns) / 1e9);
    writer.number("seconds", static_cast<double>(answer.total_time.ns) / 1e9);
    writer.number("gbit_per_second", rate_of(answer.body_bytes, answer.total_time));
    writer.end_object();
    // The body has stdout when there is no file.
    fmt::print(arguments.file == "-" ? stderr : stdout, "{}\n", line);
}

void print_summary(const GetArguments& arguments, const HttpAnswer& answer) {
    if (arguments.output.json) {
        print_json(arguments, answer);
        return;
    }
    if (arguments.digest) {
        fmt::print(stderr, "{}  {}\n", answer.sha256, arguments.file);
    }
    if (::isatty(STDERR_FILENO) != 0) {
        fmt::print(stderr, "{} in {} ({:.2f} Gbit/s), connected after {}\n",
                   report::bytes_text(answer.body_bytes), report::duration_text(answer.total_time),
                   rate_of(answer.body_bytes, answer.total_time),
                   report::duration_text(answer.connect_time));
    }
}

net::awaitable<int> fetch(Session& session, const GetArguments& arguments, const Url& url, int fd) {
    const std::vector<IpAddress> found = resolve_name(url.host);
    if (found.empty()) {
        throw CommandError(kExitFailed, fmt::format("{}: no such name in /etc/hosts", url.host));
    }
    HttpRequest request;
    request.method = arguments.head ? "HEAD" : "GET";
    request.server = {choose_address(found, session.addresses()), url.port};
    request.authority = url.authority;
    request.target = url.target;
    request.digest = arguments.digest;
    request.idle = seconds(arguments.idle_seconds);
    DescriptorSink sink(session.io(), fd);
    HttpStage stage{};
    HttpAnswer answer;
    try {
        answer = co_await http_exchange(session.driver(), request, sink, stage);
    } catch (const boost::system::system_error& error) {
        const std::string_view what =
            stage == HttpStage::connecting
                ? "can't connect to"
                : (stage == HttpStage::sending ? "sending to" : "reading from");
        throw CommandError(
            exit_code_for(error.code()),
            fmt::format("{} {}: {}", what, to_string(request.server), error.code().message()));
    }
    if (answer.status >= 400) {
        throw CommandError(kExitHttpError, fmt::format("the server answered {} {}", answer.status,
                                                       report::printable(answer.reason)));
    }
    if (!answer.complete) {
        throw CommandError(kExitFailed, fmt::format("the server closed after {} of {} bytes",
                                                    answer.body_bytes, answer.announced_bytes));
    }
    print_summary(arguments, answer);
    co_return kExitOk;
}

int get(const GetArguments& arguments) {
    const auto url = parse_url(arguments.url);
    if (!url) {
        throw CommandError(kExitUsage, fmt::format("{}: that is no URL", arguments.url));
    }
    if (url->scheme != "http") {
        throw CommandError(kExitUsage,
                           fmt::format("{}: get speaks http, not {}", arguments.url, url->scheme));
    }
    if (arguments.host.link.empty()) {
        refuse_without_link("get");
    }
    Session session(read_host_arguments(arguments.host));
    FileDescriptor file;
    if (arguments.file != "-") {
        file = FileDescriptor(
            ::open(arguments.file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
        if (!file.valid()) {
            throw CommandError(kExitFailed, fmt::format("can't write {}: {}", arguments.file,
                                                        std::strerror(errno)));
        }
    }
    const int fd = file.valid() ? file.get() : STDOUT_FILENO;
    return session.run(fetch(session, arguments, *url, fd));
}

}  // namespace

void add_get(CLI::App& program, int& exit_code) {
    auto arguments = std::make_shared<GetArguments>();
    CLI::App* command = program.add_subcommand("get", "Fetch a URL over Runnel's TCP");
    command->add_option("URL", arguments->url, "http://HOST[:PORT]/PATH")->required();
    command->add_option("-o,--output", arguments->file, "Write the body to a file; - is stdout")
        ->type_name("FILE")
        ->capture_default_str();
    command->add_flag("-I,--head", arguments->head, "Ask for the header only (HEAD)");
    command->add_flag("--digest", arguments->digest, "Print the body's SHA-256 on stderr");
    command
        ->add_option("--idle", arguments->idle_seconds,
                     "Give up after so long without any progress")
        ->type_name("SECONDS")
        ->check(CLI::Range(1, 86'400))
        ->capture_default_str();
    add_host_options(*command, arguments->host);
    add_output_options(*command, arguments->output);
    command->footer(
        "Names come from /etc/hosts. Exit codes as curl's: 0 ok, 1 failed, 2 usage, 7 refused,\n"
        "22 the server answered 400 or more, 28 timed out, 56 reset, 77 no permission for the link.\n\n"
        "Example, in a private network with a server on the kernel's side:\n"
        "  unshare -rn sh -c 'python3 -m http.server 8000 & sleep 1; runnel get --link tun "
        "http://10.9.0.1:8000/; kill $!'\n"
        "Without any privilege, from a host at the other end of an in-process wire:\n"
        "  runnel get --link wire http://10.9.0.1/");
    command->callback([arguments, &exit_code] { exit_code = get(*arguments); });
}

}  // namespace runnel
