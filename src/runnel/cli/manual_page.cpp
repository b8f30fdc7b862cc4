// The manual page as man(7) source. Options that several commands share (a group of their own, such as
// "Host") are described once.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "runnel/cli/command_tree.hpp"

namespace runnel {

namespace {

/// man(7) wants a date; the page belongs to a version, and a version has one.
constexpr const char* kDate = "2026-11-21";

/// Text that troff shows as it is: backslashes, dashes and a control character at a line's start.
std::string roff(std::string_view text) {
    std::string out;
    bool line_start = true;
    for (const char c : text) {
        if (line_start && (c == '.' || c == '\'')) {
            out += "\\&";
        }
        switch (c) {
            case '\\': out += "\\e"; break;
            case '-': out += "\\-"; break;
            case '\'': out += "\\(aq"; break;
            case '`': out += "\\(ga"; break;
            case '^': out += "\\(ha"; break;
            case '~': out += "\\(ti"; break;
            default: out += c;
        }
        line_start = c == '\n';
    }
    return out;
}

/// A paragraph's source in lines of ordinary length, broken at blanks.
std::string filled(std::string_view text) {
    constexpr std::size_t kColumns = 72;
    std::string out;
    std::size_t column = 0;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find_first_of(" \n"), text.size());
        const std::string_view word = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (word.empty()) {
            continue;
        }
        const bool fits = column + 1 + word.size() <= kColumns;
        out += column == 0 ? "" : (fits ? " " : "\n");
        out += roff(word);
        column = column == 0 || !fits ? word.size() : column + 1 + word.size();
    }
    return out;
}

std::string bold(std::string_view text) {
    return "\\fB" + roff(text) + "\\fR";
}

std::string italic(std::string_view text) {
    return "\\fI" + roff(text) + "\\fR";
}

std::string value_text(const OptionInfo& option) {
    if (option.choices.empty()) {
        return italic(option.value);
    }
    std::string out;
    for (const std::string& choice : option.choices) {
        out += (out.empty() ? "" : "|") + bold(choice);
    }
    return out;
}

std::string head_of(const OptionInfo& option) {
    if (!option.positional.empty()) {
        return italic(option.positional);
    }
    std::string names;
    for (const std::string& name : option.short_names) {
        names += (names.empty() ? "" : ", ") + bold("-" + name);
    }
    for (const std::string& name : option.long_names) {
        names += (names.empty() ? "" : ", ") + bold("--" + name);
    }
    return option.value.empty() ? names : names + " " + value_text(option);
}

void write_option(std::string& page, const OptionInfo& option) {
    page += fmt::format(".TP\n{}\n", head_of(option));
    std::string text = option.description;
    if (!option.default_value.empty()) {
        text += fmt::format(" (default {})", option.default_value);
    }
    if (!text.ends_with('.')) {
        text += '.';
    }
    page += filled(text) + "\n";
}

/// Paragraphs; what is indented stands as it is.
void write_footer(std::string& page, std::string_view text) {
    bool verbatim = false;
    std::string paragraph;
    const auto leave = [&] {
        page += verbatim ? ".fi\n.RE\n" : "";
        verbatim = false;
        page += paragraph.empty() ? "" : ".PP\n" + filled(paragraph) + "\n";
        paragraph.clear();
    };
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty()) {
            leave();
            continue;
        }
        if (line.starts_with("  ")) {
            if (!verbatim) {
                leave();
            }
            page += verbatim ? "" : ".RS 4\n.nf\n";
            verbatim = true;
            page += roff(line.substr(2)) + "\n";
            continue;
        }
        if (verbatim) {
            leave();
        }
        paragraph += fmt::format("{} ", line);
    }
    leave();
}

std::string synopsis(const CommandInfo& command, const std::string& path) {
    std::string line = bold(path) + " [" + italic("OPTIONS") + "]";
    for (const OptionInfo& option : command.options) {
        if (!option.positional.empty()) {
            const std::string dots = option.repeatable ? " ..." : "";
            const std::string word = italic(option.positional) + dots;
            line += option.required ? " " + word : " [" + word + "]";
        }
    }
    return line;
}

/// The groups that more than one command has, by name, with the options of the first of them.
using SharedGroups = std::map<std::string, std::vector<OptionInfo>>;

std::string upper(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? char(c - 'a' + 'A') : c; });
    return text;
}

bool is_own_group(const std::string& group) {
    return group == "Options" || group == "Positionals";
}

void collect_groups(const CommandInfo& command, SharedGroups& groups, SharedGroups& once) {
    SharedGroups mine;
    for (const OptionInfo& option : command.options) {
        if (!is_own_group(option.group)) {
            mine[option.group].push_back(option);
        }
    }
    for (auto& [name, options] : mine) {
        if (once.contains(name)) {
            groups.emplace(name, once[name]);
        } else {
            once.emplace(name, std::move(options));
        }
    }
    for (const CommandInfo& inner : command.commands) {
        collect_groups(inner, groups, once);
    }
}

