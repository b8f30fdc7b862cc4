#include "runnel/drill/commands.hpp"

#include <algorithm>
#include <optional>

#include "runnel/drill/text.hpp"

namespace runnel::drill {
namespace {

using Kind = ShellCommand::Kind;

constexpr std::size_t kMaxWords = 4096;

/// Words of one simple command; redirections stand apart.
struct Piece {
    std::vector<std::string> words;
    std::string write_to;  ///< of > and >>
    std::string text;
};

/// A shell line split. `plain` is false where it needs a shell to understand it.
struct Split {
    std::vector<Piece> pieces;
    bool plain = true;
};

class Splitter {
public:
    explicit Splitter(std::string_view text) : text_(text) {}
    Split run();

private:
    [[nodiscard]] char peek(std::size_t ahead = 0) const {
        return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
    }
    void end_word();
    void end_piece();
    void quoted(char quote);
    void character();
    bool redirection();

    enum class Target : std::uint8_t { word, output, nowhere };

    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t begin_ = 0;
    Split out_;
    Piece piece_;
    std::string word_;
    bool in_word_ = false;
    Target target_ = Target::word;
};

void Splitter::end_word() {
    if (!in_word_) {
        return;
    }
    if (target_ == Target::word) {
        piece_.words.push_back(std::move(word_));
        out_.plain = out_.plain && piece_.words.size() <= kMaxWords;
    } else if (target_ == Target::output) {
        piece_.write_to = std::move(word_);
    }
    target_ = Target::word;
    word_.clear();
    in_word_ = false;
}

void Splitter::end_piece() {
    end_word();
    piece_.text = trimmed(text_.substr(begin_, at_ - begin_));
    if (!piece_.words.empty() || !piece_.write_to.empty()) {
        out_.pieces.push_back(std::move(piece_));
    }
    piece_ = {};
}

void Splitter::quoted(char quote) {
    in_word_ = true;
    for (++at_; at_ < text_.size() && peek() != quote; ++at_) {
        if (quote == '"' && peek() == '\\' &&
            (peek(1) == '"' || peek(1) == '\\' || peek(1) == '$')) {
            ++at_;
        } else if (quote == '"' && (peek() == '$' || peek() == '`')) {
            out_.plain = false;
        }
        word_.push_back(peek());
    }
    out_.plain = out_.plain && at_ < text_.size();
}

/// > FILE, >> FILE, 2>&1, 2>/dev/null, < FILE. True when it took something.
bool Splitter::redirection() {
    const bool error = peek() == '2' && peek(1) == '>' && !in_word_;
    const bool both = peek() == '&' && peek(1) == '>';
    if (!error && !both && peek() != '>' && peek() != '<') {
        return false;
    }
    end_word();
    const bool output = peek() == '>';
    at_ += error || both ? 2 : 1;
    if (peek() == '>') {
        ++at_;
    }
    if (peek() == '&') {  // >&2: to another descriptor
        ++at_;
        while (is_digit(peek()) || peek() == '-') {
            ++at_;
        }
        --at_;
        return true;
    }
    target_ = output ? Target::output : Target::nowhere;
    --at_;
    return true;
}

void Splitter::character() {
    const char c = peek();
    if (c == '\'' || c == '"') {
        quoted(c);
    } else if (c == '\\') {
        ++at_;
        if (peek() != '\n' && at_ < text_.size()) {
            in_word_ = true;
            word_.push_back(peek());
        }
    } else if (c == '\n' || c == ';') {
        end_piece();
        begin_ = at_ + 1;
    } else if (c == '&' && peek(1) == '&') {
        end_piece();
        begin_ = ++at_ + 1;
    } else if (is_space(c)) {
        end_word();
    } else if (c == '#' && !in_word_) {
        while (at_ + 1 < text_.size() && peek(1) != '\n') {
            ++at_;
        }
    } else if (redirection()) {
        return;
    } else if (c == '|' || c == '&' || c == '$' || c == '(' || c == ')' || c == '`') {
        out_.plain = false;
    } else {
        in_word_ = true;
        word_.push_back(c);
    }
}

Split Splitter::run() {
    for (; at_ < text_.size(); ++at_) {
        character();
    }
    at_ = std::min(at_, text_.size());
    end_piece();
    return std::move(out_);
}

std::string_view base_name(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

/// net/ipv4/tcp_x and net.ipv4.tcp_x are one name. An interface's dots (eth0.1) are not told apart.
std::string sysctl_name(std::string_view name) {
    constexpr std::string_view kRoot = "/proc/sys/";
    if (name.starts_with(kRoot)) {
        name.remove_prefix(kRoot.size());
    }
    std::string out(name);
    std::replace(out.begin(), out.end(), '/', '.');
    return out;
}

std::string squeezed(std::string_view text) {
    std::string out;
    for (const char c : trimmed(text)) {
        if (!is_space(c)) {
            out.push_back(c);
        } else if (out.back() != ' ') {
            out.push_back(' ');
        }
    }
    return out;
}

bool is_assignment(std::string_view word) {
    const std::size_t equals = word.find('=');
    return equals != std::string_view::npos && equals > 0;
}

void add_assignment(std::string_view word, ShellCommand& out) {
    const std::size_t equals = word.find('=');
    out.settings.push_back(
        {sysctl_name(trimmed(word.substr(0, equals))), squeezed(word.substr(equals + 1))});
}

/// sysctl [-q] [-w] a=b c = d …; without a value it only reads.
void sysctl(const Piece& piece, ShellCommand& out) {
    out.kind = Kind::query;
    for (std::size_t i = 1; i < piece.words.size(); ++i) {
        const std::string& word = piece.words[i];
        if (word == "-p" || word == "--system" || word.starts_with("--load")) {
            out.kind = Kind::other;  // values from a file that isn't here
            return;
        }
        if (word.starts_with('-')) {
            continue;
        }
        if (is_assignment(word)) {
            add_assignment(word, out);
        } else if (i + 2 < piece.words.size() && piece.words[i + 1] == "=") {
            add_assignment(word + "=" + piece.words[i + 2], out);
            i += 2;
        }
    }
    if (!out.settings.empty()) {
        out.kind = Kind::configure;
    }
}

std::optional<Duration> duration_of(std::string_view text) {
    std::int64_t ns = 0, unit = 1'000'000'000;
    bool point = false, any = false;
    std::size_t used = 0;
    for (; used < text.size() && (is_digit(text[used]) || (text[used] == '.' && !point)); ++used) {
        if (text[used] == '.') {
            point = true;
            continue;
        }
        any = true;
        if (point) {
            unit /= 10;
            ns += unit * (text[used] - '0');
        } else {
            if (ns > 1'000'000'000ll * 1'000'000) {
                return std::nullopt;
            }
            ns = ns * 10 + 1'000'000'000ll * (text[used] - '0');
        }
    }
    const std::string_view suffix = text.substr(used);
    const std::int64_t factor = suffix.empty() || suffix == "s" ? 1 : suffix == "m" ? 60 : 0;
    return any && factor != 0 ? std::optional(nanoseconds(ns) * factor) : std::nullopt;
}

void route(const Piece& piece, ShellCommand& out) {
    static constexpr std::string_view kNames[] = {
        "initcwnd",          "initrwnd", "rto_min", "mtu",  "advmss",   "quickack",
        "congctl",           "rtt",      "rttvar",  "cwnd", "ssthresh", "window",
        "features",          "hoplimit", "dev",     "via",  "src",      "reordering",
        "fastopen_no_cookie"};
    out.kind = Kind::route;
    for (std::size_t i = 2; i + 1 < piece.words.size(); ++i) {
        if (std::find(std::begin(kNames), std::end(kNames), piece.words[i]) == std::end(kNames)) {
            continue;
        }
        const bool locked = piece.words[i + 1] == "lock" && i + 2 < piece.words.size();
        out.settings.push_back({piece.words[i], piece.words[i + (locked ? 2 : 1)]});
        i += locked ? 2 : 1;
    }
}

void traffic(const Piece& piece, ShellCommand& out) {
    static constexpr std::string_view kNames[] = {"rate", "limit", "delay",
                                                  "loss", "dev",   "handle"};
    static constexpr std::string_view kDisciplines[] = {"fq",  "fq_codel", "pfifo", "pfifo_fast",
                                                        "tbf", "netem",    "codel", "noqueue",
                                                        "red", "htb",      "bfifo", "dualpi2"};
    out.kind = Kind::traffic;
    for (std::size_t i = 1; i < piece.words.size(); ++i) {
        const std::string& word = piece.words[i];
        if (std::find(std::begin(kDisciplines), std::end(kDisciplines), word) !=
            std::end(kDisciplines)) {
            out.settings.push_back({"qdisc", word});
        } else if (i + 1 < piece.words.size() &&
                   std::find(std::begin(kNames), std::end(kNames), word) != std::end(kNames)) {
            out.settings.push_back({word, piece.words[++i]});
        }
    }
}

void echo(const Piece& piece, ShellCommand& out) {
    if (piece.write_to.empty() || piece.write_to == "/dev/null") {
        out.kind = Kind::print;
        return;
    }
    if (!piece.write_to.starts_with("/proc/sys/")) {
        return;  // a file of no interest
    }
    std::string value;
    for (std::size_t i = 1; i < piece.words.size(); ++i) {
        if (i > 1 || piece.words[i] != "-n") {
            value += (value.empty() ? "" : " ") + piece.words[i];
        }
    }
    out.kind = Kind::configure;
    out.settings.push_back({sysctl_name(piece.write_to), squeezed(value)});
}

void cat(const Piece& piece, ShellCommand& out) {
    out.kind = Kind::query;
    for (std::size_t i = 1; i < piece.words.size(); ++i) {
        const std::string_view word = piece.words[i];
        if (word.starts_with("/proc/net/")) {
            out.kind = Kind::counters;
        } else if (!word.starts_with("/proc/sys/")) {
            out.kind = Kind::other;
            return;
        }
    }
}

/// defaults.sh, set_sysctls.py and what else test suites keep in a common folder.
bool suite_script(std::string_view name, const Piece& piece, ShellCommand& out) {
    const bool defaults = name.starts_with("defaults") || name == "default.sh";
    const bool sysctls = name.find("sysctl") != std::string_view::npos;
    if (!defaults && !sysctls) {
        return false;
    }
    out.kind = defaults ? Kind::defaults : Kind::configure;
    for (std::size_t i = 1; i < piece.words.size(); ++i) {
        if (is_assignment(piece.words[i])) {
            add_assignment(piece.words[i], out);
        }
    }
    if (sysctls && out.settings.empty()) {
        out.kind = Kind::other;
    }
    return true;
}

ShellCommand classify_piece(const Piece& piece) {
    ShellCommand out;
    out.text = piece.text;
    if (piece.words.empty()) {
        return out;
    }
    Piece rest = piece;
    // What only says how to run the rest.
    while (rest.words.size() > 1 &&
           (rest.words[0] == "sudo" || rest.words[0] == "bash" || rest.words[0] == "sh" ||
            rest.words[0] == "source" || rest.words[0] == "." || rest.words[0] == "python" ||
            rest.words[0] == "python3" || rest.words[0] == "command")) {
        rest.words.erase(rest.words.begin());
    }
    const std::string first = rest.words[0];
    const std::string_view name = base_name(first);
    const std::string_view second = rest.words.size() > 1 ? rest.words[1] : std::string_view();
    if (name == "sysctl") {
        sysctl(rest, out);
    } else if (name == "echo" || name == "printf") {
        echo(rest, out);
    } else if (name == "cat") {
        cat(rest, out);
    } else if (name == "nstat" || (name == "netstat" && second.starts_with("-s"))) {
        out.kind = Kind::counters;
    } else if (name == "ip" && rest.words.size() > 2 &&
               (second == "route" || second == "ro" || second == "r")) {
        route(rest, out);
    } else if (name == "tc") {
        traffic(rest, out);
    } else if (name == "sleep" && duration_of(second)) {
        out.kind = Kind::sleep;
        out.duration = *duration_of(second);
    } else if (name == "true" || name == ":" || name == "sync" ||
               (name == "exit" && second == "0") || (name == "set" && second.starts_with('-'))) {
        out.kind = Kind::nothing;
    } else {
        suite_script(name, rest, out);
    }
    return out;
}

bool needs_a_shell(const Piece& piece) {
    static constexpr std::string_view kWords[] = {
        "if",    "then", "else", "elif", "fi", "for", "do",   "done", "while", "case",
        "until", "esac", "{",    "}",    "[",  "[[",  "test", "!",    "eval",  "exec"};
    return !piece.words.empty() &&
           std::find(std::begin(kWords), std::end(kWords), piece.words[0]) != std::end(kWords);
}

}  // namespace

std::vector<ShellCommand> classify(std::string_view shell_line) {
    const Split split = Splitter(shell_line).run();
    const bool plain =
        split.plain && std::none_of(split.pieces.begin(), split.pieces.end(), needs_a_shell);
    std::vector<ShellCommand> out;
    if (!plain) {
        out.emplace_back().text = trimmed(shell_line);
        return out;
    }
    for (const Piece& piece : split.pieces) {
        out.push_back(classify_piece(piece));
    }
    return out;
}

std::string_view name_of(ShellCommand::Kind kind) {
    switch (kind) {
        case Kind::nothing: return "nothing";
        case Kind::configure: return "configure";
        case Kind::query: return "query";
        case Kind::defaults: return "defaults";
        case Kind::counters: return "counters";
        case Kind::route: return "route";
        case Kind::traffic: return "traffic";
        case Kind::sleep: return "sleep";
        case Kind::print: return "print";
        case Kind::other: break;
    }
    return "other";
}

}  // namespace runnel::drill
