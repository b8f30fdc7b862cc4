#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "runnel/drill/parser.hpp"
#include "runnel/drill/symbols.hpp"
#include "runnel/drill/text.hpp"

namespace runnel::drill {
namespace {

struct Foreign {
    std::string_view word;
    std::string_view reason;
};
/// What may stand where a packet begins, and is of no use to a host with one interface and TCP, UDP and ICMP.
constexpr Foreign kForeign[] = {
    {"ipv4", "IPv4 encapsulation"},
    {"ipv6", "IPv6 encapsulation"},
    {"gre", "GRE encapsulation"},
    {"mpls", "MPLS encapsulation"},
    {"sctp", "SCTP"},
    {"udplite", "UDP-Lite"},
    {"dccp", "DCCP"},
    {"esp", "ESP"},
    {"psp", "PSP"},
};

constexpr std::string_view kFlagHint =
    "flags are S F R P . (ACK) U E (ECE) W (CWR) A (AE), a digit for the ACE counter, or - for none";

std::string one_line(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (!is_space(c)) {
            out.push_back(c);
        } else if (!out.empty() && out.back() != ' ') {
            out.push_back(' ');
        }
    }
    while (out.ends_with(' ')) {
        out.pop_back();
    }
    return out;
}

}  // namespace

/// Where an event begun before `from` ends: its line's end, and further while the next line begins no event.
std::size_t Parser::packet_end(std::size_t from) const {
    std::size_t end = from;
    while (true) {
        end = std::min(text_.find('\n', end), text_.size());
        std::size_t next = end;
        while (next < text_.size() && is_space(text_[next])) {
            ++next;
        }
        if (next == text_.size() || is_digit(text_[next]) || text_[next] == '+' ||
            text_[next] == '*' || text_[next] == '.') {
            return end;
        }
        end = next;
    }
}

bool Parser::unsupported(Packet& out, std::size_t from, std::string reason) {
    at_ = packet_end(at_);
    out.marks = {};
    out.own = {};
    out.ports.reset();
    out.what = UnsupportedPacket{one_line(text_.substr(from, at_ - from)), std::move(reason)};
    return true;
}

bool Parser::packet(Packet& out) {
    out.direction = peek() == '<' ? Direction::inbound : Direction::outbound;
    ++at_;
    skip_space();
    const std::size_t from = at_;
    IcmpPacket echoed;
    while (peek() == '[' || peek() == '(') {
        std::size_t inside = at_ + 1;
        while (inside < text_.size() && is_space(text_[inside])) {
            ++inside;
        }
        const std::string_view rest = text_.substr(inside);
        const bool quote = !rest.empty() && peek() == '[' &&
                           (is_digit(rest.front()) || leading_word(rest) == "udp");
        if (!(quote ? icmp_quote(echoed) : marks(out))) {
            return false;
        }
        skip_space();
    }
    const std::string_view word = peek_word();
    for (const Foreign& foreign : kForeign) {
        if (word == foreign.word) {
            return unsupported(out, from, std::string(foreign.reason));
        }
    }
    if (!ports(out)) {
        return false;
    }
    if (take("icmp")) {
        IcmpPacket& made = out.what.emplace<IcmpPacket>();
        made.quoted = echoed.quoted;
        return icmp(made);
    }
    if (!std::holds_alternative<std::monostate>(echoed.quoted)) {
        return fail(fmt::format("after a quoted packet in [] comes icmp, but here is {}", found()));
    }
    if (take("udp")) {
        return ports(out) && udp_length(out.what.emplace<UdpPacket>());
    }
    return tcp(out, from);
}

bool Parser::marks(Packet& out) {
    const std::string_view close = peek() == '[' ? "]" : ")";
    ++at_;
    while (true) {
        if (!mark(out)) {
            return false;
        }
        if (take(close)) {
            return true;
        }
        if (!expect(",", "between IP marks")) {
            return false;
        }
    }
}

/// Behind `from` and `to`; an address ends where no letter of one follows.
bool Parser::mark_address(std::optional<IpAddress>& out) {
    skip_space();
    std::size_t end = at_;
    while (end < text_.size() && (is_word(text_[end]) || text_[end] == '.' || text_[end] == ':')) {
        ++end;
    }
    out = parse_ip_address(text_.substr(at_, end - at_));
    if (!out) {
        return fail(fmt::format("expected an IP address, but here is {}", found()));
    }
    at_ = end;
    return true;
}

