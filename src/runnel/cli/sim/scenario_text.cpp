// Scenarios read from TOML (toml.io), with toml++: the parser is the library's, bounds and names are ours.
#include "runnel/cli/sim/scenario_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <vector>

namespace {
/// The parser's assertions can be reached by what is read ("[[[" in 3.3.0): they end the reading, not us.
struct BrokenAssertion {};
[[noreturn]] void broken_assertion() {
    throw BrokenAssertion();
}
}  // namespace
#define TOML_ASSERT(expression) ((expression) ? void() : broken_assertion())
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include "runnel/cli/sim/scenario_fields.hpp"
#include "runnel/cli/sim/units.hpp"
#include "runnel/sim/names.hpp"

namespace runnel::sim_command {

namespace {

/// Thrown within this file only.
struct Trouble {
    TextError error;
};

[[noreturn]] void complain(const toml::node& at, std::string what) {
    const toml::source_position& begin = at.source().begin;
    throw Trouble{{begin.line, begin.column, std::move(what)}};
}

std::int64_t whole_number(const toml::node& node, std::string_view name, std::int64_t low,
                          std::int64_t high) {
    const auto value = node.value_exact<std::int64_t>();
    if (!value || *value < low || *value > high) {
        complain(node, fmt::format("{} is a whole number from {} to {}", name, low, high));
    }
    return *value;
}

/// What `parse` makes of a text, or of a number as a text.
template <class Parse>
auto understood(const toml::node& node, std::string_view name, Parse parse, const char* wanted) {
    std::string text = node.value_or(std::string());
    if (const auto number = node.value_exact<std::int64_t>()) {
        text = fmt::format("{}", *number);
    }
    const auto value = parse(text);
    if (!value) {
        complain(node, fmt::format("{} is {}", name, wanted));
    }
    return *value;
}

template <class T>
void read(const toml::node& node, std::string_view name, T& into, Number) {
    using Limits = std::numeric_limits<T>;
    into = static_cast<T>(whole_number(node, name, Limits::min(), Limits::max()));
}
void read(const toml::node& node, std::string_view name, std::uint64_t& into, Seed) {
    into = understood(
        node, name,
        [](const std::string& text) -> std::optional<std::uint64_t> {
            const bool hex = text.starts_with("0x");
            const char* begin = text.data() + (hex ? 2 : 0);
            std::uint64_t value = 0;
            const auto [end, error] =
                std::from_chars(begin, text.data() + text.size(), value, hex ? 16 : 10);
            return error == std::errc{} && end == text.data() + text.size() && end != begin
                       ? std::optional(value)
                       : std::nullopt;
        },
        "a number from 0 on, or its 64 bits as a text \"0x…\"");
}
void read(const toml::node& node, std::string_view name, bool& into, Truth) {
    const auto value = node.value_exact<bool>();
    if (!value) {
        complain(node, fmt::format("{} is true or false", name));
    }
    into = *value;
}
void read(const toml::node& node, std::string_view name, Duration& into, Time) {
    into = understood(node, name, parse_duration, "a time such as \"50ms\", \"1.5s\" or \"0\"");
}
void read(const toml::node& node, std::string_view name, std::uint64_t& into, Rate) {
    into = understood(node, name, parse_rate, "a rate such as \"100mbit\", or \"unlimited\"");
}
template <class T>
void read(const toml::node& node, std::string_view name, T& into, Size) {
    const std::uint64_t size =
        understood(node, name, parse_size, "a number of octets such as 1500 or \"64kb\"");
    if (size > std::numeric_limits<T>::max()) {
        complain(node, fmt::format("{} is at most {}", name, std::numeric_limits<T>::max()));
    }
    into = static_cast<T>(size);
}
void read(const toml::node& node, std::string_view name, std::uint32_t& into, Share) {
    into = understood(node, name, parse_share,
                      "a share such as \"1%\" or \"300ppm\", or a number of ppm up to a million");
}
template <class T, std::size_t N>
void read(const toml::node& node, std::string_view name, T& into, const Choice<T, N>& choice) {
    const std::string text = node.value_or(std::string());
    std::string known;
    for (const auto& [one, value] : choice.names) {
        if (one == text) {
            into = value;
            return;
        }
        known += fmt::format("{}\"{}\"", known.empty() ? "" : ", ", one);
    }
    complain(node, fmt::format("{} is one of {}", name, known));
}

/// A table whose keys are taken one by one; what is left over at the end is a mistake.
class Keys {
public:
    explicit Keys(const toml::table& table, std::string what)
        : table_(table), what_(std::move(what)) {}

