// One TCP in virtual time with a peer whose every segment the test writes: stories read as sentences.
// Numbers are relative: the peer's SYN has number 0 and ours has number 0, wherever they start on the wire.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "runnel/tcp/stack.hpp"

namespace runnel::story {

using namespace runnel::tcp;

inline constexpr std::string_view kAny = "*";

/// A segment as the test writes or reads it.
struct Seg {
    std::uint16_t flags = 0;
    std::uint32_t seq = 0;
    std::uint32_t ack = 0;
    std::uint32_t window = 65'535;
    std::string data;
    TcpOptions options;
    std::uint16_t urgent = 0;
    std::uint8_t mark = 0;  ///< the two ECN bits

    /// Comes with the two ECN bits of the IP header.
    Seg& marked(std::uint8_t bits) {
        mark = bits;
        return *this;
    }
    /// More flags: E, W (CWR), A (AE) as in drill.
    Seg& ecn(std::string_view letters) {
        for (const char c : letters) {
            flags |= c == 'E' ? TcpFlags::kEce : c == 'W' ? TcpFlags::kCwr : TcpFlags::kAe;
        }
        return *this;
    }
    /// AccECN's counter (RFC 9768 §3.2.2).
    Seg& ace(unsigned counter) {
        flags |= static_cast<std::uint16_t>(((counter & 1) != 0 ? TcpFlags::kEce : 0U) |
                                            ((counter & 2) != 0 ? TcpFlags::kCwr : 0U) |
                                            ((counter & 4) != 0 ? TcpFlags::kAe : 0U));
        return *this;
    }
    Seg& mss(std::uint16_t v) {
        options.mss = v;
        return *this;
    }
    Seg& wscale(std::uint8_t v) {
        options.window_scale = v;
        return *this;
    }
    Seg& sack_ok() {
        options.sack_permitted = true;
        return *this;
    }
    Seg& ts(std::uint32_t value, std::uint32_t echo) {
        options.timestamps = TcpTimestamps{value, echo};
        return *this;
    }
    /// A SACK block in numbers of our stream.
    Seg& sack(std::uint32_t left, std::uint32_t right) {
        options.sack.push_back({{left}, {right}});
        return *this;
    }
    Seg& text(std::string_view t) {
        data = t;
        return *this;
    }
    Seg& win(std::uint32_t w) {
        window = w;
        return *this;
    }
    Seg& urg(std::uint16_t pointer) {
        flags |= TcpFlags::kUrg;
        urgent = pointer;
        return *this;
    }
};

inline Seg segment(unsigned flags, std::uint32_t seq, std::uint32_t number) {
    Seg s;
    s.flags = static_cast<std::uint16_t>(flags);
    s.seq = seq;
    s.ack = number;
    return s;
}
inline Seg syn() {
    return segment(TcpFlags::kSyn, 0, 0);
}
inline Seg syn_ack(std::uint32_t number) {
    return segment(TcpFlags::kSyn | TcpFlags::kAck, 0, number);
}
inline Seg ack(std::uint32_t seq, std::uint32_t number) {
    return segment(TcpFlags::kAck, seq, number);
}
inline Seg fin(std::uint32_t seq, std::uint32_t number) {
    return segment(TcpFlags::kFin | TcpFlags::kAck, seq, number);
}
inline Seg rst(std::uint32_t seq) {
    return segment(TcpFlags::kRst, seq, 0);
}

/// What our side sent, with relative numbers.
struct Sent {
    std::string flags;  ///< of "SFRPAU", in that order
    std::string ecn;    ///< of "EWA": ECE, CWR, AE
    std::uint8_t mark = 0;
    std::uint32_t seq = 0;
    std::uint32_t ack = 0;
    std::uint32_t window = 0;
    std::uint32_t length = 0;
    std::string data;
    TcpOptions options;
    std::uint16_t urgent = 0;
    std::uint16_t gso_size = 0;
    std::uint8_t traffic_class = 0;
    std::uint8_t hop_limit = 0;
    Decision reason{};
    Instant time;
};

class Story : public ::testing::Test {
public:
    static constexpr std::uint32_t kPeerIss = 0xffff'ff00;  // the wrap comes after 256 octets

