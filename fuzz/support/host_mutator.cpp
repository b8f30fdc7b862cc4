// Mutations of the target `host`: any of libFuzzer's on the whole program or on one frame's bytes, steps
// doubled, swapped and dropped; and afterwards checksums and lengths made right, so that what was changed is
// looked at by the layer it was meant for. Now and then they are left wrong, which is a case too.
#include <algorithm>
#include <cstring>
#include <vector>

#include "fuzz/support/checksums.hpp"
#include "fuzz/support/host_program.hpp"

#ifndef RUNNEL_FUZZ_REPLAY
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace runnel::fuzz {
namespace {

class Chance {
public:
    explicit Chance(std::uint32_t seed) : state_(seed * 2654435761U + 1) {}
    std::size_t below(std::size_t bound) {
        state_ = state_ * 6364136223846793005U + 1442695040888963407U;
        return bound == 0 ? 0 : (state_ >> 33) % bound;
    }
    bool one_in(std::size_t n) { return below(n) == 0; }

private:
    std::uint64_t state_;
};

void mutate_frame(HostStep& step, Chance& chance) {
    const std::size_t size = step.frame.size();
    const std::size_t most = std::min<std::size_t>(size + 64, 4096);
    step.frame.resize(std::max(most, size));
    auto* bytes = reinterpret_cast<std::uint8_t*>(step.frame.data());
    // One header's worth of it is as interesting as the whole.
    const std::size_t from = chance.one_in(2) ? 0 : chance.below(size);
    if (from == 0) {
        step.frame.resize(LLVMFuzzerMutate(bytes, size, step.frame.size()));
    } else {
        (void)LLVMFuzzerMutate(bytes + from, std::min<std::size_t>(size - from, 24),
                               std::min<std::size_t>(size - from, 24));
        step.frame.resize(size);
    }
}

void repair(HostStep& step, bool ethernet, Chance& chance) {
    if (step.frame.empty() || chance.one_in(16)) {
        return;
    }
    MutableBytes bytes(step.frame);
    repair_packet(ethernet ? packet_of_frame(bytes) : bytes, chance.one_in(2));
}

void mutate_steps(std::vector<HostStep>& steps, Chance& chance) {
    if (steps.empty()) {
        steps.emplace_back();
    }
    const std::size_t at = chance.below(steps.size());
    switch (chance.below(8)) {
        case 0:
            if (steps.size() < kMostHostSteps) {
                steps.insert(steps.begin() + static_cast<std::ptrdiff_t>(at), HostStep(steps[at]));
            }
            break;
        case 1: std::swap(steps[at], steps[chance.below(steps.size())]); break;
        case 2:
            if (steps.size() > 1) {
                steps.erase(steps.begin() + static_cast<std::ptrdiff_t>(at));
            }
            break;
        case 3: {
            HostStep other;
            other.kind = static_cast<HostStep::Kind>(4 + chance.below(4));
            other.argument = static_cast<std::uint8_t>(chance.below(256));
            steps.insert(steps.begin() + static_cast<std::ptrdiff_t>(at), other);
            break;
        }
        case 4: steps[at].options = static_cast<std::uint8_t>(chance.below(8) << 3); break;
        default: mutate_frame(steps[at], chance); break;
    }
}

}  // namespace
}  // namespace runnel::fuzz

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned int seed) {
    using namespace runnel;
    using namespace runnel::fuzz;
    Chance chance(seed);
    if (size == 0 || chance.one_in(4)) {
        size = LLVMFuzzerMutate(data, size, max_size);
    }
    Input input(std::as_bytes(std::span(data, size)));
    const std::uint8_t setup =
        chance.one_in(64) ? static_cast<std::uint8_t>(chance.below(64)) : input.u8();
    std::vector<HostStep> steps;
    while (!input.empty() && steps.size() < kMostHostSteps) {
        steps.push_back(HostStep::read(input));
    }
    for (std::size_t changes = 1 + chance.below(3); changes > 0; --changes) {
        mutate_steps(steps, chance);
    }
    std::vector<std::byte> out{static_cast<std::byte>(setup)};
    for (HostStep& step : steps) {
        repair(step, (setup & HostSetup::kEthernet) != 0, chance);
        step.write(out);
        if (out.size() >= max_size) {
            break;
        }
    }
    size = std::min(out.size(), max_size);
    std::memcpy(data, out.data(), size);
    return size;
}
#endif
