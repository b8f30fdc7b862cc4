// A packetdrill script as values: what the parser makes, the runner plays, the printer writes back, and what the
// shrinker of `sim` and the recorder build. Nothing here is resolved yet: symbols keep their names (symbols.hpp,
// evaluate.hpp), shell lines and code sections their text (commands.hpp, code.hpp), `--flags` theirs (settings.hpp).
//
// Equality compares what a script means. Positions and the text as it was written never count, so that
// parse(print(parse(x))) == parse(x) can be asked with ==.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "runnel/base/time.hpp"
#include "runnel/wire/address.hpp"
#include "runnel/wire/tcp_segment.hpp"

namespace runnel::drill {

/// Where a node begins: line and column (in bytes) from 1; 0 where a value was not parsed. The file is Script::file.
struct Position {
    std::uint32_t line = 0;
    std::uint32_t column = 0;

    constexpr bool operator==(const Position&) const { return true; }
};

/// The script's own words for a node, one line without comments; for messages only.
struct Written {
    std::string text;

    bool operator==(const Written&) const { return true; }
};

// --- expressions: the arguments and results of calls --------------------------------------------------------------

struct Field;

/// One expression. Which members count is said by the kind.
struct Expression {
    enum class Kind : std::uint8_t {
        ellipsis,   ///< `...`: anything, or whatever the call writes
        integer,    ///< `integer`; -1, 0x1f, 017, 'c' (`radix` only says how it was written)
        real,       ///< `text`: 0.25 as written
        string,     ///< `text`: the bytes between the quotes, escapes resolved
        symbol,     ///< `text`: SOCK_STREAM, a name that symbols.hpp may know
        either,     ///< `parts` joined by |, at least two
        negative,   ///< -x of the one part, which is no literal
        array,      ///< `parts`: [a, b]
        structure,  ///< `fields`: {k=v, …}, {…, 1000}
        call,       ///< `text`(`parts`): htons(8080), inet_addr("192.0.2.1"), inet_pton(…)
        address_of  ///< &x of the one part
    };

    Kind kind = Kind::ellipsis;
    Position at;
    /// A literal above INT64_MAX is kept modulo 2^64.
    std::int64_t integer = 0;
    std::uint8_t radix = 10;  ///< 8, 10 or 16
    std::string text;
    std::vector<Expression> parts;
    std::vector<Field> fields;

    bool operator==(const Expression&) const;

    [[nodiscard]] bool is(Kind other) const { return kind == other; }
    [[nodiscard]] bool is_symbol(std::string_view name) const {
        return kind == Kind::symbol && text == name;
    }
    /// The value of a structure's field of that name; null when there is none (or this is no structure).
    [[nodiscard]] const Expression* field(std::string_view name) const;

    // For those who build scripts rather than parse them.
    static Expression number(std::int64_t value);
    static Expression named(std::string name);  ///< a symbol
    static Expression list(std::vector<Expression> elements);
};

/// One member of {…}: `name=value`, `name(count)=value` as in msg_iov(2)=[…], or a bare value without a name.
struct Field {
    std::string name;  ///< empty: positional
    std::optional<Expression> count;
    Expression value;
    Position at;

    bool operator==(const Field&) const = default;
};

inline bool Expression::operator==(const Expression& other) const {
    // A radix is how a number was written, not what it is.
    return kind == other.kind && integer == other.integer && text == other.text &&
           parts == other.parts && fields == other.fields;
}

inline const Expression* Expression::field(std::string_view name) const {
    if (kind == Kind::structure) {
        for (const Field& one : fields) {
            if (one.name == name) {
                return &one.value;
            }
        }
    }
    return nullptr;
}

inline Expression Expression::number(std::int64_t value) {
    Expression made;
    made.kind = Kind::integer;
    made.integer = value;
    return made;
}

inline Expression Expression::named(std::string name) {
    Expression made;
    made.kind = Kind::symbol;
    made.text = std::move(name);
    return made;
}

inline Expression Expression::list(std::vector<Expression> elements) {
    Expression made;
    made.kind = Kind::array;
    made.parts = std::move(elements);
    return made;
}

// --- times --------------------------------------------------------------------------------------------------------

/// When an event takes place. Resolution: a nanosecond (packetdrill's is a microsecond).
struct EventTime {
    enum class Kind : std::uint8_t {
        absolute,        ///< `0.1`: since the script's start
        relative,        ///< `+0.1`: since the previous event
        any,             ///< `*`: whenever; outbound packets only
        absolute_range,  ///< `1.0~1.2`: an outbound packet between the two
        relative_range   ///< `+0.1~+0.3`: the same, since the previous event
    };

