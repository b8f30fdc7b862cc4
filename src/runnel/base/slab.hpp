// A table of objects with stable addresses and generation-checked handles: a handle to an object that
// has gone (even if its place has a new tenant) finds nothing.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "runnel/base/check.hpp"

namespace runnel {

/// Names one object of a Slab for its lifetime. A default-made handle names none.
template <class Tag>
struct Handle {
    std::uint32_t index = 0xffff'ffff;
    std::uint32_t generation = 0;

    constexpr bool operator==(const Handle&) const = default;
    [[nodiscard]] constexpr bool is_none() const { return index == 0xffff'ffff; }
    [[nodiscard]] constexpr std::uint64_t packed() const {
        return (static_cast<std::uint64_t>(generation) << 32) | index;
    }
    static constexpr Handle from_packed(std::uint64_t value) {
        return {static_cast<std::uint32_t>(value), static_cast<std::uint32_t>(value >> 32)};
    }
};

/// Objects live in blocks that never move. A new one takes a place in the first block that has room, so
/// that blocks empty from the end; a block without objects gives its memory back (one is kept, for a
/// population that swings around a block's border).
template <class T, class Tag = T>
class Slab {
public:
    using HandleType = Handle<Tag>;

    /// `limit` is the greatest number of objects alive at once.
    explicit Slab(std::uint32_t limit) : limit_(limit) {}
    Slab(const Slab&) = delete;
    Slab& operator=(const Slab&) = delete;
    ~Slab() {
        for_each([](HandleType, T& object) { object.~T(); });
    }

    /// Makes an object; the none-handle when the limit is reached.
    template <class... Args>
    HandleType emplace(Args&&... args) {
        if (size_ >= limit_) {
            return {};
        }
        const std::uint32_t number = block_with_room();
        Block& block = blocks_[number];
        const std::uint32_t offset = block.free_head;
        Place& place = block.places[offset];
        block.free_head = place.next_free;
        new (static_cast<void*>(place.storage)) T(std::forward<Args>(args)...);
        ++place.generation;
        ++size_;
        if (block.alive++ == 0 && spare_ == number) {
            spare_ = kNone;
        }
        if (block.alive == kBlock) {
            room_[number / 64] &= ~(std::uint64_t{1} << (number % 64));
        }
        return {number * kBlock + offset, place.generation};
    }

    [[nodiscard]] T* find(HandleType handle) {
        Place* place = place_of(handle.index);
        return place != nullptr && place->alive() && place->generation == handle.generation
                   ? object(*place)
                   : nullptr;
    }
    [[nodiscard]] const T* find(HandleType handle) const {
        return const_cast<Slab*>(this)->find(handle);
    }

    void erase(HandleType handle) {
        RUNNEL_CHECK(find(handle) != nullptr);
        const std::uint32_t number = handle.index / kBlock;
        Block& block = blocks_[number];
        Place& place = block.places[handle.index % kBlock];
        object(place)->~T();
        ++place.generation;
        place.next_free = block.free_head;
        block.free_head = handle.index % kBlock;
        --block.alive;
        --size_;
        room_[number / 64] |= std::uint64_t{1} << (number % 64);
        first_room_ = std::min(first_room_, number / 64);
        if (block.alive == 0) {
            retire(number);
        }
    }

    [[nodiscard]] std::uint32_t size() const { return size_; }
    /// Octets that the blocks take now.
    [[nodiscard]] std::size_t bytes_held() const {
        std::size_t held = 0;
        for (const Block& block : blocks_) {
            held += block.places != nullptr ? sizeof(Place) * kBlock : 0;
        }
        return held;
    }

    /// The handle of the living object at `index` (which a table of the caller's has remembered).
    [[nodiscard]] HandleType handle_at(std::uint32_t index) {
        const Place* place = place_of(index);
        RUNNEL_CHECK(place != nullptr && place->alive());
        return {index, place->generation};
    }

