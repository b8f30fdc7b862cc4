// Shell lines as what they want: nothing is run. A line is split as a shell would (;, &&, newlines, quotes), and each
// piece classified; the runner decides what becomes of it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runnel/drill/script.hpp"

namespace runnel::drill {

/// One simple command of a shell line.
struct ShellCommand {
    enum class Kind : std::uint8_t {
        nothing,    ///< true, :, an empty line, exit 0: no effect here
        configure,  ///< sysctl, echo N > /proc/sys/…, set_sysctls.py: `settings`
        query,      ///< sysctl NAME, cat /proc/sys/…: reads, changes nothing
        defaults,  ///< …/defaults.sh and the like: the values of Linux (profile linux); `settings` are its arguments
        counters,  ///< nstat, netstat -s, cat /proc/net/{snmp,netstat}
        route,     ///< ip route … initcwnd N initrwnd N rto_min 200ms mtu N …: `settings`
        traffic,   ///< tc …: `settings` are what it names (qdisc, rate, limit)
        sleep,     ///< sleep N: `duration`
        print,     ///< echo, printf without a file
        other      ///< anything else, reported and skipped
    };
    struct Setting {
        std::string name;   ///< "net.ipv4.tcp_x" for sysctls, "initcwnd" for routes
        std::string value;  ///< words joined by one blank

        bool operator==(const Setting&) const = default;
    };

    Kind kind = Kind::other;
    std::vector<Setting> settings;
    Duration duration;
    std::string text;  ///< the piece as written, trimmed

    bool operator==(const ShellCommand&) const = default;
};

/// The pieces in order. A shell's own words (if, for, case, $(…), subshells, pipes into anything but a filter) make
/// the whole line one piece of kind `other`.
[[nodiscard]] std::vector<ShellCommand> classify(std::string_view shell_line);
[[nodiscard]] inline std::vector<ShellCommand> classify(const Command& command) {
    return classify(command.text);
}

/// "configure", "counters", …: for reports.
[[nodiscard]] std::string_view name_of(ShellCommand::Kind kind);

}  // namespace runnel::drill
