// Pending operations of the sockets: what is to be done and whom to tell, behind one small base class,
// because Boost 1.81's any_completion_handler doesn't compile with post and recurses with append. An
// operation is completed only from a driver's turn, never from inside the call that started it.
#pragma once

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/recycling_allocator.hpp>
#include <boost/system/error_code.hpp>
#include <memory>
#include <new>
#include <tuple>
#include <type_traits>
#include <utility>

namespace runnel {

class OperationList;

/// One pending operation. It stands in at most one list.
class Operation {
public:
    Operation() = default;
    Operation(const Operation&) = delete;
    Operation& operator=(const Operation&) = delete;

    /// Frees the operation and then, if `invoke`, calls its handler with what was stored.
    virtual void finish(bool invoke) = 0;

    boost::system::error_code error;

protected:
    ~Operation() = default;  // finish() frees it, with the handler's own allocator

private:
    friend class OperationList;
    Operation* next_ = nullptr;
    Operation* previous_ = nullptr;
    OperationList* list_ = nullptr;
};

/// Operations in order, linked through themselves.
class OperationList {
public:
    OperationList() = default;
    OperationList(const OperationList&) = delete;
    OperationList& operator=(const OperationList&) = delete;

    [[nodiscard]] bool empty() const { return front_ == nullptr; }
    [[nodiscard]] Operation* front() const { return front_; }

    void push_back(Operation& operation) {
        operation.list_ = this;
        operation.next_ = nullptr;
        operation.previous_ = back_;
        (back_ != nullptr ? back_->next_ : front_) = &operation;
        back_ = &operation;
    }
    void remove(Operation& operation) {
        (operation.previous_ != nullptr ? operation.previous_->next_ : front_) = operation.next_;
        (operation.next_ != nullptr ? operation.next_->previous_ : back_) = operation.previous_;
        operation.list_ = nullptr;
    }
    Operation* pop_front() {
        Operation* operation = front_;
        if (operation != nullptr) {
            remove(*operation);
        }
        return operation;
    }
    /// Moves every operation of `other` behind these.
    void splice_back(OperationList& other) {
        while (Operation* operation = other.pop_front()) {
            push_back(*operation);
        }
    }
    /// The list that an operation waits in, or nullptr.
    static OperationList* of(const Operation& operation) { return operation.list_; }

private:
    Operation* front_ = nullptr;
    Operation* back_ = nullptr;
};

/// Who can end an operation early: the driver.
class OperationOwner {
public:
    /// Ends `operation` with `error` unless it has already been completed.
    virtual void cancel_operation(Operation& operation, boost::system::error_code error) = 0;

protected:
    ~OperationOwner() = default;
};

/// An operation of type Base (which derives from Operation and has `result()`, a tuple of the handler's
/// arguments) together with its handler.
template <class Base, class Handler>
class HandledOperation final : public Base {
public:
    using IoExecutor = boost::asio::io_context::executor_type;
    using Executor = boost::asio::associated_executor_t<Handler, IoExecutor>;

    template <class... Args>
    HandledOperation(Handler&& handler, const IoExecutor& io, Args&&... args)
        : Base(std::forward<Args>(args)...),
          handler_(std::move(handler)),
          io_(io),
          work_(boost::asio::get_associated_executor(handler_, io)) {}

    /// Makes one with the handler's allocator.
    template <class... Args>
    static HandledOperation& make(Handler&& handler, const IoExecutor& io, Args&&... args) {
        Allocator allocator = allocator_of(handler);
        HandledOperation* memory = Traits::allocate(allocator, 1);
        try {
            return *new (static_cast<void*>(memory))
                HandledOperation(std::move(handler), io, std::forward<Args>(args)...);
        } catch (...) {
            Traits::deallocate(allocator, memory, 1);
            throw;
        }
    }

    /// Lets the handler's cancellation slot end this operation (every type: nothing has happened yet).
    void connect_cancellation(OperationOwner& owner) {
        auto slot = boost::asio::get_associated_cancellation_slot(handler_);
        if (slot.is_connected()) {
            slot.assign([this, &owner](boost::asio::cancellation_type) {
                owner.cancel_operation(*this, boost::asio::error::operation_aborted);
            });
        }
    }

    void finish(bool invoke) override {
        auto slot = boost::asio::get_associated_cancellation_slot(handler_);
        if (slot.is_connected()) {
            slot.clear();
        }
        if (!invoke) {
            Allocator allocator = allocator_of(handler_);
            this->~HandledOperation();
            Traits::deallocate(allocator, this, 1);
            return;
        }
        Handler handler(std::move(handler_));
        auto work(std::move(work_));
        const IoExecutor io(io_);
        auto result = this->result();
        Allocator allocator = allocator_of(handler);
        this->~HandledOperation();
        Traits::deallocate(allocator, this, 1);
        if (runs_here(work.get_executor(), io)) {
            // A driver's turn is itself a handler of this io_context and holds no lock: what dispatch
            // would find out again.
            std::apply(std::move(handler), std::move(result));
        } else {
            boost::asio::dispatch(work.get_executor(), [handler = std::move(handler),
                                                        result = std::move(result)]() mutable {
                std::apply(std::move(handler), std::move(result));
            });
        }
    }

private:
    using Allocator = typename std::allocator_traits<boost::asio::associated_allocator_t<
        Handler, boost::asio::recycling_allocator<void>>>::template rebind_alloc<HandledOperation>;
    using Traits = std::allocator_traits<Allocator>;

    static Allocator allocator_of(const Handler& handler) {
        return Allocator(boost::asio::get_associated_allocator(
            handler, boost::asio::recycling_allocator<void>()));
    }
    static bool runs_here(const Executor& executor, const IoExecutor& io) {
        if constexpr (std::is_same_v<Executor, IoExecutor>) {
            return executor == io;
        } else if constexpr (requires { executor.template target<IoExecutor>(); }) {
            const IoExecutor* target = executor.template target<IoExecutor>();
            return target != nullptr && *target == io;
        } else {
            return false;
        }
    }

    Handler handler_;
    IoExecutor io_;
    boost::asio::executor_work_guard<Executor> work_;
};

}  // namespace runnel
