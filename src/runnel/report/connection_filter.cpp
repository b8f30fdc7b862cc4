// A recursive descent over few words; how deep and how long it may be is bounded, since the text comes from
// another process.
#include "runnel/report/connection_filter.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace runnel::report {

namespace {

using tcp::ConnectionStatus;
using tcp::State;

constexpr std::size_t kMaxWords = 256;
constexpr int kMaxDepth = 32;

template <class T>
std::optional<T> number(std::string_view text, int base = 10) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    const bool whole = error == std::errc() && end == text.data() + text.size();
    return whole && !text.empty() ? std::optional(value) : std::nullopt;
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    }
    return out;
}

constexpr std::uint16_t bit(State state) {
    return static_cast<std::uint16_t>(1U << static_cast<unsigned>(state));
}
constexpr auto kAllStates = static_cast<std::uint16_t>((1U << tcp::kStateCount) - 1);

/// The bits of a state's name, RFC 9293's or ss's, or of one of ss's groups.
std::optional<std::uint16_t> states_named(std::string_view text) {
    const std::string name = lower(text);
    for (std::size_t i = 0; i < tcp::kStateCount; ++i) {
        if (name == lower(tcp::kStateNames[i])) {
            return static_cast<std::uint16_t>(1U << i);
        }
    }
    constexpr auto kBucket =
        static_cast<std::uint16_t>(bit(State::syn_received) | bit(State::time_wait));
    constexpr auto kConnected =
        static_cast<std::uint16_t>(kAllStates & ~(bit(State::listen) | bit(State::closed)));
    constexpr std::pair<std::string_view, std::uint16_t> kOthers[] = {
        {"all", kAllStates},
        {"estab", bit(State::established)},
        {"syn-recv", bit(State::syn_received)},
        {"listening", bit(State::listen)},
        {"close", bit(State::closed)},
        {"timewait", bit(State::time_wait)},
        {"connected", kConnected},
        {"synchronized", static_cast<std::uint16_t>(kConnected & ~bit(State::syn_sent))},
        {"bucket", kBucket},
        {"big", static_cast<std::uint16_t>(kAllStates & ~kBucket)},
    };
    for (const auto& [word, states] : kOthers) {
        if (name == word) {
            return states;
        }
    }
    return std::nullopt;
}

/// Words; parentheses, "!" and comparisons are words of their own, blank or not.
std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    constexpr std::string_view kSigns = "!=<>&|";
    std::size_t i = 0;
    while (i < text.size() && words.size() <= kMaxWords) {
        const char c = text[i];
        std::size_t end = i + 1;
        if (c == ' ' || c == '\t') {
            i = end;
            continue;
        }
        if (c != '(' && c != ')') {
            const bool sign = kSigns.find(c) != std::string_view::npos;
            while (end < text.size() &&
                   std::string_view(" \t()").find(text[end]) == std::string_view::npos &&
                   (kSigns.find(text[end]) != std::string_view::npos) == sign) {
                ++end;
            }
        }
        words.emplace_back(text.substr(i, end - i));
        i = end;
    }
    return words;
}

}  // namespace

bool EndpointPattern::matches(const Endpoint& endpoint) const {
    const bool address = !network || (network->address.family() == endpoint.address.family() &&
                                      network->contains(endpoint.address));
    return address && (!port || *port == endpoint.port);
}

std::optional<EndpointPattern> parse_endpoint_pattern(std::string_view text) {
    EndpointPattern pattern;
    std::string_view address = text;
    std::string_view port;
    bool has_port = false;
    if (text.starts_with('[')) {
        const std::size_t close = text.find(']');
        if (close == std::string_view::npos) {
            return std::nullopt;
        }
        address = text.substr(1, close - 1);
        const std::string_view rest = text.substr(close + 1);
        has_port = rest.starts_with(':');
        if (!has_port && !rest.empty()) {
            return std::nullopt;
        }
        port = has_port ? rest.substr(1) : rest;
    } else if (std::count(text.begin(), text.end(), ':') == 1) {
        has_port = true;
        port = text.substr(text.find(':') + 1);
        address = text.substr(0, text.find(':'));
    }
    if (has_port && port != "*") {
        pattern.port = number<std::uint16_t>(port);
        if (!pattern.port) {
            return std::nullopt;
        }
    }
    if (address.empty() && has_port) {
        return pattern;
    }
    if (address == "*") {
        return pattern;
    }
    if (const auto one = parse_ip_address(address)) {
        const std::uint8_t whole = one->is_v4() ? 32 : 128;
        pattern.network = Cidr{*one, whole};
        return pattern;
    }
    pattern.network = parse_cidr(address);
    return pattern.network ? std::optional(pattern) : std::nullopt;
}

