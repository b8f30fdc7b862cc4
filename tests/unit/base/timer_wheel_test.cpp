// The timer wheel against a multimap: what fires, when, and in which order, under random arming, cancelling
// and re-arming from within callbacks, on scales from a nanosecond to past the wheel's span.
#include "runnel/base/timer_wheel.hpp"

#include <array>
#include <map>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "runnel/base/random.hpp"

namespace runnel {
namespace {

static_assert(sizeof(TimerNode) == 32, "an idle connection pays for its node");

std::vector<std::uint64_t> fire(TimerWheel& wheel, Instant now) {
    std::vector<std::uint64_t> owners;
    wheel.expire(now, [&](TimerNode& node) {
        EXPECT_FALSE(node.armed());
        EXPECT_TRUE(node.deadline.is_never());
        owners.push_back(node.owner);
    });
    return owners;
}

using Owners = std::vector<std::uint64_t>;

TEST(TimerWheel, FiresAtItsDeadlineAndNotBefore) {
    for (const std::int64_t ns : std::vector<std::int64_t>{
             1, 65'535, 65'536, 65'537, 4'194'303, 4'194'304, 200'000'000, 7'200'000'000'000,
             1LL << 58, (1LL << 58) + 1, (1LL << 62) + 12'345}) {
        TimerWheel wheel;
        TimerNode node(1);
        wheel.schedule(node, Instant{ns});
        EXPECT_EQ(wheel.next_deadline(), Instant{ns});
        EXPECT_TRUE(fire(wheel, Instant{ns - 1}).empty()) << ns;
        EXPECT_EQ(wheel.next_deadline(), Instant{ns});
        EXPECT_EQ(fire(wheel, Instant{ns}), Owners{1}) << ns;
        EXPECT_TRUE(wheel.next_deadline().is_never());
        EXPECT_EQ(wheel.size(), 0U);
    }
}

TEST(TimerWheel, FiresByDeadlineThenInOrderOfArming) {
    TimerWheel wheel;
    TimerNode late(1);
    TimerNode first_of_two(2);
    TimerNode second_of_two(3);
    TimerNode early(4);
    wheel.schedule(late, Instant{900'000'000});
    wheel.schedule(first_of_two, Instant{500'000'000});
    (void)fire(wheel, Instant{499'999'000});  // the wheel turns between the two armings
    wheel.schedule(second_of_two, Instant{500'000'000});
    wheel.schedule(early, Instant{499'999'500});
    EXPECT_EQ(fire(wheel, Instant{1'000'000'000}), (Owners{4, 2, 3, 1}));
}

TEST(TimerWheel, APastDeadlineFiresAtTheNextCall) {
    TimerWheel wheel;
    (void)fire(wheel, Instant{1'000'000'000});
    TimerNode node(1);
    TimerNode older(2);
    wheel.schedule(node, Instant{5});
    wheel.schedule(older, Instant{-5});
    EXPECT_EQ(wheel.next_deadline(), Instant{-5});
    EXPECT_EQ(fire(wheel, Instant{1'000'000'000}), (Owners{2, 1}));
}

TEST(TimerWheel, RearmingMovesAndNeverCancels) {
    TimerWheel wheel;
    TimerNode node(1);
    wheel.schedule(node, Instant{100});
    wheel.schedule(node, Instant{1'000'000});
    EXPECT_EQ(wheel.size(), 1U);
    EXPECT_TRUE(fire(wheel, Instant{100}).empty());
    wheel.schedule(node, Instant::never());
    EXPECT_FALSE(node.armed());
    EXPECT_TRUE(wheel.next_deadline().is_never());
    wheel.cancel(node);
    EXPECT_EQ(wheel.size(), 0U);
}

TEST(TimerWheel, ACallbackMayRearmItselfWithoutLoopingForEver) {
    TimerWheel wheel;
    TimerNode node(1);
    wheel.schedule(node, Instant{10});
    int fired = 0;
    wheel.expire(Instant{20}, [&](TimerNode& which) {
        ++fired;
        wheel.schedule(which, Instant{15});
    });
    EXPECT_EQ(fired, 1);
    EXPECT_EQ(wheel.next_deadline(), Instant{15});
    EXPECT_EQ(fire(wheel, Instant{20}), Owners{1});
}

TEST(TimerWheel, ACallbackMayCancelWhatIsAlsoDue) {
    TimerWheel wheel;
    std::array<TimerNode, 3> nodes;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        nodes[i].owner = i;
        wheel.schedule(nodes[i], Instant{static_cast<std::int64_t>(i)});
    }
    Owners fired;
    wheel.expire(Instant{100}, [&](TimerNode& node) {
        fired.push_back(node.owner);
        EXPECT_EQ(wheel.next_deadline(), node.owner == 0 ? Instant{1} : Instant::never());
        wheel.cancel(nodes[1]);
        wheel.cancel(nodes[2]);
    });
    EXPECT_EQ(fired, Owners{0});
    EXPECT_EQ(wheel.size(), 0U);
}

TEST(TimerWheel, TimeThatGoesBackFiresNothingEarly) {
    TimerWheel wheel;
    (void)fire(wheel, Instant{1'000'000'000});
    TimerNode node(1);
    wheel.schedule(node, Instant{1'000'000'001});
    EXPECT_TRUE(fire(wheel, Instant{500'000'000}).empty());
    EXPECT_EQ(fire(wheel, Instant{1'000'000'001}), Owners{1});
}

TEST(TimerWheel, ALowerBoundAlwaysMakesProgress) {
    // Many nodes in one coarse slot, of which the earliest are cancelled again and again: the next deadline
    // may then be a lower bound, which the next call must raise.
    TimerWheel wheel;
    std::vector<TimerNode> nodes(1000);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        wheel.schedule(nodes[i], Instant{10'000'000'000 + 1'000 * static_cast<std::int64_t>(i)});
    }
    for (std::size_t i = 0; i < 500; ++i) {
        wheel.cancel(nodes[i]);
    }
    const Instant truth = nodes[500].deadline;
    int calls = 0;
    int fired = 0;
    while (fired == 0) {
        const Instant next = wheel.next_deadline();
        ASSERT_LE(next, truth);
        wheel.expire(next, [&](TimerNode&) { ++fired; });
        if (fired == 0) {
            ASSERT_GT(wheel.next_deadline(), next) << "no progress";
        }
        ASSERT_LT(++calls, 20);
    }
    EXPECT_EQ(fired, 1);
}

TEST(TimerWheelDeathTest, IsNotReentrant) {
    TimerWheel wheel;
    TimerNode node(1);
    wheel.schedule(node, Instant{1});
    EXPECT_DEATH(
        wheel.expire(Instant{1}, [&](TimerNode&) { wheel.expire(Instant{2}, [](TimerNode&) {}); }),
        "");
}

// The obvious timer queue: a map ordered by deadline and arming.
class Model {
public:
    void schedule(std::size_t node, Instant deadline) {
        cancel(node);
        if (deadline.is_never()) {
            return;
        }
        const Key key{deadline, ++armings_};
        queue_[key] = node;
        keys_[node] = key;
    }
    void cancel(std::size_t node) {
        const auto key = keys_.find(node);
        if (key == keys_.end()) {
            return;
        }
        queue_.erase(key->second);
        keys_.erase(key);
    }
    [[nodiscard]] Instant next() const {
        return queue_.empty() ? Instant::never() : queue_.begin()->first.first;
    }
    [[nodiscard]] std::size_t size() const { return queue_.size(); }

    // What was armed when the call began and is due, in order, unless a callback takes it away.
    template <class F>
    void expire(Instant now, F&& f) {
        const std::uint64_t last_arming = armings_;
        while (true) {
            auto due = queue_.begin();
            while (due != queue_.end() && due->first.second > last_arming) {
                ++due;
            }
            if (due == queue_.end() || due->first.first > now) {
                return;
            }
            const std::size_t node = due->second;
            cancel(node);
            f(node);
        }
    }

private:
    using Key = std::pair<Instant, std::uint64_t>;
    std::map<Key, std::size_t> queue_;
    std::map<std::size_t, Key> keys_;
    std::uint64_t armings_ = 0;
};

constexpr std::size_t kNodes = 40;

// Distances of all scales, behind now as well.
Duration some_distance(Random& random) {
    const std::uint64_t scale = random.below(60);
    const auto distance = static_cast<std::int64_t>(random.below(std::uint64_t{1} << scale));
    return {random.chance(1, 8) ? -distance : distance};
}

// Runs a wheel and the model through the same steps; `decide` draws what happens inside callbacks from a
// generator of its own for each, so that both see the same draws as long as they fire alike.
class Race {
public:
    explicit Race(std::uint64_t seed)
        : random_(seed), now_{static_cast<std::int64_t>(random_.below(1 << 30))} {
        for (std::size_t i = 0; i < kNodes; ++i) {
            nodes_[i].owner = i;
        }
    }

    void step() {
        const std::uint64_t kind = random_.below(10);
        const std::size_t node = random_.below(kNodes);
        if (kind < 5) {
            const Duration distance = some_distance(random_);
            wheel_.schedule(nodes_[node], now_ + distance);
            model_.schedule(node, now_ + distance);
        } else if (kind < 6) {
            wheel_.cancel(nodes_[node]);
            model_.cancel(node);
        } else if (kind < 8) {
            const Duration distance = some_distance(random_);
            if (distance.ns > 0 && now_.ns < (std::int64_t{1} << 61)) {
                now_ = now_ + distance;
            }
            expire();
        } else {
            const Instant next = wheel_.next_deadline();
            if (!next.is_never() && now_ < next) {
                now_ = next;
            }
            expire();
        }
        check();
    }

private:
    template <class Schedule, class Cancel>
    void react(Random& random, Schedule&& schedule, Cancel&& cancel) const {
        const std::uint64_t kind = random.below(6);
        const std::size_t other = random.below(kNodes);
        const Duration distance = some_distance(random);
        if (kind < 2) {
            schedule(other, now_ + distance);
        }
        if (kind == 2) {
            cancel(other);
        }
    }

    void expire() {
        const std::uint64_t seed = random_.next();
        std::vector<std::size_t> fired;
        std::vector<std::size_t> expected;
        Random wheel_random(seed);
        Random model_random(seed);
        wheel_.expire(now_, [&](TimerNode& node) {
            RC_ASSERT(!node.armed());
            fired.push_back(node.owner);
            react(
                wheel_random, [&](std::size_t n, Instant at) { wheel_.schedule(nodes_[n], at); },
                [&](std::size_t n) { wheel_.cancel(nodes_[n]); });
        });
        model_.expire(now_, [&](std::size_t node) {
            expected.push_back(node);
            react(
                model_random, [&](std::size_t n, Instant at) { model_.schedule(n, at); },
                [&](std::size_t n) { model_.cancel(n); });
        });
        RC_ASSERT(fired == expected);
    }

    void check() {
        RC_ASSERT(wheel_.size() == model_.size());
        RC_ASSERT(wheel_.next_deadline() == model_.next());  // exact, as kNodes is below kScanLimit
    }

    static_assert(kNodes <= TimerWheel::kScanLimit);
    Random random_;
    Instant now_;
    TimerWheel wheel_;
    Model model_;
    std::array<TimerNode, kNodes> nodes_;
};

RC_GTEST_PROP(TimerWheel, FiresAsAnOrderedMapDoes, (std::uint64_t seed)) {
    Race race(seed);
    for (int i = 0; i < 300; ++i) {
        race.step();
    }
}

}  // namespace
}  // namespace runnel
