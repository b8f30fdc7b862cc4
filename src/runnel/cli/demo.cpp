// `runnel demo`, the main job: the Linux kernel's TCP and Runnel's face each other in a private network,
// three files move, their digests are compared, and one connection is shown segment by segment with reasons.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>

#include "runnel/asio/wire.hpp"
#include "runnel/cli/capture_file.hpp"
#include "runnel/cli/commands.hpp"
#include "runnel/cli/common_options.hpp"
#include "runnel/cli/control/server.hpp"
#include "runnel/cli/demo_network.hpp"
#include "runnel/cli/demo_transfers.hpp"
#include "runnel/cli/exit_code.hpp"
#include "runnel/report/connection_table.hpp"
#include "runnel/report/conversation.hpp"
#include "runnel/report/json_writer.hpp"
#include "runnel/report/ladder.hpp"
#include "runnel/report/text.hpp"

namespace runnel {

namespace net = boost::asio;
using report::Ink;
using report::Paint;

namespace {

struct DemoArguments {
    OutputOptions output;
    std::string link = "tun";
    std::uint32_t mebibytes = 64;
    std::string capture;
};

/// Bytes kept of a packet: every header and some of the payload.
constexpr std::uint32_t kSnapLength = 256;
constexpr std::uint32_t kWireMtu = 1500;
constexpr auto kTimeLimit = std::chrono::seconds(120);

/// Where the capture goes when nobody says: here, or where temporary files go.
std::string default_capture_path() {
    const char* name = "runnel-demo.pcapng";
    if (::access(name, W_OK) == 0 || (::access(name, F_OK) != 0 && ::access(".", W_OK) == 0)) {
        return name;
    }
    const char* directory = std::getenv("TMPDIR");
    return fmt::format("{}/runnel-demo-{}.pcapng", directory != nullptr ? directory : "/tmp",
                       ::getuid());
}

std::string kernel_name() {
    utsname name{};
    return ::uname(&name) == 0 ? fmt::format("{} {}", name.sysname, name.release) : "the kernel";
}

std::string address_list(const std::vector<Cidr>& addresses) {
    std::string text;
    for (const Cidr& cidr : addresses) {
        text += (text.empty() ? "" : ", ") + to_string(cidr.address);
    }
    return text;
}

/// The two hosts, the capture and the loop.
class Demo {
public:
    Demo(DemoNetwork network, const DemoArguments& arguments)
        : arguments_(arguments),
          network_(std::move(network)),
          paint_{arguments.output.use_color(::isatty(STDOUT_FILENO) != 0)},
          quiet_(arguments.output.json),
          io_(std::make_unique<net::io_context>(1)),
          driver_(std::make_unique<Driver>(*io_, DriverOptions{})) {
        if (network_.device) {
            driver_->add_link(std::move(*network_.device));
        } else {
            DriverOptions far;
            far.host.name = "second host";
            far_ = std::make_unique<Driver>(*io_, far);
            connect_wire(*driver_, *far_, wire_capabilities(kWireMtu));
            add_addresses(*far_, network_.other);
        }
        add_addresses(*driver_, network_.runnel);
        const std::string path =
            arguments.capture.empty() ? default_capture_path() : arguments.capture;
        capture_ = std::make_unique<CaptureFile>(path, *driver_, kSnapLength);
        control_ = std::make_unique<control::ControlServer>(*io_, "demo");
        control_->watch(*driver_, "runnel");
        if (far_ != nullptr) {
            control_->watch(*far_, "second host");
        }
        const auto progress = [this](const std::string& line) {
            if (!quiet_ && ::isatty(STDERR_FILENO) != 0) {
                fmt::print(stderr, "  {}\n", line);
            }
        };
        const std::uint64_t size = std::uint64_t{arguments.mebibytes} << 20;
        transfers_ =
            std::make_unique<DemoTransfers>(*driver_, far_.get(), network_, size, progress);
    }

    ~Demo() {
        control_.reset();
        transfers_.reset();
        capture_.reset();
        driver_->close();
        if (far_ != nullptr) {
            far_->close();
        }
        io_.reset();  // before the hosts, whose memory coroutines may hold
    }
    Demo(const Demo&) = delete;
    Demo& operator=(const Demo&) = delete;

    int run() {
        say_where();
        std::exception_ptr failure;
        int result = kExitFailed;
        net::signal_set signals(*io_, SIGINT, SIGTERM);
        signals.async_wait([&](const boost::system::error_code& error, int number) {
            if (!error) {
                result = 128 + number;
                io_->stop();
            }
        });
        net::steady_timer limit(*io_, kTimeLimit);
        limit.async_wait([&](const boost::system::error_code& error) {
            if (!error) {
                fmt::print(stderr, "runnel: the demo takes too long\n");
                result = kExitTimedOut;
                io_->stop();
            }
        });
        net::co_spawn(*io_, act(), [&](std::exception_ptr thrown, int code) {
            failure = thrown;
            result = code;
            io_->stop();
        });
        io_->run();
        if (failure) {
            std::rethrow_exception(failure);
        }
        return result;
    }

private:
    static void add_addresses(Driver& driver, const std::vector<Cidr>& addresses) {
        for (const Cidr& address : addresses) {
            if (!driver.host().add_address(0, address, driver.now())) {
                throw CommandError(kExitFailed, "the demo's addresses are refused");
            }
        }
    }

