// A scenario written as a TOML file: only what differs from the defaults.
#include <fmt/format.h>

#include "runnel/cli/sim/scenario_fields.hpp"
#include "runnel/cli/sim/scenario_text.hpp"
#include "runnel/cli/sim/units.hpp"
#include "runnel/sim/names.hpp"

namespace runnel::sim_command {

namespace {

template <class T>
std::string spelt(T value, Number) {
    return fmt::format("{}", value);
}
std::string spelt(std::uint64_t value, Seed) {
    return value >> 63 == 0 ? fmt::format("{}", value) : fmt::format("\"{:#x}\"", value);
}
std::string spelt(bool value, Truth) {
    return value ? "true" : "false";
}
std::string spelt(Duration value, Time) {
    return fmt::format("\"{}\"", duration_spelt(value));
}
std::string spelt(std::uint64_t value, Rate) {
    return fmt::format("\"{}\"", rate_spelt(value));
}
std::string spelt(std::uint64_t value, Size) {
    return fmt::format("{}", value);
}
std::string spelt(std::uint32_t value, Share) {
    return fmt::format("\"{}\"", share_spelt(value));
}
template <class T, std::size_t N>
std::string spelt(T value, const Choice<T, N>& choice) {
    for (const auto& [name, one] : choice.names) {
        if (one == value) {
            return fmt::format("\"{}\"", name);
        }
    }
    return "\"\"";
}

/// Appends "name = value" for each field that is not as in a default object, with `end` behind it.
template <class T>
class FieldWriter {
public:
    FieldWriter(const T& object, std::string& out, std::string_view end)
        : object_(object), out_(out), end_(end) {}

    template <class Member, class Form>
    void operator()(std::string_view name, Member T::* member, const Form& form) {
        if (object_.*member != defaults_.*member || is_needed(name)) {
            out_ += fmt::format("{} = {}{}", name, spelt(object_.*member, form), end_);
        }
    }

private:
    /// What the reader asks for, or has another default for.
    static bool is_needed(std::string_view name) {
        if constexpr (std::is_same_v<T, sim::Fault>) {
            return name == "until" || name == "seed";
        }
        return name == "id" || name == "client" || name == "server" ||
               (std::is_same_v<T, sim::LinkSpec> && (name == "a" || name == "b"));
    }

    const T& object_;
    const T defaults_{};
    std::string& out_;
    std::string_view end_;
};

template <class T>
void write_fields(std::string& out, const T& object, std::string_view end = "\n") {
    FieldWriter<T> writer(object, out, end);
    visit_fields(writer, static_cast<const T*>(nullptr));
}

void write_way(std::string& out, std::string_view name, const sim::WaySpec& way) {
    std::string fields;
    write_fields(fields, way, ", ");
    if (!fields.empty()) {
        fields.resize(fields.size() - 2);
    }
    out += fmt::format("{} = {{ {} }}\n", name, fields);
}

void write_host(std::string& out, const sim::HostSpec& host) {
    out += "\n[[host]]\n";
    write_fields(out, host);
    if (!host.knobs.empty()) {
        std::string knobs;
        for (const sim::Knob& knob : host.knobs) {
            knobs += fmt::format("{}{} = {}", knobs.empty() ? "" : ", ", knob.name, knob.value);
        }
        out += fmt::format("set = {{ {} }}\n", knobs);
    }
}

void write_link(std::string& out, const sim::LinkSpec& link) {
    out += "\n[[link]]\n";
    write_fields(out, link);
    if (link.way[0] == link.way[1]) {
        write_fields(out, link.way[0]);
    } else {
        write_way(out, "forth", link.way[0]);
        write_way(out, "back", link.way[1]);
    }
}

std::string_view place_key(sim::FaultPlace place) {
    switch (place) {
        case sim::FaultPlace::link: return "link";
        case sim::FaultPlace::host: return "host";
        case sim::FaultPlace::flow: return "flow";
    }
    return "link";
}

void write_fault(std::string& out, const sim::Fault& fault) {
    const sim::FaultFacts& facts = sim::facts(fault.kind);
    out += fmt::format("\n[[fault]]  # {}\nkind = \"{}\"\n{} = {}\n", facts.sentence, facts.name,
                       place_key(facts.place), fault.where);
    write_fields(out, fault);
}

}  // namespace

std::string write_scenario(const sim::Scenario& scenario, std::string_view comment) {
    std::string out;
    while (!comment.empty()) {
        const std::size_t end = std::min(comment.find('\n'), comment.size());
        out += fmt::format("# {}\n", comment.substr(0, end));
        comment.remove_prefix(std::min(end + 1, comment.size()));
    }
    write_fields(out, scenario);
    for (const sim::HostSpec& host : scenario.hosts) {
        write_host(out, host);
    }
    for (const sim::RouterSpec& router : scenario.routers) {
        out += "\n[[router]]\n";
        write_fields(out, router);
    }
    for (const sim::LinkSpec& link : scenario.links) {
        write_link(out, link);
    }
    for (const sim::Flow& flow : scenario.flows) {
        out += fmt::format("\n[[flow]]\nkind = \"{}\"\n", to_string(flow.kind));
        write_fields(out, flow);
    }
    for (const sim::Fault& fault : scenario.faults) {
        write_fault(out, fault);
    }
    return out;
}

}  // namespace runnel::sim_command