// --- the filter -----------------------------------------------------------------------------------------

/// Reads words into nodes; the first thing wrong ends it.
class FilterParser {
public:
    using Filter = ConnectionFilter;
    using Node = Filter::Node;
    using Kind = Filter::Kind;

    explicit FilterParser(std::string_view text) : words_(words_of(text)) {}

    std::expected<Filter, std::string> parse() {
        if (words_.empty()) {
            return Filter();
        }
        if (words_.size() > kMaxWords) {
            return std::unexpected(fmt::format("a filter has at most {} words", kMaxWords));
        }
        (void)alternatives(0);
        if (error_.empty() && at_ < words_.size()) {
            wrong(fmt::format("\"{}\" is one too many", words_[at_]));
        }
        if (!error_.empty()) {
            return std::unexpected(error_);
        }
        return std::move(filter_);
    }

private:
    std::size_t wrong(std::string sentence) {
        if (error_.empty()) {
            error_ = std::move(sentence);
        }
        at_ = words_.size();
        return 0;
    }
    [[nodiscard]] std::string_view word() const {
        return at_ < words_.size() ? std::string_view(words_[at_]) : std::string_view();
    }
    bool take(std::initializer_list<std::string_view> any) {
        const bool found = std::find(any.begin(), any.end(), word()) != any.end();
        at_ += found ? 1 : 0;
        return found;
    }
    std::string_view next(std::string_view after) {
        if (at_ >= words_.size()) {
            wrong(fmt::format("something must follow \"{}\"", after));
            return {};
        }
        return words_[at_++];
    }
    std::size_t add(const Node& node) {
        filter_.nodes_.push_back(node);
        return filter_.nodes_.size() - 1;
    }
    std::size_t add(Kind kind, std::size_t left, std::size_t right) {
        Node node;
        node.kind = kind;
        node.left = left;
        node.right = right;
        return add(node);
    }

    std::size_t alternatives(int depth) {
        std::size_t left = conjunction(depth);
        while (take({"or", "|", "||"})) {
            const std::size_t right = conjunction(depth);
            left = add(Kind::any, left, right);
        }
        return left;
    }
    std::size_t conjunction(int depth) {
        std::size_t left = term(depth);
        while (at_ < words_.size() && word() != ")" && word() != "or" && word() != "|" &&
               word() != "||") {
            (void)take({"and", "&", "&&"});
            const std::size_t right = term(depth);
            left = add(Kind::all, left, right);
        }
        return left;
    }
    std::size_t term(int depth) {
        if (depth >= kMaxDepth) {
            return wrong(fmt::format("it is nested deeper than {}", kMaxDepth));
        }
        if (take({"not", "!"})) {
            const std::size_t inner = term(depth + 1);
            return add(Kind::negation, inner, inner);
        }
        if (take({"("})) {
            const std::size_t inner = alternatives(depth + 1);
            if (error_.empty() && !take({")"})) {
                return wrong("a \")\" is missing");
            }
            return inner;
        }
        return predicate();
    }

    std::size_t predicate() {
        Node node;
        if (take({"state", "exclude"})) {
            return states(words_[at_ - 1] == "exclude");
        }
        if (take({"src", "dst"})) {
            const std::string name = words_[at_ - 1];
            (void)take({"=", "==", "eq"});
            const std::string_view text = next(name);
            const auto end = parse_endpoint_pattern(text);
            if (!end) {
                return wrong(fmt::format(
                    "{} {}: write ADDRESS, ADDRESS/PREFIX, ADDRESS:PORT, [V6]:PORT or :PORT", name,
                    text));
            }
            node.kind = Kind::ends;
            node.remote = name == "dst";
            node.end = *end;
            return add(node);
        }
        if (take({"sport", "dport"})) {
            return ports(words_[at_ - 1]);
        }
        if (take({"family"})) {
            const std::string_view text = next("family");
            if (text != "inet" && text != "inet6") {
                return wrong(fmt::format("family {}: it is inet or inet6", text));
            }
            node.kind = Kind::family;
            node.family = text == "inet" ? Family::ipv4 : Family::ipv6;
            return add(node);
        }
        return wrong(fmt::format(
            "\"{}\" is none of state, exclude, src, dst, sport, dport, family, not and (", word()));
    }

    std::size_t states(bool excluded) {
        const std::string_view text = next(excluded ? "exclude" : "state");
        const auto named = states_named(text);
        if (!named) {
            return wrong(fmt::format("there is no state \"{}\"", text));
        }
        Node node;
        node.kind = Kind::states;
        node.states = excluded ? static_cast<std::uint16_t>(kAllStates & ~*named) : *named;
        filter_.names_states_ = true;
        return add(node);
    }