    Kind kind = Kind::relative;
    Duration start;
    Duration end;  ///< of a range; otherwise equal to `start`
    /// `0...0.2 read(…)`, `+0...+0.2 read(…)`: the call blocks, and returns then. Counted from the same zero as
    /// `start`: from the script's start, or (relative) from the previous event.
    std::optional<Duration> blocks_until;
    Position at;

    bool operator==(const EventTime&) const = default;
    [[nodiscard]] bool is_relative() const {
        return kind == Kind::relative || kind == Kind::relative_range;
    }
};

// --- packets ------------------------------------------------------------------------------------------------------

enum class Direction : std::uint8_t {
    inbound,  ///< `<`: injected, towards the host under test
    outbound  ///< `>`: expected from it
};

/// The two ECN bits as scripts name them. `ect01` (outbound only): either of the two ECT.
enum class EcnMark : std::uint8_t { noecn, ect1, ect0, ce, ect01 };

/// `[ect0]`, `[tos 0x10, ttl 64]`, `[flowlabel 0x1]` (round brackets too). What isn't written isn't compared, and
/// takes the default in what is injected.
struct IpMarks {
    std::optional<EcnMark> ecn;
    std::optional<std::uint8_t> tos;  ///< the whole octet
    std::optional<std::uint8_t> ttl;  ///< or hop limit
    std::optional<std::uint32_t> flow_label;

    bool operator==(const IpMarks&) const = default;
    [[nodiscard]] bool empty() const { return *this == IpMarks{}; }
};

/// Runnel's own marks, of what no well-behaved packet is: `[badsum]`, `[doff 4]`, `[from 10.0.0.1, to 10.0.0.255]`, and
/// `[times 3]`: the line stands for so many of it, which are injected in one batch.
struct OwnMarks {
    static constexpr std::uint32_t kMostTimes = 10'000;

    bool bad_checksum = false;
    std::optional<std::uint8_t>
        data_offset;  ///< of the TCP header as it is said to be, 32-bit words
    std::optional<IpAddress> from;
    std::optional<IpAddress> to;
    std::uint32_t times = 1;

    bool operator==(const OwnMarks&) const = default;
};

/// `5000 > 80` before a packet's flags: ports other than the last connection's.
struct Ports {
    std::uint16_t source = 0;
    std::uint16_t destination = 0;

    bool operator==(const Ports&) const = default;
};

/// `1:1001(1000)`: relative to the sender's ISN, modulo 2^32; the parser has checked last == first + length.
struct SequenceRange {
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    std::uint32_t length = 0;

    bool operator==(const SequenceRange&) const = default;
};

struct SackRange {
    std::uint32_t first = 0;
    std::uint32_t last = 0;

    bool operator==(const SackRange&) const = default;
};

/// One option in `<…>`. Which members count is said by the kind.
struct TcpOption {
    enum class Kind : std::uint8_t {
        eol,
        nop,
        mss,             ///< `value`
        wscale,          ///< `value`
        sack_permitted,  ///< sackOK
        sack,            ///< `blocks`: sack 1001:2001 3001:4001
        timestamp,  ///< `value` and `echo`: TS val 100 ecr 0; absent: `*`, anything (outbound only)
        fast_open,  ///< `bytes`: FO 0102030405060708; empty: a request for a cookie
        fast_open_exp,  ///< the same under kind 254 with magic F989: FOEXP
        md5,            ///< `bytes`: md5 <32 hex digits>; empty: any digest, or the right one
        accecn,         ///< `counters` in the order written: ECN e0b 1 ceb 0 e1b 1 (kinds 172, 174)
        other  ///< Runnel's own: `opt 253 0a0b`, kind `value` with these bytes, for the recorder
    };
    struct Counter {
        enum class Name : std::uint8_t { e0b, ceb, e1b };
        Name name = Name::e0b;
        std::uint32_t value = 0;  ///< modulo 2^24

        bool operator==(const Counter&) const = default;
    };

    Kind kind = Kind::nop;
    Position at;
    std::optional<std::uint32_t> value;
    std::optional<std::uint32_t> echo;
    std::vector<SackRange> blocks;
    std::vector<std::uint8_t> bytes;
    std::vector<Counter> counters;

    bool operator==(const TcpOption&) const = default;
};

struct TcpPacket {
    enum class Options : std::uint8_t {
        none,  ///< nothing written: outbound none expected, inbound none sent
        list,  ///< `<mss 1000,nop>`: exactly these, in this order
        any    ///< `<...>`: whatever (outbound only)
    };

