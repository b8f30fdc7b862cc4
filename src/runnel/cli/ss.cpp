// `runnel ss`: the connections of all running runnel processes, as ss and the tutorials' `netstat -napt`
// show the kernel's, asked for through the control sockets.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <memory>
#include <optional>

#include "runnel/cli/commands.hpp"
#include "runnel/cli/common_options.hpp"
#include "runnel/cli/control/client.hpp"
#include "runnel/cli/exit_code.hpp"
#include "runnel/report/connection_filter.hpp"
#include "runnel/report/connection_table.hpp"

namespace runnel {

namespace {

struct SsArguments {
    report::TableOptions table;
    bool tcp = false;
    bool numeric = false;
    bool no_header = false;
    bool four = false;
    bool six = false;
    std::optional<int> pid;
    std::vector<std::string> filter;
    OutputOptions output;
};

struct Row {
    control::Process process;
    std::string host;
    tcp::ConnectionStatus status;
    std::string json;
};

/// What is asked for: the user's filter within what the options leave over. As ss does it: who names
/// states in the filter gets those.
std::string whole_filter(const SsArguments& arguments) {
    const std::string own = fmt::format("{}", fmt::join(arguments.filter, " "));
    const auto parsed = report::ConnectionFilter::parse(own);
    if (!parsed) {
        throw CommandError(kExitUsage, parsed.error());
    }
    std::string filter;
    const auto add = [&filter](const std::string& condition) {
        filter += filter.empty() ? condition : " and " + condition;
    };
    if (!own.empty()) {
        add("( " + own + " )");
    }
    if (arguments.four != arguments.six) {
        add(arguments.four ? "family inet" : "family inet6");
    }
    if (arguments.table.listening) {
        add("state listen");
    } else if (!arguments.table.all && !parsed->names_states()) {
        add("state connected exclude bucket");
    }
    return filter;
}

/// In the order of processes, hosts and addresses. A connection that went into TIME-WAIT during the walk
/// may have come twice: what came last is true.
std::vector<Row> ask(control::Client& client, const std::string& filter, bool& whole) {
    std::map<std::tuple<int, std::string, FourTuple>, std::size_t> known;
    std::vector<Row> rows;
    const auto on_line = [&](control::Process& process, const boost::json::object& line) {
        const boost::json::object* fields = control::object_of(line, "connection");
        if (fields == nullptr) {
            return true;
        }
        Row row{process, control::text_of(*fields, "host"), control::read_connection(*fields), ""};
        row.json = boost::json::serialize(*fields);
        if (row.status.state != tcp::State::listen) {
            const auto [at, fresh] =
                known.try_emplace({process.pid, row.host, row.status.tuple}, rows.size());
            if (!fresh) {
                rows[at->second] = std::move(row);
                return true;
            }
        }
        rows.push_back(std::move(row));
        return true;
    };
    whole = client.ask("connections " + filter, on_line, control::kAnswerPatience);
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
        const bool a_listens = a.status.state == tcp::State::listen;
        const bool b_listens = b.status.state == tcp::State::listen;
        return std::tuple(!a_listens, a.process.pid, a.host, a.status.tuple) <
               std::tuple(!b_listens, b.process.pid, b.host, b.status.tuple);
    });
    return rows;
}

void print_json(const std::vector<Row>& rows) {
    fmt::print("[");
    const char* separator = "\n";
    for (const Row& row : rows) {
        boost::json::object process;
        process["pid"] = row.process.pid;
        process["command"] = row.process.command;
        const std::string head = boost::json::serialize(process);
        fmt::print("{}{},{}", separator, std::string_view(head).substr(0, head.size() - 1),
                   std::string_view(row.json).substr(1));
        separator = ",\n";
    }
    fmt::print("{}]\n", rows.empty() ? "" : "\n");
}

int ss(SsArguments& arguments) {
    const std::string filter = whole_filter(arguments);
    control::Client client(arguments.pid);
    if (client.empty()) {
        fmt::print(stderr, "runnel: {}\n", control::nobody_sentence(arguments.pid));
        if (arguments.pid) {
            return kExitFailed;
        }
    }
    bool whole = true;
    const std::vector<Row> rows = ask(client, filter, whole);
    if (arguments.output.json) {
        print_json(rows);
        return whole ? kExitOk : kExitFailed;
    }
    arguments.table.all = true;  // what is not wanted was not sent
    arguments.table.listening = false;
    arguments.table.header = !arguments.no_header;
    arguments.table.color = arguments.output.use_color(::isatty(STDOUT_FILENO) != 0);
    std::vector<tcp::ConnectionStatus> connections;
    std::vector<std::string> users;
    for (const Row& row : rows) {
        connections.push_back(row.status);
        users.push_back(row.process.users(row.host));
    }
    fmt::print("{}", report::connection_table(connections, Instant{}, arguments.table, users));
    return whole ? kExitOk : kExitFailed;
}

}  // namespace

void add_ss(CLI::App& program, int& exit_code) {
    auto arguments = std::make_shared<SsArguments>();
    CLI::App* command = program.add_subcommand(
        "ss", "Show the connections of running runnel processes, as ss and netstat -napt do");
    report::TableOptions& table = arguments->table;
    command->add_flag("-l,--listening", table.listening,
                      "Listeners only: Recv-Q waits to be accepted, Send-Q is the backlog");
    command->add_flag("-a,--all", table.all, "Listeners, half-open connections and TIME-WAIT too");
    command->add_flag("-o,--options", table.timers, "The timer that fires next");
    command->add_flag("-p,--processes", table.processes, "The process that has the connection");
    command->add_flag(
        "-i,--info", table.info,
        "What the sender knows: congestion control, windows, round-trip time, losses");
    command->add_flag("-e,--extended", table.extended,
                      "Handle, sequence numbers, memory, and what limits the sender");
    command->add_flag("-t,--tcp", arguments->tcp, "TCP, which is all there is");
    command->add_flag("-n,--numeric", arguments->numeric, "No names, which is always so");
    command->add_flag("-H,--no-header", arguments->no_header, "Leave the header out");
    command->add_flag("-4,--ipv4", arguments->four, "IPv4 only");
    command->add_flag("-6,--ipv6", arguments->six, "IPv6 only");
    command->add_option("--pid", arguments->pid, "That process only")->type_name("PID");
    command
        ->add_option(
            "FILTER", arguments->filter,
            "As ss has it: state STATE, exclude STATE, src and dst ADDRESS[/PREFIX][:PORT], "
            "sport and dport = :PORT, not, and, or, ( )")
        ->type_name("");
    add_output_options(*command, arguments->output);
    command->footer(
        "Exit code 1 when a process could not be asked or broke off.\n\n"
        "Example, with a server in a private network:\n"
        "  unshare -rn sh -c 'runnel serve --link tun --listen 80 -q . & sleep 1; "
        "runnel ss -tlnaiep; kill $!'");
    command->callback([arguments, &exit_code] { exit_code = ss(*arguments); });
}

}  // namespace runnel
