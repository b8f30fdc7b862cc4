// One TCP and a peer that speaks relative to the live connection: the input is a program in letters, of segments
// (numbers relative to RCV.NXT and SND.UNA), calls of the user's, ICMP errors and time. After every step the
// invariants of RFC 9293 hold: numbers in order, right edges that never retreat, streams that are what was sent,
// armed timers; and in the end nothing is left.
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fuzz/support/target.hpp"
#include "fuzz/support/tcp_peer.hpp"
#include "runnel/tcp/stack.hpp"

namespace runnel::fuzz {
namespace {

using namespace runnel::tcp;

constexpr std::uint16_t kServerPort = 80;
constexpr std::size_t kTuples = 4;
constexpr std::uint32_t kPeerIss = 0xffff'ff00;  // the wrap comes after 256 octets
constexpr int kMostSteps = 250;
constexpr int kMostSegmentsAStep = 20'000;

/// Bits of the first byte.
constexpr unsigned kTimestamps = 1, kNoSack = 2, kNoScaling = 4, kSmallBuffers = 8,
                   kScarceMemory = 16, kFewPlaces = 32, kRfcProfile = 64, kAbortInTheEnd = 128;
/// Bits of a segment's options byte.
constexpr unsigned kStamp = 1, kOldStamp = 2, kSackBlocks = 4, kZeroWindow = 8, kSmallWindow = 16,
                   kOddOptions = 32, kSuperSegment = 64, kToGroup = 128;

TcpConfig make_config(unsigned setup) {
    TcpConfig config = profile_config((setup & kRfcProfile) != 0 ? Profile::rfc : Profile::modern);
    config.timestamps = (setup & kTimestamps) != 0;
    config.sack = (setup & kNoSack) == 0;
    config.window_scaling = (setup & kNoScaling) == 0;
    config.send_buffer = config.receive_buffer = (setup & kSmallBuffers) != 0 ? 4096 : 1u << 20;
    const bool few = (setup & kFewPlaces) != 0;
    config.max_connections = few ? 3 : 100;
    config.max_time_wait = config.max_orphans = config.max_syn_backlog = few ? 1 : 100;
    config.abort_on_overflow = few;
    return config;
}

class Run {
public:
    explicit Run(Bytes bytes)
        : input_(bytes),
          setup_(input_.u8()),
          pool_((setup_ & kScarceMemory) != 0 ? 400'000 : 32u << 20),
          recorder_(64),
          stack_(pool_, recorder_, make_config(setup_), SipKey{setup_, 7}) {
        const std::array local = {*parse_ip_address("10.0.0.1"), *parse_ip_address("fd00::1")};
        const std::array remote = {*parse_ip_address("10.0.0.9"), *parse_ip_address("fd00::9")};
        for (std::uint16_t i = 0; i < 2; ++i) {
            tuples_[i] = {{local[i], kServerPort}, {remote[i], 3000}};
            tuples_[i + 2U] = {{local[i], 1000}, {remote[i], 2000}};
        }
        listen();
    }

    void run() {
        for (int steps = 0; !input_.empty() && steps < kMostSteps; ++steps) {
            const std::uint8_t letter = input_.u8();
            if (!segment_of(letter) && !call_of(letter)) {
                time_of(letter);
            }
            check();
        }
        finish();
    }

private:
    // --- the peer ---------------------------------------------------------------------------------------
    bool segment_of(std::uint8_t letter);
    void segment(std::uint16_t flags);
    [[nodiscard]] SeqNum seq_near(std::uint8_t code, const ConnectionStatus& s) const;
    [[nodiscard]] SeqNum ack_near(std::uint8_t code, const ConnectionStatus& s) const;
    void fill_options(TcpHeader& header, unsigned options, const ConnectionStatus& s);
    bool fill_payload(ArrivingSegment& arriving, std::uint32_t length);
    void deliver(ArrivingSegment&& arriving, bool live);
    void icmp();
    // --- the user ---------------------------------------------------------------------------------------
    bool call_of(std::uint8_t letter);
    void listen();
    void open();
    void accept();
    void write(std::uint8_t code);
    void read(std::uint8_t code, bool peek);
    void set_options(std::uint8_t code);
    ConnectionOptions make_options(std::uint8_t code) const;
    // --- time and what must hold ------------------------------------------------------------------------
    void time_of(std::uint8_t letter);
    void timeout(Duration limit);
    void drain();
    void look_at(const OutgoingSegment& out);
    void check();
    void check_connection(const ConnectionStatus& s, Instant next);
    void finish();

    [[nodiscard]] std::size_t index_of(const FourTuple& tuple) const {
        const auto at = std::find(tuples_.begin(), tuples_.end(), tuple);
        return static_cast<std::size_t>(at - tuples_.begin());
    }
    /// The row of the current four-tuple, or an empty one in CLOSED.
    ConnectionStatus row() {
        stack_.snapshot(all_, now_);
        for (const ConnectionStatus& s : all_) {
            if (s.state != State::listen && s.tuple == tuples_[current_]) {
                return s;
            }
        }
        return {};
    }
    ConnectionHandle handle() const { return handles_[current_]; }

    Input input_;
    unsigned setup_;
    BufferPool pool_;
    FlightRecorder recorder_;
    Stack stack_;
    Instant now_{seconds(1000).ns};
    std::array<FourTuple, kTuples> tuples_;
    std::array<SentNumbers, kTuples> sent_;
    std::array<ConnectionHandle, kTuples> handles_{};
    std::vector<ConnectionHandle> all_handles_;
    std::size_t current_ = 0;
    ListenerHandle listener_;
    std::vector<ConnectionStatus> all_;
    std::map<std::uint64_t, std::uint32_t> edges_;
    std::map<std::uint64_t, bool> thrown_away_;  ///< not all of the stream is read from it
    int answers_ = 0;                            ///< to the current four-tuple since it was cleared
    int reset_answers_ = 0;
};

// --- the peer -----------------------------------------------------------------------------------------------

bool Run::segment_of(std::uint8_t letter) {
    using F = TcpFlags;
    switch (letter) {
        case 'S': segment(F::kSyn); return true;
        case 'B': segment(F::kSyn | F::kAck); return true;
        case 'A': segment(F::kAck); return true;
        case 'D': segment(F::kAck | F::kPsh); return true;
        case 'F': segment(F::kAck | F::kFin); return true;
        case 'R': segment(F::kRst); return true;
        case 'U': segment(F::kAck | F::kUrg); return true;
        case 'X': segment(input_.u16() & 0x1ff); return true;
        case 'i': icmp(); return true;
        default: return false;
    }
}

SeqNum Run::seq_near(std::uint8_t code, const ConnectionStatus& s) const {
    const bool unknown = s.state == State::closed || s.state == State::syn_sent;
    const SeqNum next{unknown ? kPeerIss : s.rcv_nxt};
    const std::uint32_t low = code & 63U;
    switch (code >> 6) {
        case 0: return next + low * 16;
        case 1: return next + (0U - low * 8 - 1);
        case 2: return next + (static_cast<std::uint32_t>(s.rcv_wnd) + low - 32);
        default: return next + (low << 26) + low;
    }
}

SeqNum Run::ack_near(std::uint8_t code, const ConnectionStatus& s) const {
    const SeqNum una{s.snd_una};
    const std::uint32_t span = s.snd_nxt - s.snd_una;
    const std::uint32_t low = code & 63U;
    switch (code >> 6) {
        case 0:
            return una + (low == 0
                              ? span
                              : static_cast<std::uint32_t>(std::uint64_t{span} * (low - 1) / 62));
        case 1: return una + (0U - low * 100);
        case 2: return una + span + low + 1;
        default: return una + (low << 26) + low;
    }
}

void Run::fill_options(TcpHeader& header, unsigned options, const ConnectionStatus& s) {
    if (header.flags.syn()) {
        constexpr std::array<std::uint16_t, 4> kOdd = {0, 1, 88, 65'535};
        header.options.mss =
            (options & kOddOptions) != 0 ? kOdd[input_.u8() % 4] : std::uint16_t{1000};
        header.options.window_scale = (options & kOddOptions) != 0 ? input_.u8() : std::uint8_t{2};
        header.options.sack_permitted = true;
    }
    if ((options & (kStamp | kOldStamp)) != 0) {
        auto value = static_cast<std::uint32_t>(now_.millis());
        value -= (options & kOldStamp) != 0 ? std::uint32_t{input_.u8()} << 20 : 0;
        header.options.timestamps = TcpTimestamps{value, static_cast<std::uint32_t>(input_.u8())};
    }
    if ((options & kSackBlocks) != 0) {
        const unsigned blocks = 1 + input_.u8() % 3;
        for (unsigned i = 0; i < blocks; ++i) {
            const SeqNum left = ack_near(input_.u8(), s);
            header.options.sack.push_back({left, ack_near(input_.u8(), s)});
        }
    }
    header.window = (options & kZeroWindow) != 0 ? 0 : (options & kSmallWindow) != 0 ? 100 : 65'535;
    if (header.flags.urg()) {
        header.urgent_pointer = input_.u8();
    }
}

bool Run::fill_payload(ArrivingSegment& arriving, std::uint32_t length) {
    SeqNum at = arriving.header.flags.syn() ? arriving.header.seq + 1 : arriving.header.seq;
    std::string text(length, '\0');
    for (char& octet : text) {
        octet = octet_at(at);
        at = at + 1;
    }
    const std::size_t cut = length / 3;
    for (const auto& part : {text.substr(0, cut), text.substr(cut)}) {
        if (part.empty()) {
            continue;
        }
        Slice slice = pool_.copy(as_bytes(std::string_view(part)));
        if (slice.empty()) {
            return false;  // the device has no buffer: the frame is lost
        }
        arriving.payload.push_back(std::move(slice));
    }
    arriving.payload_size = length;
    return true;
}

void Run::segment(std::uint16_t flags) {
    drain();
    const ConnectionStatus s = row();
    ArrivingSegment arriving;
    arriving.tuple = tuples_[current_];
    TcpHeader& header = arriving.header;
    header.source_port = arriving.tuple.remote.port;
    header.destination_port = arriving.tuple.local.port;
    header.flags.bits = flags;
    header.seq = seq_near(input_.u8(), s);
    header.ack = ack_near(input_.u8(), s);
    const unsigned options = input_.u8();
    const std::uint32_t size = input_.u8();
    fill_options(header, options, s);
    const std::uint32_t length = size < 200 ? size : (size - 199) * 100;
    if (!fill_payload(arriving, length)) {
        return;
    }
    arriving.gso_size = static_cast<std::uint16_t>((options & kSuperSegment) != 0 ? 500 : 0);
    arriving.to_unicast = (options & kToGroup) == 0;
    sent_[current_].add(header.seq,
                        length + (header.flags.syn() ? 1U : 0U) + (header.flags.fin() ? 1U : 0U),
                        header.flags.syn());
    deliver(std::move(arriving), s.state != State::closed);
}

void Run::deliver(ArrivingSegment&& arriving, bool live) {
    const bool reset = arriving.header.flags.rst();
    const bool unicast = arriving.to_unicast;
    stack_.on_segment(std::move(arriving), now_);
    answers_ = reset_answers_ = 0;
    drain();
    FUZZ_CHECK(!reset || reset_answers_ == 0);  // RFC 9293 §3.5.2: never a RST for a RST
    FUZZ_CHECK(live || answers_ <= 1);
    FUZZ_CHECK(live || unicast || answers_ == 0);  // MUST-57
}

void Run::icmp() {
    const std::uint8_t kind = input_.u8();
    const ConnectionStatus s = row();
    IcmpReport report;
    report.tuple = tuples_[current_];
    report.quoted_seq = ack_near(input_.u8(), s);
    report.hard = (kind & 1) != 0;
    report.packet_too_big = (kind & 2) != 0;
    report.mtu = (kind >> 2) * 24U;
    (void)stack_.on_icmp(report, now_);
}

// --- the user -----------------------------------------------------------------------------------------------

bool Run::call_of(std::uint8_t letter) {
    switch (letter) {
        case 'n': current_ = input_.u8() % kTuples; break;
        case 'c': open(); break;
        case 'a': accept(); break;
        case 'w': write(input_.u8()); break;
        case 'r': read(input_.u8(), false); break;
        case 'p': read(input_.u8(), true); break;
        case 'h': (void)stack_.shutdown_send(handle(), now_); break;
        case 'H':
            (void)stack_.shutdown_receive(handle(), now_);
            thrown_away_[handle().packed()] = true;
            break;
        case 'k': stack_.close(handle(), now_); break;
        case 'x': stack_.abort(handle(), now_); break;
        case 'o': set_options(input_.u8()); break;
        case 'q': {
            std::byte octet{};
            (void)stack_.receive(handle(), {&octet, 1}, {.peek = false, .urgent = true}, now_);
            break;
        }
        case 'e': {
            (void)stack_.take_error(handle());
            std::vector<UserEvent> events;
            stack_.take_events(events);
            break;
        }
        case 'l':
            stack_.close_listener(listener_, now_);
            listen();
            break;
        case 'b': stack_.set_backlog(listener_, input_.u8()); break;
        default: return false;
    }
    (void)stack_.readiness(handle());
    (void)stack_.at_urgent_mark(handle());
    return true;
}

void Run::listen() {
    const auto made = stack_.listen({IpAddress{}, kServerPort}, true, 2, make_options(0));
    if (made) {
        listener_ = *made;
    }
}

void Run::open() {
    current_ = current_ < 2 ? current_ + 2 : current_;
    const auto made = stack_.connect(tuples_[current_].local, tuples_[current_].remote, 1500,
                                     make_options(0), now_);
    if (made) {
        handles_[current_] = *made;
        all_handles_.push_back(*made);
    }
    drain();
}

void Run::accept() {
    const auto made = stack_.accept(listener_, now_);
    if (!made) {
        return;
    }
    const auto tuple = stack_.tuple(*made);
    FUZZ_CHECK(tuple && index_of(*tuple) < kTuples);
    handles_[index_of(*tuple)] = *made;
    all_handles_.push_back(*made);
}

void Run::write(std::uint8_t code) {
    const auto s = stack_.status(handle());
    std::string text(code < 128 ? code : std::size_t{code} * 300, '\0');
    if (s) {
        // The number after all that has been written: ISS + 1 + what was acknowledged and what is held.
        SeqNum at = SeqNum{s->iss} + 1 + static_cast<std::uint32_t>(s->bytes_acked) +
                    static_cast<std::uint32_t>(s->send_queue);
        for (char& octet : text) {
            octet = octet_at(at);
            at = at + 1;
        }
    }
    const SendFlags flags{.more = code % 7 == 6, .urgent = code % 11 == 10};
    const auto taken = stack_.send(handle(), as_bytes(std::string_view(text)), flags, now_);
    FUZZ_CHECK(!taken || *taken <= text.size());
}

void Run::read(std::uint8_t code, bool peek) {
    const auto s = stack_.status(handle());
    const std::size_t there = stack_.readable(handle());
    std::string into(std::size_t{code} * (code < 128 ? 1 : 500) + 1, '\0');
    const auto got =
        stack_.receive(handle(), std::as_writable_bytes(std::span(into.data(), into.size())),
                       {.peek = peek, .urgent = false}, now_);
    if (!got || !s) {
        return;
    }
    FUZZ_CHECK(*got <= std::min(there, into.size()));
    FUZZ_CHECK(*got > 0 || there == 0);
    if (thrown_away_[handle().packed()]) {
        return;
    }
    // Nothing having been taken out of it, what waits to be read ends where the text in sequence ends.
    SeqNum at = SeqNum{s->irs} + 1 + static_cast<std::uint32_t>(s->bytes_received) +
                (0U - static_cast<std::uint32_t>(s->receive_queue));
    for (std::size_t i = 0; i < *got; ++i, at = at + 1) {
        FUZZ_CHECK(into[i] == octet_at(at));
    }
}

ConnectionOptions Run::make_options(std::uint8_t code) const {
    ConnectionOptions options;
    options.no_delay = (code & 1) != 0;
    options.cork = (code & 2) != 0;
    options.ack_mode = (code & 4) != 0 ? tcp::AckMode::delayed : tcp::AckMode::unchanged;
    options.keepalive = (code & 8) != 0;
    options.urgent_inline = (code & 60) != 60;
    options.linger_on = (code & 16) != 0;
    options.keepalive_time = seconds(1 + (code & 7));
    options.keepalive_interval = seconds(1);
    options.keepalive_probes = code & 3;
    options.user_timeout = (code & 32) != 0 ? milliseconds(1 + (code & 7) * 500) : Duration{};
    options.send_buffer = (code & 64) != 0 ? (code & 15U) * 300 : 0;
    options.receive_buffer = (code & 128) != 0 ? (code & 15U) * 300 : 0;
    options.maximum_segment = static_cast<std::uint16_t>((code & 128) != 0 ? code & 127 : 0);
    return options;
}

void Run::set_options(std::uint8_t code) {
    const ConnectionOptions options = make_options(code);
    (void)stack_.set_options(handle(), options, now_);
    if (!options.urgent_inline) {
        thrown_away_[handle().packed()] = true;
    }
}

// --- time and what must hold --------------------------------------------------------------------------------

void Run::time_of(std::uint8_t letter) {
    switch (letter) {
        case 't': timeout(seconds(10)); break;
        case 'Y': timeout(seconds(100'000)); break;
        case 'T':
            now_ = now_ + milliseconds(input_.u8());
            stack_.on_timeout(now_);
            break;
        case 'V':  // time passes and nobody looks: late timeouts
            now_ = now_ + seconds(input_.u8());
            break;
        default: break;
    }
}

void Run::timeout(Duration limit) {
    drain();
    const Instant at = stack_.next_timeout();
    if (at.is_never() || at > now_ + limit) {
        return;
    }
    now_ = std::max(now_, at);
    stack_.on_timeout(now_);
    drain();
}

void Run::drain() {
    OutgoingSegment out;
    for (int i = 0; stack_.poll_transmit(now_, out); ++i) {
        FUZZ_CHECK(i < kMostSegmentsAStep);
        look_at(out);
    }
}

void Run::look_at(const OutgoingSegment& out) {
    FUZZ_CHECK(index_of(out.tuple) < kTuples);
    if (out.tuple == tuples_[current_]) {
        ++answers_;
        reset_answers_ += out.header.flags.rst() ? 1 : 0;
    }
    FUZZ_CHECK(20 + tcp_options_size(out.header.options) <= 60);
    FUZZ_CHECK(out.payload_size <= 65'535 &&
               (out.gso_size == 0 || out.payload_size > out.gso_size));
    FUZZ_CHECK(!(out.header.flags.syn() && out.header.flags.fin()));
    std::size_t size = 0;
    SeqNum at = out.header.seq;
    for (const Slice& slice : out.payload) {
        size += slice.size();
        for (const std::byte octet : slice.bytes()) {
            FUZZ_CHECK(static_cast<char>(octet) == octet_at(at));
            at = at + 1;
        }
    }
    FUZZ_CHECK(size == out.payload_size);
}

void Run::check() {
    drain();
    const Instant next = stack_.next_timeout();
    stack_.snapshot(all_, now_);
    for (const ConnectionStatus& s : all_) {
        if (s.state != State::listen && s.state != State::time_wait) {
            check_connection(s, next);
        }
    }
    FUZZ_CHECK(pool_.bytes_in_use() <= pool_.limit());
}

void Run::check_connection(const ConnectionStatus& s, Instant next) {
    FUZZ_CHECK(static_cast<std::int32_t>(s.snd_nxt - s.snd_una) >= 0);
    FUZZ_CHECK(s.segments_lost <= s.segments_out && s.segments_sacked <= s.segments_out);
    FUZZ_CHECK(s.cwnd_segments >= 1);
    if (s.segments_out > 0 || s.send_queue > 0) {
        FUZZ_CHECK(!s.timer_deadline.is_never());
    }
    FUZZ_CHECK(next <= s.timer_deadline);
    if (s.state == State::syn_sent) {
        return;
    }
    SentNumbers& sent = sent_[index_of(s.tuple)];
    FUZZ_CHECK(sent.sent_syn(SeqNum{s.irs}));
    FUZZ_CHECK(s.rcv_nxt - s.irs <= sent.contiguous_from(SeqNum{s.irs}));
    const std::uint32_t edge = s.rcv_nxt + static_cast<std::uint32_t>(s.rcv_wnd);
    const auto [it, fresh] = edges_.try_emplace(s.handle, edge);
    FUZZ_CHECK(fresh || static_cast<std::int32_t>(edge - it->second) >= 0);
    it->second = edge;
}

void Run::finish() {
    for (const ConnectionHandle each : all_handles_) {
        if ((setup_ & kAbortInTheEnd) != 0) {
            stack_.abort(each, now_);
        } else {
            stack_.close(each, now_);
        }
    }
    stack_.close_listener(listener_, now_);
    drain();
    int still = 0;
    for (int i = 0; !stack_.next_timeout().is_never(); ++i) {
        const Instant next = stack_.next_timeout();
        still = next <= now_ ? still + 1 : 0;
        FUZZ_CHECK(still < 50 && i < 5000);
        now_ = std::max(now_, next);
        stack_.on_timeout(now_);
        drain();
    }
    stack_.snapshot(all_, now_);
    FUZZ_CHECK(all_.empty());
    FUZZ_CHECK(pool_.bytes_in_use() == 0);
}

void run(Bytes bytes) {
    Run(bytes).run();
}

}  // namespace
}  // namespace runnel::fuzz

RUNNEL_FUZZ_TARGET(stateful, runnel::fuzz::run);
