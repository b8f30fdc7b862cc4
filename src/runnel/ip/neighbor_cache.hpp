// The neighbour cache of RFC 4861 §7.3, for NDP and ARP alike: who answers to which link-layer address, how
// sure we are of it, and the frames that wait for an answer. It sends nothing: it says what to send.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "runnel/base/siphash.hpp"
#include "runnel/ip/ip_config.hpp"
#include "runnel/ip/ip_types.hpp"

namespace runnel {

class NeighborCache {
public:
    /// Entries at once; when full, an entry that nobody needs makes room.
    static constexpr std::uint16_t kCapacity = 1024;
    /// Frames held behind resolutions at once, all neighbours together.
    static constexpr std::uint16_t kHeldFrames = 512;
    static constexpr std::uint16_t kNone = 0xffff;

    /// Names an entry as long as it lives.
    struct Ref {
        std::uint16_t index = kNone;
        std::uint32_t generation = 0;
    };

    struct Entry {
        IpAddress address;
        MacAddress mac;  ///< meaningful unless incomplete
        std::uint8_t interface = 0;
        NeighborState state = NeighborState::incomplete;
        bool is_router = false;
        bool in_use = false;
        std::uint8_t solicitations = 0;  ///< sent in this state
        std::uint16_t next_in_bucket = kNone;
        std::uint16_t first_held = kNone, last_held = kNone, held = 0;
        std::uint32_t generation = 1;
        Instant deadline = Instant::never();  ///< reachable: until; others: of the next step
        Instant last_used{};
    };

    NeighborCache(const IpConfig& config, const SipKey& key);

    /// What a sender is to do.
    struct Resolution {
        Ref ref;
        bool resolved = false;  ///< use `mac`
        bool solicit = false;   ///< an entry was made: ask for it now, by multicast or broadcast
        MacAddress mac;
    };
    /// For a packet to `address` now (RFC 4861 §7.3.3): makes an INCOMPLETE entry when there is none, moves a
    /// STALE one to DELAY. Without a ref the cache is full of entries in use.
    Resolution use(std::uint8_t interface, const IpAddress& address, Instant now);
    /// The fast way: the MAC address when the entry still lives and is reachable at `now`.
    [[nodiscard]] const MacAddress* reachable(Ref ref, Instant now) const {
        if (ref.index >= entries_.size()) {
            return nullptr;
        }
        const Entry& entry = entries_[ref.index];
        const bool good = entry.generation == ref.generation &&
                          entry.state == NeighborState::reachable && now < entry.deadline;
        return good ? &entry.mac : nullptr;
    }

    enum class Held : std::uint8_t { kept, displaced_oldest, refused };
    /// Keeps `frame` until the entry is resolved; a full queue loses its oldest (RFC 4861 §7.2.2).
    Held hold(Ref ref, Frame&& frame);
    /// Takes the oldest held frame of an entry, if any.
    std::optional<Frame> take_held(Ref ref);

    /// The sender of a solicitation or ARP request told its address (RFC 4861 §7.2.3): STALE if new.
    /// Returns the entry when it was INCOMPLETE and its frames can go now.
    std::optional<Ref> learn(std::uint8_t interface, const IpAddress& address,
                             const MacAddress& mac, Instant now);

    struct Advertisement {
        std::optional<MacAddress> mac;
        bool solicited = false;
        bool override_mac = false;
        std::optional<bool>
            is_router;  ///< none: it doesn't say (ARP, router advertisements set true)
    };
    struct AdvertisementResult {
        bool known = false;            ///< an entry exists
        bool stopped_routing = false;  ///< it was a router and says that it isn't one now
        std::optional<Ref> resolved;   ///< frames can go now
    };
    /// RFC 4861 §7.2.5.
    AdvertisementResult advertised(std::uint8_t interface, const IpAddress& address,
                                   const Advertisement& advertisement, Instant now);
    /// A transport has heard back through this neighbour (RFC 4861 §7.3.1).
    void confirm(Ref ref, Instant now);
    /// A transport hears nothing through this neighbour: it is asked at once whether it is still there.
    void suspect(Ref ref, Instant now);
    /// Marks as router what sent a router advertisement.
    void set_router(std::uint8_t interface, const IpAddress& address, bool is_router);

    struct Step {
        enum class Kind : std::uint8_t { solicit_group, solicit_unicast, unreachable } kind{};
        Ref ref;
    };
    [[nodiscard]] Instant next_timeout() const { return next_deadline_; }
    /// Appends what is due. After `unreachable` the caller takes the held frames and removes the entry.
    void on_timeout(Instant now, std::vector<Step>& steps);

    [[nodiscard]] const Entry* find(Ref ref) const;
    [[nodiscard]] const Entry* find(std::uint8_t interface, const IpAddress& address) const;
    [[nodiscard]] Ref ref_of(std::uint8_t interface, const IpAddress& address) const;
    /// Removes an entry; frames still held are dropped.
    void remove(Ref ref);
    [[nodiscard]] std::vector<NeighborStatus> status(Instant now) const;
    [[nodiscard]] std::uint16_t held_frames() const { return held_total_; }

    /// From a router advertisement on that interface (RFC 4861 §6.3.4); zero: as before.
    void set_timers(std::uint8_t interface, Duration reachable_time, Duration retransmit_time);

private:
    static constexpr std::size_t kBuckets = 512;
    struct HeldFrame {
        Frame frame;
        std::uint16_t next = kNone;
    };

    [[nodiscard]] std::size_t bucket_of(std::uint8_t interface, const IpAddress& address) const;
    [[nodiscard]] std::uint16_t lookup(std::uint8_t interface, const IpAddress& address) const;
    std::uint16_t create(std::uint8_t interface, const IpAddress& address, Instant now);
    [[nodiscard]] std::uint16_t find_victim(Instant now);
    void become(Entry& entry, NeighborState state, Instant now);
    void refresh_state(Entry& entry, Instant now) const;
    [[nodiscard]] Duration random_reachable_time(std::uint8_t interface);
    [[nodiscard]] Ref ref(std::uint16_t index) const { return {index, entries_[index].generation}; }

    struct Timers {
        Duration reachable;
        Duration retransmit;
    };
    IpConfig config_;
    SipKey key_;
    std::uint64_t draws_ = 0;
    std::array<Timers, kMaxInterfaces> timers_;
    std::vector<Entry> entries_;  ///< grows to kCapacity
    std::vector<std::uint16_t> free_;
    std::array<std::uint16_t, kBuckets> buckets_;
    std::vector<HeldFrame> held_;  ///< grows to kHeldFrames
    std::vector<std::uint16_t> free_held_;
    std::uint16_t held_total_ = 0;
    std::uint16_t hand_ = 0;
    Instant next_deadline_ = Instant::never();
};

}  // namespace runnel
