// The recursive descent over a prepared Source; private to this room. White space and line ends separate and mean
// nothing else, as in packetdrill. A function returns false once something is wrong; the first trouble is kept.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runnel/drill/source.hpp"

namespace runnel::drill {

class Parser {
public:
    explicit Parser(const Source& source) : source_(source), text_(source.text()) {}

    bool script(Script& out);
    bool expression(Expression& out) { return expression(out, 0); }

    bool skip_to_end();  ///< false unless only white space is left
    [[nodiscard]] Trouble take_trouble() { return std::move(*trouble_); }

private:
    // --- characters and tokens (parser.cpp) ---
    [[nodiscard]] bool at_end() const { return at_ >= text_.size(); }
    [[nodiscard]] char peek(std::size_t ahead = 0) const {
        return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
    }
    [[nodiscard]] bool sees(std::string_view what) const {
        return text_.substr(at_).starts_with(what);
    }
    void skip_space();
    [[nodiscard]] Position here() const { return source_.position(at_); }
    /// Skips space, then takes `what` if it comes next (a word only as a whole).
    bool take(std::string_view what);
    bool expect(std::string_view what, std::string_view where);
    [[nodiscard]] std::string_view peek_word();
    std::string_view take_word();
    /// Decimal, or hexadecimal with 0x. `what` names it in messages; above `limit` is an error.
    bool number(std::uint64_t& out, std::uint64_t limit, std::string_view what);
    template <class T>
    bool number(std::optional<T>& out, std::uint64_t limit, std::string_view what) {
        std::uint64_t value = 0;
        if (!number(value, limit, what)) {
            return false;
        }
        out = static_cast<T>(value);
        return true;
    }
    bool fail(std::string message, std::string hint = {}) {
        return fail_at(at_, std::move(message), std::move(hint));
    }
    bool fail_at(std::size_t at, std::string message, std::string hint = {});
    /// What comes next, for "expected X, but here is Y".
    [[nodiscard]] std::string found();
    [[nodiscard]] std::string written(std::size_t from) const;

    // --- a script and its events (parser.cpp) ---
    bool option(Script& out);
    bool event(Event& out);
    bool time(EventTime& out);
    bool time_end(EventTime& out, bool relative);
    bool seconds_value(Duration& out);
    bool syscall(Syscall& out);
    bool note(std::string& out);
    bool command(Command& out);
    bool code(Code& out);

    // --- packets (parse_packet.cpp) ---
    bool packet(Packet& out);
    bool unsupported(Packet& out, std::size_t from, std::string reason);
    [[nodiscard]] std::size_t packet_end(std::size_t from) const;
    bool marks(Packet& out);
    bool mark(Packet& packet);
    bool own_mark(std::string_view word, OwnMarks& out);
    bool mark_address(std::optional<IpAddress>& out);
    bool ports(Packet& out);
    bool tcp(Packet& out, std::size_t from);
    bool flags(TcpPacket& out);
    bool sequence(SequenceRange& out);
    bool sequence_number(std::uint32_t& out, std::string_view what);
    bool udp_length(UdpPacket& out);
    bool icmp(IcmpPacket& out);
    bool icmp_quote(IcmpPacket& out);

    // --- TCP options (parse_options.cpp) ---
    enum class OptionRead : std::uint8_t { ok, failed, unsupported };
    bool options(TcpPacket& out, Direction direction, std::string& unsupported_reason);
    OptionRead tcp_option(TcpOption& out, Direction direction, std::string& reason);
    bool timestamp(TcpOption& out, Direction direction);
    bool timestamp_part(std::optional<std::uint32_t>& out, std::string_view name,
                        Direction direction);
    bool sack(TcpOption& out);
    bool counters(TcpOption& out);
    bool hex_bytes(TcpOption& out, std::size_t limit, std::string_view what);

    // --- expressions (parse_expression.cpp) ---
    bool expression(Expression& out, unsigned depth);
    bool primary(Expression& out, unsigned depth);
    bool primary_word(Expression& out, unsigned depth);
    bool elements(std::vector<Expression>& out, std::string_view close, std::string_view what,
                  unsigned depth);
    bool structure(Expression& out, unsigned depth);
    bool field(Field& out, unsigned depth);
    bool string_literal(std::string& out);
    bool escape(std::string& out);
    bool character(Expression& out);
    bool number_literal(Expression& out);

    const Source& source_;
    std::string_view text_;
    std::size_t at_ = 0;
    std::optional<Trouble> trouble_;
};

}  // namespace runnel::drill