bool Parser::own_mark(std::string_view word, OwnMarks& out) {
    if (word == "badsum") {
        out.bad_checksum = true;
        return true;
    }
    if (word == "doff") {
        return number(out.data_offset, 15, "doff");
    }
    if (word == "from") {
        return mark_address(out.from);
    }
    if (word == "to") {
        return mark_address(out.to);
    }
    std::uint64_t times = 0;
    if (!number(times, OwnMarks::kMostTimes, "times")) {
        return false;
    }
    out.times = std::max(1u, static_cast<std::uint32_t>(times));
    return true;
}

bool Parser::mark(Packet& packet) {
    IpMarks& out = packet.marks;
    static constexpr std::array<std::pair<std::string_view, EcnMark>, 5> kEcn{{
        {"noecn", EcnMark::noecn},
        {"ect0", EcnMark::ect0},
        {"ect1", EcnMark::ect1},
        {"ect01", EcnMark::ect01},
        {"ce", EcnMark::ce},
    }};
    skip_space();
    const std::size_t begin = at_;
    const std::string_view word = take_word();
    for (const auto& [name, value] : kEcn) {
        if (word == name) {
            out.ecn = value;
            return true;
        }
    }
    if (word == "tos") {
        return number(out.tos, 0xff, "tos");
    }
    if (word == "ttl" || word == "hoplimit") {
        return number(out.ttl, 0xff, "ttl");
    }
    if (word == "flowlabel") {
        return number(out.flow_label, 0xfffff, "flowlabel");
    }
    if (word == "badsum" || word == "doff" || word == "from" || word == "to" || word == "times") {
        return own_mark(word, packet.own);
    }
    at_ = begin;
    return fail(fmt::format("expected an IP mark, but here is {}", found()),
                "IP marks are noecn, ect0, ect1, ect01, ce, tos N, ttl N, flowlabel N, badsum, "
                "doff N, from ADDRESS, to ADDRESS and times N");
}

bool Parser::ports(Packet& out) {
    skip_space();
    std::size_t after = at_;
    while (after < text_.size() && is_digit(text_[after])) {
        ++after;
    }
    const bool digits = after > at_;
    while (after < text_.size() && is_space(text_[after])) {
        ++after;
    }
    if (!digits || after >= text_.size() || text_[after] != '>') {
        return true;
    }
    std::uint64_t source = 0, destination = 0;
    if (!number(source, 0xffff, "a port") || !expect(">", "between two ports") ||
        !number(destination, 0xffff, "a port")) {
        return false;
    }
    out.ports = Ports{static_cast<std::uint16_t>(source), static_cast<std::uint16_t>(destination)};
    skip_space();
    return true;
}

bool Parser::tcp(Packet& out, std::size_t from) {
    TcpPacket made;
    const std::size_t begin = at_;
    if (!flags(made) || !sequence(made.sequence)) {
        return false;
    }
    for (bool more = true; more;) {
        if (!made.ack && take("ack")) {
            std::uint32_t value = 0;
            more = sequence_number(value, "ack");
            made.ack = value;
        } else if (!made.window && take("win")) {
            more = number(made.window, 0xffff, "win");
        } else if (!made.urgent && take("urg")) {
            more = number(made.urgent, 0xffff, "urg");
        } else {
            break;
        }
        if (!more) {
            return false;
        }
    }
    if (const std::string_view word = peek_word(); !word.empty()) {
        return fail(fmt::format(
            "expected ack, win, urg, <options> or the next event, but here is {}", found()));
    }
    std::string reason;
    if (peek() == '<' && !options(made, out.direction, reason)) {
        return false;
    }
    if (!reason.empty()) {
        return unsupported(out, from, std::move(reason));
    }
    if (out.direction == Direction::inbound && !made.window && !made.flags.rst()) {
        return fail_at(begin, "an inbound segment says its window", "as in: < S 0:0(0) win 1000");
    }
    out.what = std::move(made);
    return true;
}

