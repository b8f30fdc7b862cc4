// What several lessons need: texts to send, and tests of segments.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "runnel/lab/app.hpp"
#include "runnel/lab/scene.hpp"
#include "runnel/lab/toy.hpp"

namespace runnel::lab {

/// `size` octets of text.
[[nodiscard]] inline std::string text_of(std::size_t size) {
    std::string text(size, '.');
    for (std::size_t i = 0; i < size; ++i) {
        text[i] = static_cast<char>('a' + i % 26);
    }
    return text;
}

[[nodiscard]] inline std::size_t count_of(std::string_view text, std::string_view word) {
    std::size_t count = 0;
    for (std::size_t at = text.find(word); at != std::string_view::npos;
         at = text.find(word, at + word.size())) {
        ++count;
    }
    return count;
}

[[nodiscard]] inline bool is_syn(const Segment& segment) {
    return segment.header.flags.syn();
}
[[nodiscard]] inline bool is_fin(const Segment& segment) {
    return segment.header.flags.fin();
}
[[nodiscard]] inline bool has_text(const Segment& segment) {
    return !segment.text.empty();
}

[[nodiscard]] inline std::string yes_or_no(bool value) {
    return value ? "yes" : "no";
}

/// A segment that claims to be `from`'s.
[[nodiscard]] inline Segment forged(const Endpoint& from, const Endpoint& to, std::uint16_t flags,
                                    SeqNum seq, SeqNum ack = {}) {
    Segment segment{from, to, {}, {}};
    segment.header.flags.bits = flags;
    segment.header.seq = seq;
    segment.header.ack = ack;
    segment.header.window = 1024;
    return segment;
}

}  // namespace runnel::lab
