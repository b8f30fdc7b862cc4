// The driver: one io_context drives one host over its links. It waits on the devices, hands frames in and
// out in batches, keeps one timer for the host and completes the sockets' operations, all in turns on the
// one thread that runs the io_context. The clock is the machine's or a hand's (virtual time).
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runnel/asio/operation.hpp"
#include "runnel/asio/socket_operations.hpp"
#include "runnel/host/host.hpp"
#include "runnel/link/device.hpp"
#include "runnel/socket/socket_layer.hpp"

namespace runnel {

enum class Clock : std::uint8_t { monotonic, manual };

struct DriverOptions {
    HostConfig host;  ///< `secret` is filled in by the driver
    /// Secrets come from it instead of the machine's randomness: for runs that repeat exactly.
    std::optional<std::uint64_t> seed;
    Clock clock = Clock::monotonic;
    std::uint32_t max_sockets = 1u << 16;
};

class Member;
struct SocketRecord;
class TimerTarget;
struct TimerTargetTag;
using TimerTargetHandle = Handle<TimerTargetTag>;

class Driver final : private OperationOwner {
public:
    using Executor = boost::asio::io_context::executor_type;
    using FrameSink = std::function<void(FrameBatch&)>;
    using CaptureSink = std::function<void(const CapturedFrame&)>;

    /// The driver counts as work of `io`: run() returns after `close()` or `io.stop()`. `io` must outlive it
    /// or its `close()`, and be run by one thread only.
    Driver(boost::asio::io_context& io, const DriverOptions& options);
    /// Closes it.
    ~Driver();
    Driver(const Driver&) = delete;
    Driver& operator=(const Driver&) = delete;

    // --- links --------------------------------------------------------------------------------------
    /// Puts the host on a device. Returns the interface's index in the host.
    std::uint8_t add_link(Device device);
    /// A link without a device: frames to send go to `sink`, which takes them out of the batch; received
    /// ones come by `deliver`.
    std::uint8_t add_link(const InterfaceConfig& config, FrameSink sink);
    /// Frames that arrived on such a link; they are moved from, the batch is cleared.
    void deliver(std::uint8_t interface, FrameBatch& frames);
    /// The device of an interface, or nullptr.
    [[nodiscard]] const Device* device(std::uint8_t interface) const;

    // --- set-up and status --------------------------------------------------------------------------
    Host& host() { return host_; }
    SocketLayer& sockets() { return sockets_; }
    [[nodiscard]] boost::asio::io_context& context() { return io_; }
    [[nodiscard]] Executor get_executor() { return io_.get_executor(); }
    /// Every frame in and out from now on, as the host saw it; an empty function ends it.
    void set_capture(CaptureSink sink);

    /// Calls handler(error_code) when every connection that its user has closed has ended (TIME-WAIT is an
    /// end), or with asio::error::timed_out after `limit`. A program awaits it before it exits: no kernel
    /// carries out the rest of a close for it.
    template <class Token>
    auto async_finish(Duration limit, Token&& token) {
        return boost::asio::async_initiate<Token, void(boost::system::error_code)>(
            [this, limit](auto handler) {
                using Made = HandledOperation<FinishOperation, decltype(handler)>;
                start_finish(start(Made::make(std::move(handler), get_executor())), limit);
            },
            token);
    }
    /// Ends everything that belongs to the io_context, so that run() can return: pending operations go
    /// without a call of their handlers, and nothing is waited for any more. Handlers that wait elsewhere and
    /// hold slices (of this host's memory) must go before the driver does: close the driver, destroy the
    /// io_context, destroy the driver.
    void close();

    // --- time ---------------------------------------------------------------------------------------
    /// The time of the present turn, or the clock's between turns.
    [[nodiscard]] Instant now() const;
    /// Manual clock: moves time on and lets the host catch up when the io_context next runs. Never back.
    void set_now(Instant now);
    /// Manual clock: when the host wants to be called next.
    [[nodiscard]] Instant next_timeout() const { return host_.next_timeout(); }