    Story() : pool_(256u << 20), recorder_(4096) { config.timestamps = false; }
    ~Story() override {
        if (stack_) {
            stack_.reset();
        }
    }

    Stack& stack() {
        if (!stack_) {
            stack_ = std::make_unique<Stack>(pool_, recorder_, config, SipKey{1, 2});
        }
        return *stack_;
    }
    void at(Duration since_start) { now = start + since_start; }
    void pass(Duration d) { now = now + d; }

    /// The peer's segment arrives.
    void arrives(Seg s) {
        ArrivingSegment a;
        a.tuple = tuple;
        a.header.source_port = tuple.remote.port;
        a.header.destination_port = tuple.local.port;
        a.header.seq = SeqNum{kPeerIss} + s.seq;
        a.header.ack = SeqNum{our_iss} + s.ack;
        a.header.flags.bits = s.flags;
        a.header.window = static_cast<std::uint16_t>(s.window);
        a.header.urgent_pointer = s.urgent;
        a.header.options = s.options;
        for (SackBlock& b : a.header.options.sack) {
            b = {SeqNum{our_iss} + b.left.value, SeqNum{our_iss} + b.right.value};
        }
        a.payload_size = static_cast<std::uint32_t>(s.data.size());
        for (std::size_t at = 0; at < s.data.size(); at += kLargeChunk) {
            BufferPool& pool = frames != nullptr ? *frames : pool_;
            a.payload.push_back(
                pool.copy(as_bytes(std::string_view(s.data).substr(at, kLargeChunk))));
        }
        a.path_mtu = path_mtu;
        a.to_unicast = to_unicast;
        a.traffic_class = s.mark;
        stack().on_segment(std::move(a), now);
    }

