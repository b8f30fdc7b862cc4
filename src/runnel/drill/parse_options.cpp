#include <algorithm>

#include <fmt/format.h>

#include "runnel/drill/parser.hpp"
#include "runnel/drill/text.hpp"

namespace runnel::drill {
namespace {

constexpr std::string_view kOptionNames[] = {"mss", "nop", "eol",   "wscale", "sackOK", "sack",
                                             "TS",  "FO",  "FOEXP", "md5",    "ECN",    "opt"};
constexpr std::string_view kForeign[] = {
    "mp_capable",  "mp_capable_no_cs",
    "mp_join_syn", "mp_join_syn_ack",
    "mp_join_ack", "mp_join",
    "dss",         "add_address",
    "add_addr",    "remove_address",
    "mp_prio",     "mp_fail",
    "mp_reset",    "mp_fastclose",
    "TARR",        "tarr",
    "AO",          "mptcp",
};
constexpr std::size_t kMaxOptionBytes = 38;  ///< of 40, less kind and length

using Kind = TcpOption::Kind;

}  // namespace

bool Parser::options(TcpPacket& out, Direction direction, std::string& unsupported_reason) {
    const std::size_t begin = at_++;
    if (take("...")) {
        if (direction == Direction::inbound) {
            return fail_at(
                begin, "<...> is for what the host sends; an injected segment says its options");
        }
        out.options_are = TcpPacket::Options::any;
        return expect(">", "after <...");
    }
    out.options_are = TcpPacket::Options::list;
    if (take(">")) {
        return true;
    }
    while (true) {
        skip_space();
        if (out.options.size() == kMaxTcpOptions) {
            return fail(fmt::format("a segment has at most {} options", kMaxTcpOptions));
        }
        switch (tcp_option(out.options.emplace_back(), direction, unsupported_reason)) {
            case OptionRead::ok: break;
            case OptionRead::failed: return false;
            case OptionRead::unsupported: return true;
        }
        if (take(">")) {
            return true;
        }
        if (!take(",")) {
            return fail(fmt::format("expected , or > after a TCP option, but here is {}", found()));
        }
    }
}

Parser::OptionRead Parser::tcp_option(TcpOption& out, Direction direction, std::string& reason) {
    const std::size_t begin = at_;
    out.at = here();
    const std::string_view name = take_word();
    bool good = true;
    if (name == "nop") {
        out.kind = Kind::nop;
    } else if (name == "eol") {
        out.kind = Kind::eol;
    } else if (name == "mss") {
        out.kind = Kind::mss;
        good = number(out.value, 0xffff, "mss");
    } else if (name == "wscale") {
        out.kind = Kind::wscale;
        good = number(out.value, 0xff, "wscale");
    } else if (name == "sackOK") {
        out.kind = Kind::sack_permitted;
    } else if (name == "sack") {
        good = sack(out);
    } else if (name == "TS") {
        good = timestamp(out, direction);
    } else if (name == "FO" || name == "FOEXP") {
        out.kind = name == "FO" ? Kind::fast_open : Kind::fast_open_exp;
        good = hex_bytes(out, name == "FO" ? kMaxOptionBytes : kMaxOptionBytes - 2, name);
    } else if (name == "md5") {
        out.kind = Kind::md5;
        good = hex_bytes(out, 16, name);
    } else if (name == "ECN") {
        good = counters(out);
    } else if (name == "opt") {
        out.kind = Kind::other;
        good = number(out.value, 0xff, "an option's kind") &&
               hex_bytes(out, kMaxOptionBytes, "the option");
    } else if (std::find(std::begin(kForeign), std::end(kForeign), name) != std::end(kForeign)) {
        reason = fmt::format("the TCP option {}", name);
        return OptionRead::unsupported;
    } else {
        at_ = begin;
        const std::string_view meant = nearest(name, kOptionNames, std::size(kOptionNames));
        good = fail(fmt::format("expected a TCP option, but here is {}", found()),
                    meant.empty()
                        ? "options are mss N, nop, eol, wscale N, sackOK, sack A:B …, TS val N "
                          "ecr N, FO HEX, FOEXP HEX, md5 HEX, ECN e0b N ceb N e1b N, opt KIND HEX"
                        : fmt::format("did you mean {}?", meant));
    }
    return good ? OptionRead::ok : OptionRead::failed;
}

bool Parser::timestamp_part(std::optional<std::uint32_t>& out, std::string_view name,
                            Direction direction) {
    if (!expect(name, "in TS val N ecr N")) {
        return false;
    }
    if (direction == Direction::outbound && take("*")) {
        return true;
    }
    return number(out, 0xffffffff, name);
}

bool Parser::timestamp(TcpOption& out, Direction direction) {
    out.kind = Kind::timestamp;
    return timestamp_part(out.value, "val", direction) &&
           timestamp_part(out.echo, "ecr", direction);
}

bool Parser::sack(TcpOption& out) {
    static constexpr std::string_view kWhat = "in a SACK block FIRST:LAST";
    out.kind = Kind::sack;
    do {
        if (out.blocks.size() == 4) {
            return fail("four SACK blocks are as many as fit in a segment");
        }
        SackRange& block = out.blocks.emplace_back();
        if (!sequence_number(block.first, "a sequence number") || !expect(":", kWhat) ||
            !sequence_number(block.last, "a sequence number")) {
            return false;
        }
        skip_space();
    } while (is_digit(peek()) || peek() == '-');
    return true;
}

bool Parser::counters(TcpOption& out) {
    using Name = TcpOption::Counter::Name;
    out.kind = Kind::accecn;
    while (true) {
        const std::string_view word = peek_word();
        const bool known = word == "e0b" || word == "ceb" || word == "e1b";
        if (!known) {
            return word.empty() ||
                   fail(fmt::format("expected e0b, ceb or e1b, but here is {}", found()),
                        "as in: ECN e0b 1 ceb 0 e1b 1");
        }
        if (out.counters.size() == 3) {
            return fail("the option ECN has at most three counters");
        }
        at_ += word.size();
        std::uint64_t value = 0;
        if (!number(value, 0xffffff, word)) {
            return false;
        }
        const Name name = word == "e0b" ? Name::e0b : word == "ceb" ? Name::ceb : Name::e1b;
        out.counters.push_back({name, static_cast<std::uint32_t>(value)});
    }
}

bool Parser::hex_bytes(TcpOption& out, std::size_t limit, std::string_view what) {
    skip_space();
    const std::size_t begin = at_;
    if (peek() == '0' && peek(1) == 'x') {
        at_ += 2;
    }
    while (digit_value(peek()) >= 0) {
        const int high = digit_value(peek());
        const int low = digit_value(peek(1));
        if (low < 0) {
            break;
        }
        out.bytes.push_back(static_cast<std::uint8_t>(high * 16 + low));
        at_ += 2;
    }
    if (is_word(peek())) {
        return fail_at(
            begin, fmt::format("what follows {} is bytes in hexadecimal, two digits each", what));
    }
    return out.bytes.size() <= limit ||
           fail_at(begin, fmt::format("{} has at most {} bytes", what, limit));
}

}  // namespace runnel::drill
