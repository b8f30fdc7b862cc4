// Random calls and random segments relative to live connections, with invariants after every step: numbers in
// order, right edges that never retreat, octets of both streams, armed timers, no answer to a RST, and nothing
// left in the end. A seed that fails stays as a regression test.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "runnel/base/random.hpp"
#include "runnel/tcp/stack.hpp"

namespace runnel::story {
namespace {

using namespace runnel::tcp;

constexpr std::uint16_t kServerPort = 80;

/// The octet of either stream at a wire number.
char octet_at(SeqNum seq) {
    return static_cast<char>((seq.value * 7 + (seq.value >> 8)) & 0xff);
}

class RandomRun {
public:
    explicit RandomRun(std::uint64_t seed)
        : random_(seed), pool_(pool_size()), recorder_(64), config_(make_config()) {
        stack_ = std::make_unique<Stack>(pool_, recorder_, config_, SipKey{seed, 7});
        for (std::uint16_t i = 0; i < 3; ++i) {
            const auto port = static_cast<std::uint16_t>(3000 + i);
            tuples_.push_back({{host(), kServerPort}, {peer(), port}});
        }
        for (std::uint16_t i = 0; i < 2; ++i) {
            const auto port = static_cast<std::uint16_t>(1000 + i);
            tuples_.push_back({{host(), port}, {peer(), 2000}});
        }
        listen();
    }

    void run(int steps) {
        for (int i = 0; i < steps && !failed(); ++i) {
            step();
            check();
        }
        finish();
    }
    [[nodiscard]] bool failed() const { return ::testing::Test::HasFailure(); }

private:
    static IpAddress host() { return IpAddress::v4(0x0a000001); }
    static IpAddress peer() { return IpAddress::v4(0x0a000002); }
    std::uint64_t pick(std::uint64_t bound) { return random_.below(bound); }
    bool one_in(std::uint64_t n) { return random_.below(n) == 0; }

