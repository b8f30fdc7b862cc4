// `runnel get`: fetches URLs over Runnel's own TCP, with curl's options and exit codes.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/error.hpp>
#include <memory>
#include <string>

#include "runnel/cli/commands.hpp"
#include "runnel/cli/exit_code.hpp"
#include "runnel/cli/fetched_file.hpp"
#include "runnel/cli/http_client.hpp"
#include "runnel/cli/names.hpp"
#include "runnel/cli/session.hpp"
#include "runnel/report/json_writer.hpp"
#include "runnel/report/text.hpp"

namespace runnel {

namespace net = boost::asio;

namespace {

constexpr unsigned kMaxRedirects = 20;

struct GetArguments {
    HostArguments host;
    OutputOptions output;
    std::vector<std::string> urls;
    std::vector<std::string> files;  ///< of the URLs, in order
    std::vector<std::string> fields;
    bool remote_name = false;
    bool head = false;
    bool digest = false;
    bool follow = false;
    bool resume = false;
    bool quiet = false;
    double connect_seconds = 0;  ///< 0: no limit of its own
    double total_seconds = 0;
    std::uint32_t idle_seconds = 300;
};

/// One URL of the command line, and where it goes.
struct Job {
    Url url;
    std::string file = "-";
};

Duration from_seconds(double value) {
    return nanoseconds(static_cast<std::int64_t>(value * 1e9));
}

/// The addresses of the name whose family the host has an address of, in their order.
std::vector<IpAddress> choose_addresses(const std::vector<IpAddress>& found,
                                        const std::vector<Cidr>& own) {
    std::vector<IpAddress> chosen;
    for (const IpAddress& address : found) {
        for (const Cidr& mine : own) {
            if (mine.address.family() == address.family()) {
                chosen.push_back(address);
                break;
            }
        }
    }
    return chosen.empty() ? found : chosen;
}

double rate_of(std::uint64_t bytes, Duration time) {
    return time.ns == 0 ? 0.0 : static_cast<double>(bytes) * 8 / static_cast<double>(time.ns);
}

/// What became of a job.
struct Outcome {
    HttpAnswer answer;
    Url url;  ///< the last one, after redirections
    unsigned redirects = 0;
    std::uint64_t offset = 0;  ///< bytes that were there already
    bool had_everything = false;
};

void print_json(const GetArguments& arguments, const Job& job, const Outcome& outcome) {
    const HttpAnswer& answer = outcome.answer;
    std::string line;
    report::JsonWriter writer(line);
    writer.begin_object();
    writer.text("url", outcome.url.text());
    writer.number("status", answer.status);
    writer.text("content_type", answer.content_type);
    writer.text("file", job.file);
    writer.number("bytes", answer.body_bytes);
    writer.number("resumed_from", outcome.offset);
    writer.number("redirects", outcome.redirects);
    if (arguments.digest) {
        writer.text("sha256", answer.sha256);
    }
    writer.number("connect_seconds", static_cast<double>(answer.connect_time.ns) / 1e9);
    writer.number("seconds", static_cast<double>(answer.total_time.ns) / 1e9);
    writer.number("gbit_per_second", rate_of(answer.body_bytes, answer.total_time));
    writer.end_object();
    // The body has stdout when there is no file.
    fmt::print(job.file == "-" ? stderr : stdout, "{}\n", line);
}

void print_summary(const GetArguments& arguments, const Job& job, const Outcome& outcome) {
    const HttpAnswer& answer = outcome.answer;
    if (arguments.output.json) {
        print_json(arguments, job, outcome);
        return;
    }
    if (outcome.had_everything) {
        fmt::print(stderr, "{} is complete already: {}\n", job.file,
                   report::bytes_text(outcome.offset));
        return;
    }
    if (arguments.digest) {
        fmt::print(stderr, "{}  {}\n", answer.sha256, job.file);
    }
    if (::isatty(STDERR_FILENO) != 0 && !arguments.quiet) {
        fmt::print(stderr, "{} in {} ({:.2f} Gbit/s), connected after {}\n",
                   report::bytes_text(answer.body_bytes), report::duration_text(answer.total_time),
                   rate_of(answer.body_bytes, answer.total_time),
                   report::duration_text(answer.connect_time));
    }
}

/// Fetches the jobs one after the other.
class Getter {
public:
    Getter(Session& session, const GetArguments& arguments)
        : session_(session), arguments_(arguments) {}

