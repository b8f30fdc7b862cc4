// A script in packetdrill's language that a stranger wrote: the parser, the settings, code sections and shell lines
// take any bytes; and a script that is understood means the same when it is printed and read again.
#include <string_view>

#include "fuzz/support/target.hpp"
#include "runnel/drill/code.hpp"
#include "runnel/drill/commands.hpp"
#include "runnel/drill/evaluate.hpp"
#include "runnel/drill/parse.hpp"
#include "runnel/drill/print.hpp"
#include "runnel/drill/settings.hpp"

namespace runnel::fuzz {
namespace {

using namespace runnel::drill;

void check_trouble(const Trouble& trouble) {
    FUZZ_CHECK(!trouble.message.empty());
    FUZZ_CHECK(trouble.text().starts_with(trouble.brief()));
    FUZZ_CHECK(trouble.brief().find('\n') == std::string::npos);
}

void check_code(const Code& code) {
    const auto program = parse_code("fuzz", code);
    if (!program) {
        check_trouble(program.error());
        return;
    }
    CodeContext context;
    context.lookup = [](std::string_view name) -> std::optional<CodeValue> {
        if (!name.starts_with("tcpi_")) {
            return std::nullopt;
        }
        return code_number(name.size() * 0x1234'5678'9abc);
    };
    if (const auto done = run_code(*program, context); !done) {
        check_trouble(done.error());
    }
    FUZZ_CHECK(context.printed.size() <= kMaxCodeText + kMaxCodeStatements);
    (void)free_names(*program);
}

void check_call(const Syscall& call) {
    for (const Expression& argument : call.arguments) {
        (void)integer_of(argument);
        (void)socket_name_of(argument);
        (void)address_of(argument);
    }
}

/// Odd places of quotes and of # may hide a comment on one line that on another is none: nobody writes such a script.
bool is_plain(const Script& script, std::string_view text) {
    for (const Event& event : script.events) {
        const auto* packet = std::get_if<Packet>(&event.what);
        const auto* foreign =
            packet == nullptr ? nullptr : std::get_if<UnsupportedPacket>(&packet->what);
        if (foreign != nullptr && foreign->text.find_first_of("\"`%#") != std::string::npos) {
            return false;
        }
    }
    // What is substituted may be half of a comment or of a string.
    return text.find("define") == std::string_view::npos &&
           text.find("-D") == std::string_view::npos;
}

void run(Bytes bytes) {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    (void)classify(text);
    Code code;
    code.text = text;
    check_code(code);

    const auto script = parse_script("fuzz", text);
    if (!script) {
        check_trouble(script.error());
        return;
    }
    (void)settings_of(*script);
    (void)first_unsupported(*script);
    for (const Event& event : script->events) {
        if (const auto* one = std::get_if<Code>(&event.what)) {
            check_code(*one);
        } else if (const auto* call = std::get_if<Syscall>(&event.what)) {
            check_call(*call);
        }
    }
    const std::string printed = print(*script);
    const auto again = parse_script("fuzz", printed);
    if (is_plain(*script, text)) {
        FUZZ_CHECK(again.has_value());
        FUZZ_CHECK(*again == *script);
        FUZZ_CHECK(print(*again) == printed);
    }
}

}  // namespace
}  // namespace runnel::fuzz

RUNNEL_FUZZ_TARGET(drill, runnel::fuzz::run);
