// Which connections are meant: the filter language of `ss` in a reasonable subset, and the short names by
// which `why` and `trace` take a connection. Evaluated on snapshots, in the process that has them.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/tcp/status.hpp"

namespace runnel::report {

/// "ADDRESS", "ADDRESS/PREFIX", ":PORT", "ADDRESS:PORT", "[V6]:PORT", each part "*" or left out for any.
struct EndpointPattern {
    std::optional<Cidr> network;
    std::optional<std::uint16_t> port;
    [[nodiscard]] bool matches(const Endpoint& endpoint) const;
};
[[nodiscard]] std::optional<EndpointPattern> parse_endpoint_pattern(std::string_view text);

/// A condition over connections, as `ss` takes them after its options:
///
///   state STATE | exclude STATE       a state's name, or all, connected, synchronized, bucket, big
///   src PATTERN | dst PATTERN         the local or the remote end
///   sport OP PORT | dport OP PORT     OP is = != < > <= >= (or eq ne lt gt le ge); PORT is 80 or :80
///   family inet | family inet6
///   not X, ! X, X and Y, X Y, X or Y, ( X )
class ConnectionFilter {
public:
    /// The empty filter: everything.
    ConnectionFilter() = default;
    /// A sentence about what is wrong when `text` can't be understood.
    [[nodiscard]] static std::expected<ConnectionFilter, std::string> parse(std::string_view text);

    [[nodiscard]] bool matches(const tcp::ConnectionStatus& connection) const;
    /// Whether it says anything about states: then no states are left out by default.
    [[nodiscard]] bool names_states() const { return names_states_; }

private:
    friend class FilterParser;
    enum class Kind : std::uint8_t { all, any, negation, states, ends, ports, family };
    enum class Comparison : std::uint8_t { equal, unequal, less, greater, at_most, at_least };
    struct Node {
        Kind kind{};
        bool remote = false;
        Comparison comparison{};
        Family family{};
        std::uint16_t port = 0;
        std::uint16_t states = 0;  ///< bit n: the State with value n
        EndpointPattern end;
        std::size_t left = 0;  ///< places in nodes_
        std::size_t right = 0;
    };
    [[nodiscard]] bool matches(const Node& node, const tcp::ConnectionStatus& connection) const;

    std::vector<Node> nodes_;  ///< the last one is the whole
    bool names_states_ = false;
};

/// One connection as people name it: its handle as `ss -e` shows it ("100000002"), its place ("#2"),
/// a port of either end ("80", ":80"), an address or "ADDRESS:PORT" of either end, or local and remote end.
class ConnectionName {
public:
    [[nodiscard]] static std::expected<ConnectionName, std::string> parse(std::string_view text);
    [[nodiscard]] bool matches(const FourTuple& tuple, std::uint64_t handle) const;

private:
    std::optional<std::uint64_t> handle_;
    std::optional<std::uint32_t> place_;
    EndpointPattern first_;
    std::optional<EndpointPattern> second_;  ///< then first_ is the local end
};

}  // namespace runnel::report
