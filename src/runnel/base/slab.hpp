// A table of objects with stable addresses and generation-checked handles: a handle to an object that
// has gone (even if its place has a new tenant) finds nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
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

/// Objects live in blocks that never move; a freed place is reused last-in, first-out.
template <class T, class Tag = T>
class Slab {
public:
    using HandleType = Handle<Tag>;

    /// `limit` is the greatest number of objects alive at once.
    explicit Slab(std::uint32_t limit) : limit_(limit) {}
    Slab(const Slab&) = delete;
    Slab& operator=(const Slab&) = delete;
    ~Slab() {
        for (std::uint32_t i = 0; i < used_places_; ++i) {
            Place& place = at(i);
            if (place.alive) {
                destroy(place);
            }
        }
    }

    /// Makes an object; the none-handle when the limit is reached.
    template <class... Args>
    HandleType emplace(Args&&... args) {
        std::uint32_t index = free_head_;
        if (index != kNone) {
            free_head_ = at(index).next_free;
        } else {
            if (used_places_ >= limit_) {
                return {};
            }
            index = used_places_++;
            if (index / kBlock >= blocks_.size()) {
                blocks_.push_back(std::make_unique<Place[]>(kBlock));
            }
        }
        Place& place = at(index);
        new (static_cast<void*>(place.storage)) T(std::forward<Args>(args)...);
        place.alive = true;
        ++size_;
        return {index, place.generation};
    }

    [[nodiscard]] T* find(HandleType handle) {
        if (handle.index >= used_places_) {
            return nullptr;
        }
        Place& place = at(handle.index);
        return place.alive && place.generation == handle.generation ? object(place) : nullptr;
    }
    [[nodiscard]] const T* find(HandleType handle) const {
        return const_cast<Slab*>(this)->find(handle);
    }

    void erase(HandleType handle) {
        RUNNEL_CHECK(find(handle) != nullptr);
        Place& place = at(handle.index);
        destroy(place);
        place.alive = false;
        ++place.generation;
        place.next_free = free_head_;
        free_head_ = handle.index;
        --size_;
    }

    [[nodiscard]] std::uint32_t size() const { return size_; }

    /// The handle of the living object at `index` (which a table of the caller's has remembered).
    [[nodiscard]] HandleType handle_at(std::uint32_t index) {
        RUNNEL_CHECK(index < used_places_ && at(index).alive);
        return {index, at(index).generation};
    }

    /// Visits every living object in index order: `f(handle, object)`. `f` may erase the one it is given.
    template <class F>
    void for_each(F&& f) {
        for (std::uint32_t i = 0; i < used_places_; ++i) {
            Place& place = at(i);
            if (place.alive) {
                f(HandleType{i, place.generation}, *object(place));
            }
        }
    }

private:
    static constexpr std::uint32_t kNone = 0xffff'ffff;
    static constexpr std::uint32_t kBlock = 256;
    struct Place {
        alignas(T) std::byte storage[sizeof(T)];
        std::uint32_t generation = 1;
        std::uint32_t next_free = kNone;
        bool alive = false;
    };
    Place& at(std::uint32_t index) { return blocks_[index / kBlock][index % kBlock]; }
    static T* object(Place& place) { return std::launder(reinterpret_cast<T*>(place.storage)); }
    static void destroy(Place& place) { object(place)->~T(); }

    std::vector<std::unique_ptr<Place[]>> blocks_;
    std::uint32_t limit_;
    std::uint32_t used_places_ = 0;
    std::uint32_t size_ = 0;
    std::uint32_t free_head_ = kNone;
};

}  // namespace runnel
