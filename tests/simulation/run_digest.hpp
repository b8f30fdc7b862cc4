// One number for all that a run of two hosts shows: every frame with its instant, how often each decision was made, and
// what the connections told of themselves on the way. tests/simulation/digests.txt keeps those of the seeds.
#pragma once

#include "support/digest.hpp"
#include "support/two_hosts.hpp"

namespace runnel::test {

class RunDigest : public Digest {
public:
    using Digest::add;
    void add(const FlightRecorder& recorder) {
        for (std::size_t i = 0; i < kDecisionCount; ++i) {
            const auto decision = static_cast<Decision>(i);
            if (recorder.count(decision) != 0) {  // by name: a new one elsewhere changes nothing
                add(describe(decision).name);
                add(recorder.count(decision));
            }
        }
    }
    /// What the connections of both hosts tell now.
    void look(TwoHosts& hosts) {
        for (const sim::HostId host : {hosts.client, hosts.server}) {
            for (const tcp::ConnectionStatus& status : hosts.table(host)) {
                add(status);
            }
        }
    }
    /// What remains to be said at the end of the run.
    void finish(TwoHosts& hosts) {
        add(hosts.world.digest());
        add(hosts.world.host(hosts.client).recorder());
        add(hosts.world.host(hosts.server).recorder());
    }
};

}  // namespace runnel::test
