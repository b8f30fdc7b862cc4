#include "runnel/sim/machine.hpp"

#include <algorithm>
#include <charconv>

#include "runnel/base/random.hpp"

namespace runnel::sim {

HostConfig host_config(const Scenario& scenario, const HostSpec& spec, std::uint32_t incarnation,
                       std::size_t recorder_capacity) {
    HostConfig config;
    config.tcp = tcp::profile_config(spec.profile);
    for (const Knob& knob : spec.knobs) {
        std::array<char, 24> text;
        const auto end = std::to_chars(text.data(), text.data() + text.size(), knob.value).ptr;
        (void)tcp::set_by_name(config.tcp, knob.name,
                               {text.data(), static_cast<std::size_t>(end - text.data())});
    }
    // Nobody else is on these links: no search for duplicates and routers.
    config.ip.dad_transmits = 0;
    config.ip.arp_probes = 0;
    config.ip.arp_announcements = 0;
    config.ip.router_solicitations = 0;
    config.ip.accept_router_advertisements = false;
    // A host that has lost its memory also has new secrets.
    Random secret(scenario.seed * 0x9e37'79b9'7f4a'7c15 + spec.id +
                  std::uint64_t{incarnation} * 256);
    config.secret.k0 = secret.next();
    config.secret.k1 = secret.next();
    config.buffer_limit = std::max<std::size_t>(spec.memory, 256 * 1024);
    config.recorder_capacity = recorder_capacity;
    return config;
}

}  // namespace runnel::sim