    [[nodiscard]] std::string way_text() const {
        const char* where = network_.own_user_namespace ? "a private user and network namespace"
                                                        : "a private network namespace";
        switch (network_.way) {
            case DemoWay::tun: return fmt::format("over a TUN device in {}", where);
            case DemoWay::veth: return fmt::format("over a veth pair and AF_PACKET in {}", where);
            case DemoWay::wire: break;
        }
        return "over a wire inside this process";
    }

    void heading(const std::string& text) const { fmt::print("\n{}\n", paint_(Ink::bold, text)); }

    void say_where() const {
        if (quiet_) {
            return;
        }
        const bool wire = network_.way == DemoWay::wire;
        fmt::print("{}\n", paint_(Ink::bold,
                                  wire ? "Two Runnel hosts face each other " + way_text()
                                       : "Linux's TCP and Runnel's face each other " + way_text()));
        for (const std::string& reason : network_.reasons) {
            fmt::print("  (no better way: {})\n", reason);
        }
        fmt::print("  Runnel  {}\n", address_list(network_.runnel));
        if (wire) {
            fmt::print("  second  {}\n", address_list(network_.other));
        } else {
            fmt::print("  kernel  {}   {}, congestion control {}\n", address_list(network_.other),
                       kernel_name(), network_.congestion_control);
            fmt::print("  Nothing outside that namespace is touched or reached.\n");
        }
        std::fflush(stdout);
    }

    net::awaitable<int> act() {
        const DemoTransfer small = co_await transfers_->small_transfer();
        co_await driver_->async_finish(seconds(2), net::as_tuple(net::use_awaitable));
        capture_->flush();
        std::string ladder;
        if (!quiet_) {
            ladder = small_ladder();
        }
        if (!quiet_) {
            heading(fmt::format("Three transfers of {} MiB", arguments_.mebibytes));
            std::fflush(stdout);
        }
        const std::vector<DemoTransfer> large = co_await transfers_->large_transfers();
        co_await driver_->async_finish(seconds(2), net::as_tuple(net::use_awaitable));
        capture_->flush();
        bool all_worked = small.worked();
        for (const DemoTransfer& transfer : large) {
            all_worked = all_worked && transfer.worked();
        }
        if (quiet_) {
            print_json(small, large, all_worked);
        } else {
            print_transfers(large);
            heading("One small connection, segment by segment");
            if (!small.worked()) {
                fmt::print("  {}: {}\n", small.what, small.error);
            }
            fmt::print("{}", ladder);
            print_states();
            print_capture();
            fmt::print("\n{}\n", all_worked
                                     ? paint_(Ink::good, "Everything arrived as it was sent.")
                                     : paint_(Ink::alarm, "Not everything worked."));
        }
        co_return all_worked ? kExitOk : kExitFailed;
    }

    /// The first conversation of the capture so far.
    std::string small_ladder() {
        std::ifstream file(capture_->path(), std::ios::binary);
        const std::string text((std::istreambuf_iterator<char>(file)),
                               std::istreambuf_iterator<char>());
        const auto capture = report::read_capture(as_bytes(text));
        if (!capture) {
            return "  (the capture can't be read back)\n";
        }
        const report::Conversations found = report::find_conversations(*capture);
        if (found.list.empty()) {
            return "  (no connection was captured)\n";
        }
        report::LadderStyle style;
        style.color = paint_.on;
        return report::render_ladder(found.list.front(), *capture, style);
    }

    void print_transfers(const std::vector<DemoTransfer>& transfers) const {
        fmt::print("  {:<46} {:>12} {:>9} {:>7}  {}\n", "", "bytes", "time", "Gbit/s", "SHA-256");
        for (const DemoTransfer& transfer : transfers) {
            const std::string what = fmt::format("{} ({})", transfer.what,
                                                 transfer.family == Family::ipv4 ? "IPv4" : "IPv6");
            const double rate = transfer.seconds <= 0 ? 0
                                                      : static_cast<double>(transfer.bytes) * 8 /
                                                            transfer.seconds / 1e9;
            std::string verdict;
            if (transfer.worked()) {
                verdict =
                    paint_(Ink::good, "equal ") + transfer.received_sha256.substr(0, 16) + "…";
            } else {
                verdict = paint_(Ink::alarm, transfer.error.empty() ? "differs" : transfer.error);
            }
            fmt::print("  {:<46} {:>12} {:>9} {:>7.2f}  {}\n", what,
                       report::count_text(transfer.bytes),
                       report::duration_text({static_cast<std::int64_t>(transfer.seconds * 1e9)}),
                       rate, verdict);
        }
    }

