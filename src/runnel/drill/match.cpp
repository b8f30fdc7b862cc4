#include "runnel/drill/match.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "runnel/drill/print.hpp"
#include "runnel/drill/symbols.hpp"

namespace runnel::drill {

namespace {

using Found = std::vector<std::string>;

template <class T>
void compare(std::string_view what, const T& expected, const T& seen, Found& found) {
    if (expected != seen) {
        found.push_back(fmt::format("{}: expected {}, seen {}", what, expected, seen));
    }
}

void compare_marks(const IpMarks& expected, const IpHead& head, const MatchRules& rules,
                   Found& found) {
    if (rules.marks_not_written && !expected.ecn && !expected.tos) {
        compare("tos", 0u, unsigned{head.traffic_class}, found);
    }
    if (expected.tos) {
        compare("tos", unsigned{*expected.tos}, unsigned{head.traffic_class}, found);
    }
    if (expected.ttl || rules.marks_not_written) {
        compare("ttl", unsigned{expected.ttl.value_or(rules.default_ttl)}, unsigned{head.ttl},
                found);
    }
    if (expected.flow_label) {
        compare("flow label", *expected.flow_label, head.flow_label, found);
    }
    if (expected.ecn) {
        constexpr const char* kNames[] = {"noecn", "ect1", "ect0", "ce"};
        const unsigned seen = head.traffic_class & 3u;
        const bool right = *expected.ecn == EcnMark::ect01
                               ? seen == 1 || seen == 2
                               : seen == static_cast<unsigned>(*expected.ecn);
        if (!right) {
            const char* name = *expected.ecn == EcnMark::ect01
                                   ? "ect0 or ect1"
                                   : kNames[static_cast<std::size_t>(*expected.ecn)];
            found.push_back(fmt::format("ECN mark: expected {}, seen {}", name, kNames[seen]));
        }
    }
}

void compare_timestamp(const TcpOption& expected, const TcpOption& seen, const SeenPacket& packet,
                       const MatchRules& rules, Flow& flow, Found& found) {
    if (expected.echo) {
        compare("TS ecr", *expected.echo, seen.echo.value_or(0), found);
    }
    if (!expected.value) {
        return;
    }
    const std::uint32_t wire = seen.value.value_or(0);
    if (!flow.first_stamp) {
        flow.first_stamp = Flow::FirstStamp{*expected.value, packet.time};
    }
    if (rules.timestamp_tick) {
        const auto ticks = static_cast<std::int32_t>(*expected.value - flow.first_stamp->written);
        const Duration written = *rules.timestamp_tick * ticks;
        const Duration passed = packet.time - flow.first_stamp->time;
        const Duration off = written > passed ? written - passed : passed - written;
        if (off > rules.tolerance + *rules.timestamp_tick) {
            found.push_back(fmt::format(
                "TS val: expected {}, which is {} s after the first one; {} s have passed",
                *expected.value, print(written), print(passed)));
        }
    }
    flow.timestamps[*expected.value] = wire;
}

/// The same but for what an option leaves open.
bool same_option(const TcpOption& expected, const TcpOption& seen) {
    using Kind = TcpOption::Kind;
    if (expected.kind != seen.kind) {
        return false;
    }
    if (expected.kind == Kind::timestamp ||
        (expected.kind == Kind::md5 && expected.bytes.empty())) {
        return true;
    }
    return expected == seen;
}

bool is_padding(const TcpOption& option) {
    return option.kind == TcpOption::Kind::nop || option.kind == TcpOption::Kind::eol;
}

std::vector<TcpOption> as_set(const std::vector<TcpOption>& options) {
    std::vector<TcpOption> set;
    std::copy_if(options.begin(), options.end(), std::back_inserter(set),
                 [](const TcpOption& option) { return !is_padding(option); });
    std::sort(set.begin(), set.end(),
              [](const TcpOption& a, const TcpOption& b) { return a.kind < b.kind; });
    return set;
}

std::string options_text(const TcpPacket& packet) {
    TcpPacket only;
    only.options = packet.options;
    only.options_are = TcpPacket::Options::list;
    const std::string text = print(only);
    const std::size_t at = text.find('<');
    return at == std::string::npos ? "none" : text.substr(at);
}

void compare_options(const TcpPacket& expected, const TcpPacket& seen, const SeenPacket& packet,
                     const MatchRules& rules, Flow& flow, Found& found) {
    if (expected.options_are == TcpPacket::Options::any) {
        return;
    }
    const bool set = rules.syn_options_as_set && expected.flags.syn();
    const std::vector<TcpOption> left = set ? as_set(expected.options) : expected.options;
    const std::vector<TcpOption> right = set ? as_set(seen.options) : seen.options;
    if (!std::equal(left.begin(), left.end(), right.begin(), right.end(), same_option)) {
        found.push_back(fmt::format("options: expected {}, seen {}", options_text(expected),
                                    options_text(seen)));
        return;
    }
    for (std::size_t i = 0; i < left.size(); ++i) {
        if (left[i].kind == TcpOption::Kind::timestamp) {
            compare_timestamp(left[i], right[i], packet, rules, flow, found);
        }
    }
}

void compare_tcp(const TcpPacket& expected, const SeenPacket& packet, const MatchRules& rules,
                 Flow& flow, Found& found) {
    const TcpPacket& seen = *packet.tcp();
    compare("flags", print_flags(expected.flags), print_flags(seen.flags), found);
    compare("sequence number", expected.sequence.first, seen.sequence.first, found);
    compare("length", expected.sequence.length, seen.sequence.length, found);
    if (expected.ack) {
        if (seen.ack) {
            compare("ack", *expected.ack, *seen.ack, found);
        } else {
            found.push_back("ack: expected one, seen none");
        }
    }
    if (expected.window) {
        compare("win", *expected.window, seen.window.value_or(0), found);
    }
    if (expected.urgent) {
        compare("urg", *expected.urgent, seen.urgent.value_or(0), found);
    }
    compare_options(expected, seen, packet, rules, flow, found);
}

void compare_icmp(const IcmpPacket& expected, const IcmpOnWire& seen, bool v6, Found& found) {
    const auto numbers = icmp_numbers(expected.type, expected.code, v6);
    if (!numbers) {
        found.push_back(
            fmt::format("no ICMP message is called {} {}", expected.type, expected.code));
        return;
    }
    compare("ICMP type", unsigned{numbers->type}, unsigned{seen.type}, found);
    compare("ICMP code", unsigned{numbers->code}, unsigned{seen.code}, found);
    if (expected.mtu) {
        compare("ICMP mtu", *expected.mtu, v6 ? seen.rest : seen.rest & 0xffff, found);
    }
    if (expected.id) {
        compare("ICMP id", std::uint32_t{*expected.id}, seen.rest >> 16, found);
    }
}

const char* kind_text(const SeenPacket& seen) {
    constexpr const char* kNames[] = {"nothing readable", "TCP", "UDP", "ICMP"};
    return kNames[seen.what.index()];
}

}  // namespace

std::vector<std::string> differences(const Packet& expected, const SeenPacket& seen,
                                     const MatchRules& rules, Flow& flow) {
    Found found;
    if (!seen.trouble.empty()) {
        found.push_back(seen.trouble);
    }
    const auto* icmp = std::get_if<IcmpOnWire>(&seen.what);
    const auto* udp = std::get_if<UdpPacket>(&seen.what);
    if (const auto* tcp = std::get_if<TcpPacket>(&expected.what); tcp && seen.tcp()) {
        compare_tcp(*tcp, seen, rules, flow, found);
    } else if (const auto* datagram = std::get_if<UdpPacket>(&expected.what); datagram && udp) {
        compare("length", datagram->length, udp->length, found);
    } else if (const auto* message = std::get_if<IcmpPacket>(&expected.what); message && icmp) {
        compare_icmp(*message, *icmp, !seen.head.source.is_v4(), found);
    } else {
        found.push_back(fmt::format("it is {}", kind_text(seen)));
    }
    compare_marks(expected.marks, seen.head, rules, found);
    return found;
}

bool continues(const SeenPacket& first, const SeenPacket& next) {
    const TcpPacket* a = first.tcp();
    const TcpPacket* b = next.tcp();
    constexpr std::uint16_t kFree = TcpFlags::kPsh | TcpFlags::kFin;
    if (a == nullptr || b == nullptr || first.ports != next.ports ||
        first.head.destination != next.head.destination ||
        first.head.traffic_class != next.head.traffic_class || !next.trouble.empty()) {
        return false;
    }
    return b->sequence.first == a->sequence.last && b->sequence.length > 0 &&
           ((a->flags.bits ^ b->flags.bits) & ~unsigned{kFree}) == 0 && !a->flags.fin() &&
           !a->flags.syn() && a->ack == b->ack && a->urgent == b->urgent &&
           a->options == b->options;
}

void merge(SeenPacket& first, const SeenPacket& next) {
    TcpPacket& a = *first.tcp();
    const TcpPacket& b = *next.tcp();
    a.sequence.last = b.sequence.last;
    a.sequence.length += b.sequence.length;
    a.flags.bits = static_cast<std::uint16_t>(a.flags.bits | b.flags.bits);
    a.window = b.window;
    first.merged += 1;
    first.decisions.insert(first.decisions.end(), next.decisions.begin(), next.decisions.end());
}

}  // namespace runnel::drill
