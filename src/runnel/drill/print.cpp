#include "runnel/drill/print.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "runnel/drill/parse.hpp"
#include "runnel/drill/text.hpp"

namespace runnel::drill {
namespace {

using Kind = Expression::Kind;

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (byte < 0x20 || byte >= 0x7f) {
            out += fmt::format("\\x{:02x}", byte);
        } else {
            out += c;
        }
    }
    return out + "\"";
}

/// A shell line as it is, unless it holds what would end it.
std::string command_text(std::string_view text) {
    return text.find('`') == std::string_view::npos ? fmt::format("`{}`", text) : quoted(text);
}

std::string number_text(const Expression& number) {
    const auto bits = static_cast<std::uint64_t>(number.integer);
    if (number.radix == 16) {
        return fmt::format("{:#x}", bits);
    }
    if (number.radix == 8 && number.integer > 0) {
        return fmt::format("0{:o}", bits);
    }
    return fmt::format("{}", number.integer);
}

std::string joined(const std::vector<Expression>& parts, std::string_view between) {
    std::string out;
    for (const Expression& part : parts) {
        out += out.empty() && &part == parts.data() ? "" : std::string(between);
        // One of several joined by | stands in brackets when it is itself such a thing.
        out += between == "|" && part.is(Kind::either) ? fmt::format("({})", print(part))
                                                       : print(part);
    }
    return out;
}

/// The operand of - and &: in brackets where the sign would become part of a number.
std::string operand(const Expression& part) {
    const std::string text = print(part);
    const std::string_view begin = std::string_view(text).substr(0, 2);
    const bool digits =
        !begin.empty() &&
        (is_digit(begin.front()) || (begin.size() == 2 && begin[0] == '.' && is_digit(begin[1])));
    return digits || part.is(Kind::either) ? fmt::format("({})", text) : text;
}

std::string structure(const Expression& expression) {
    std::string out = "{";
    for (const Field& field : expression.fields) {
        out += out.size() > 1 ? ", " : "";
        out += field.name;
        if (field.count) {
            out += fmt::format("({})", print(*field.count));
        }
        out += field.name.empty() ? "" : "=";
        out += print(field.value);
    }
    return out + "}";
}

std::string hex(const std::vector<std::uint8_t>& bytes) {
    std::string out = bytes.empty() ? "" : " ";
    for (const std::uint8_t byte : bytes) {
        out += fmt::format("{:02x}", byte);
    }
    return out;
}

std::string starred(const std::optional<std::uint32_t>& value) {
    return value ? fmt::format("{}", *value) : "*";
}

std::string sequence(const SequenceRange& range) {
    return fmt::format("{}:{}({})", range.first, range.last, range.length);
}

std::string marks(const IpMarks& marks, const OwnMarks& own) {
    static constexpr std::string_view kEcn[] = {"noecn", "ect1", "ect0", "ce", "ect01"};
    std::string out;
    const auto add = [&out](const std::string& mark) { out += (out.empty() ? "[" : ", ") + mark; };
    if (marks.ecn) {
        add(std::string(kEcn[static_cast<std::size_t>(*marks.ecn)]));
    }
    if (marks.tos) {
        add(fmt::format("tos {:#x}", *marks.tos));
    }
    if (marks.ttl) {
        add(fmt::format("ttl {}", *marks.ttl));
    }
    if (marks.flow_label) {
        add(fmt::format("flowlabel {:#x}", *marks.flow_label));
    }
    if (own.bad_checksum) {
        add("badsum");
    }
    if (own.data_offset) {
        add(fmt::format("doff {}", *own.data_offset));
    }
    if (own.from) {
        add("from " + to_string(*own.from));
    }
    if (own.to) {
        add("to " + to_string(*own.to));
    }
    if (own.times != 1) {
        add(fmt::format("times {}", own.times));
    }
    return out.empty() ? out : out + "] ";
}

/// What an ICMP message quotes stands before everything else.
std::string quoted_packet(const IcmpPacket& packet) {
    if (const auto* range = std::get_if<SequenceRange>(&packet.quoted)) {
        return fmt::format("[{}] ", sequence(*range));
    }
    const auto* udp = std::get_if<UdpPacket>(&packet.quoted);
    return udp == nullptr ? "" : fmt::format("[udp ({})] ", udp->length);
}

std::string icmp(const IcmpPacket& packet) {
    std::string out = "icmp " + packet.type;
    out += (packet.code.empty() ? "" : " ") + packet.code;
    out += packet.mtu ? fmt::format(" mtu {}", *packet.mtu) : "";
    return out + (packet.id ? fmt::format(" id {}", *packet.id) : "");
}

std::string option(const Option& one) {
    const bool plain = std::all_of(one.value.begin(), one.value.end(), [](char c) {
        return is_word(c) || std::string_view(".,:/+=-").find(c) != std::string_view::npos;
    });
    const bool bare = plain && one.value.find("//") == std::string::npos;
    std::string out = "--" + one.name;
    if (!one.value.empty()) {
        out += "=" + (bare ? one.value : command_text(one.value));
    }
    return out + "\n";
}

}  // namespace

std::string print(Duration duration) {
    const std::int64_t fraction = duration.ns % 1'000'000'000;
    std::string out = fmt::format("{}", duration.seconds());
    if (fraction != 0) {
        out += fmt::format(".{:09}", fraction);
        out.erase(out.find_last_not_of('0') + 1);
    }
    return out;
}

