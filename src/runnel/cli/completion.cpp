// What bash, zsh and fish complete, written from the tree of options.
#include <fmt/format.h>

#include <string_view>

#include "runnel/cli/command_tree.hpp"

namespace runnel {

namespace {

/// What can be said about a value before it is typed.
enum class ValueKind : std::uint8_t { none, words, files, directories };

struct Guess {
    ValueKind kind = ValueKind::none;
    std::string words;  ///< separated by blanks
};

constexpr const char* kLinks = "tun tap wire packet: fd:";

Guess guess_of(const OptionInfo& option) {
    if (!option.choices.empty()) {
        return {ValueKind::words, fmt::format("{}", fmt::join(option.choices, " "))};
    }
    if (option.value.starts_with("FILE")) {
        return {ValueKind::files, ""};
    }
    if (option.value == "DIR") {
        return {ValueKind::directories, ""};
    }
    if (option.value == "LINK") {
        return {ValueKind::words, kLinks};
    }
    return {};
}

std::vector<std::string> dashed(const OptionInfo& option) {
    std::vector<std::string> names;
    for (const std::string& name : option.short_names) {
        names.push_back("-" + name);
    }
    for (const std::string& name : option.long_names) {
        names.push_back("--" + name);
    }
    return names;
}

/// Inside single quotes of a shell.
std::string quoted(std::string_view text, std::string_view quote) {
    std::string out;
    for (const char c : text) {
        if (c == '\'') {
            out += quote;
        } else {
            out += c == '\n' ? ' ' : c;
        }
    }
    return out;
}

// --- bash -----------------------------------------------------------------------------------------------

struct BashCases {
    std::string paths;    ///< patterns of known commands
    std::string values;   ///< branches: the value behind an option
    std::string options;  ///< branches: the options of a command
    std::string words;    ///< branches: what stands without a dash
};

std::string bash_action(const Guess& guess) {
    switch (guess.kind) {
        case ValueKind::words: return fmt::format("_runnel_words \"{}\" \"$cur\"", guess.words);
        case ValueKind::files: return "_runnel_names -f \"$cur\"";
        case ValueKind::directories: return "_runnel_names -d \"$cur\"";
        case ValueKind::none: break;
    }
    return ":";
}

void bash_cases(const CommandInfo& command, const std::string& path, BashCases& cases) {
    std::string options;
    std::string words;
    std::string actions;
    for (const OptionInfo& option : command.options) {
        if (!option.positional.empty()) {
            const Guess guess = guess_of(option);
            if (guess.kind != ValueKind::none) {
                actions += (actions.empty() ? "" : "; ") + bash_action(guess);
            }
            continue;
        }
        std::string patterns;
        for (const std::string& name : dashed(option)) {
            options += (options.empty() ? "" : " ") + name;
            patterns += fmt::format("{}\"{} {}\"", patterns.empty() ? "" : " | ", path, name);
        }
        if (!option.value.empty()) {
            cases.values +=
                fmt::format("        {}) {}; return ;;\n", patterns, bash_action(guess_of(option)));
        }
    }
    for (const CommandInfo& inner : command.commands) {
        const std::string inner_path = path + " " + inner.name;
        words += (words.empty() ? "" : " ") + inner.name;
        cases.paths += fmt::format("{}\"{}\"", cases.paths.empty() ? "" : " | ", inner_path);
        bash_cases(inner, inner_path, cases);
    }
    if (!words.empty()) {
        actions += (actions.empty() ? "" : "; ") + bash_action({ValueKind::words, words});
    }
    cases.options +=
        fmt::format("            \"{}\") _runnel_words \"{}\" \"$cur\" ;;\n", path, options);
    if (!actions.empty()) {
        cases.words += fmt::format("            \"{}\") {} ;;\n", path, actions);
    }
}

// --- zsh ------------------------------------------------------------------------------------------------

/// In a spec of _arguments: brackets and colons have a meaning.
std::string zsh_text(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '[' || c == ']' || c == ':' || c == '\\') {
            out += '\\';
        }
        out += c;
    }
    return quoted(out, "'\\''");
}

std::string zsh_value(const OptionInfo& option) {
    const Guess guess = guess_of(option);
    const std::string name = zsh_text(option.value);
    switch (guess.kind) {
        case ValueKind::words: return fmt::format(":{}:({})", "value", zsh_text(guess.words));
        case ValueKind::files: return fmt::format(":{}:_files", name);
        case ValueKind::directories: return fmt::format(":{}:_files -/", name);
        case ValueKind::none: break;
    }
    return fmt::format(":{}: ", name);
}

std::string zsh_spec(const OptionInfo& option) {
    if (!option.positional.empty()) {
        return fmt::format("'{}{}'", option.repeatable ? "*" : (option.required ? "" : ":"),
                           zsh_value(option));
    }
    const std::vector<std::string> names = dashed(option);
    const std::string text = fmt::format("[{}]", zsh_text(option.description));
    const std::string value = option.value.empty() ? "" : zsh_value(option);
    const std::string many = option.repeatable ? "*" : "";
    std::string forms;
    for (const std::string& name : names) {
        const char* ending = option.value.empty() ? "" : (name.starts_with("--") ? "=" : "+");
        forms += (forms.empty() ? "" : ",") + name + ending;
    }
    if (names.size() == 1) {
        return fmt::format("'{}{}{}{}'", many, forms, text, value);
    }
    const std::string others =
        option.repeatable ? "'*'" : fmt::format("'({})'", fmt::join(names, " "));
    return fmt::format("{}{{{}}}'{}{}'", others, forms, text, value);
}

