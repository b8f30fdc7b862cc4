#include "conversation.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "support/packets.hpp"

namespace runnel::differential {

namespace {

constexpr std::uint16_t kSubjectPort = 8000;
constexpr std::uint16_t kPeerPort = 9000;

/// Octet `at` of the peer's stream; `other` is what a forger would have there.
std::byte octet(std::uint32_t at, bool other) {
    return static_cast<std::byte>((other ? 'A' : 'a') + static_cast<int>(at % 26));
}

std::string flag_names(TcpFlags flags) {
    constexpr std::string_view kNames = "FSRPAUEC";
    std::string text;
    for (std::size_t i = 0; i < kNames.size(); ++i) {
        if ((flags.bits >> i & 1U) != 0) {
            text += kNames[i];
        }
    }
    return text;
}

void put(std::vector<std::uint8_t>& out, std::uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; --i) {
        out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
    }
}

}  // namespace

IpAddress Conversation::subject_address(bool v6) {
    return *parse_ip_address(v6 ? "fd66::1" : "10.66.0.1");
}

IpAddress Conversation::peer_address(bool v6, std::uint32_t id) {
    return *parse_ip_address(v6 ? fmt::format("fd77::{:x}", id + 1)
                                : fmt::format("10.77.{}.{}", (id + 1) >> 8, (id + 1) & 255));
}