std::string print(const EventTime& time) {
    const std::string plus = time.is_relative() ? "+" : "";
    switch (time.kind) {
        case EventTime::Kind::any: return "*";
        case EventTime::Kind::absolute_range:
        case EventTime::Kind::relative_range:
            return plus + print(time.start) + "~" + plus + print(time.end);
        default: break;
    }
    std::string out = plus + print(time.start);
    return time.blocks_until ? out + "..." + plus + print(*time.blocks_until) : out;
}

std::string print_flags(TcpFlags flags, std::optional<std::uint8_t> ace) {
    static constexpr std::string_view kLetters = "FSRP.UEWA";
    std::string out;
    for (std::size_t i = 0; i < kLetters.size() - (ace ? 3u : 0u); ++i) {
        if ((flags.bits & (1u << i)) != 0) {
            out += kLetters[i];
        }
    }
    if (ace) {
        out += static_cast<char>('0' + *ace % 8);
    }
    return out.empty() ? "-" : out;
}

std::string print(const TcpOption& option) {
    using What = TcpOption::Kind;
    std::string out;
    switch (option.kind) {
        case What::eol: return "eol";
        case What::nop: return "nop";
        case What::sack_permitted: return "sackOK";
        case What::mss: return fmt::format("mss {}", option.value.value_or(0));
        case What::wscale: return fmt::format("wscale {}", option.value.value_or(0));
        case What::timestamp:
            return fmt::format("TS val {} ecr {}", starred(option.value), starred(option.echo));
        case What::fast_open: return "FO" + hex(option.bytes);
        case What::fast_open_exp: return "FOEXP" + hex(option.bytes);
        case What::md5: return "md5" + hex(option.bytes);
        case What::other:
            return fmt::format("opt {}{}", option.value.value_or(0), hex(option.bytes));
        case What::sack:
            out = "sack";
            for (const SackRange& block : option.blocks) {
                out += fmt::format(" {}:{}", block.first, block.last);
            }
            return out;
        case What::accecn: break;
    }
    out = "ECN";
    for (const TcpOption::Counter& counter : option.counters) {
        static constexpr std::string_view kNames[] = {"e0b", "ceb", "e1b"};
        out += fmt::format(" {} {}", kNames[static_cast<std::size_t>(counter.name)], counter.value);
    }
    return out;
}

std::string print(const TcpPacket& packet) {
    std::string out = print_flags(packet.flags, packet.ace) + " " + sequence(packet.sequence);
    out += packet.ack ? fmt::format(" ack {}", *packet.ack) : "";
    out += packet.window ? fmt::format(" win {}", *packet.window) : "";
    out += packet.urgent ? fmt::format(" urg {}", *packet.urgent) : "";
    if (packet.options_are == TcpPacket::Options::any) {
        out += " <...>";
    } else if (packet.options_are == TcpPacket::Options::list) {
        out += " <";
        for (const TcpOption& one : packet.options) {
            out += (&one == packet.options.data() ? "" : ",") + print(one);
        }
        out += ">";
    }
    return out;
}

std::string print(const Packet& packet) {
    std::string out = packet.direction == Direction::inbound ? "< " : "> ";
    out += marks(packet.marks, packet.own);
    const auto* message = std::get_if<IcmpPacket>(&packet.what);
    out += message == nullptr ? "" : quoted_packet(*message);
    if (packet.ports) {
        out += fmt::format("{} > {} ", packet.ports->source, packet.ports->destination);
    }
    if (const auto* tcp = std::get_if<TcpPacket>(&packet.what)) {
        return out + print(*tcp);
    }
    if (const auto* udp = std::get_if<UdpPacket>(&packet.what)) {
        return out + fmt::format("udp ({})", udp->length);
    }
    if (message != nullptr) {
        return out + icmp(*message);
    }
    return out + std::get<UnsupportedPacket>(packet.what).text;
}

std::string print(const Expression& expression) {
    switch (expression.kind) {
        case Kind::ellipsis: return "...";
        case Kind::integer: return number_text(expression);
        case Kind::real:
        case Kind::symbol: return expression.text;
        case Kind::string: return quoted(expression.text);
        case Kind::either: return joined(expression.parts, "|");
        case Kind::negative: return "-" + operand(expression.parts.front());
        case Kind::address_of: return "&" + operand(expression.parts.front());
        case Kind::array: return "[" + joined(expression.parts, ", ") + "]";
        case Kind::call: return expression.text + "(" + joined(expression.parts, ", ") + ")";
        case Kind::structure: break;
    }
    return structure(expression);
}

std::string print(const Syscall& call) {
    std::string out = call.name + "(" + joined(call.arguments, ", ") + ") = " + print(call.result);
    out += (call.error.empty() ? "" : " ") + call.error;
    return call.note.empty() ? out : out + " (" + call.note + ")";
}

std::string print(const Event& event) {
    std::string out = print(event.time) + " ";
    if (const auto* packet = std::get_if<Packet>(&event.what)) {
        return out + print(*packet);
    }
    if (const auto* call = std::get_if<Syscall>(&event.what)) {
        return out + print(*call);
    }
    if (const auto* command = std::get_if<Command>(&event.what)) {
        return out + command_text(command->text);
    }
    return out + "%{" + std::get<Code>(event.what).text + "}%";
}

std::string print(const Script& script) {
    std::string out;
    for (const Option& one : script.options) {
        out += option(one);
    }
    for (const Command& command : script.init) {
        out += command_text(command.text) + "\n";
    }
    for (const Event& event : script.events) {
        out += print(event) + "\n";
    }
    return out;
}

bool is_printable(const Script& script) {
    const auto again = parse_script(script.file.text, print(script));
    return again && *again == script;
}

}  // namespace runnel::drill
