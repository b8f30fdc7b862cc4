#include "script.hpp"

#include <charconv>
#include <istream>
#include <sstream>
#include <stdexcept>

#include "runnel/wire/tcp_segment.hpp"

namespace runnel::differential {

namespace {

[[noreturn]] void nonsense(const std::string& line) {
    throw std::runtime_error("not a step: " + line);
}

std::int64_t number(const std::string& text, const std::string& line) {
    std::int64_t value = 0;
    const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(begin, end, value);
    if (error != std::errc{} || stop != end) {
        nonsense(line);
    }
    return value;
}

Relative relative(const std::string& text, const std::string& line) {
    const std::size_t letters = text.find_first_of("+-0123456789");
    Relative result;
    result.base = text.substr(0, letters);
    if (letters != std::string::npos) {
        result.offset = number(text.substr(letters), line);
    }
    return result;
}

std::uint16_t flag_bits(const std::string& names, const std::string& line) {
    constexpr std::string_view kNames = "FSRPAUEC";
    std::uint16_t bits = 0;
    for (const char name : names) {
        const std::size_t at = kNames.find(name);
        if (name == '-') {
            continue;
        }
        if (at == std::string_view::npos) {
            nonsense(line);
        }
        bits = static_cast<std::uint16_t>(bits | (1U << at));
    }
    return bits;
}

Stamp stamp(const std::string& name, const std::string& line) {
    constexpr std::string_view kNames[] = {"auto", "none", "forced", "old", "ahead", "zero", "bad"};
    for (std::size_t i = 0; i < std::size(kNames); ++i) {
        if (kNames[i] == name) {
            return static_cast<Stamp>(i);
        }
    }
    nonsense(line);
}

std::vector<std::uint8_t> hex(const std::string& text, const std::string& line) {
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
        unsigned value = 0;
        const auto [stop, error] = std::from_chars(text.data() + i, text.data() + i + 2, value, 16);
        if (error != std::errc{} || stop != text.data() + i + 2) {
            nonsense(line);
        }
        bytes.push_back(static_cast<std::uint8_t>(value));
    }
    return bytes;
}

void segment_field(SegmentStep& s, const std::string& word, const std::string& line) {
    const std::size_t equals = word.find('=');
    const std::string key = word.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
    if (key == "seq") {
        s.seq = relative(value, line);
    } else if (key == "ack") {
        s.ack = relative(value, line);
    } else if (key == "len") {
        s.length = static_cast<std::uint32_t>(number(value, line));
    } else if (key == "other") {
        s.other_content = true;
    } else if (key == "win" || key == "rawwin") {
        s.window = static_cast<std::uint32_t>(number(value, line));
        s.raw_window = key == "rawwin";
    } else if (key == "urg") {
        s.urgent = static_cast<std::uint16_t>(number(value, line));
    } else if (key == "mss") {
        s.mss = static_cast<std::uint16_t>(number(value, line));
    } else if (key == "ws") {
        s.scale = static_cast<std::uint8_t>(number(value, line));
    } else if (key == "sackok") {
        s.sack_permitted = true;
    } else if (key == "ts") {
        s.stamp = stamp(value, line);
    } else if (key == "sack") {
        const std::size_t dots = value.find("..");
        if (dots == std::string::npos) {
            nonsense(line);
        }
        s.sack.emplace_back(relative(value.substr(0, dots), line),
                            relative(value.substr(dots + 2), line));
    } else if (key == "opt") {
        s.raw_options = hex(value, line);
    } else if (key == "off") {
        s.data_offset = static_cast<int>(number(value, line));
    } else if (key == "badsum") {
        s.bad_checksum = true;
    } else {
        nonsense(line);
    }
}

Step parse_step(const std::string& line) {
    Step step;
    step.text = line;
    std::istringstream words(line);
    std::string word;
    while (words >> word) {
        step.words.push_back(word);
    }
    if (step.words.empty()) {
        nonsense(line);
    }
    if (step.words[0] == "wait" && step.words.size() == 2) {
        step.kind = Step::Kind::wait;
        step.wait_us = number(step.words[1], line) * 1000;
    } else if (step.words[0] == "in" && step.words.size() > 1) {
        step.kind = Step::Kind::segment;
        step.segment.flags = flag_bits(step.words[1], line);
        for (std::size_t i = 2; i < step.words.size(); ++i) {
            segment_field(step.segment, step.words[i], line);
        }
    }
    return step;
}

}  // namespace

std::vector<Script> read_scripts(std::istream& in) {
    std::vector<Script> scripts;
    std::string line;
    bool open = false;
    while (std::getline(in, line)) {
        line.erase(0, line.find_first_not_of(' '));
        if (line.empty() || line[0] == '#') {
            continue;
        }
        if (line.starts_with("script ")) {
            std::istringstream words(line);
            std::string word;
            Script script;
            words >> word >> script.id >> word;
            script.v6 = word == "v6";
            scripts.push_back(script);
            open = true;
        } else if (line == "end") {
            open = false;
        } else if (open) {
            scripts.back().steps.push_back(parse_step(line));
        } else {
            nonsense(line);
        }
    }
    return scripts;
}

}  // namespace runnel::differential
