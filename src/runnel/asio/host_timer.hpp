// A timer in Asio's dialect that runs on the host's time: under a manual clock it fires in virtual time,
// where an asio::steady_timer would not.
#pragma once

#include <boost/asio/async_result.hpp>
#include <chrono>
#include <memory>

#include "runnel/asio/driver.hpp"

namespace runnel {

class WaitForTimer : public Operation {
public:
    std::tuple<boost::system::error_code> result() { return {error}; }

protected:
    ~WaitForTimer() = default;
};

class host_timer final : private TimerTarget, private Member {
public:
    using executor_type = Driver::Executor;

    explicit host_timer(Driver& owner) : executor_(owner.get_executor()) {
        owner.add_member(*this);
    }
    host_timer(const host_timer&) = delete;
    host_timer& operator=(const host_timer&) = delete;
    ~host_timer() {
        cancel();
        if (driver != nullptr) {
            driver->remove_member(*this);
        }
    }

    [[nodiscard]] executor_type get_executor() const noexcept { return executor_; }
    /// Ends pending waits with operation_aborted and sets the expiry.
    void expires_after(Duration delay) {
        cancel();
        expired_ = false;
        if (driver != nullptr) {
            timer_ = driver->start_timer(*this, driver->now() + delay, registration_);
        }
    }
    void expires_after(std::chrono::nanoseconds delay) {
        expires_after(nanoseconds(delay.count()));
    }
    void cancel() {
        if (driver != nullptr) {
            driver->stop_timer(timer_, registration_);
            end_all(boost::asio::error::operation_aborted);
        }
    }
    /// `void(error_code)`
    template <class Token>
    auto async_wait(Token&& token) {
        return boost::asio::async_initiate<Token, void(boost::system::error_code)>(
            [this](auto handler) {
                using Made = HandledOperation<WaitForTimer, decltype(handler)>;
                auto& made = Made::make(std::move(handler), executor_);
                if (driver == nullptr) {
                    made.finish(false);
                    return;
                }
                driver->start(made);
                if (expired_) {
                    driver->complete(made);
                } else {
                    waiting_.push_back(made);
                }
            },
            token);
    }

private:
    void on_timer(Instant /*now*/) override {
        driver->stop_timer(timer_, registration_);
        expired_ = true;
        end_all({});
    }
    void end_all(boost::system::error_code error) {
        while (Operation* operation = waiting_.pop_front()) {
            operation->error = error;
            driver->complete(*operation);
        }
    }

    void give_up_operations(OperationList& all) override { all.splice_back(waiting_); }

    executor_type executor_;
    OperationList waiting_;
    UserTimerHandle timer_;
    TimerTargetHandle registration_;
    bool expired_ = false;
};

}  // namespace runnel