    /// `S.`, `FP.`, `SEW`, `.`, `-` (none), `.5`: S F R P U, `.` for ACK, E W A for ECE, CWR, AE (RFC 9768).
    TcpFlags flags;
    /// A digit sets AE, CWR, ECE as the ACE counter (RFC 9768 §3.2.2.1); `flags` then holds them too.
    std::optional<std::uint8_t> ace;
    SequenceRange sequence;
    std::optional<std::uint32_t> ack;  ///< relative to the other end's ISN; absent: not written
    std::optional<std::uint16_t>
        window;  ///< as on the wire, unscaled; absent: not compared (inbound: required)
    std::optional<std::uint16_t> urgent;
    Options options_are = Options::none;
    std::vector<TcpOption> options;

    bool operator==(const TcpPacket&) const = default;
};

/// `udp (1000)`: payload bytes.
struct UdpPacket {
    std::uint32_t length = 0;

    bool operator==(const UdpPacket&) const = default;
};

/// `icmp unreachable frag_needed mtu 1200 [1:1001(1000)]`. Names depend on the family (symbols.hpp: icmp_numbers).
struct IcmpPacket {
    std::string type;  ///< `unreachable`, `echo_request`, `type_3`
    std::string code;  ///< `port_unreachable`, `code_3`; empty: 0
    std::optional<std::uint32_t> mtu;
    std::optional<std::uint16_t> id;
    /// What the message quotes of the packet it answers: sequence numbers of a segment the host has sent, or
    /// `[udp (1000)]`. Absent: the runner chooses (SND.UNA, and no data).
    std::variant<std::monostate, SequenceRange, UdpPacket> quoted;

    bool operator==(const IcmpPacket&) const = default;
};

/// Known to be of the language, yet nothing Runnel plays: GRE and MPLS, MPTCP options, SCTP, … A script that holds
/// one is skipped with this reason. `text` is the packet as written, after the direction.
struct UnsupportedPacket {
    std::string text;
    std::string reason;  ///< "GRE encapsulation", "the TCP option mp_capable"

    bool operator==(const UnsupportedPacket&) const = default;
};

struct Packet {
    Direction direction = Direction::inbound;
    IpMarks marks;
    OwnMarks own;
    std::optional<Ports> ports;
    std::variant<TcpPacket, UdpPacket, IcmpPacket, UnsupportedPacket> what;

    bool operator==(const Packet&) const = default;
};

// --- the other events ---------------------------------------------------------------------------------------------

/// `read(4, ..., 1000) = -1 EAGAIN (Resource temporarily unavailable)`.
struct Syscall {
    std::string name;
    std::vector<Expression> arguments;
    /// An ellipsis: any result is right.
    Expression result;
    std::string error;  ///< `EAGAIN`; empty where none is written
    std::string note;   ///< what stands in parentheses after it; of no meaning

    bool operator==(const Syscall&) const = default;
};

/// A shell line in `…` or "…". classify() of commands.hpp says what it wants.
struct Command {
    std::string text;
    Position at;

    bool operator==(const Command&) const = default;
};

/// `%{ assert tcpi_snd_cwnd == 10 }%`, the text between the braces. parse_code() of code.hpp takes it.
struct Code {
    std::string text;
    Position at;  ///< of the text's first character

    bool operator==(const Code&) const = default;
};

struct Event {
    EventTime time;
    std::variant<Packet, Syscall, Command, Code> what;
    Position at;      ///< where its time begins
    Written written;  ///< the whole event, its time included

    bool operator==(const Event&) const = default;
};

/// `--tolerance_usecs=10000` at a script's head. settings_of() of settings.hpp reads them.
struct Option {
    std::string name;   ///< without the dashes
    std::string value;  ///< empty where none is written
    Position at;

    bool operator==(const Option&) const = default;
};

/// A script with its defines substituted and its #ifdefs decided.
struct Script {
    Written file;  ///< its name, for messages
    std::vector<Option> options;
    std::vector<Command> init;  ///< shell lines before the first event, without a time
    std::vector<Event> events;

    bool operator==(const Script&) const = default;
};

/// Bounds of what is parsed; more is an error, never a crash.
inline constexpr std::size_t kMaxScriptBytes = 4u << 20;
inline constexpr std::size_t kMaxEvents = 100'000;
inline constexpr unsigned kMaxNesting = 32;        ///< of [ { ( in an expression or a code section
inline constexpr std::size_t kMaxElements = 4096;  ///< of an array, a structure, an argument list
inline constexpr std::size_t kMaxTcpOptions = 40;  ///< of a segment, as many as NOPs fit
inline constexpr std::uint32_t kMaxPayload =
    1u << 24;  ///< bytes of one packet line (which may be merged segments)

}  // namespace runnel::drill
