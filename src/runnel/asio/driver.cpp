// A turn of the driver: read a batch, let the host work, complete operations and run their handlers, then
// transmit; and again as long as there is something, before the thread goes back to sleep in epoll. A sleep
// and a wake-up cost several system calls, one more read of an empty device costs one.
#include "runnel/asio/driver.hpp"

#include <malloc.h>
#include <sys/random.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <chrono>
#include <system_error>

#include "runnel/base/check.hpp"
#include "runnel/base/random.hpp"

namespace runnel {

namespace {

/// Frames read from a link before the host works on them. More would leave the processor's cache: a
/// frame may have 64 KB.
constexpr std::size_t kReadBatch = 16;
/// Frames sent before the link is read again.
constexpr std::size_t kTransmitBatch = 16;
/// Rounds of one turn; then other handlers of the io_context get theirs.
constexpr int kRoundsOfTurn = 16;
/// Handlers run in one round.
constexpr int kCompletionsOfRound = 256;
constexpr std::uint32_t kMaxTimerTargets = 1u << 20;
/// After a crowd of at least so many connections has gone, the C library returns what they needed.
constexpr std::uint32_t kCrowd = 1024;
/// How often the end of all connections is looked for while somebody waits for it.
constexpr Duration kFinishInterval = milliseconds(1);

}  // namespace

/// What handlers hold instead of the driver.
struct Driver::Anchor {
    explicit Anchor(Driver& owner, boost::asio::io_context& io)
        : driver(&owner), timer(std::in_place, io) {}
    Driver* driver;  ///< nullptr once it is closed
    std::optional<boost::asio::steady_timer> timer;
    Instant timer_deadline = Instant::never();
};

/// One interface: a device and what waits to be sent on it, or a sink.
struct Driver::Link {
    Link(boost::asio::io_context& io, Device opened)
        : device(std::move(opened)), descriptor(std::in_place, io, device->native_handle()) {}
    explicit Link(FrameSink frames) : sink(std::move(frames)) {}
    ~Link() { stop_waiting(); }
    void stop_waiting() {
        if (descriptor) {
            descriptor->release();  // the device closes it
            descriptor.reset();
        }
    }
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    std::optional<Device> device;
    FrameSink sink;
    std::optional<boost::asio::posix::stream_descriptor> descriptor;  ///< of the device
    bool waiting_to_read = false;
    bool waiting_to_write = false;
    bool failed = false;  ///< the descriptor can't be waited for
    FrameBatch incoming;  ///< delivered by hand
    FrameBatch outgoing;
    std::size_t sent = 0;  ///< of `outgoing`, when the device was full
};

HostConfig Driver::with_secret(const DriverOptions& options) {
    HostConfig config = options.host;
    if (options.seed) {
        Random random(*options.seed);
        config.secret.k0 = random.next();
        config.secret.k1 = random.next();
        return config;
    }
    std::uint64_t words[2] = {};
    if (::getrandom(words, sizeof(words), 0) != static_cast<ssize_t>(sizeof(words))) {
        throw std::system_error(errno, std::generic_category(), "getrandom");
    }
    config.secret = {words[0], words[1]};
    return config;
}

Driver::Driver(boost::asio::io_context& io, const DriverOptions& options)
    : io_(io),
      host_(with_secret(options)),
      sockets_(host_, options.max_sockets),
      anchor_(std::make_shared<Anchor>(*this, io)),
      clock_(options.clock),
      timer_targets_(kMaxTimerTargets) {
    now_ = read_clock();
}

Driver::~Driver() {
    close();
}

void Driver::close() {
    if (closed_) {
        return;
    }
    closed_ = true;
    // Handlers may hold sockets (a coroutine's frame does): those take themselves out of the lists here.
    for (Member* member = members_; member != nullptr; member = member->next_) {
        member->give_up_operations(completed_);
    }
    completed_.splice_back(finishing_);
    while (Operation* operation = completed_.pop_front()) {
        operation->finish(false);
    }
    while (members_ != nullptr) {
        remove_member(*members_);
    }
    for (const auto& link : links_) {
        link->stop_waiting();
    }
    anchor_->driver = nullptr;
    anchor_->timer.reset();
}

// --- links ----------------------------------------------------------------------------------------------

std::uint8_t Driver::add_link(Device device) {
    InterfaceConfig config;
    config.name = device.name().empty() ? "fd" : device.name();
    config.capabilities = device.capabilities();
    config.mac = device.mac();
    const std::uint8_t index = host_.add_interface(config);
    RUNNEL_CHECK(index == links_.size());
    links_.push_back(std::make_unique<Link>(io_, std::move(device)));
    poke();
    return index;
}

std::uint8_t Driver::add_link(const InterfaceConfig& config, FrameSink sink) {
    const std::uint8_t index = host_.add_interface(config);
    RUNNEL_CHECK(index == links_.size());
    links_.push_back(std::make_unique<Link>(std::move(sink)));
    poke();
    return index;
}

void Driver::deliver(std::uint8_t interface, FrameBatch& frames) {
    RUNNEL_CHECK(interface < links_.size());
    FrameBatch& incoming = links_[interface]->incoming;
    for (Frame& frame : frames) {
        incoming.push_back(std::move(frame));
    }
    frames.clear();
    poke();
}

const Device* Driver::device(std::uint8_t interface) const {
    const bool known = interface < links_.size() && links_[interface]->device;
    return known ? &*links_[interface]->device : nullptr;
}

void Driver::set_capture(CaptureSink sink) {
    capture_ = std::move(sink);
    host_.set_capture(static_cast<bool>(capture_));
}

// --- time -----------------------------------------------------------------------------------------------

Instant Driver::read_clock() const {
    if (clock_ == Clock::manual) {
        return now_;
    }
    const auto since_boot = std::chrono::steady_clock::now().time_since_epoch();
    return {std::chrono::duration_cast<std::chrono::nanoseconds>(since_boot).count()};
}

Instant Driver::now() const {
    return in_turn_ ? now_ : read_clock();
}

void Driver::set_now(Instant now) {
    RUNNEL_CHECK(clock_ == Clock::manual);
    now_ = std::max(now_, now);
    poke();
}

void Driver::pass_time() {
    if (host_.next_timeout() <= now_) {
        host_.on_timeout(now_);
    }
    host_.take_fired_timers(fired_);
    for (const std::uint64_t token : fired_) {
        if (TimerTarget** target = timer_targets_.find(TimerTargetHandle::from_packed(token))) {
            (*target)->on_timer(now_);
        }
    }
}

UserTimerHandle Driver::start_timer(TimerTarget& target, Instant deadline,
                                    TimerTargetHandle& registration) {
    registration = timer_targets_.emplace(&target);
    const UserTimerHandle timer = host_.start_timer(deadline, registration.packed());
    poke();
    return timer;
}

void Driver::stop_timer(UserTimerHandle timer, TimerTargetHandle& registration) {
    if (timer_targets_.find(registration) != nullptr) {
        timer_targets_.erase(registration);
        host_.cancel_timer(timer);
    }
    registration = {};
}

// --- turns ----------------------------------------------------------------------------------------------

void Driver::poke() {
    if (in_turn_ || turn_posted_ || closed_) {
        return;
    }
    turn_posted_ = true;
    boost::asio::post(io_, [anchor = anchor_] {
        if (anchor->driver != nullptr) {
            anchor->driver->turn();
        }
    });
}

void Driver::turn() {
    turn_posted_ = false;
    if (closed_ || in_turn_) {
        return;
    }
    in_turn_ = true;
    bool more = true;
    // A handler may throw through run(): what is left to do is then done in the next turn.
    struct Guard {
        Driver& driver;
        const bool& more;
        ~Guard() {
            driver.in_turn_ = false;
            if (more) {
                driver.poke();
            }
        }
    } guard{*this, more};
    for (int round = 0; round < kRoundsOfTurn && more; ++round) {
        more = run_round();
    }
    if (!finishing_.empty()) {
        check_finished();
        more = more || !completed_.empty();
    }
    if (!more && !closed_) {
        give_memory_back();
        wait_for_links();
        wait_for_time();
    }
}

bool Driver::run_round() {
    now_ = read_clock();
    bool more = read_links();
    pass_time();
    deliver_ready();
    run_completions();
    if (closed_) {
        return false;  // by a handler
    }
    more = transmit() || more;
    drain_capture();
    return more || !completed_.empty();
}

bool Driver::read_links() {
    bool more = false;
    for (std::size_t i = 0; i < links_.size(); ++i) {
        more = receive(*links_[i]) || more;
        if (!incoming_.empty()) {
            // They may have come after the turn began, if this thread had to wait: with the time from before, round
            // trips would look shorter than the path allows.
            now_ = read_clock();
            for (Frame& frame : incoming_) {
                frame.interface = static_cast<std::uint8_t>(i);
            }
            host_.on_frames(static_cast<std::uint8_t>(i), incoming_, now_);
            incoming_.clear();
        }
    }
    return more;
}

/// Fills `incoming_`; true when something came, so that there may be more.
bool Driver::receive(Link& link) {
    if (link.device) {
        return link.device->receive(host_.pool(), incoming_, kReadBatch) != 0;
    }
    incoming_.swap(link.incoming);
    return !incoming_.empty();
}

void Driver::deliver_ready() {
    sockets_.take_ready(ready_);
    for (const ReadyEvent& event : ready_) {
        const std::uint32_t index = event.socket.index;
        SocketRecord* record =
            index < record_of_socket_.size() ? record_of_socket_[index] : nullptr;
        if (record != nullptr && record->id == event.socket) {
            record->on_ready(event.readiness, now_);
        }
    }
}

void Driver::run_completions() {
    for (int i = 0; i < kCompletionsOfRound; ++i) {
        Operation* operation = completed_.pop_front();
        if (operation == nullptr) {
            return;
        }
        operation->finish(true);
    }
}

/// True when something was sent, so that an answer may be there already, or the host has more to send.
bool Driver::transmit() {
    for (const auto& link : links_) {
        if (!flush(*link)) {
            return false;  // a full device holds the host back; it is waited for
        }
    }
    if (links_.size() == 1) {
        FrameBatch& batch = links_.front()->outgoing;
        bool more = host_.poll_transmit(now_, batch, kTransmitBatch);
        more = more || !batch.empty();
        return flush(*links_.front()) && more;
    }
    bool more = host_.poll_transmit(now_, outgoing_, kTransmitBatch);
    more = more || !outgoing_.empty();
    for (Frame& frame : outgoing_) {
        if (frame.interface < links_.size()) {
            links_[frame.interface]->outgoing.push_back(std::move(frame));
        }
    }
    outgoing_.clear();
    bool all = true;
    for (const auto& link : links_) {
        all = flush(*link) && all;
    }
    return all && more;
}

/// Sends what stands in the link's batch; false when the device is full.
bool Driver::flush(Link& link) {
    if (link.outgoing.empty()) {
        return true;
    }
    if (!link.device) {
        link.sink(link.outgoing);
        link.outgoing.clear();
        return true;
    }
    const auto waiting = std::span<const Frame>(link.outgoing).subspan(link.sent);
    link.sent += link.device->send(waiting);
    if (link.sent < link.outgoing.size()) {
        return false;
    }
    link.outgoing.clear();
    link.sent = 0;
    return true;
}

void Driver::drain_capture() {
    if (!capture_) {
        return;
    }
    host_.take_captured(captured_);
    for (const CapturedFrame& frame : captured_) {
        capture_(frame);
    }
    captured_.clear();
}

/// The pools and tables free what a rush of connections needed, but the C library keeps free pages that lie below
/// one in use. Asked only before the thread sleeps, and once for each time that the crowd has fallen to a quarter.
void Driver::give_memory_back() {
    const tcp::TableSizes sizes = host_.tcp().sizes();
    const std::uint32_t present = sizes.connections + sizes.time_wait;
    crowd_ = std::max(crowd_, present);
    if (crowd_ >= kCrowd && present < crowd_ / 4) {
        crowd_ = present;
#ifdef __GLIBC__
        (void)malloc_trim(0);
#endif
    }
}

void Driver::wait_for_links() {
    using Wait = boost::asio::posix::stream_descriptor;
    for (const auto& link : links_) {
        if (!link->descriptor || link->device->failure() || link->failed) {
            continue;
        }
        const auto wait = [this, &link](Wait::wait_type what, bool& waiting) {
            if (waiting) {
                return;
            }
            waiting = true;
            link->descriptor->async_wait(what, [anchor = anchor_, raw = link.get(),
                                                &waiting](boost::system::error_code error) {
                if (anchor->driver != nullptr) {
                    waiting = false;
                    raw->failed = static_cast<bool>(error);
                    anchor->driver->turn();
                }
            });
        };
        wait(Wait::wait_read, link->waiting_to_read);
        if (!link->outgoing.empty()) {
            wait(Wait::wait_write, link->waiting_to_write);
        }
    }
}

/// Arms the timer only when the host wants to be called sooner than it is armed for: deadlines mostly move
/// away, and a wake-up too many is cheaper than a system call an acknowledgement.
void Driver::wait_for_time() {
    if (clock_ == Clock::manual) {
        return;
    }
    Instant next = host_.next_timeout();
    if (!finishing_.empty()) {
        next = std::min(next, now_ + kFinishInterval);
    }
    if (next >= anchor_->timer_deadline) {
        return;
    }
    anchor_->timer_deadline = next;
    anchor_->timer->expires_at(
        std::chrono::steady_clock::time_point(std::chrono::nanoseconds(next.ns)));
    anchor_->timer->async_wait([anchor = anchor_](boost::system::error_code error) {
        if (error || anchor->driver == nullptr) {
            return;
        }
        anchor->timer_deadline = Instant::never();
        anchor->driver->turn();
    });
}

// --- operations -----------------------------------------------------------------------------------------

void Driver::complete(Operation& operation) {
    completed_.push_back(operation);
    poke();
}

void Driver::cancel_operation(Operation& operation, boost::system::error_code error) {
    OperationList* list = OperationList::of(operation);
    if (list == nullptr || list == &completed_) {
        return;  // its result stands already
    }
    list->remove(operation);
    operation.error = error;
    complete(operation);
}

void Driver::start_finish(FinishOperation& operation, Duration limit) {
    operation.deadline = now() + limit;
    finishing_.push_back(operation);
    poke();
}

void Driver::check_finished() {
    if (!has_unfinished()) {
        completed_.splice_back(finishing_);
        return;
    }
    // Few wait here, most often one; each pass looks at every one once.
    OperationList waiting;
    waiting.splice_back(finishing_);
    while (Operation* operation = waiting.pop_front()) {
        const auto* finish = static_cast<FinishOperation*>(operation);
        if (now_ >= finish->deadline) {
            operation->error = boost::asio::error::timed_out;
            completed_.push_back(*operation);
        } else {
            finishing_.push_back(*operation);
        }
    }
}

bool Driver::has_unfinished() const {
    return host_.tcp().sizes().orphans != 0;
}

void Driver::add_member(Member& member) {
    member.driver = this;
    member.previous_ = nullptr;
    member.next_ = members_;
    if (members_ != nullptr) {
        members_->previous_ = &member;
    }
    members_ = &member;
}

void Driver::remove_member(Member& member) {
    (member.previous_ != nullptr ? member.previous_->next_ : members_) = member.next_;
    if (member.next_ != nullptr) {
        member.next_->previous_ = member.previous_;
    }
    member.driver = nullptr;
}

void Driver::bind_record(SocketRecord& record) {
    if (record.id.index >= record_of_socket_.size()) {
        record_of_socket_.resize(std::size_t{record.id.index} + 1);
    }
    record_of_socket_[record.id.index] = &record;
}

void Driver::unbind_record(SocketRecord& record) {
    if (record.id.index < record_of_socket_.size() &&
        record_of_socket_[record.id.index] == &record) {
        record_of_socket_[record.id.index] = nullptr;
    }
}

// --- one socket's waiting operations ----------------------------------------------------------------------

void SocketRecord::begin(SocketOperation& operation, WaitFor kind) {
    if (expired) {
        operation.error = boost::asio::error::timed_out;
        driver->complete(operation);
        return;
    }
    OperationList& list = waiting[static_cast<std::size_t>(kind)];
    if (list.empty() && operation.perform(driver->sockets(), id, driver->now())) {
        driver->complete(operation);
        return;
    }
    list.push_back(operation);
    driver->poke();
}

void SocketRecord::on_ready(tcp::Readiness readiness, Instant now) {
    constexpr std::uint8_t kOver = tcp::Readiness::kHangUp | tcp::Readiness::kError;
    constexpr std::uint8_t kWakes[kWaitKinds] = {
        tcp::Readiness::kReadable | tcp::Readiness::kPeerClosed | kOver,
        tcp::Readiness::kWritable | kOver,
        tcp::Readiness::kUrgent | tcp::Readiness::kReport | kOver,
    };
    for (std::size_t kind = 0; kind < kWaitKinds; ++kind) {
        OperationList& list = waiting[kind];
        while (!list.empty() && (readiness.bits & kWakes[kind]) != 0) {
            auto& operation = static_cast<SocketOperation&>(*list.front());
            if (!operation.perform(driver->sockets(), id, now)) {
                break;
            }
            list.remove(operation);
            driver->complete(operation);
        }
    }
}

void SocketRecord::on_timer(Instant /*now*/) {
    driver->stop_timer(timer, timer_registration);
    expired = true;
    end_all(boost::asio::error::timed_out);
}

void SocketRecord::give_up_operations(OperationList& all) {
    for (OperationList& list : waiting) {
        all.splice_back(list);
    }
}

void SocketRecord::end_all(boost::system::error_code error) {
    for (OperationList& list : waiting) {
        while (Operation* operation = list.pop_front()) {
            operation->error = error;
            driver->complete(*operation);
        }
    }
}

}  // namespace runnel
