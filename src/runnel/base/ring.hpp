// A growable circular queue in one contiguous block, for things that enter at one end and leave at
// the other: slices, records, handles. Empty it owns no memory; who fills it bounds it (law 5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "runnel/base/check.hpp"

namespace runnel {

/// Elements 0 .. size()-1 in order. T must move without throwing. Growing doubles the block, so
/// that pushing costs amortised constant time; insert and erase move the shorter side.
template <class T>
class Ring {
    static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T>);

public:
    Ring() = default;
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;
    Ring(Ring&& other) noexcept { swap(other); }
    Ring& operator=(Ring&& other) noexcept {
        Ring taken(std::move(other));
        swap(taken);
        return *this;
    }
    ~Ring() { release(); }

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] std::size_t capacity() const { return capacity_; }
    [[nodiscard]] T& operator[](std::size_t i) { return *place(i); }
    [[nodiscard]] const T& operator[](std::size_t i) const { return *place(i); }
    [[nodiscard]] T& front() { return at(0); }
    [[nodiscard]] const T& front() const { return at(0); }
    [[nodiscard]] T& back() { return at(size_ - std::size_t{1}); }
    [[nodiscard]] const T& back() const { return at(size_ - std::size_t{1}); }

    void push_back(T value) {
        make_room();
        std::construct_at(place(size_), std::move(value));
        ++size_;
    }
    void push_front(T value) {
        make_room();
        head_ = (head_ - 1) & (capacity_ - 1);
        std::construct_at(place(0), std::move(value));
        ++size_;
    }
    void pop_front() {
        RUNNEL_CHECK(size_ > 0);
        std::destroy_at(place(0));
        head_ = (head_ + 1) & (capacity_ - 1);
        --size_;
    }
    void pop_back() {
        RUNNEL_CHECK(size_ > 0);
        --size_;
        std::destroy_at(place(size_));
    }

    /// Puts `value` before element `index`; `index == size()` appends.
    void insert(std::size_t index, T value) {
        RUNNEL_CHECK(index <= size_);
        if (index < size_ / 2) {
            push_front(std::move(value));
            for (std::size_t i = 0; i < index; ++i) {
                std::swap(*place(i), *place(i + 1));
            }
        } else {
            push_back(std::move(value));
            for (std::size_t i = size_ - std::size_t{1}; i > index; --i) {
                std::swap(*place(i), *place(i - 1));
            }
        }
    }
    /// Removes `count` elements from `index` on.
    void erase(std::size_t index, std::size_t count = 1) {
        RUNNEL_CHECK(index <= size_ && count <= size_ - index);
        const std::size_t behind = size_ - index - count;
        if (index < behind) {
            for (std::size_t i = index; i-- > 0;) {
                *place(i + count) = std::move(*place(i));
            }
            for (std::size_t i = 0; i < count; ++i) {
                pop_front();
            }
        } else {
            for (std::size_t i = index; i < index + behind; ++i) {
                *place(i) = std::move(*place(i + count));
            }
            for (std::size_t i = 0; i < count; ++i) {
                pop_back();
            }
        }
    }

    /// Destroys all elements and keeps the block.
    void clear() {
        while (size_ > 0) {
            pop_back();
        }
        head_ = 0;
    }
    /// Destroys all elements and frees the block.
    void release() {
        clear();
        if (block_ != nullptr) {
            std::allocator<T>().deallocate(block_, capacity_);
        }
        block_ = nullptr;
        capacity_ = 0;
    }
    void swap(Ring& other) noexcept {
        std::swap(block_, other.block_);
        std::swap(head_, other.head_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
    }

private:
    static constexpr std::uint32_t kFirstCapacity = 4;
    static constexpr std::uint32_t kMaxCapacity = 1U << 31;

    [[nodiscard]] T* place(std::size_t i) const {
        return block_ + ((head_ + i) & (capacity_ - 1U));
    }
    [[nodiscard]] T& at(std::size_t i) const {
        RUNNEL_CHECK(size_ > 0);
        return *place(i);
    }
    void make_room() {
        if (size_ < capacity_) {
            return;
        }
        RUNNEL_CHECK(capacity_ < kMaxCapacity);
        const std::uint32_t capacity = capacity_ == 0 ? kFirstCapacity : capacity_ * 2;
        T* block = std::allocator<T>().allocate(capacity);
        for (std::size_t i = 0; i < size_; ++i) {
            std::construct_at(block + i, std::move(*place(i)));
            std::destroy_at(place(i));
        }
        if (block_ != nullptr) {
            std::allocator<T>().deallocate(block_, capacity_);
        }
        block_ = block;
        head_ = 0;
        capacity_ = capacity;
    }

    T* block_ = nullptr;
    std::uint32_t head_ = 0;  ///< index in the block of element 0
    std::uint32_t size_ = 0;
    std::uint32_t capacity_ = 0;  ///< of the block; a power of two, or 0 without a block
};

}  // namespace runnel