    const toml::node* take(std::string_view name) {
        const toml::node* node = table_.get(name);
        if (node != nullptr) {
            taken_.emplace_back(name);
        }
        return node;
    }
    const toml::node& need(std::string_view name) {
        const toml::node* node = take(name);
        if (node == nullptr) {
            complain(table_, fmt::format("{} needs {}", what_, name));
        }
        return *node;
    }
    void finish() const {
        for (const auto& [key, node] : table_) {
            if (std::find(taken_.begin(), taken_.end(), key.str()) == taken_.end()) {
                complain(node, fmt::format("{} has no key {}", what_, key.str()));
            }
        }
    }
    [[nodiscard]] const toml::table& table() const { return table_; }

private:
    const toml::table& table_;
    std::string what_;
    std::vector<std::string> taken_;
};

template <class T>
class FieldReader {
public:
    FieldReader(Keys& keys, T& object) : keys_(keys), object_(object) {}
    template <class Member, class Form>
    void operator()(std::string_view name, Member T::* member, const Form& form) {
        if (const toml::node* node = keys_.take(name)) {
            read(*node, name, object_.*member, form);
        }
    }

private:
    Keys& keys_;
    T& object_;
};

template <class T>
void read_fields(Keys& keys, T& object) {
    FieldReader<T> reader(keys, object);
    visit_fields(reader, static_cast<const T*>(nullptr));
}

/// `each(keys)` for every table of the array `name`, of which there are at most `most`.
template <class Each>
void read_tables(Keys& root, const char* name, std::size_t most, Each&& each) {
    const toml::node* node = root.take(name);
    if (node == nullptr) {
        return;
    }
    const toml::array* tables = node->as_array();
    if (tables == nullptr || !tables->is_homogeneous(toml::node_type::table)) {
        complain(*node, fmt::format("{} is written as [[{}]]", name, name));
    }
    if (tables->size() > most) {
        complain(*node, fmt::format("there are at most {} of {}", most, name));
    }
    for (const toml::node& one : *tables) {
        Keys keys(*one.as_table(), name);
        each(keys);
        keys.finish();
    }
}

void check_node(const toml::node& at, const sim::Scenario& scenario, sim::NodeId id, bool new_one,
                bool host_only) {
    const auto same = [id](const auto& one) { return one.id == id; };
    const bool host = std::any_of(scenario.hosts.begin(), scenario.hosts.end(), same);
    const bool router = std::any_of(scenario.routers.begin(), scenario.routers.end(), same);
    if (new_one && (id >= sim::kMaxNodes || host || router)) {
        complain(at,
                 id >= sim::kMaxNodes
                     ? fmt::format("ids of hosts and routers go from 0 to {}", sim::kMaxNodes - 1)
                     : fmt::format("there is a host or router {} already", id));
    }
    if (!new_one && !host && (host_only || !router)) {
        complain(at, fmt::format("there is no host {}{}", host_only ? "" : "or router ", id));
    }
}

void read_knob(std::string_view key, const toml::node& value, sim::HostSpec& host) {
    const auto names = tcp::config_names();
    const auto known = std::find_if(names.begin(), names.end(),
                                    [&](const tcp::ConfigName& one) { return one.name == key; });
    if (known == names.end()) {
        complain(value, fmt::format("there is no setting {}", key));
    }
    const auto number = whole_number(value, key, 0, std::numeric_limits<std::int64_t>::max());
    tcp::TcpConfig config = tcp::profile_config(host.profile);
    if (!tcp::set_by_name(config, known->name, fmt::format("{}", number))) {
        complain(value, fmt::format("{} can't be {}", known->name, number));
    }
    host.knobs.push_back({known->name, static_cast<std::uint64_t>(number)});
}

void read_knobs(Keys& keys, sim::HostSpec& host) {
    const toml::node* node = keys.take("set");
    if (node == nullptr) {
        return;
    }
    const toml::table* table = node->as_table();
    if (table == nullptr) {
        complain(*node, "set is a table such as { tcp_sack = 0 }");
    }
    // The library sorts keys by name; settings count in the order in which they are written.
    std::vector<std::pair<std::string_view, const toml::node*>> settings;
    for (const auto& [key, value] : *table) {
        settings.emplace_back(key.str(), &value);
    }
    std::sort(settings.begin(), settings.end(), [](const auto& x, const auto& y) {
        return std::pair(x.second->source().begin.line, x.second->source().begin.column) <
               std::pair(y.second->source().begin.line, y.second->source().begin.column);
    });
    for (const auto& [key, value] : settings) {
        read_knob(key, *value, host);
    }
}

void read_host(Keys& keys, sim::Scenario& scenario) {
    sim::HostSpec host;
    const toml::node& id = keys.need("id");
    read_fields(keys, host);
    check_node(id, scenario, host.id, true, true);
    if (host.batch < 1 || host.batch > 256 || host.ring < 1 || host.clock_skew < -100'000 ||
        host.clock_skew > 100'000) {
        complain(id,
                 fmt::format("host {}: batch is from 1 to 256, ring at least 1, clock_skew at most "
                             "100000 ppm either way",
                             host.id));
    }
    read_knobs(keys, host);
    scenario.hosts.push_back(std::move(host));
}

void read_link(Keys& keys, sim::Scenario& scenario) {
    sim::LinkSpec link;
    const toml::node& id = keys.need("id");
    const toml::node& a = keys.need("a");
    const toml::node& b = keys.need("b");
    read_fields(keys, link);
    check_node(a, scenario, link.a, false, false);
    check_node(b, scenario, link.b, false, false);
    if (link.a == link.b || link.mtu < 576 || link.mtu > 65'535 ||
        std::any_of(scenario.links.begin(), scenario.links.end(),
                    [&](const sim::LinkSpec& one) { return one.id == link.id; })) {
        complain(id,
                 fmt::format("link {}: its id is its own, a and b differ, mtu is from 576 to 65535",
                             link.id));
    }
    read_fields(keys, link.way[0]);  // both ways, unless one is told apart
    link.way[1] = link.way[0];
    for (const unsigned way : {0U, 1U}) {
        if (const toml::node* node = keys.take(way == 0 ? "forth" : "back")) {
            if (!node->is_table()) {
                complain(*node, "forth and back are tables such as { delay = \"10ms\" }");
            }
            Keys own(*node->as_table(), way == 0 ? "forth" : "back");
            read_fields(own, link.way[way]);
            own.finish();
        }
    }
    scenario.links.push_back(link);
}

void read_flow(Keys& keys, sim::Scenario& scenario) {
    sim::Flow flow;
    const toml::node& id = keys.need("id");
    const toml::node& client = keys.need("client");
    const toml::node& server = keys.need("server");
    if (const toml::node* kind = keys.take("kind")) {
        const auto known = sim::flow_kind(kind->value_or(std::string()));
        if (!known) {
            complain(*kind, "there is no such kind of flow: see docs/sim.md");
        }
        flow.kind = *known;
    }
    read_fields(keys, flow);
    check_node(client, scenario, flow.client, false, true);
    check_node(server, scenario, flow.server, false, true);
    if (flow.client == flow.server || flow.call == 0 ||
        std::any_of(scenario.flows.begin(), scenario.flows.end(),
                    [&](const sim::Flow& one) { return one.id == flow.id; })) {
        complain(id,
                 fmt::format("flow {}: its id is its own, client and server differ, call is not 0",
                             flow.id));
    }
    scenario.flows.push_back(flow);
}

template <class T>
bool has_id(const std::vector<T>& parts, std::uint8_t id) {
    return std::any_of(parts.begin(), parts.end(), [id](const T& one) { return one.id == id; });
}

void read_fault(Keys& keys, sim::Scenario& scenario) {
    sim::Fault fault;
    fault.until = scenario.limit;
    fault.seed = scenario.faults.size() + 1;
    const toml::node& kind = keys.need("kind");
    const auto known = sim::fault_kind(kind.value_or(std::string()));
    if (!known) {
        complain(kind, "there is no such kind of fault: see docs/sim.md");
    }
    fault.kind = *known;
    const sim::FaultPlace place = sim::facts(fault.kind).place;
    const char* key = place == sim::FaultPlace::link   ? "link"
                      : place == sim::FaultPlace::host ? "host"
                                                       : "flow";
    const toml::node& where = keys.need(key);
    read(where, key, fault.where, Number{});
    read_fields(keys, fault);
    const bool there = place == sim::FaultPlace::link   ? has_id(scenario.links, fault.where)
                       : place == sim::FaultPlace::host ? has_id(scenario.hosts, fault.where)
                                                        : has_id(scenario.flows, fault.where);
    if (!there) {
        complain(where, fmt::format("there is no {} {}", key, fault.where));
    }
    scenario.faults.push_back(fault);
}

sim::Scenario read_all(const toml::table& table) {
    sim::Scenario scenario;
    Keys root(table, "a scenario");
    read_fields(root, scenario);
    // In this order, whatever the file's: each names those before it.
    read_tables(root, "host", sim::kMaxNodes, [&](Keys& keys) { read_host(keys, scenario); });
    read_tables(root, "router", sim::kMaxNodes, [&](Keys& keys) {
        sim::RouterSpec router;
        const toml::node& id = keys.need("id");
        read_fields(keys, router);
        check_node(id, scenario, router.id, true, false);
        scenario.routers.push_back(router);
    });
    read_tables(root, "link", sim::kMaxLinks, [&](Keys& keys) { read_link(keys, scenario); });
    read_tables(root, "flow", sim::kMaxFlows, [&](Keys& keys) { read_flow(keys, scenario); });
    read_tables(root, "fault", sim::kMaxFaults, [&](Keys& keys) { read_fault(keys, scenario); });
    root.finish();
    return scenario;
}

}  // namespace

std::expected<sim::Scenario, TextError> read_scenario(std::string_view text) {
    if (text.size() > kMaxScenarioText) {
        return std::unexpected(TextError{0, 0, "longer than a megabyte"});
    }
    try {
        const toml::parse_result parsed = toml::parse(text);
        if (!parsed) {
            const toml::source_position& begin = parsed.error().source().begin;
            return std::unexpected(
                TextError{begin.line, begin.column, std::string(parsed.error().description())});
        }
        return read_all(parsed.table());
    } catch (Trouble& trouble) {
        return std::unexpected(std::move(trouble.error));
    } catch (const BrokenAssertion&) {
        return std::unexpected(TextError{0, 0, "this is no TOML"});
    }
}

}  // namespace runnel::sim_command