    // --- for the sockets of this room ---------------------------------------------------------------
    /// Lets a turn follow: something may be there to send or to complete.
    void poke();
    /// The next completed operation's place is behind those already completed.
    void complete(Operation& operation);
    void add_member(Member& member);
    void remove_member(Member& member);
    /// The record's socket id is known from now on: its readiness comes here.
    void bind_record(SocketRecord& record);
    void unbind_record(SocketRecord& record);
    UserTimerHandle start_timer(TimerTarget& target, Instant deadline,
                                TimerTargetHandle& registration);
    void stop_timer(UserTimerHandle timer, TimerTargetHandle& registration);
    OperationOwner& owner() { return *this; }
    /// Connects the handler's cancellation slot and returns the operation.
    template <class Made>
    Made& start(Made& operation) {
        operation.connect_cancellation(*this);
        return operation;
    }

    class FinishOperation : public Operation {
    public:
        std::tuple<boost::system::error_code> result() { return {error}; }
        Instant deadline;

    protected:
        ~FinishOperation() = default;
    };

private:
    struct Link;
    struct Anchor;

    static HostConfig with_secret(const DriverOptions& options);
    void cancel_operation(Operation& operation, boost::system::error_code error) override;
    void start_finish(FinishOperation& operation, Duration limit);

    void turn();
    bool run_round();
    bool read_links();
    bool receive(Link& link);
    void pass_time();
    void give_memory_back();
    void deliver_ready();
    void run_completions();
    bool transmit();
    bool flush(Link& link);
    void drain_capture();
    void check_finished();
    [[nodiscard]] bool has_unfinished() const;
    void wait_for_links();
    void wait_for_time();
    [[nodiscard]] Instant read_clock() const;

    boost::asio::io_context& io_;
    Host host_;
    SocketLayer sockets_;
    std::shared_ptr<Anchor>
        anchor_;  ///< handlers hold it: it outlives the driver and knows whether it lives
    std::vector<std::unique_ptr<Link>> links_;  ///< by interface index
    Clock clock_;
    Instant now_;
    std::uint32_t crowd_ =
        0;  ///< most connections and TIME-WAIT entries since memory was given back
    bool in_turn_ = false;
    bool turn_posted_ = false;
    bool closed_ = false;

    OperationList completed_;
    OperationList finishing_;
    Member* members_ = nullptr;                    ///< all, linked through themselves
    std::vector<SocketRecord*> record_of_socket_;  ///< by index of the SocketId
    Slab<TimerTarget*, TimerTargetTag> timer_targets_;
    std::vector<ReadyEvent> ready_;
    std::vector<std::uint64_t> fired_;
    FrameBatch incoming_;
    FrameBatch outgoing_;
    CaptureSink capture_;
    std::vector<CapturedFrame> captured_;
};

/// A socket or timer of the user's that belongs to a driver and learns when that closes.
class Member {
public:
    Driver* driver = nullptr;  ///< nullptr once the driver has been closed

protected:
    ~Member() = default;

private:
    friend class Driver;
    /// Moves everything that waits here into `all`.
    virtual void give_up_operations(OperationList& all) = 0;
    Member* next_ = nullptr;
    Member* previous_ = nullptr;
};

/// Something that a timer of the host ends.
class TimerTarget {
public:
    virtual void on_timer(Instant now) = 0;

protected:
    ~TimerTarget() = default;
};

/// A socket in the driver's eyes: its id and who waits for it.
struct SocketRecord final : TimerTarget, Member {
    SocketId id;
    OperationList waiting[kWaitKinds];
    Instant deadline = Instant::never();
    bool expired = false;
    UserTimerHandle timer;
    TimerTargetHandle timer_registration;

    /// Tries at once, behind what already waits, and queues it if that fails.
    void begin(SocketOperation& operation, WaitFor kind);
    void on_ready(tcp::Readiness readiness, Instant now);
    void on_timer(Instant now) override;
    /// Ends everything that waits.
    void end_all(boost::system::error_code error);
    void give_up_operations(OperationList& all) override;
};

}  // namespace runnel