    /// Everything our side has to send now.
    std::vector<Sent> sent() {
        std::vector<Sent> all;
        OutgoingSegment out;
        while (stack().poll_transmit(now, out)) {
            const TcpHeader& h = out.header;
            if (h.flags.syn()) {
                our_iss = h.seq.value;
            }
            Sent s;
            const std::pair<bool, char> names[] = {{h.flags.syn(), 'S'}, {h.flags.fin(), 'F'},
                                                   {h.flags.rst(), 'R'}, {h.flags.psh(), 'P'},
                                                   {h.flags.ack(), 'A'}, {h.flags.urg(), 'U'}};
            for (const auto& [on, name] : names) {
                if (on) {
                    s.flags += name;
                }
            }
            s.ecn = std::string(h.flags.ece() ? "E" : "") + (h.flags.cwr() ? "W" : "") +
                    ((h.flags.bits & TcpFlags::kAe) != 0 ? "A" : "");
            s.mark = out.traffic_class & 3;
            s.seq = h.seq.value - our_iss;
            s.ack = h.flags.ack() ? h.ack.value - kPeerIss : 0;
            s.window = h.window;
            s.length = out.payload_size;
            for (const Slice& slice : out.payload) {
                s.data.append(reinterpret_cast<const char*>(slice.data()), slice.size());
            }
            s.options = h.options;
            s.urgent = h.urgent_pointer;
            s.gso_size = out.gso_size;
            s.traffic_class = out.traffic_class;
            s.hop_limit = out.hop_limit;
            s.reason = out.reason;
            s.time = now;
            all.push_back(std::move(s));
            if (all.size() > 10'000) {
                ADD_FAILURE() << "it never stops sending";
                break;
            }
        }
        return all;
    }
    /// Exactly one segment, or a failure and an empty one.
    Sent sent_one() {
        auto all = sent();
        EXPECT_EQ(all.size(), 1u) << describe_all(all);
        return all.empty() ? Sent{} : all.front();
    }
    void sends_nothing() {
        const auto all = sent();
        EXPECT_TRUE(all.empty()) << describe_all(all);
    }
    /// Lets time pass to the next deadline (not beyond `limit` from now); what was sent then.
    std::vector<Sent> next_timeout(Duration limit = seconds(100'000)) {
        for (int i = 0; i < 1000; ++i) {
            const Instant deadline = stack().next_timeout();
            if (deadline.is_never() || deadline > now + limit) {
                return {};
            }
            if (deadline > now) {
                now = deadline;
            }
            stack().on_timeout(now);
            if (auto all = sent(); !all.empty()) {
                return all;
            }
        }
        ADD_FAILURE() << "timeouts without progress";
        return {};
    }
    /// Lets `d` pass, running every deadline in it; everything sent meanwhile.
    std::vector<Sent> wait(Duration d) {
        const Instant until = now + d;
        std::vector<Sent> all = sent();
        while (stack().next_timeout() <= until) {
            auto more = next_timeout(until - now);
            all.insert(all.end(), more.begin(), more.end());
            if (more.empty()) {
                break;
            }
        }
        now = until;
        stack().on_timeout(now);
        auto more = sent();
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }

    // --- usual beginnings ---
    /// A client of ours in SYN-SENT; its SYN is returned.
    Sent connects(ConnectionOptions options = {}) {
        auto result = stack().connect(tuple.local, tuple.remote, path_mtu, options, now);
        EXPECT_TRUE(result.has_value());
        connection = result.has_value() ? *result : ConnectionHandle{};
        return sent_one();
    }
    /// An established connection that we opened; the peer offers `answer`'s options.
    void established(Seg answer = syn_ack(1).mss(1000), ConnectionOptions options = {}) {
        connects(options);
        arrives(answer);
        const Sent third = sent_one();
        EXPECT_EQ(third.flags, "A");
        EXPECT_EQ(state(), State::established);
    }
    void listens(std::uint32_t backlog = 10, ConnectionOptions options = {}) {
        auto result = stack().listen(tuple.local, false, backlog, options);
        ASSERT_TRUE(result.has_value());
        listener = *result;
    }
    /// An established connection that the peer opened and we have accepted.
    void accepted(Seg opening = syn().mss(1000), ConnectionOptions options = {}) {
        listens(10, options);
        arrives(opening);
        EXPECT_EQ(sent_one().flags, "SA");
        arrives(ack(1, 1));
        sends_nothing();
        auto result = stack().accept(listener, now);
        ASSERT_TRUE(result.has_value());
        connection = *result;
    }

    // --- calls ---
    std::size_t writes(std::string_view text, SendFlags flags = {}) {
        return stack().send(connection, as_bytes(text), flags, now).value_or(0);
    }
    std::string reads(std::size_t most = 1 << 20, ReceiveFlags flags = {}) {
        std::string into(most, '\0');
        auto got = stack().receive(
            connection, std::as_writable_bytes(std::span(into.data(), into.size())), flags, now);
        if (!got.has_value()) {
            return std::string("<") + errno_name(got.error()) + ">";
        }
        into.resize(*got);
        return into;
    }
    State state() {
        const auto s = stack().status(connection);
        return s ? s->state : State::closed;
    }
    ConnectionStatus status() {
        const auto s = stack().status(connection);
        return s ? *s : ConnectionStatus{};
    }
    std::uint64_t count(Decision d) { return recorder_.count(d); }

    static std::string describe_all(const std::vector<Sent>& all) {
        std::string text;
        for (const Sent& s : all) {
            text += s.flags + " seq " + std::to_string(s.seq) + " ack " + std::to_string(s.ack) +
                    " len " + std::to_string(s.length) + " " +
                    std::string(describe(s.reason).name) + "\n";
        }
        return text;
    }

    TcpConfig config;
    FourTuple tuple{{IpAddress::v4(0x0a000001), 1000}, {IpAddress::v4(0x0a000002), 2000}};
    std::uint32_t path_mtu = 1500;
    bool to_unicast = true;
    Instant start{seconds(1000).ns};
    Instant now = start;
    std::uint32_t our_iss = 0;
    ConnectionHandle connection;
    ListenerHandle listener;
    BufferPool* frames = nullptr;  ///< a link's own pool, where the host's may run dry

protected:
    BufferPool pool_;
    FlightRecorder recorder_;
    std::unique_ptr<Stack> stack_;
};

}  // namespace runnel::story