void write_group(std::string& page, const CommandInfo& command, const std::string& group) {
    page += fmt::format(".PP\n{}:\n", roff(group));
    for (const OptionInfo& option : command.options) {
        if (option.group == group) {
            write_option(page, option);
        }
    }
}

void write_command(std::string& page, const CommandInfo& command, const std::string& path,
                   const SharedGroups& shared) {
    page += fmt::format(".SS {}\n{}\n.PP\n{}\n", roff(path), synopsis(command, path),
                        filled(command.description + "."));
    std::vector<std::string> groups;
    for (const OptionInfo& option : command.options) {
        if (is_own_group(option.group)) {
            if (option.long_names != std::vector<std::string>{"help"}) {
                write_option(page, option);
            }
        } else if (std::find(groups.begin(), groups.end(), option.group) == groups.end()) {
            groups.push_back(option.group);
        }
    }
    for (const std::string& group : groups) {
        if (shared.contains(group)) {
            page += fmt::format(".PP\nAlso the {} options below.\n", bold(upper(group)));
        } else {
            write_group(page, command, group);
        }
    }
    write_footer(page, command.footer);
    for (const CommandInfo& inner : command.commands) {
        write_command(page, inner, path + " " + inner.name, shared);
    }
}

constexpr const char* kEnding =
    ".SH EXIT STATUS\n"
    ".TP\n0\nAll went well.\n"
    ".TP\n1\nIt failed; a sentence on standard error says at what.\n"
    ".TP\n2\nThe command line can\\(aqt be understood, or lacks something.\n"
    ".TP\n7\nNobody listens there: the connection was refused.\n"
    ".TP\n22\nThe server answered with 400 or more (\\fBget\\fR).\n"
    ".TP\n28\nA limit of time ran out.\n"
    ".TP\n56\nThe connection was reset.\n"
    ".TP\n77\nThe machine doesn\\(aqt permit it; \\fBrunnel doctor\\fR says how it would.\n"
    ".TP\n128+\\fIN\\fR\nEnded by signal \\fIN\\fR.\n"
    ".SH ENVIRONMENT\n"
    ".TP\n\\fBNO_COLOR\\fR\nNot empty: no colours, unless \\fB\\-\\-color always\\fR asks for them.\n"
    ".SH FILES\n"
    ".TP\n\\fI/etc/hosts\\fR\nWhere names come from.\n"
    ".TP\n\\fI/dev/net/tun\\fR\nWhat \\fB\\-\\-link tun\\fR and \\fBtap\\fR open.\n"
    ".SH SEE ALSO\n"
    ".BR curl (1),\n.BR nc (1),\n.BR ss (8),\n.BR tcpdump (8),\n.BR unshare (1),\n.BR tcp (7)\n"
    ".PP\nRFC 9293, Transmission Control Protocol.\n";

}  // namespace

std::string manual_page(const CommandInfo& program, const std::string& version) {
    // "Runnel: what it is." is the title's line without the name.
    const std::size_t colon = program.description.find(": ");
    std::string what =
        colon == std::string::npos ? program.description : program.description.substr(colon + 2);
    if (what.ends_with('.')) {
        what.pop_back();
    }
    std::string page = fmt::format(
        ".\\\" Generated by `runnel man` from the tree of options: not to be edited.\n"
        ".TH RUNNEL 1 {} \"runnel {}\" \"User Commands\"\n"
        ".nh\n.ad l\n"
        ".SH NAME\n{} \\- {}\n"
        ".SH SYNOPSIS\n{} {} [{}]\n.br\n{} {} {}\n"
        ".SH DESCRIPTION\n",
        kDate, version, program.name, filled(what), bold(program.name), italic("COMMAND"),
        italic("OPTIONS"), bold(program.name), italic("COMMAND"), bold("--help"));
    page +=
        "Data goes to standard output, messages and progress to standard error,\n"
        "progress only to a terminal.\n";
    for (const OptionInfo& option : program.options) {
        write_option(page, option);
    }
    write_footer(page, program.footer);
    SharedGroups groups;
    SharedGroups once;
    collect_groups(program, groups, once);
    page += ".SH COMMANDS\n";
    for (const CommandInfo& command : program.commands) {
        write_command(page, command, program.name + " " + command.name, groups);
    }
    for (const auto& [name, options] : groups) {
        page += fmt::format(".SH {} OPTIONS\n", roff(upper(name)));
        for (const OptionInfo& option : options) {
            write_option(page, option);
        }
    }
    return page + kEnding;
}

}  // namespace runnel