    /// Visits every living object in index order: `f(handle, object)`. `f` may erase the one it is given.
    template <class F>
    void for_each(F&& f) {
        (void)visit(0, end(), f);
    }

    /// The same for `places` places (at least 1) from index `from` on, taken or free: a long walk in pieces.
    /// Returns where to go on; at `end()` all have been looked at.
    template <class F>
    [[nodiscard]] std::uint32_t visit(std::uint32_t from, std::uint32_t places, F&& f) {
        std::uint32_t i = from;
        for (std::uint32_t seen = 0; i < end() && seen < places; ++seen) {
            Place* place = place_of(i);
            if (place == nullptr) {
                i = (i / kBlock + 1) * kBlock;  // a block without memory
                continue;
            }
            if (place->alive()) {
                f(HandleType{i, place->generation}, *object(*place));
            }
            ++i;
        }
        return i;
    }
    /// Above every index.
    [[nodiscard]] std::uint32_t end() const {
        return static_cast<std::uint32_t>(blocks_.size()) * kBlock;
    }

private:
    static constexpr std::uint32_t kNone = 0xffff'ffff;
    static constexpr std::uint32_t kBlock = 256;
    struct Place {
        union {
            alignas(T) std::byte storage[sizeof(T)];
            std::uint32_t next_free;  ///< in the block, while there is no object
        };
        std::uint32_t generation = 0;  ///< odd while there is an object
        Place() : next_free(kNone) {}
        [[nodiscard]] bool alive() const { return (generation & 1) != 0; }
    };
    struct Block {
        std::unique_ptr<Place[]> places;  ///< none while it has no objects
        std::uint32_t free_head = kNone;
        std::uint32_t alive = 0;
        /// Where its places' generations go on when it gets memory again: old handles stay dead.
        std::uint32_t generation = 0;
    };

    Place* place_of(std::uint32_t index) {
        const std::uint32_t number = index / kBlock;
        return number < blocks_.size() && blocks_[number].places != nullptr
                   ? &blocks_[number].places[index % kBlock]
                   : nullptr;
    }
    static T* object(Place& place) { return std::launder(reinterpret_cast<T*>(place.storage)); }

    /// The first block with a free place, with its memory.
    std::uint32_t block_with_room() {
        while (first_room_ < room_.size() && room_[first_room_] == 0) {
            ++first_room_;
        }
        if (first_room_ == room_.size()) {
            room_.push_back(~std::uint64_t{0});
        }
        const std::uint32_t number =
            first_room_ * 64 + static_cast<std::uint32_t>(std::countr_zero(room_[first_room_]));
        if (number >= blocks_.size()) {
            blocks_.resize(number + 1);
        }
        Block& block = blocks_[number];
        if (block.places == nullptr) {
            block.places = std::make_unique<Place[]>(kBlock);
            block.free_head = 0;
            for (std::uint32_t i = 0; i < kBlock; ++i) {
                block.places[i].next_free = i + 1 < kBlock ? i + 1 : kNone;
                block.places[i].generation = block.generation;
            }
        }
        return number;
    }

    /// `number` has no objects any more: of it and the spare block the later one goes.
    void retire(std::uint32_t number) {
        if (spare_ == kNone) {
            spare_ = number;
            return;
        }
        Block& block = blocks_[std::max(spare_, number)];
        spare_ = std::min(spare_, number);
        for (std::uint32_t i = 0; i < kBlock; ++i) {
            block.generation = std::max(block.generation, block.places[i].generation);
        }
        block.places.reset();
    }

    std::vector<Block> blocks_;
    std::vector<std::uint64_t>
        room_;                      ///< a bit a block: it has a free place, or none of it is made
    std::uint32_t first_room_ = 0;  ///< no word of `room_` before this one has a bit
    std::uint32_t spare_ = kNone;   ///< the block without objects that keeps its memory
    std::uint32_t limit_;
    std::uint32_t size_ = 0;
};

}  // namespace runnel
