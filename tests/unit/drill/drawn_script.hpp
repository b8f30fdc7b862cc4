// Scripts drawn from a seed: every node of script.hpp with every member it may have, within what the language can say.
#pragma once

#include <string>
#include <string_view>

#include "runnel/base/random.hpp"
#include "runnel/drill/script.hpp"

namespace runnel::drill {

class ScriptDrawer {
public:
    explicit ScriptDrawer(std::uint64_t seed) : random_(seed) {}

    Script script() {
        Script out;
        out.file.text = "drawn";
        for (std::uint64_t i = random_.below(3); i > 0; --i) {
            out.options.push_back(
                {chance(2) ? "mtu" : "init_scripts", chance(3) ? "" : any_text(), {}});
        }
        for (std::uint64_t i = random_.below(3); i > 0; --i) {
            out.init.push_back({any_text(), {}});
        }
        for (std::uint64_t i = random_.below(12); i > 0; --i) {
            out.events.push_back(event());
        }
        return out;
    }

private:
    bool chance(std::uint64_t of) { return random_.below(of) == 0; }
    template <class T>
    std::optional<T> maybe(std::uint64_t bound) {
        return chance(2) ? std::optional(static_cast<T>(random_.below(bound))) : std::nullopt;
    }
    std::uint32_t word() {
        // Half of them near the ends of the range.
        const auto value = static_cast<std::uint32_t>(random_.next());
        return chance(2) ? value : value % 5 - 2;
    }
    std::string pick(std::initializer_list<std::string_view> from) {
        return std::string(from.begin()[random_.below(from.size())]);
    }
    std::string name() {
        std::string out = pick({"a", "SOCK_STREAM", "_x9", "nop", "udp", "E", "mss", "Z"});
        return chance(3) ? out + std::to_string(random_.below(100)) : out;
    }
    /// Bytes of every kind but 0.
    std::string any_text() {
        std::string out;
        for (std::uint64_t i = random_.below(12); i > 0; --i) {
            out +=
                chance(2)
                    ? static_cast<char>(1 + random_.below(255))
                    : pick({"a", " ", "\"", "`", "\\", "//", "/*", "#", "\n", "%{", "}%"}).front();
        }
        return out;
    }
    Duration time() {
        const std::uint64_t bound = chance(2) ? 5'000'000'000 : 3;
        return nanoseconds(static_cast<std::int64_t>(random_.below(bound)));
    }

    Event event() {
        Event out;
        switch (random_.below(5)) {
            case 0: out.what = call(); break;
            case 1: out.what = Command{any_text(), {}}; break;
            case 2: out.what = Code{pick({"", " assert 1 ", "\n a // b \"", "`\n"}), {}}; break;
            default: out.what = packet(); break;
        }
        out.time.start = out.time.end = time();
        out.time.kind = chance(2) ? EventTime::Kind::absolute : EventTime::Kind::relative;
        const auto* sent = std::get_if<Packet>(&out.what);
        if (sent != nullptr && sent->direction == Direction::outbound && chance(2)) {
            if (chance(3)) {
                out.time = {};
                out.time.kind = EventTime::Kind::any;
            } else {
                out.time.kind =
                    chance(2) ? EventTime::Kind::absolute_range : EventTime::Kind::relative_range;
                out.time.end = out.time.start + time();
            }
        }
        if (std::holds_alternative<Syscall>(out.what) && chance(3)) {
            out.time.blocks_until = out.time.start + time();
        }
        return out;
    }