    std::size_t ports(const std::string& name) {
        using Comparison = Filter::Comparison;
        Node node;
        node.kind = Kind::ports;
        node.remote = name == "dport";
        if (take({"!=", "ne", "neq"})) {
            node.comparison = Comparison::unequal;
        } else if (take({"<", "lt"})) {
            node.comparison = Comparison::less;
        } else if (take({">", "gt"})) {
            node.comparison = Comparison::greater;
        } else if (take({"<=", "le", "leq"})) {
            node.comparison = Comparison::at_most;
        } else if (take({">=", "ge", "geq"})) {
            node.comparison = Comparison::at_least;
        } else {
            (void)take({"=", "==", "eq"});
            node.comparison = Comparison::equal;
        }
        std::string_view text = next(name);
        const auto port = number<std::uint16_t>(text.starts_with(':') ? text.substr(1) : text);
        if (!port) {
            return wrong(fmt::format("{}: \"{}\" is no port from 0 to 65535", name, text));
        }
        node.port = *port;
        return add(node);
    }

    std::vector<std::string> words_;
    std::size_t at_ = 0;
    std::string error_;
    Filter filter_;
};

std::expected<ConnectionFilter, std::string> ConnectionFilter::parse(std::string_view text) {
    return FilterParser(text).parse();
}

bool ConnectionFilter::matches(const ConnectionStatus& connection) const {
    return nodes_.empty() || matches(nodes_.back(), connection);
}

bool ConnectionFilter::matches(const Node& node, const ConnectionStatus& connection) const {
    const FourTuple& tuple = connection.tuple;
    const Endpoint& end = node.remote ? tuple.remote : tuple.local;
    switch (node.kind) {
        case Kind::all:
            return matches(nodes_[node.left], connection) &&
                   matches(nodes_[node.right], connection);
        case Kind::any:
            return matches(nodes_[node.left], connection) ||
                   matches(nodes_[node.right], connection);
        case Kind::negation: return !matches(nodes_[node.left], connection);
        case Kind::states: return (node.states & bit(connection.state)) != 0;
        case Kind::ends: return node.end.matches(end);
        case Kind::family: return tuple.local.address.family() == node.family;
        case Kind::ports: break;
    }
    switch (node.comparison) {
        case Comparison::equal: return end.port == node.port;
        case Comparison::unequal: return end.port != node.port;
        case Comparison::less: return end.port < node.port;
        case Comparison::greater: return end.port > node.port;
        case Comparison::at_most: return end.port <= node.port;
        case Comparison::at_least: return end.port >= node.port;
    }
    return false;
}

// --- names ----------------------------------------------------------------------------------------------

std::expected<ConnectionName, std::string> ConnectionName::parse(std::string_view text) {
    const std::vector<std::string> words = words_of(text);
    ConnectionName name;
    const auto refuse = [&text] {
        return std::unexpected(fmt::format(
            "\"{}\": write a handle as `ss -e` shows it, ADDRESS:PORT, [V6]:PORT or :PORT of either end, or "
            "the local and the remote end",
            text));
    };
    if (words.empty() || words.size() > 2) {
        return refuse();
    }
    const std::string& first = words[0];
    if (words.size() == 1) {
        if (const auto port = number<std::uint16_t>(first)) {
            name.first_.port = *port;
            return name;
        }
        if (first.starts_with('#')) {
            name.place_ = number<std::uint32_t>(std::string_view(first).substr(1));
            return name.place_ ? std::expected<ConnectionName, std::string>(name) : refuse();
        }
        // A handle's upper half, the generation, is never 0: it has nine digits at least.
        if (first.size() > 8) {
            name.handle_ = number<std::uint64_t>(first, 16);
            if (name.handle_) {
                return name;
            }
        }
    }
    const auto pattern = parse_endpoint_pattern(first);
    if (!pattern) {
        return refuse();
    }
    name.first_ = *pattern;
    if (words.size() == 2) {
        name.second_ = parse_endpoint_pattern(words[1]);
        if (!name.second_) {
            return refuse();
        }
    }
    return name;
}

bool ConnectionName::matches(const FourTuple& tuple, std::uint64_t handle) const {
    if (handle_) {
        return handle == *handle_;
    }
    if (place_) {
        return handle != 0 && (handle & 0xffff'ffff) == *place_;
    }
    if (second_) {
        return first_.matches(tuple.local) && second_->matches(tuple.remote);
    }
    return first_.matches(tuple.local) || first_.matches(tuple.remote);
}

}  // namespace runnel::report