std::string function_name(const std::string& path) {
    std::string name = "_" + path;
    for (char& c : name) {
        c = c == ' ' || c == '-' ? '_' : c;
    }
    return name;
}

void zsh_functions(const CommandInfo& command, const std::string& path, std::string& script) {
    std::string body = "    _arguments -s -C";
    for (const OptionInfo& option : command.options) {
        body += " \\\n        " + zsh_spec(option);
    }
    if (!command.commands.empty()) {
        body += " \\\n        '1:command:->command' \\\n        '*::argument:->argument'";
    }
    body += "\n";
    if (!command.commands.empty()) {
        body += "    case $state in\n    command)\n        local -a commands=(\n";
        for (const CommandInfo& inner : command.commands) {
            body += fmt::format("            '{}:{}'\n", inner.name, zsh_text(inner.description));
        }
        body +=
            "        )\n        _describe command commands ;;\n    argument)\n"
            "        case $words[1] in\n";
        for (const CommandInfo& inner : command.commands) {
            const std::string inner_path = path + " " + inner.name;
            body += fmt::format("        {}) {} ;;\n", inner.name, function_name(inner_path));
            zsh_functions(inner, inner_path, script);
        }
        body += "        esac ;;\n    esac\n";
    }
    script += fmt::format(
        "{}() {{\n    local curcontext=\"$curcontext\" context state state_descr line\n"
        "    typeset -A opt_args\n{}}}\n\n",
        function_name(path), body);
}

// --- fish -----------------------------------------------------------------------------------------------

std::string fish_text(std::string_view text) {
    std::string out;
    for (const char c : text) {
        out += c == '\\' ? "\\\\" : std::string(1, c);
    }
    return quoted(out, "\\'");
}

std::string fish_value(const Guess& guess, bool is_option) {
    switch (guess.kind) {
        case ValueKind::words:
            return fmt::format(" {}-a '{}'", is_option ? "-x " : "", fish_text(guess.words));
        case ValueKind::files: return is_option ? " -r -F" : " -F";
        case ValueKind::directories: return " -x -a '(__fish_complete_directories)'";
        case ValueKind::none: break;
    }
    return is_option ? " -x" : "";
}

void fish_lines(const CommandInfo& command, const std::string& condition, std::string& script) {
    for (const OptionInfo& option : command.options) {
        const Guess guess = guess_of(option);
        if (!option.positional.empty()) {
            if (guess.kind != ValueKind::none) {
                script += fmt::format("complete -c runnel -n '{}'{} -d '{}'\n", condition,
                                      fish_value(guess, false), fish_text(option.description));
            }
            continue;
        }
        std::string names;
        for (const std::string& name : option.short_names) {
            names += " -s " + name;
        }
        for (const std::string& name : option.long_names) {
            names += " -l " + name;
        }
        script += fmt::format("complete -c runnel -n '{}'{}{} -d '{}'\n", condition, names,
                              option.value.empty() ? "" : fish_value(guess, true),
                              fish_text(option.description));
    }
}

}  // namespace

std::string bash_completion(const CommandInfo& program) {
    BashCases cases;
    bash_cases(program, program.name, cases);
    return fmt::format(
        R"(# bash completion for runnel, generated by `runnel completion bash`.
_runnel_words() {{ # WORDS PREFIX
    mapfile -t -O "${{#COMPREPLY[@]}}" COMPREPLY < <(compgen -W "$1" -- "$2")
    case ${{COMPREPLY[0]-}} in *:) compopt -o nospace 2>/dev/null ;; esac
}}
_runnel_names() {{ # -f|-d PREFIX
    mapfile -t -O "${{#COMPREPLY[@]}}" COMPREPLY < <(compgen "$1" -- "$2")
    compopt -o filenames 2>/dev/null
}}
_runnel() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev= path={0} i
    COMPREPLY=()
    [[ $COMP_CWORD -gt 0 ]] && prev=${{COMP_WORDS[COMP_CWORD - 1]}}
    if [[ $cur == "=" ]]; then
        cur=
    elif [[ $prev == "=" && $COMP_CWORD -gt 1 ]]; then
        prev=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$path ${{COMP_WORDS[i]}}" in
            {1}) path="$path ${{COMP_WORDS[i]}}" ;;
        esac
    done
    case "$path $prev" in
{2}    esac
    if [[ $cur == -* ]]; then
        case $path in
{3}        esac
    else
        case $path in
{4}        esac
    fi
    return 0
}}
complete -F _runnel runnel
)",
        program.name, cases.paths, cases.values, cases.options, cases.words);
}

std::string zsh_completion(const CommandInfo& program) {
    std::string functions;
    zsh_functions(program, program.name, functions);
    return fmt::format(
        "#compdef runnel\n# zsh completion for runnel, generated by `runnel completion zsh`.\n\n{}"
        "if [[ $funcstack[1] == _runnel ]]; then\n    _runnel \"$@\"\nelse\n"
        "    compdef _runnel runnel\nfi\n",
        functions);
}

std::string fish_completion(const CommandInfo& program) {
    std::string script =
        "# fish completion for runnel, generated by `runnel completion fish`.\n"
        "complete -c runnel -f\n";
    fish_lines(program, "__fish_use_subcommand", script);
    for (const CommandInfo& command : program.commands) {
        script += fmt::format("complete -c runnel -n __fish_use_subcommand -a {} -d '{}'\n",
                              command.name, fish_text(command.description));
    }
    for (const CommandInfo& command : program.commands) {
        fish_lines(command, "__fish_seen_subcommand_from " + command.name, script);
    }
    return script;
}

}  // namespace runnel