bool Parser::flags(TcpPacket& out) {
    skip_space();
    const std::size_t begin = at_;
    if (at_end() || (peek() == '-' && !is_word(peek(1)))) {
        at_ += at_end() ? 0u : 1u;
        return at_ > begin || fail("expected a segment's flags", std::string(kFlagHint));
    }
    static constexpr std::string_view kLetters = "FSRP.UEWA";
    for (; !at_end() && !is_space(peek()); ++at_) {
        const char c = peek();
        const std::size_t bit = kLetters.find(c);
        if (bit != std::string_view::npos) {
            out.flags.bits = static_cast<std::uint16_t>(out.flags.bits | (1u << bit));
        } else if (c >= '0' && c <= '7' && !out.ace) {
            out.ace = static_cast<std::uint8_t>(c - '0');
        } else {
            at_ = begin;
            const std::string_view word = text_.substr(
                at_, std::min(text_.find_first_of(" \t\r\n", at_), text_.size()) - at_);
            return fail(fmt::format("\"{}\" are no TCP flags", word.substr(0, 40)),
                        std::string(kFlagHint));
        }
    }
    if (out.ace) {
        constexpr unsigned kCounter = TcpFlags::kEce | TcpFlags::kCwr | TcpFlags::kAe;
        if ((out.flags.bits & kCounter) != 0) {
            return fail_at(begin,
                           "flags are either E, W, A or a digit, which sets these three bits");
        }
        // RFC 9768 §3.2.2.1: the counter is AE, CWR, ECE, the first the highest.
        out.flags.bits = static_cast<std::uint16_t>(out.flags.bits | (*out.ace * TcpFlags::kEce));
    }
    return true;
}

bool Parser::sequence_number(std::uint32_t& out, std::string_view what) {
    const bool minus = take("-");
    std::uint64_t value = 0;
    if (!number(value, 0xffffffff, what)) {
        return false;
    }
    out = static_cast<std::uint32_t>(minus ? 0 - value : value);
    return true;
}

bool Parser::sequence(SequenceRange& out) {
    static constexpr std::string_view kWhat = "in a segment's range FIRST:LAST(LENGTH)";
    skip_space();
    const std::size_t begin = at_;
    std::uint64_t length = 0;
    if (!sequence_number(out.first, "a sequence number") || !expect(":", kWhat) ||
        !sequence_number(out.last, "a sequence number") || !expect("(", kWhat) ||
        !number(length, kMaxPayload, "the payload's length") || !expect(")", kWhat)) {
        return false;
    }
    out.length = static_cast<std::uint32_t>(length);
    if (out.last - out.first != out.length) {
        return fail_at(begin,
                       fmt::format("from {} to {} there are {} bytes, not {}", out.first, out.last,
                                   out.last - out.first, out.length),
                       fmt::format("write {}:{}({}): SYN and FIN don't count here", out.first,
                                   out.first + out.length, out.length));
    }
    return true;
}

bool Parser::udp_length(UdpPacket& out) {
    std::uint64_t length = 0;
    if (!expect("(", "and the payload's length after udp") ||
        !number(length, 0xffff, "the payload's length") ||
        !expect(")", "after the payload's length")) {
        return false;
    }
    out.length = static_cast<std::uint32_t>(length);
    return true;
}

bool Parser::icmp_quote(IcmpPacket& out) {
    ++at_;
    if (!std::holds_alternative<std::monostate>(out.quoted)) {
        return fail("an ICMP message quotes one packet");
    }
    if (take("udp")) {
        return udp_length(out.quoted.emplace<UdpPacket>()) &&
               expect("]", "after the quoted packet");
    }
    return sequence(out.quoted.emplace<SequenceRange>()) && expect("]", "after the quoted packet");
}

bool Parser::icmp(IcmpPacket& out) {
    skip_space();
    std::size_t begin = at_;
    out.type = take_word();
    if (!icmp_numbers(out.type, "", false) && !icmp_numbers(out.type, "", true)) {
        at_ = begin;
        return fail(
            fmt::format("expected an ICMP type, but here is {}", found()),
            "as in: icmp unreachable port_unreachable, icmp echo_request, icmp type_3 code_4");
    }
    while (true) {
        skip_space();
        begin = at_;
        if (peek() == '[') {
            if (!icmp_quote(out)) {
                return false;
            }
            continue;
        }
        const std::string_view word = take_word();
        if (word.empty()) {
            return true;
        }
        if (word == "mtu" || word == "id") {
            if (!(word == "mtu" ? number(out.mtu, 0xffffffff, "mtu")
                                : number(out.id, 0xffff, "id"))) {
                return false;
            }
        } else if (out.code.empty() &&
                   (icmp_numbers(out.type, word, false) || icmp_numbers(out.type, word, true))) {
            out.code = word;
        } else {
            return fail_at(
                begin, fmt::format("\"{}\" is no code of icmp {}", word, out.type),
                "a number is written code_N; after it come mtu N, id N and [FIRST:LAST(LENGTH)]");
        }
    }
}

}  // namespace runnel::drill