    SequenceRange range() {
        SequenceRange out;
        out.first = word();
        out.length = static_cast<std::uint32_t>(random_.below(chance(2) ? 2 : 70'000));
        out.last = out.first + out.length;
        return out;
    }

    Packet packet() {
        Packet out;
        out.direction = chance(2) ? Direction::inbound : Direction::outbound;
        if (chance(3)) {
            if (chance(2)) {
                out.marks.ecn = static_cast<EcnMark>(random_.below(5));
            }
            out.marks.tos = maybe<std::uint8_t>(256);
            out.marks.ttl = maybe<std::uint8_t>(256);
            out.marks.flow_label = maybe<std::uint32_t>(1u << 20);
        }
        if (chance(6)) {
            out.own.bad_checksum = chance(2);
            out.own.data_offset = maybe<std::uint8_t>(16);
            if (chance(2)) {
                out.own.from = IpAddress::v4(static_cast<std::uint32_t>(random_.next()));
            }
            if (chance(2)) {
                out.own.to = *parse_ip_address("fd3d:fa7b:d17d::2");
            }
            out.own.times = static_cast<std::uint32_t>(random_.below(9)) + 1;
        }
        if (chance(4)) {
            out.ports = Ports{static_cast<std::uint16_t>(random_.next()),
                              static_cast<std::uint16_t>(random_.next())};
        }
        switch (random_.below(6)) {
            case 0: out.what = UdpPacket{static_cast<std::uint32_t>(random_.below(65536))}; break;
            case 1: out.what = icmp(); break;
            default: out.what = tcp(out.direction); break;
        }
        return out;
    }

    IcmpPacket icmp() {
        IcmpPacket out;
        out.type = pick({"unreachable", "type_3", "type_255"});
        out.code = out.type == "unreachable"
                       ? pick({"", "port_unreachable", "frag_needed", "code_9"})
                       : pick({"", "code_0", "code_255"});
        out.mtu = maybe<std::uint32_t>(1u << 31);
        out.id = maybe<std::uint16_t>(1u << 16);
        if (chance(2)) {
            out.quoted = range();
        } else if (chance(2)) {
            out.quoted = UdpPacket{static_cast<std::uint32_t>(random_.below(65536))};
        }
        return out;
    }

    TcpPacket tcp(Direction direction) {
        const bool inbound = direction == Direction::inbound;
        TcpPacket out;
        out.flags.bits = static_cast<std::uint16_t>(random_.below(512));
        if (chance(4)) {
            out.ace = static_cast<std::uint8_t>(random_.below(8));
            out.flags.bits = static_cast<std::uint16_t>((out.flags.bits & 0x3f) | *out.ace * 0x40);
        }
        out.sequence = range();
        if (chance(2)) {
            out.ack = word();
        }
        out.window = maybe<std::uint16_t>(65536);
        if (inbound && !out.flags.rst() && !out.window) {
            out.window = 1;
        }
        out.urgent = maybe<std::uint16_t>(65536);
        const bool any = !inbound && chance(3);
        out.options_are = any         ? TcpPacket::Options::any
                          : chance(2) ? TcpPacket::Options::list
                                      : TcpPacket::Options::none;
        if (out.options_are == TcpPacket::Options::list) {
            for (std::uint64_t i = random_.below(5); i > 0; --i) {
                out.options.push_back(option(inbound));
            }
        }
        return out;
    }

    TcpOption option(bool inbound) {
        using Kind = TcpOption::Kind;
        TcpOption out;
        out.kind = static_cast<Kind>(random_.below(12));
        const auto bytes = [&](std::uint64_t most) {
            for (std::uint64_t i = random_.below(most + 1); i > 0; --i) {
                out.bytes.push_back(static_cast<std::uint8_t>(random_.next()));
            }
        };
        switch (out.kind) {
            case Kind::mss: out.value = word() & 0xffff; break;
            case Kind::wscale: out.value = word() & 0xff; break;
            case Kind::timestamp:
                if (inbound || chance(2)) {
                    out.value = word();
                }
                if (inbound || chance(2)) {
                    out.echo = word();
                }
                break;
            case Kind::sack:
                for (std::uint64_t i = 1 + random_.below(4); i > 0; --i) {
                    const std::uint32_t first = word();
                    out.blocks.push_back({first, word()});
                }
                break;
            case Kind::fast_open: bytes(38); break;
            case Kind::fast_open_exp: bytes(36); break;
            case Kind::md5: bytes(16); break;
            case Kind::other:
                out.value = word() & 0xff;
                bytes(38);
                break;
            case Kind::accecn:
                for (std::uint64_t i = random_.below(4); i > 0; --i) {
                    const auto which = static_cast<TcpOption::Counter::Name>(random_.below(3));
                    out.counters.push_back({which, word() & 0xffffff});
                }
                break;
            default: break;
        }
        return out;
    }

    Syscall call() {
        Syscall out;
        out.name = name();
        for (std::uint64_t i = random_.below(5); i > 0; --i) {
            out.arguments.push_back(expression(3));
        }
        out.result = expression(1);
        out.error = chance(2) ? "" : "EAGAIN";
        out.note = chance(2) ? "" : pick({"x", "a (b) c", "isn't it"});
        return out;
    }

    Expression expression(unsigned depth) {
        using Kind = Expression::Kind;
        Expression out;
        out.kind = static_cast<Kind>(random_.below(depth == 0 ? 5 : 11));
        std::uint64_t parts = 0;
        switch (out.kind) {
            case Kind::integer:
                out.integer = static_cast<std::int64_t>(random_.next()) >> random_.below(64);
                out.radix = chance(3) ? 8 : chance(2) ? 16 : 10;
                break;
            case Kind::real: out.text = pick({"0.5", "1.", "-3.25", ".5"}); break;
            case Kind::string:
                out.text = any_text() + (chance(5) ? std::string(1, '\0') : "");
                break;
            case Kind::symbol: out.text = name(); break;
            case Kind::call:
                out.text = name();
                parts = random_.below(3);
                break;
            case Kind::either: parts = 2 + random_.below(2); break;
            case Kind::array: parts = random_.below(4); break;
            case Kind::address_of: parts = 1; break;
            case Kind::negative: parts = 1; break;
            case Kind::structure:
                for (std::uint64_t i = random_.below(4); i > 0; --i) {
                    out.fields.push_back(field(depth - 1));
                }
                break;
            case Kind::ellipsis: break;
        }
        for (; parts > 0; --parts) {
            out.parts.push_back(expression(depth - 1));
        }
        return out;
    }

    Field field(unsigned depth) {
        Field out;
        out.name = chance(2) ? "" : name();
        if (!out.name.empty() && chance(3)) {
            out.count = expression(depth);
        }
        out.value = expression(depth);
        return out;
    }

    Random random_;
};

inline Script drawn_script(std::uint64_t seed) {
    return ScriptDrawer(seed).script();
}

}  // namespace runnel::drill
