// The tree of commands and options as plain values, read off the one tree that parses them: what the manual
// page and the shells' completions are written from, so that they can't say anything else than --help.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace runnel {

struct OptionInfo {
    std::vector<std::string> long_names;   ///< without dashes
    std::vector<std::string> short_names;  ///< one character each, without dash
    std::string positional;                ///< its name, for an argument without dashes
    std::string value;                     ///< "FILE", "SECONDS", …; empty: it takes none
    std::vector<std::string> choices;      ///< the only values, when they are few
    std::string description;
    std::string default_value;
    std::string group;  ///< "Options", "Positionals", "Host", …
    bool required = false;
    bool repeatable = false;
};

struct CommandInfo {
    std::string name;
    std::string description;
    std::string footer;
    std::vector<OptionInfo> options;
    std::vector<CommandInfo> commands;
};

/// The whole tree under `program`; hidden commands and options (an empty group) are left out.
[[nodiscard]] CommandInfo command_tree(const CLI::App& program);

/// roff for man(7): one page for the program with all of its commands.
[[nodiscard]] std::string manual_page(const CommandInfo& program, const std::string& version);

[[nodiscard]] std::string bash_completion(const CommandInfo& program);
[[nodiscard]] std::string zsh_completion(const CommandInfo& program);
[[nodiscard]] std::string fish_completion(const CommandInfo& program);

}  // namespace runnel
