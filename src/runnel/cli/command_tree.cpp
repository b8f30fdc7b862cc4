// CLI11's tree as values, and the two commands that print what is generated from it.
#include "runnel/cli/command_tree.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "runnel/cli/commands.hpp"

namespace runnel {

namespace {

/// The choices in CLI11's type name, as in "TEXT:{auto,always,never}".
std::vector<std::string> choices_of(const std::string& type) {
    std::vector<std::string> choices;
    const std::size_t open = type.find('{');
    const std::size_t close = type.find('}', open);
    if (open == std::string::npos || close == std::string::npos) {
        return choices;
    }
    std::string_view rest(type.data() + open + 1, close - open - 1);
    while (!rest.empty()) {
        const std::size_t comma = rest.find(',');
        choices.emplace_back(rest.substr(0, comma));
        rest = comma == std::string_view::npos ? "" : rest.substr(comma + 1);
    }
    return choices;
}

std::string join(const std::vector<std::string>& words, const char* between) {
    return fmt::format("{}", fmt::join(words, between));
}

/// How the value is called: the option's own word, else its choices, else what kind of thing it is.
std::string value_name(const std::string& type, const OptionInfo& option) {
    const std::string word = type.substr(0, type.find(':'));
    if (!option.choices.empty()) {
        return join(option.choices, "|");
    }
    if (word == "UINT" || word == "INT") {
        return "N";
    }
    return word.empty() || word == "TEXT" ? "VALUE" : word;
}

OptionInfo option_info(const CLI::Option& option) {
    OptionInfo info;
    info.long_names = option.get_lnames();
    info.short_names = option.get_snames();
    if (option.get_positional()) {
        info.positional = option.get_name(true);
    }
    info.description = option.get_description();
    info.default_value = option.get_default_str();
    info.group = option.get_group();
    info.required = option.get_required();
    if (option.get_items_expected_max() != 0) {
        const std::string type = option.get_type_name();
        info.choices = choices_of(type);
        info.value = value_name(type, info);
        if (info.value == "VALUE" && !info.positional.empty()) {
            info.value = info.positional;
        }
        info.repeatable = option.get_items_expected_max() > 1 ||
                          option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
    }
    return info;
}

}  // namespace

CommandInfo command_tree(const CLI::App& program) {
    CommandInfo info;
    info.name = program.get_name();
    info.description = program.get_description();
    info.footer = program.get_footer();
    for (const CLI::Option* option : program.get_options()) {
        if (!option->get_group().empty()) {
            info.options.push_back(option_info(*option));
        }
    }
    for (const CLI::App* command : program.get_subcommands([](const CLI::App*) { return true; })) {
        if (!command->get_group().empty()) {
            info.commands.push_back(command_tree(*command));
        }
    }
    return info;
}

void add_completion(CLI::App& program, int& /*exit_code*/) {
    auto shell = std::make_shared<std::string>();
    CLI::App* command =
        program.add_subcommand("completion", "Print a shell's completion for runnel");
    command->add_option("SHELL", *shell, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
    command->footer(
        "A package puts them in place. By hand: bash reads `eval \"$(runnel completion bash)\"` in\n"
        "~/.bashrc, zsh a file _runnel in its $fpath, fish ~/.config/fish/completions/runnel.fish.\n\n"
        "Example: how many lines there are for bash\n"
        "  runnel completion bash | wc -l");
    command->callback([shell, &program] {
        const CommandInfo tree = command_tree(program);
        const std::string text = *shell == "bash"  ? bash_completion(tree)
                                 : *shell == "zsh" ? zsh_completion(tree)
                                                   : fish_completion(tree);
        fmt::print("{}", text);
    });
}

void add_man(CLI::App& program, int& /*exit_code*/) {
    CLI::App* command = program.add_subcommand("man", "Print the manual page, for man -l -");
    command->footer(
        "To read it: runnel man | man -l -\n\n"
        "Example: its first lines\n"
        "  runnel man | head -4");
    command->callback(
        [&program] { fmt::print("{}", manual_page(command_tree(program), RUNNEL_VERSION)); });
}

}  // namespace runnel
