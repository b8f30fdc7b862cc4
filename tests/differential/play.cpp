// The engine: plays scripts on a world, many at once in real time, or one at the times of another run.
#include <fmt/format.h>

#include <algorithm>
#include <queue>

#include "support/packets.hpp"
#include "world.hpp"

namespace runnel::differential {

namespace {

/// Between two steps that are no waits: time enough for a reply, far below every timer.
constexpr std::int64_t kGapUs = 2'000;
/// Between the beginnings of two scripts.
constexpr std::int64_t kStaggerUs = 1'500;
/// Before the first: a Runnel host's clock may not begin at zero.
constexpr std::int64_t kLeadUs = 1'000'000;
/// The player wasn't let run for longer than this: worth noting.
constexpr std::int64_t kStallUs = 4'000;

void execute(World& world, Conversation& c, const Step& step, std::int64_t start,
             const World::Sink& sink) {
    StepRecord& record = c.records.emplace_back();
    record.at_us = world.now_us() - start;
    if (step.kind == Step::Kind::segment) {
        world.inject(c.build(step.segment, record.at_us));
    } else if (step.kind == Step::Kind::call) {
        record.result = world.call(c, step.words);
    }
    world.pump(sink);
    if (step.kind != Step::Kind::wait) {
        record.status = world.status(c);
    }
}

struct Player {
    Conversation* conversation = nullptr;
    std::int64_t start = 0;
    std::size_t next = 0;
    bool over = false;
};

}  // namespace

std::string Ready::text() const {
    std::string bits;
    bits += in ? "I" : "";
    bits += out ? "O" : "";
    bits += priority ? "P" : "";
    bits += read_hang_up ? "R" : "";
    bits += hang_up ? "H" : "";
    bits += error ? "E" : "";
    return bits;
}

std::vector<std::byte> stream_octets(std::uint64_t first, std::size_t count) {
    std::vector<std::byte> bytes(count);
    for (std::size_t i = 0; i < count; ++i) {
        bytes[i] = static_cast<std::byte>((first + i) % 251);
    }
    return bytes;
}

std::string received_text(Bytes bytes) {
    if (bytes.empty()) {
        return "0";
    }
    std::uint32_t digest = 2'166'136'261U;
    for (const std::byte byte : bytes) {
        digest = (digest ^ std::to_integer<std::uint32_t>(byte)) * 16'777'619U;
    }
    return fmt::format("{}:{:08x}", bytes.size(), digest);
}

void play(World& world, std::span<Conversation> conversations) {
    std::vector<Player> players;
    using Due = std::pair<std::int64_t, std::size_t>;
    std::priority_queue<Due, std::vector<Due>, std::greater<>> queue;
    const std::int64_t begin = world.now_us() + kLeadUs / 10;
    std::vector<std::size_t> by_id;
    for (Conversation& c : conversations) {
        const std::size_t index = players.size();
        players.push_back({&c, begin + static_cast<std::int64_t>(index) * kStaggerUs});
        queue.emplace(players.back().start, index);
        by_id.resize(std::max<std::size_t>(by_id.size(), c.script().id + 1), SIZE_MAX);
        by_id[c.script().id] = index;
    }
    const World::Sink sink = [&](Bytes packet) {
        const auto view = test::view_packet(packet);
        if (!view) {
            return;
        }
        const auto bytes =
            view->destination.is_v4() ? packet.subspan(18, 2) : packet.subspan(38, 2);
        const auto id = std::to_integer<std::size_t>(bytes[0]) * 256 +
                        std::to_integer<std::size_t>(bytes[1]) - 1;
        if (id >= by_id.size() || by_id[id] == SIZE_MAX) {
            return;
        }
        Player& player = players[by_id[id]];
        if (!player.over && player.next > 0) {
            player.conversation->observe(packet, world.now_us() - player.start);
        }
    };
    std::int64_t looked = world.now_us();
    const auto look = [&](std::int64_t expected) {
        const std::int64_t late = world.now_us() - std::max(looked, expected);
        world.pump(sink);
        looked = world.now_us();
        if (late > kStallUs) {
            for (Player& player : players) {
                if (player.next > 0 && !player.over) {
                    player.conversation->stalled_us =
                        std::max(player.conversation->stalled_us, late);
                }
            }
        }
    };
    while (!queue.empty()) {
        const auto [due, index] = queue.top();
        while (world.now_us() < due) {
            world.wait(due);
            // Woken before `due` means that there is something; slept beyond it, that we were kept.
            look(due);
        }
        look(looked);
        queue.pop();
        Player& player = players[index];
        Conversation& c = *player.conversation;
        const auto& steps = c.script().steps;
        if (player.next > 0 && steps[player.next - 1].kind == Step::Kind::wait) {
            c.records.back().status = world.status(c);
        }
        if (player.next == steps.size()) {
            player.over = true;
            world.finished(c);
            continue;
        }
        const Step& step = steps[player.next++];
        execute(world, c, step, player.start, sink);
        const std::int64_t gap = step.kind == Step::Kind::wait ? step.wait_us : kGapUs;
        queue.emplace(world.now_us() + gap, index);
    }
}

void replay(World& world, Conversation& conversation, const std::vector<StepRecord>& model) {
    conversation.model = &model;
    const std::int64_t start = world.now_us() + kLeadUs;
    const auto& steps = conversation.script().steps;
    const World::Sink sink = [&](Bytes packet) {
        conversation.observe(packet, world.now_us() - start);
    };
    const auto run_to = [&](std::int64_t until) {
        while (world.now_us() < until) {
            world.wait(until);
            world.pump(sink);
        }
    };
    for (std::size_t i = 0; i < steps.size(); ++i) {
        run_to(start + model[i].at_us);
        if (i > 0 && steps[i - 1].kind == Step::Kind::wait) {
            conversation.records.back().status = world.status(conversation);
        }
        execute(world, conversation, steps[i], start, sink);
    }
    const Step& last = steps.back();
    run_to(world.now_us() + (last.kind == Step::Kind::wait ? last.wait_us : kGapUs));
    if (last.kind == Step::Kind::wait) {
        conversation.records.back().status = world.status(conversation);
    }
    world.finished(conversation);
}

}  // namespace runnel::differential