    /// The first failure's exit code, each failure said on stderr; kExitOk when there is none.
    net::awaitable<int> run(std::vector<Job> jobs) {
        int code = kExitOk;
        for (const Job& job : jobs) {
            int failed = kExitOk;
            try {
                co_await fetch(job);
            } catch (const CommandError& error) {
                failed = error.code();
                fmt::print(stderr, "runnel: {}\n", error.what());
            }
            code = code == kExitOk ? failed : code;
        }
        co_return code;
    }

private:
    net::awaitable<void> fetch(const Job& job) {
        Outcome outcome;
        outcome.url = job.url;
        FetchedFile file(session_.driver(), {job.file, arguments_.resume, shows_progress(job)});
        while (true) {
            co_await request(outcome, file);
            const unsigned status = outcome.answer.status;
            const bool redirected =
                status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
            if (!arguments_.follow || !redirected || outcome.answer.location.empty()) {
                break;
            }
            follow(outcome);
        }
        file.end_progress();
        if (outcome.answer.status >= 400 && !outcome.had_everything) {
            throw CommandError(
                kExitHttpError,
                fmt::format("{}: the server answered {} {}", outcome.url.text(),
                            outcome.answer.status, report::printable(outcome.answer.reason)));
        }
        if (!outcome.answer.complete && !outcome.had_everything) {
            throw CommandError(kExitFailed,
                               fmt::format("{}: the server closed after {} of {} bytes{}",
                                           outcome.url.text(), outcome.answer.body_bytes,
                                           outcome.answer.announced_bytes, keep_hint(job)));
        }
        print_summary(arguments_, job, outcome);
    }

    /// RFC 9110 §10.2.2; a fragment means nothing here.
    void follow(Outcome& outcome) const {
        const auto next = resolve_reference(outcome.url, outcome.answer.location);
        if (!next || next->scheme != "http") {
            throw CommandError(
                kExitFailed,
                fmt::format("{}: it leads to {}, which get doesn't speak", outcome.url.text(),
                            report::printable(outcome.answer.location)));
        }
        if (++outcome.redirects > kMaxRedirects) {
            throw CommandError(kExitFailed, fmt::format("{}: more than {} redirections",
                                                        outcome.url.text(), kMaxRedirects));
        }
        outcome.url = *next;
    }

    net::awaitable<void> request(Outcome& outcome, FetchedFile& file) {
        HttpRequest request = make_request(outcome.url, file.offset());
        request.on_header = [this, &outcome, &file](const HttpAnswer& answer) -> ByteSink* {
            const bool leads_on = arguments_.follow && answer.status >= 300 &&
                                  answer.status < 400 && !answer.location.empty();
            if (arguments_.head) {
                fmt::print("{}", answer.head);
                return nullptr;
            }
            const bool maybe_complete = answer.status == 416 && file.offset() != 0;
            if (leads_on || (answer.status >= 400 && !maybe_complete)) {
                return nullptr;
            }
            outcome.offset = file.offset();
            outcome.had_everything = !file.begin(answer);
            outcome.offset = file.offset();
            return outcome.had_everything ? nullptr : &file;
        };
        const std::vector<IpAddress> found = resolve_name(outcome.url.host);
        if (found.empty()) {
            throw CommandError(kExitFailed,
                               fmt::format("{}: no such name in /etc/hosts", outcome.url.host));
        }
        const std::vector<IpAddress> addresses = choose_addresses(found, session_.addresses());
        for (std::size_t i = 0; i < addresses.size(); ++i) {
            request.server = {addresses[i], outcome.url.port};
            const bool last = i + 1 == addresses.size();
            const bool done = co_await attempt(request, last, outcome, file);
            if (done) {
                co_return;
            }
        }
    }

    HttpRequest make_request(const Url& url, std::uint64_t offset) const {
        HttpRequest request;
        request.method = arguments_.head ? "HEAD" : "GET";
        request.authority = url.authority;
        request.target = url.target;
        request.digest = arguments_.digest;
        request.idle = seconds(arguments_.idle_seconds);
        if (arguments_.connect_seconds > 0) {
            request.connect_limit = from_seconds(arguments_.connect_seconds);
        }
        if (arguments_.total_seconds > 0) {
            request.total_limit = from_seconds(arguments_.total_seconds);
        }
        for (const std::string& field : arguments_.fields) {
            const std::size_t colon = field.find(':');
            const std::size_t value = field.find_first_not_of(" \t", colon + 1);
            request.fields.emplace_back(field.substr(0, colon),
                                        value == std::string::npos ? "" : field.substr(value));
        }
        if (offset != 0) {
            request.fields.emplace_back("Range", fmt::format("bytes={}-", offset));
        }
        return request;
    }

    /// False when this address can't be reached and there is another one to try.
    net::awaitable<bool> attempt(const HttpRequest& request, bool last, Outcome& outcome,
                                 FetchedFile& file) {
        HttpStage stage{};
        boost::system::error_code failure;
        try {
            outcome.answer = co_await http_exchange(session_.driver(), request, file, stage);
        } catch (const boost::system::system_error& error) {
            failure = error.code();
        }
        if (!failure) {
            co_return true;
        }
        if (stage == HttpStage::connecting && !last) {
            co_return false;
        }
        file.end_progress();
        const std::string_view what =
            stage == HttpStage::connecting
                ? "can't connect to"
                : (stage == HttpStage::sending ? "sending to" : "reading from");
        throw CommandError(
            exit_code_for(failure),
            fmt::format("{} {}: {}", what, to_string(request.server), failure.message()));
    }

    [[nodiscard]] bool shows_progress(const Job& job) const {
        const bool shared = job.file == "-" && ::isatty(STDOUT_FILENO) != 0;
        return !arguments_.quiet && !arguments_.output.json && !shared &&
               ::isatty(STDERR_FILENO) != 0;
    }
    [[nodiscard]] std::string keep_hint(const Job& job) const {
        return job.file == "-" ? "" : fmt::format("; {} keeps them, get -c goes on", job.file);
    }

