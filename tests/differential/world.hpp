// Where subjects live: the Linux kernel behind a TUN device, Runnel's host in virtual time, Runnel's host
// behind a TUN device of its own. The engine that plays scripts knows only this.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "conversation.hpp"

namespace runnel::differential {

/// What a readiness looks like on every side: of "IOPRUE…", in poll(2)'s order.
struct Ready {
    bool in = false, out = false, priority = false, read_hang_up = false, hang_up = false,
         error = false;
    [[nodiscard]] std::string text() const;
};

class World {
public:
    using Sink = std::function<void(Bytes packet)>;

    World() = default;
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    virtual ~World() = default;

    /// Microseconds since some beginning.
    [[nodiscard]] virtual std::int64_t now_us() const = 0;
    /// Returns at `until_us`, or before when packets may be there.
    virtual void wait(std::int64_t until_us) = 0;
    /// Lets everything happen that can happen now; what the subjects sent goes to `sink`.
    virtual void pump(const Sink& sink) = 0;
    virtual void inject(Bytes packet) = 0;
    /// A socket call of a script's subject; its result as text.
    virtual std::string call(Conversation& of, const std::vector<std::string>& words) = 0;
    /// The subject seen from beside: a JSON object.
    virtual std::string status(Conversation& of) = 0;
    /// The script is over: its sockets may go.
    virtual void finished(Conversation& of) = 0;
};

/// The kernel's TCP in a private network namespace that the process has entered. Throws std::runtime_error.
std::unique_ptr<World> make_kernel_world();
/// Runnel, profile linux, in virtual time; `changes` are NAME=VALUE for its configuration.
std::unique_ptr<World> make_runnel_world(std::span<const std::string> changes);
/// Runnel behind a real TUN in the private network namespace that the process has entered.
std::unique_ptr<World> make_runnel_tun_world(std::span<const std::string> changes);

/// Plays all conversations side by side, each from its first step on, with nominal gaps between steps.
void play(World& world, std::span<Conversation> conversations);
/// Plays one with each step at the time at which `model` had it.
void replay(World& world, Conversation& conversation, const std::vector<StepRecord>& model);

/// Octets of a stream that a subject sends, from its octet `first` on.
std::vector<std::byte> stream_octets(std::uint64_t first, std::size_t count);
/// What a RECEIVE gave: "COUNT:DIGEST", or just "0".
std::string received_text(Bytes bytes);

}  // namespace runnel::differential
