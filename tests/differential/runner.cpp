// differential_runner: plays stimulus scripts (standard input) on the Linux kernel or on Runnel behind a
// TUN, then on Runnel in virtual time at the same moments, and prints what each subject did, one JSON
// object a script and side. Comparing is for _compare.py. Exit: 0 done, 77 the machine forbids it, 1 else.
#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdio>
#include <iostream>
#include <stdexcept>
#include <string_view>

#include "runnel/link/network_namespace.hpp"
#include "world.hpp"

using namespace runnel;
using namespace runnel::differential;

namespace {

constexpr std::string_view kUsage =
    "Usage: differential_runner kernel|tun [--set NAME=VALUE]… < SCRIPTS\n"
    "Plays scripts on the kernel (or on Runnel behind a TUN) and on Runnel in virtual time.\n"
    "Example: scripts/differential --seed 1 --count 3\n";

void print(const Conversation& c, std::string_view side) {
    std::string json = fmt::format(R"({{"id":{},"side":"{}","stalled":{},"steps":[)", c.script().id,
                                   side, c.stalled_us);
    for (std::size_t i = 0; i < c.records.size(); ++i) {
        const StepRecord& r = c.records[i];
        json += fmt::format(R"({}{{"at":{},"result":"{}","in":{},"status":{},"packets":[)",
                            i == 0 ? "" : ",", r.at_us, r.result,
                            r.stimulus.empty() ? "null" : r.stimulus,
                            r.status.empty() ? "{}" : r.status);
        for (std::size_t k = 0; k < r.packets.size(); ++k) {
            json += (k == 0 ? "" : ",") + r.packets[k];
        }
        json += "]}";
    }
    fmt::print("{}]}}\n", json);
}

int run(bool kernel, const std::vector<std::string>& changes) {
    const std::vector<Script> scripts = read_scripts(std::cin);
    if (const auto entered = enter_private_network(); !entered) {
        fmt::print(stderr, "{}\n", entered.error().what);
        return 77;
    }
    std::vector<Conversation> conversations(scripts.begin(), scripts.end());
    {
        const auto world = kernel ? make_kernel_world() : make_runnel_tun_world(changes);
        play(*world, conversations);
    }
    for (const Conversation& c : conversations) {
        print(c, kernel ? "kernel" : "tun");
        Conversation again(c.script());
        const auto world = make_runnel_world(changes);
        replay(*world, again, c.records);
        print(again, "runnel");
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<std::string> changes;
    const std::string_view side = argc > 1 ? argv[1] : "";
    if (side != "kernel" && side != "tun") {
        fmt::print(stderr, "{}", kUsage);
        return side == "--help" ? 0 : 2;
    }
    for (int i = 2; i + 1 < argc; i += 2) {
        changes.emplace_back(argv[i + 1]);
    }
    const rlimit files{1 << 16, 1 << 16};
    (void)::setrlimit(RLIMIT_NOFILE, &files);
    try {
        return run(side == "kernel", changes);
    } catch (const std::exception& error) {
        fmt::print(stderr, "differential_runner: {}\n", error.what());
        return 1;
    }
}