    Session& session_;
    const GetArguments& arguments_;
};

std::vector<Job> read_jobs(const GetArguments& arguments) {
    std::vector<Job> jobs;
    for (std::size_t i = 0; i < arguments.urls.size(); ++i) {
        const std::string& text = arguments.urls[i];
        const auto url = parse_url(text);
        if (!url) {
            throw CommandError(kExitUsage, fmt::format("{}: that is no URL", text));
        }
        if (url->scheme != "http") {
            throw CommandError(kExitUsage,
                               fmt::format("{}: get speaks http, not {}", text, url->scheme));
        }
        Job job{*url, "-"};
        if (arguments.remote_name) {
            job.file = file_name_of(*url);
            if (job.file.empty()) {
                throw CommandError(kExitUsage,
                                   fmt::format("{}: there is no file name in it, use -o", text));
            }
        } else if (i < arguments.files.size()) {
            job.file = arguments.files[i];
        }
        if (arguments.resume && job.file == "-") {
            throw CommandError(kExitUsage, "--continue needs a file to go on with: -o or -O");
        }
        jobs.push_back(std::move(job));
    }
    for (const std::string& field : arguments.fields) {
        const std::size_t colon = field.find(':');
        if (colon == 0 || colon == std::string::npos ||
            field.find_first_of("\r\n") != std::string::npos) {
            throw CommandError(kExitUsage, fmt::format("-H \"{}\": write \"Name: value\"", field));
        }
    }
    return jobs;
}

int get(const GetArguments& arguments) {
    std::vector<Job> jobs = read_jobs(arguments);
    if (arguments.host.link.empty()) {
        refuse_without_link("get");
    }
    Session session(read_host_arguments(arguments.host), "get");
    Getter getter(session, arguments);
    return session.run(getter.run(std::move(jobs)));
}

/// An option that may be repeated, each time with one value.
CLI::Option* add_list(CLI::App& command, const char* names, std::vector<std::string>& values,
                      const char* description, const char* type) {
    return command.add_option(names, values, description)
        ->type_name(type)
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

}  // namespace

void add_get(CLI::App& program, int& exit_code) {
    auto arguments = std::make_shared<GetArguments>();
    CLI::App* command = program.add_subcommand("get", "Fetch URLs over Runnel's TCP");
    command->add_option("URL", arguments->urls, "http://HOST[:PORT]/PATH")->required();
    CLI::Option* file =
        add_list(*command, "-o,--output", arguments->files,
                 "Write the body to a file, - is stdout; repeatable, one for each URL", "FILE");
    command
        ->add_flag("-O,--remote-name", arguments->remote_name,
                   "Write each body to a file of the URL's last name")
        ->excludes(file);
    command->add_flag("-c,--continue", arguments->resume, "Go on behind what the file has already");
    command->add_flag("-L,--location", arguments->follow, "Follow redirections, at most 20");
    command->add_flag("-I,--head", arguments->head, "Ask for the header only (HEAD), and print it");
    add_list(*command, "-H,--header", arguments->fields, "A further header field; repeatable",
             "\"NAME: VALUE\"");
    command->add_flag("--digest", arguments->digest, "Print the body's SHA-256 on stderr");
    command
        ->add_option("--connect-timeout", arguments->connect_seconds,
                     "Give up connecting after so long")
        ->type_name("SECONDS")
        ->check(CLI::Range(0.001, 86'400.0));
    command
        ->add_option("--max-time", arguments->total_seconds,
                     "Give up a whole transfer after so long")
        ->type_name("SECONDS")
        ->check(CLI::Range(0.001, 86'400.0));
    command
        ->add_option("--idle", arguments->idle_seconds,
                     "Give up after so long without any progress")
        ->type_name("SECONDS")
        ->check(CLI::Range(1, 86'400))
        ->capture_default_str();
    command->add_flag("-s,--silent", arguments->quiet, "No progress bar and no summary");
    add_host_options(*command, arguments->host);
    add_output_options(*command, arguments->output);
    command->footer(
        "Names come from /etc/hosts. The progress bar is for terminals. A transfer that breaks off\n"
        "leaves what came; an answer that is an error leaves the file as it was. Of several URLs each\n"
        "is tried, and the first failure's exit code counts. Exit codes as curl's: 0 ok, 1 failed\n"
        "(the body came short, too), 2 usage, 7 refused, 22 the server answered 400 or more,\n"
        "28 timed out, 56 reset, 77 no permission for the link.\n\n"
        "Example, in a private network with a server on the kernel's side:\n"
        "  unshare -rn sh -c 'python3 -m http.server 8000 & sleep 1; runnel get --link tun "
        "http://10.9.0.1:8000/; kill $!'\n"
        "Without any privilege, from a host at the other end of an in-process wire:\n"
        "  runnel get --link wire http://10.9.0.1/");
    command->callback([arguments, &exit_code] { exit_code = get(*arguments); });
}

}  // namespace runnel
