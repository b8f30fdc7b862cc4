#include "real/wire.hpp"

#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <utility>

namespace runnel::bench {

namespace {
constexpr std::size_t kLargestPacket = 2048;
constexpr std::size_t kReadsInARow = 64;
constexpr std::size_t kFates = 512;
constexpr Duration kIdleTurn = milliseconds(10);
constexpr std::uint64_t kBackSalt = 0x9e3779b97f4a7c15;

timespec timespec_of(std::int64_t ns) {
    return {.tv_sec = static_cast<time_t>(ns / 1'000'000'000),
            .tv_nsec = static_cast<long>(ns % 1'000'000'000)};
}

std::uint32_t destination_of(const std::vector<std::byte>& packet) {
    if (packet.size() < 20 || std::to_integer<unsigned>(packet[0]) >> 4 != 4) {
        return 0;
    }
    std::uint32_t address = 0;
    for (std::size_t i = 16; i < 20; ++i) {
        address = address << 8 | std::to_integer<std::uint32_t>(packet[i]);
    }
    return address;
}
}  // namespace

RealWire::RealWire(const WayConfig& there, const WayConfig& back, std::uint64_t seed,
                   Duration quantum, Duration tolerance)
    : ways_{Way(there, seed), Way(back, seed ^ kBackSalt)},
      quantum_(quantum),
      tolerance_(tolerance) {}

Instant RealWire::clock() {
    timespec now{};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return {static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec};
}

Instant RealWire::next() const {
    return flying_.empty() ? Instant::never() : flying_.front().arrives;
}

void RealWire::run(const std::function<bool(Instant)>& on_turn) {
    for (;;) {
        const Instant now = clock();
        ++counters_.turns;
        if (!wanted_.is_never() && now - wanted_ > tolerance_) {
            counters_.absent_ns += (now - wanted_).ns;
        }
        if (!on_turn(now)) {
            return;
        }
        // What is due goes first: acknowledgements that it sets off are then read in this turn.
        deliver_due();
        for (std::size_t rounds = 0; read_all(clock()) && rounds < 4; ++rounds) {
            deliver_due();
        }
        wait(now);
    }
}

/// A packet or more from each end that has some; true when an end may have more.
bool RealWire::read_all(Instant now) {
    bool more = false;
    for (const Port& port : ports_) {
        for (std::size_t reads = 0;; ++reads) {
            if (reads == kReadsInARow) {
                more = true;
                break;
            }
            std::vector<std::byte> bytes;
            if (!spare_.empty()) {
                bytes = std::move(spare_.back());
                spare_.pop_back();
            }
            bytes.resize(kLargestPacket);
            const ssize_t got = ::read(port.fd, bytes.data(), bytes.size());
            if (got <= 0) {
                spare_.push_back(std::move(bytes));
                break;
            }
            bytes.resize(static_cast<std::size_t>(got));
            ++counters_.read;
            take(port, std::move(bytes), now);
        }
    }
    return more;
}

void RealWire::take(const Port& from, std::vector<std::byte>&& bytes, Instant now) {
    const std::uint32_t address = destination_of(bytes);
    const auto to = std::find_if(ports_.begin(), ports_.end(), [&](const Port& port) {
        return port.side != from.side && port.address == address;
    });
    if (address == 0 || to == ports_.end()) {  // e.g. the kernel's multicast: it draws no luck
        ++counters_.nobody;
        spare_.push_back(std::move(bytes));
        return;
    }
    const Verdict verdict = ways_[from.side].enter(static_cast<std::uint32_t>(bytes.size()), now);
    if (from.side == 0 && fates_.size() < kFates) {
        fates_ += verdict.fate == Fate::lost         ? 'L'
                  : verdict.fate == Fate::queue_full ? 'q'
                  : verdict.held_back                ? 'r'
                                                     : '.';
    }
    if (verdict.fate != Fate::arrives) {
        spare_.push_back(std::move(bytes));
        return;
    }
    flying_.push_back({verdict.arrives, numbers_++, to->fd, std::move(bytes)});
    std::push_heap(flying_.begin(), flying_.end(), Later{});
}

void RealWire::deliver_due() {
    Instant now = clock();
    for (std::size_t count = 0; !flying_.empty() && flying_.front().arrives <= now; ++count) {
        std::pop_heap(flying_.begin(), flying_.end(), Later{});
        Parcel parcel = std::move(flying_.back());
        flying_.pop_back();
        const Duration late = now - parcel.arrives;
        counters_.late_sum_ns += late.ns;
        counters_.latest_ns = std::max(counters_.latest_ns, late.ns);
        counters_.late += late > tolerance_ ? 1U : 0U;
        const ssize_t wrote = ::write(parcel.fd, parcel.bytes.data(), parcel.bytes.size());
        if (wrote < 0) {
            ++counters_.refused;
        } else {
            ++counters_.delivered;
        }
        spare_.push_back(std::move(parcel.bytes));
        if (count % 8 == 7) {  // a write takes microseconds: the clock has moved
            now = clock();
        }
    }
}

/// Until something arrives or comes, but not so soon that each packet would get a turn of its own.
void RealWire::wait(Instant turn_began) {
    const Instant now = clock();
    const Instant earliest = turn_began + quantum_;
    wanted_ = std::min(next(), now + kIdleTurn);
    if (now < earliest) {
        const timespec until = timespec_of(earliest.ns);
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
        wanted_ = std::max(wanted_, earliest);
    } else {
        wanted_ = std::max(wanted_, now);
    }
    const Instant then = clock();
    if (then >= wanted_) {
        return;
    }
    std::vector<pollfd> polled;
    for (const Port& port : ports_) {
        polled.push_back({.fd = port.fd, .events = POLLIN, .revents = 0});
    }
    const timespec timeout = timespec_of((wanted_ - then).ns);
    (void)::ppoll(polled.data(), polled.size(), &timeout, nullptr);
}

}  // namespace runnel::bench