    void print_states() const {
        heading("States at the end");
        print_runnel_states("Runnel", *driver_);
        if (far_ != nullptr) {
            print_runnel_states("second host", *far_);
            return;
        }
        fmt::print("  the kernel's\n");
        for (const KernelSocket& socket : kernel_sockets()) {
            fmt::print("    {:<12} {:<28} {}\n", socket.state, to_string(socket.local),
                       to_string(socket.remote));
        }
    }

    void print_runnel_states(const char* name, Driver& driver) const {
        std::vector<tcp::ConnectionStatus> connections;
        driver.host().tcp().snapshot(connections, driver.now());
        report::TableOptions options;
        options.all = true;
        options.timers = true;
        options.color = paint_.on;
        fmt::print("  {}'s\n", name);
        std::istringstream lines(report::connection_table(connections, driver.now(), options));
        for (std::string line; std::getline(lines, line);) {
            fmt::print("    {}\n", line);
        }
    }

    void print_capture() const {
        heading("The capture, with the reason at each packet");
        fmt::print("  {} ({}, {}; {} bytes kept of each)\n", capture_->path(),
                   report::counted(capture_->packets(), "packet"),
                   report::bytes_text(capture_->file_bytes()), kSnapLength);
        fmt::print("  runnel ladder {}\n", capture_->path());
        fmt::print("  tshark -r {} -T fields -e frame.number -e _ws.col.Info -e frame.comment\n",
                   capture_->path());
    }

    void print_json(const DemoTransfer& small, const std::vector<DemoTransfer>& large,
                    bool ok) const {
        std::string text;
        report::JsonWriter writer(text);
        writer.begin_object();
        const char* way = network_.way == DemoWay::tun
                              ? "tun"
                              : (network_.way == DemoWay::veth ? "veth" : "wire");
        writer.text("way", way);
        writer.begin_array("reasons");
        for (const std::string& reason : network_.reasons) {
            writer.text("", reason);
        }
        writer.end_array();
        writer.text("congestion_control", network_.congestion_control);
        writer.begin_array("transfers");
        const auto put = [&](const DemoTransfer& transfer) {
            writer.begin_object();
            writer.text("what", transfer.what);
            writer.text("family", transfer.family == Family::ipv4 ? "ipv4" : "ipv6");
            writer.number("bytes", transfer.bytes);
            writer.number("seconds", transfer.seconds);
            writer.text("sent_sha256", transfer.sent_sha256);
            writer.text("received_sha256", transfer.received_sha256);
            writer.boolean("ok", transfer.worked());
            writer.text("error", transfer.error);
            writer.end_object();
        };
        put(small);
        for (const DemoTransfer& transfer : large) {
            put(transfer);
        }
        writer.end_array();
        writer.text("capture", capture_->path());
        writer.number("packets", capture_->packets());
        writer.boolean("ok", ok);
        writer.end_object();
        fmt::print("{}\n", text);
    }

    const DemoArguments& arguments_;
    DemoNetwork network_;
    Paint paint_;
    bool quiet_;
    std::unique_ptr<net::io_context> io_;
    std::unique_ptr<Driver> driver_;
    std::unique_ptr<Driver> far_;
    std::unique_ptr<CaptureFile> capture_;
    std::unique_ptr<control::ControlServer> control_;
    std::unique_ptr<DemoTransfers> transfers_;
};

int demo(const DemoArguments& arguments) {
    DemoWay best = DemoWay::tun;
    if (arguments.link == "veth") {
        best = DemoWay::veth;
    } else if (arguments.link == "wire") {
        best = DemoWay::wire;
    }
    Demo run(open_demo_network(best), arguments);
    return run.run();
}

}  // namespace

void add_demo(CLI::App& program, int& exit_code) {
    auto arguments = std::make_shared<DemoArguments>();
    CLI::App* command = program.add_subcommand(
        "demo", "Linux's TCP and Runnel's exchange files in a private network, and show it");
    command->add_option("--link", arguments->link, "Best way to try: tun, veth or wire")
        ->check(CLI::IsMember({"tun", "veth", "wire"}))
        ->capture_default_str();
    command->add_option("--size", arguments->mebibytes, "Of each large transfer")
        ->type_name("MIB")
        ->check(CLI::Range(1, 4096))
        ->capture_default_str();
    command
        ->add_option("-w", arguments->capture,
                     "Where the capture goes (default runnel-demo.pcapng)")
        ->type_name("FILE.pcapng");
    add_output_options(*command, arguments->output);
    command->footer(
        "Everything happens in a private network namespace; without namespaces, between two Runnel\n"
        "hosts in this process. It needs no privilege and says which way it was.\n\n"
        "Example:\n"
        "  runnel demo");
    command->callback([arguments, &exit_code] { exit_code = demo(*arguments); });
}

}  // namespace runnel
