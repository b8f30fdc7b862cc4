#include "runnel/drill/code.hpp"
#include "runnel/drill/parse.hpp"
#include "runnel/drill/settings.hpp"

namespace runnel::drill {

std::optional<Trouble> first_unsupported(const Script& script) {
    if (auto settings = settings_of(script); !settings && settings.error().unsupported()) {
        return std::move(settings.error());
    }
    for (const Event& event : script.events) {
        std::optional<Trouble> found;
        if (const auto* packet = std::get_if<Packet>(&event.what)) {
            if (const auto* foreign = std::get_if<UnsupportedPacket>(&packet->what)) {
                found.emplace();
                found->message = foreign->reason;
            }
        }
        if (const auto* code = std::get_if<Code>(&event.what)) {
            if (auto program = parse_code(script.file.text, *code);
                !program && program.error().unsupported()) {
                return std::move(program.error());
            }
        }
        if (found) {
            found->kind = Trouble::Kind::unsupported;
            found->file = script.file.text;
            found->at = event.at;
            found->line = event.written.text;
            found->at.column = 1;
            return found;
        }
    }
    return std::nullopt;
}

}  // namespace runnel::drill