    std::size_t pool_size() {
        const bool small = one_in(4);
        return small ? 400'000 : 32u << 20;
    }
    TcpConfig make_config() {
        TcpConfig c;
        c.timestamps = one_in(2);
        c.sack = !one_in(3);
        c.window_scaling = !one_in(3);
        c.super_segments = !one_in(3);
        c.max_connections = one_in(4) ? 3 : 100;
        c.max_time_wait = one_in(4) ? 1 : 100;
        c.max_orphans = one_in(4) ? 1 : 100;
        c.max_syn_backlog = one_in(4) ? 1 : 100;
        c.abort_on_overflow = one_in(4);
        c.rfc1337 = !one_in(3);
        c.receive_buffer = one_in(3) ? 3000 : 1u << 20;
        c.send_buffer = one_in(3) ? 3000 : 1u << 20;
        c.initial_window_segments = one_in(4) ? 1 : 10;
        return c;
    }
    ConnectionOptions make_options() {
        ConnectionOptions o;
        o.no_delay = one_in(3);
        o.cork = one_in(6);
        o.ack_mode = one_in(6) ? AckMode::quick : AckMode::unchanged;
        o.keepalive = one_in(4);
        o.urgent_inline = true;
        o.linger_on = one_in(4);
        o.keepalive_time = seconds(static_cast<std::int64_t>(1 + pick(50)));
        o.keepalive_interval = seconds(1);
        o.keepalive_probes = static_cast<std::uint32_t>(pick(4));
        o.user_timeout =
            one_in(6) ? milliseconds(static_cast<std::int64_t>(1 + pick(5000))) : Duration{};
        constexpr std::uint32_t kSizes[] = {0, 0, 0, 1, 2, 100, 1500, 70'000};
        o.send_buffer = kSizes[pick(8)];
        o.receive_buffer = kSizes[pick(8)];
        constexpr std::uint16_t kSegments[] = {0, 0, 0, 1, 88, 536};
        o.maximum_segment = kSegments[pick(6)];
        return o;
    }

    void listen() {
        const auto backlog = static_cast<std::uint32_t>(pick(3));
        const ConnectionOptions options = make_options();
        const auto made = stack_->listen({host(), kServerPort}, false, backlog, options);
        if (made.has_value()) {
            listener_ = *made;
        }
    }

    void step() {
        switch (pick(16)) {
            case 0:
            case 1:
            case 2:
            case 3:
            case 4:
            case 5:
            case 6: segment(); break;
            case 7:
            case 8:
            case 9:
            case 10: call(); break;
            case 11: {
                now_ = now_ + milliseconds(static_cast<std::int64_t>(pick(300)));
                stack_->on_timeout(now_);
                break;
            }
            case 12:
            case 13: timeout(); break;
            case 14:
                if (one_in(2)) {
                    poll_one();
                } else {
                    lose_one();
                }
                break;
            default: drain(); break;
        }
        if (one_in(2)) {
            drain();
        }
    }

    /// Runs the next deadline where it isn't too far.
    void timeout() {
        drain();
        const Instant at = stack_->next_timeout();
        if (at.is_never() || (at > now_ + seconds(5) && !one_in(10))) {
            return;
        }
        now_ = std::max(now_, at);
        stack_->on_timeout(now_);
    }

    const ConnectionStatus* status_of_tuple(const FourTuple& tuple) {
        stack_->snapshot(all_, now_);
        for (const ConnectionStatus& s : all_) {
            if (s.tuple == tuple && s.state != State::listen) {
                return &s;
            }
        }
        return nullptr;
    }

    std::uint32_t near(std::uint32_t low, std::uint32_t high) {
        const std::uint32_t span = high - low;
        switch (pick(12)) {
            case 0:
            case 1:
            case 2:
            case 3:
            case 4: return low;
            case 5:
            case 6: return high;
            case 7: return high + 1;
            case 8: return low - 1;
            case 9: return low - static_cast<std::uint32_t>(pick(3000));
            case 10: return static_cast<std::uint32_t>(random_.next());
            default: return low + static_cast<std::uint32_t>(pick(std::uint64_t{span} + 1));
        }
    }

    std::uint16_t random_flags(bool live) {
        using F = TcpFlags;
        constexpr std::uint16_t kLive[] = {F::kAck,           F::kAck,           F::kAck,
                                           F::kAck | F::kPsh, F::kAck | F::kPsh, F::kAck | F::kPsh,
                                           F::kAck | F::kFin, F::kAck | F::kUrg, F::kRst,
                                           F::kRst | F::kAck, F::kSyn,           F::kSyn | F::kAck};
        if (!live || one_in(60)) {
            constexpr std::uint16_t kAny =
                F::kFin | F::kSyn | F::kRst | F::kPsh | F::kAck | F::kUrg;
            return one_in(3) ? static_cast<std::uint16_t>(pick(kAny + 1)) : std::uint16_t{F::kSyn};
        }
        const std::uint64_t most = one_in(8) ? 12 : 8;  // resets and SYNs are rarer
        return kLive[pick(most)];
    }

    void fill_options(TcpHeader& h, const ConnectionStatus* live) {
        if (h.flags.syn()) {
            if (!one_in(3)) {
                constexpr std::uint16_t kMss[] = {0, 1, 88, 536, 1460, 9000, 65'535};
                h.options.mss = kMss[pick(7)];
            }
            if (one_in(2)) {
                h.options.window_scale = static_cast<std::uint8_t>(pick(16));
            }
            h.options.sack_permitted = one_in(2);
        }
        const bool stamps = live != nullptr && !h.flags.syn() ? live->has_timestamps : one_in(2);
        if (stamps) {
            auto value = static_cast<std::uint32_t>(now_.millis());
            if (one_in(8)) {
                value -= static_cast<std::uint32_t>(pick(100'000));
            }
            h.options.timestamps = TcpTimestamps{value, static_cast<std::uint32_t>(random_.next())};
        }
        if (live != nullptr && live->has_sack && one_in(3)) {
            const std::uint64_t blocks = 1 + pick(3);
            for (std::uint64_t i = 0; i < blocks; ++i) {
                const std::uint32_t left = near(live->snd_una, live->snd_nxt);
                const std::uint32_t right = near(live->snd_una, live->snd_nxt);
                h.options.sack.push_back({{left}, {right}});
            }
        }
    }

    void segment() {
        drain();
        const FourTuple tuple = tuples_[pick(tuples_.size())];
        const ConnectionStatus* found = status_of_tuple(tuple);
        const bool live = found != nullptr;
        const ConnectionStatus s = live ? *found : ConnectionStatus{};
        ArrivingSegment a;
        a.tuple = tuple;
        TcpHeader& h = a.header;
        h.source_port = tuple.remote.port;
        h.destination_port = tuple.local.port;
        const bool opening = live && s.state == State::syn_sent;
        h.flags.bits = opening && !one_in(4) ? std::uint16_t{TcpFlags::kSyn | TcpFlags::kAck}
                                             : random_flags(live);
        h.seq = SeqNum{near(s.rcv_nxt, s.rcv_nxt + static_cast<std::uint32_t>(s.rcv_wnd))};
        h.ack = SeqNum{opening && !one_in(4) ? s.snd_nxt : near(s.snd_una, s.snd_nxt)};
        constexpr std::uint16_t kWindows[] = {0, 1, 100, 1000, 65'535, 65'535, 65'535, 65'535};
        h.window = kWindows[pick(8)];
        h.urgent_pointer = static_cast<std::uint16_t>(pick(one_in(8) ? 65'536 : 20));
        fill_options(h, live ? &s : nullptr);
        constexpr std::uint32_t kLengths[] = {0, 0, 0, 1, 10, 500, 1460, 5000};
        const std::uint32_t length = kLengths[pick(8)];
        SeqNum at = h.flags.syn() ? h.seq + 1 : h.seq;
        std::string text(length, '\0');
        for (char& c : text) {
            c = octet_at(at);
            at = at + 1;
        }
        const std::size_t cut = length > 0 ? pick(length) : 0;
        for (const auto& part : {text.substr(0, cut), text.substr(cut)}) {
            if (part.empty()) {
                continue;
            }
            Slice slice = pool_.copy(as_bytes(std::string_view(part)));
            if (slice.empty()) {
                return;  // the link has no memory: the frame is lost
            }
            a.payload.push_back(std::move(slice));
        }
        a.payload_size = length;
        a.gso_size = static_cast<std::uint16_t>(length > 1460 ? 1000 : 0);
        a.to_unicast = !one_in(30);
        if (h.flags.fin()) {
            // What follows a FIN is no stream: its content isn't looked at from here on.
            finished_[s.handle] = true;
        }
        const bool reset = h.flags.rst();
        stack_->on_segment(std::move(a), now_);
        answers_ = 0;
        reset_answers_ = 0;
        watched_ = &tuple;
        drain();
        watched_ = nullptr;
        if (reset) {
            EXPECT_EQ(reset_answers_, 0u) << "a RST in answer to a RST";
        }
        if (!live && status_of_tuple(tuple) == nullptr) {
            EXPECT_LE(answers_, 1u) << "a segment of no connection";
        }
    }

    /// The peer says that a segment is missing: duplicate ACKs, with SACK where that was agreed on.
    void lose_one() {
        drain();
        const FourTuple tuple = tuples_[pick(tuples_.size())];
        const ConnectionStatus* found = status_of_tuple(tuple);
        if (found == nullptr || !is_synchronized(found->state)) {
            return;
        }
        const ConnectionStatus s = *found;
        const std::uint32_t out = s.snd_nxt - s.snd_una;
        const std::uint32_t left = s.snd_una + static_cast<std::uint32_t>(pick(out + 1ULL));
        for (std::uint32_t i = 1; i <= 5; ++i) {
            ArrivingSegment a;
            a.tuple = tuple;
            a.header.source_port = tuple.remote.port;
            a.header.destination_port = tuple.local.port;
            a.header.seq = SeqNum{s.rcv_nxt};
            a.header.ack = SeqNum{s.snd_una};
            a.header.flags.bits = TcpFlags::kAck;
            a.header.window = 65'535;
            if (s.has_timestamps) {
                a.header.options.timestamps =
                    TcpTimestamps{static_cast<std::uint32_t>(now_.millis()), 0};
            }
            const std::uint32_t right = left + (s.snd_nxt - left) / 5 * i;
            if (s.has_sack && right != left) {
                a.header.options.sack.push_back({{left}, {right}});
            }
            stack_->on_segment(std::move(a), now_);
            if (one_in(2)) {
                drain();
            }
        }
    }

    void poll_one() {
        OutgoingSegment out;
        if (stack_->poll_transmit(now_, out)) {
            look_at(out);
        }
    }
    void drain() {
        OutgoingSegment out;
        for (int i = 0; stack_->poll_transmit(now_, out); ++i) {
            look_at(out);
            if (i > 20'000) {
                ADD_FAILURE() << "it never stops sending: " << describe(out.reason).name;
                return;
            }
        }
    }
    void look_at(const OutgoingSegment& out) {
        if (watched_ != nullptr && out.tuple == *watched_) {
            ++answers_;
            reset_answers_ += out.header.flags.rst() ? 1U : 0U;
        }
        std::size_t size = 0;
        SeqNum at = out.header.seq;
        for (const Slice& slice : out.payload) {
            size += slice.size();
            for (const std::byte b : slice.bytes()) {
                if (static_cast<char>(b) != octet_at(at)) {
                    ADD_FAILURE() << "another octet than was written";
                    return;
                }
                at = at + 1;
            }
        }
        EXPECT_EQ(size, out.payload_size);
    }

    void call() {
        if (one_in(4) || handles_.empty()) {
            open();
            return;
        }
        const ConnectionHandle handle = handles_[pick(handles_.size())];
        switch (pick(14)) {
            case 0:
            case 1:
            case 2:
            case 3: write(handle); break;
            case 4:
            case 5:
            case 6: read(handle); break;
            case 7: (void)stack_->shutdown_send(handle, now_); break;
            case 8:
                if (one_in(3)) {
                    (void)stack_->shutdown_receive(handle, now_);
                    finished_[handle.packed()] = true;  // what comes later is thrown away
                }
                break;
            case 9: stack_->close(handle, now_); break;
            case 10:
                if (one_in(3)) {
                    stack_->abort(handle, now_);
                }
                break;
            case 11: (void)stack_->set_options(handle, make_options(), now_); break;
            case 12: {
                (void)stack_->take_error(handle);
                std::vector<UserEvent> events;
                stack_->take_events(events);
                break;
            }
            default: icmp(handle); break;
        }
        (void)stack_->readiness(handle);
        (void)stack_->readable(handle);
        (void)stack_->at_urgent_mark(handle);
    }

    void open() {
        switch (pick(8)) {
            case 0:
            case 1:
            case 2: {
                const FourTuple tuple = tuples_[3 + pick(2)];
                constexpr std::uint32_t kPaths[] = {0, 68, 576, 1500, 1500, 9000, 65'535};
                const std::uint32_t mtu = kPaths[pick(7)];
                const auto made =
                    stack_->connect(tuple.local, tuple.remote, mtu, make_options(), now_);
                if (made.has_value()) {
                    handles_.push_back(*made);
                }
                break;
            }
            case 3:
                stack_->close_listener(listener_, now_);
                listen();
                break;
            default: {
                const auto made = stack_->accept(listener_, now_);
                if (made.has_value()) {
                    handles_.push_back(*made);
                }
                break;
            }
        }
    }

    void write(ConnectionHandle handle) {
        const auto s = stack_->status(handle);
        if (!s) {
            (void)stack_->send(handle, as_bytes("x"), {}, now_);
            return;
        }
        constexpr std::size_t kSizes[] = {0, 1, 10, 700, 1460, 20'000, 150'000};
        std::string text(kSizes[pick(7)], '\0');
        // The number after all that has been written: ISS + 1 + what was acknowledged and what is held.
        SeqNum at = SeqNum{s->iss} + 1 + static_cast<std::uint32_t>(s->bytes_acked) +
                    static_cast<std::uint32_t>(s->send_queue);
        for (char& c : text) {
            c = octet_at(at);
            at = at + 1;
        }
        SendFlags flags;
        flags.more = one_in(5);
        flags.urgent = one_in(10);
        (void)stack_->send(handle, as_bytes(std::string_view(text)), flags, now_);
    }

    void read(ConnectionHandle handle) {
        const auto s = stack_->status(handle);
        std::string into(1 + pick(one_in(2) ? 100'000 : 50), '\0');
        const ReceiveFlags flags{.peek = one_in(5), .urgent = one_in(12)};
        const std::size_t there = stack_->readable(handle);
        const auto got = stack_->receive(
            handle, std::as_writable_bytes(std::span(into.data(), into.size())), flags, now_);
        if (!got.has_value() || !s || flags.urgent) {
            return;
        }
        EXPECT_EQ(*got, std::min(there, into.size()));
        if (finished_[s->handle]) {
            return;
        }
        SeqNum at = SeqNum{s->rcv_nxt - static_cast<std::uint32_t>(s->receive_queue)};
        for (std::size_t i = 0; i < *got; ++i, at = at + 1) {
            if (into[i] != octet_at(at)) {
                ADD_FAILURE() << "another octet than was sent";
                return;
            }
        }
    }

    void icmp(ConnectionHandle handle) {
        const auto s = stack_->status(handle);
        if (!s) {
            return;
        }
        IcmpReport report;
        report.tuple = s->tuple;
        report.quoted_seq = SeqNum{near(s->snd_una, s->snd_nxt)};
        report.hard = one_in(3);
        report.packet_too_big = one_in(2);
        report.mtu = static_cast<std::uint32_t>(pick(2000));
        (void)stack_->on_icmp(report, now_);
    }

    void check() {
        drain();
        const Instant next = stack_->next_timeout();
        stack_->snapshot(all_, now_);
        for (const ConnectionStatus& s : all_) {
            if (s.state == State::listen || s.state == State::time_wait) {
                continue;
            }
            EXPECT_LE(static_cast<std::int32_t>(s.snd_una - s.snd_nxt), 0);
            EXPECT_LE(s.segments_lost, s.segments_out);
            if (s.segments_out > 0 || s.send_queue > 0) {
                EXPECT_FALSE(s.timer_deadline.is_never())
                    << to_string(s.state) << ": data without a timer, out " << s.segments_out
                    << " queue " << s.send_queue;
                EXPECT_LE(next, s.timer_deadline);
            }
            if (s.state == State::syn_sent) {
                continue;
            }
            const std::uint32_t edge = s.rcv_nxt + static_cast<std::uint32_t>(s.rcv_wnd);
            const auto [it, fresh] = edges_.try_emplace(s.handle, edge);
            if (!fresh) {
                EXPECT_GE(static_cast<std::int32_t>(edge - it->second), 0) << "the edge retreats";
                it->second = edge;
            }
        }
    }

    /// Everything is closed, and all of it goes in time.
    void finish() {
        for (const ConnectionHandle handle : handles_) {
            stack_->close(handle, now_);
        }
        stack_->close_listener(listener_, now_);
        drain();
        int still = 0;
        for (int i = 0; i < 5000 && !failed(); ++i) {
            const Instant next = stack_->next_timeout();
            if (next.is_never()) {
                break;
            }
            still = next <= now_ ? still + 1 : 0;
            if (still > 50) {
                ADD_FAILURE() << "a timeout that makes no progress";
            }
            now_ = std::max(now_, next);
            stack_->on_timeout(now_);
            drain();
        }
        EXPECT_TRUE(stack_->next_timeout().is_never());
        stack_->snapshot(all_, now_);
        for (const ConnectionStatus& s : all_) {
            ADD_FAILURE() << "left: " << to_string(s.state) << (s.orphan ? " orphan" : "");
        }
        EXPECT_EQ(pool_.bytes_in_use(), 0u);
    }

    Random random_;
    BufferPool pool_;
    FlightRecorder recorder_;
    TcpConfig config_;
    std::unique_ptr<Stack> stack_;
    Instant now_{seconds(1000).ns};
    std::vector<FourTuple> tuples_;
    std::vector<ConnectionHandle> handles_;
    ListenerHandle listener_;
    std::vector<ConnectionStatus> all_;
    std::map<std::uint64_t, std::uint32_t> edges_;
    std::map<std::uint64_t, bool> finished_;
    const FourTuple* watched_ = nullptr;
    std::uint32_t answers_ = 0;
    std::uint32_t reset_answers_ = 0;
};

TEST(ReviewRandom, InvariantsHoldWhateverHappens) {
    for (std::uint64_t seed = 1; seed <= 2500; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        RandomRun(seed).run(200);
        if (HasFailure()) {
            return;
        }
    }
}

}  // namespace
}  // namespace runnel::story