Conversation::Conversation(const Script& script)
    : script_(&script),
      // Half of the conversations cross the wrap of the peer's numbers.
      peer_iss_(script.id % 2 == 0 ? 0xffff'fc00U + script.id * 7 % 512 : 1'000'000 + script.id),
      stamp_base_(script.id % 3 == 0 ? 0xffff'fe00U : 5'000'000) {
    subject_.local = {subject_address(script.v6),
                      static_cast<std::uint16_t>(kSubjectPort + script.id)};
    subject_.remote = {peer_address(script.v6, script.id), kPeerPort};
    received_ = peer_iss_;
}

std::uint32_t Conversation::resolve(const Relative& number) const {
    std::uint32_t base = 0;
    if (number.base == "peer") {
        base = peer_iss_;
    } else if (number.base == "rnxt") {
        base = received_;
    } else if (number.base == "edge") {
        base = received_ + window_;
    } else if (number.base == "iss") {
        base = iss_;
    } else if (number.base == "una") {
        base = acknowledged_;
    } else if (number.base == "nxt") {
        base = highest_;
    }
    return base + static_cast<std::uint32_t>(number.offset);
}

std::vector<std::uint8_t> Conversation::options_of(const SegmentStep& step,
                                                   std::int64_t now_us) const {
    std::vector<std::uint8_t> options;
    if (step.mss) {
        put(options, 0x0204, 2);
        put(options, *step.mss, 2);
    }
    if (step.sack_permitted) {
        put(options, 0x01010402, 4);
    }
    if (step.scale) {
        put(options, 0x010303, 3);
        put(options, *step.scale, 1);
    }
    const bool wanted = step.stamp == Stamp::automatic ? stamps_ : step.stamp != Stamp::none;
    if (wanted) {
        std::uint32_t value = stamp_base_ + static_cast<std::uint32_t>(now_us / 1000);
        std::uint32_t echo = (step.flags & TcpFlags::kAck) != 0 ? last_stamp_ : 0;
        if (step.stamp == Stamp::old) {
            value -= 100'000;
        } else if (step.stamp == Stamp::ahead) {
            value += 100'000;
        } else if (step.stamp == Stamp::zero_echo) {
            echo = 0;
        } else if (step.stamp == Stamp::bad_echo) {
            echo += 1'000'000;
        }
        put(options, 0x0101080a, 4);
        put(options, value, 4);
        put(options, echo, 4);
    }
    if (!step.sack.empty()) {
        put(options, 0x010105, 3);
        put(options, 2 + 8 * step.sack.size(), 1);
        for (const auto& [left, right] : step.sack) {
            put(options, resolve(left), 4);
            put(options, resolve(right), 4);
        }
    }
    options.insert(options.end(), step.raw_options.begin(), step.raw_options.end());
    while (options.size() % 4 != 0) {
        options.push_back(0);
    }
    return options;
}

void Conversation::note_injected(const SegmentStep& step) {
    const bool syn = (step.flags & TcpFlags::kSyn) != 0;
    if (syn && !synchronized_) {
        peer_scale_ = step.scale ? std::min<int>(*step.scale, 14) : -1;
        peer_offered_stamps_ = step.stamp == Stamp::forced;
        stamps_ = peer_offered_stamps_ && subject_offered_stamps_;
    }
    if ((step.flags & TcpFlags::kAck) != 0 && knows_iss_) {
        const std::uint32_t ack = resolve(step.ack);
        const bool sane = static_cast<std::int32_t>(ack - acknowledged_) > 0 &&
                          static_cast<std::int32_t>(highest_ - ack) >= 0;
        acknowledged_ = sane ? ack : acknowledged_;
    }
}

std::vector<std::byte> Conversation::build(const SegmentStep& step, std::int64_t now_us) {
    const bool syn = (step.flags & TcpFlags::kSyn) != 0;
    const std::vector<std::uint8_t> options = options_of(step, now_us);
    const bool scaled = !syn && !step.raw_window && peer_scale_ >= 0 && subject_scale_ >= 0;
    const std::uint32_t window =
        std::min<std::uint32_t>(scaled ? step.window >> peer_scale_ : step.window, 65'535);
    // A SYN at the edge of a window that is no more opens a connection: at one number for both.
    const bool as_model = model != nullptr && !records.empty() &&
                          (step.seq.base == "rnxt" || (step.seq.base == "edge" && syn));
    const std::uint32_t seq =
        as_model ? peer_iss_ + (*model)[records.size() - 1].seq : resolve(step.seq);
    if (!records.empty()) {
        records.back().seq = seq - peer_iss_;
    }
    std::vector<std::uint8_t> raw;
    put(raw, subject_.remote.port, 2);
    put(raw, subject_.local.port, 2);
    put(raw, seq, 4);
    put(raw, (step.flags & TcpFlags::kAck) != 0 ? resolve(step.ack) : 0, 4);
    const auto words = static_cast<std::uint32_t>(5 + options.size() / 4);
    const std::uint32_t offset =
        step.data_offset >= 0 ? static_cast<std::uint32_t>(step.data_offset) : words;
    put(raw, (offset & 15U) << 4, 1);
    put(raw, step.flags & 0xffU, 1);
    put(raw, window, 2);
    put(raw, 0, 2);
    put(raw, step.urgent, 2);
    raw.insert(raw.end(), options.begin(), options.end());
    std::vector<std::byte> transport;
    for (const std::uint8_t byte : raw) {
        transport.push_back(static_cast<std::byte>(byte));
    }
    // The stream's octet 0 has the number after the SYN; on a SYN the text follows it.
    const std::uint32_t first = seq - peer_iss_ - (syn ? 0U : 1U);
    for (std::uint32_t i = 0; i < step.length; ++i) {
        transport.push_back(octet(first + i, step.other_content));
    }
    const auto relative = [](std::uint32_t to, std::uint32_t from) {
        return static_cast<std::int32_t>(to - from);
    };
    if (!records.empty()) {
        records.back().stimulus =
            fmt::format(R"({{"seq":{},"ack":{},"rnxt":{},"edge":{},"nxt":{},"una":{},"win":{}}})",
                        relative(seq, peer_iss_), relative(resolve(step.ack), iss_),
                        relative(received_, peer_iss_), relative(received_ + window_, peer_iss_),
                        relative(highest_, iss_), relative(acknowledged_, iss_),
                        scaled ? window << peer_scale_ : window);
    }
    note_injected(step);
    auto packet = test::make_packet(subject_.remote.address, subject_.local.address, kProtocolTcp,
                                    std::move(transport), 16);
    if (step.bad_checksum) {
        const std::size_t at = (script_->v6 ? kIpv6HeaderSize : kIpv4HeaderSize) + 16;
        packet[at] ^= std::byte{0x5a};
    }
    return packet;
}

/// The segment as a JSON object, in relative numbers.
std::string Conversation::describe(const TcpHeader& h, Bytes payload, std::int64_t now_us,
                                   std::uint32_t window) const {
    const TcpOptions& o = h.options;
    const auto length = static_cast<std::uint32_t>(payload.size());
    std::string json = fmt::format(
        R"({{"t":{},"flags":"{}","seq":{},"len":{},"win":{},"wf":{},"urg":{})", now_us,
        // A RST without a connection may have the number 0 itself (RFC 9293 §3.5.2, group 1).
        flag_names(h.flags),
        knows_iss_ && !(h.flags.rst() && h.seq.value == 0)
            ? static_cast<std::int32_t>(h.seq.value - iss_)
            : static_cast<std::int64_t>(h.seq.value),
        length, window, h.window, h.urgent_pointer);
    if (h.flags.ack()) {
        json += fmt::format(R"(,"ack":{})", static_cast<std::int32_t>(h.ack.value - peer_iss_));
    }
    if (o.mss) {
        json += fmt::format(R"(,"mss":{})", *o.mss);
    }
    if (o.window_scale) {
        json += fmt::format(R"(,"ws":{})", *o.window_scale);
    }
    if (o.sack_permitted) {
        json += R"(,"sackok":1)";
    }
    if (o.timestamps) {
        json += fmt::format(R"(,"tsval":{},"tsecr":{})",
                            static_cast<std::int32_t>(o.timestamps->value - first_stamp_),
                            o.timestamps->echo == 0
                                ? -1
                                : static_cast<std::int32_t>(o.timestamps->echo - stamp_base_));
    }
    if (!o.sack.empty()) {
        json += R"(,"sack":[)";
        for (std::size_t i = 0; i < o.sack.size(); ++i) {
            json += fmt::format("{}[{},{}]", i == 0 ? "" : ",",
                                static_cast<std::int32_t>(o.sack[i].left.value - peer_iss_),
                                static_cast<std::int32_t>(o.sack[i].right.value - peer_iss_));
        }
        json += "]";
    }
    if (length > 0) {
        // What it sends is checked against what the script wrote: octet n of its stream is n modulo 251.
        bool right = true;
        const std::uint32_t first = h.seq.value - iss_ - (h.flags.syn() ? 0U : 1U);
        for (std::uint32_t i = 0; i < length; ++i) {
            right = right && payload[i] == static_cast<std::byte>((first + i) % 251);
        }
        json += right ? "" : R"(,"wrong_text":1)";
    }
    return json + "}";
}

void Conversation::observe(Bytes packet, std::int64_t now_us) {
    const auto segment = test::view_segment(packet);
    if (!segment || records.empty()) {
        return;
    }
    const TcpHeader& h = segment->header;
    const TcpOptions& o = h.options;
    const auto length = static_cast<std::uint32_t>(segment->payload.size());
    const bool alive = !h.flags.rst();
    synchronized_ = h.flags.syn() ? false : synchronized_ || (alive && h.flags.ack());
    if (h.flags.syn()) {
        if (!knows_iss_ || h.seq.value != iss_) {
            iss_ = h.seq.value;
            highest_ = iss_;
            acknowledged_ = iss_;
            first_stamp_ = o.timestamps ? o.timestamps->value : 0;
        }
        knows_iss_ = true;
        subject_scale_ = o.window_scale ? *o.window_scale : -1;
        subject_offered_stamps_ = o.timestamps.has_value();
        stamps_ = peer_offered_stamps_ && subject_offered_stamps_;
    }
    const int scale =
        !h.flags.syn() && subject_scale_ >= 0 && peer_scale_ >= 0 ? subject_scale_ : 0;
    const std::uint32_t window = std::uint32_t{h.window} << scale;
    const std::uint32_t end =
        h.seq.value + length + (h.flags.syn() ? 1U : 0U) + (h.flags.fin() ? 1U : 0U);
    if (alive) {
        if (static_cast<std::int32_t>(end - highest_) > 0) {
            highest_ = end;
        }
        if (h.flags.ack()) {
            received_ = h.ack.value;
            window_ = window;
        }
        last_stamp_ = o.timestamps ? o.timestamps->value : last_stamp_;
    }
    records.back().packets.push_back(describe(h, segment->payload, now_us, window));
}

}  // namespace runnel::differential
