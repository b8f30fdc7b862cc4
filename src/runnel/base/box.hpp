// A value that lies out of line: copied with what holds it, and nothing but a pointer while there is none.
#pragma once

#include <memory>
#include <utility>

namespace runnel {

template <class T>
class Box {
public:
    Box() = default;
    Box(const Box& other) : value_(other.value_ ? std::make_unique<T>(*other.value_) : nullptr) {}
    Box(Box&&) noexcept = default;
    Box& operator=(const Box& other) {
        if (this != &other) {
            value_ = other.value_ ? std::make_unique<T>(*other.value_) : nullptr;
        }
        return *this;
    }
    Box& operator=(Box&&) noexcept = default;
    ~Box() = default;

    /// By value.
    bool operator==(const Box& other) const {
        return empty() || other.empty() ? empty() == other.empty() : *value_ == *other.value_;
    }
    [[nodiscard]] bool empty() const { return value_ == nullptr; }
    template <class... Args>
    T& emplace(Args&&... args) {
        value_ = std::make_unique<T>(std::forward<Args>(args)...);
        return *value_;
    }
    [[nodiscard]] T* get() { return value_.get(); }
    [[nodiscard]] const T* get() const { return value_.get(); }

private:
    std::unique_ptr<T> value_;
};

}  // namespace runnel
