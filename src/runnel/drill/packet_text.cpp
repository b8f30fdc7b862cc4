#include "runnel/drill/packet_text.hpp"

#include <fmt/format.h>

#include "runnel/drill/print.hpp"
#include "runnel/drill/symbols.hpp"

namespace runnel::drill {

std::string text_of(const SeenPacket& seen) {
    std::string text = "> ";
    if (const auto* packet = seen.tcp()) {
        text += print(*packet);
    } else if (const auto* udp = std::get_if<UdpPacket>(&seen.what)) {
        text += fmt::format("udp ({})", udp->length);
    } else if (const auto* icmp = std::get_if<IcmpOnWire>(&seen.what)) {
        const auto [type, code] = icmp_names({icmp->type, icmp->code}, !seen.head.source.is_v4());
        text += "icmp " + type + (code.empty() ? "" : " " + code);
    } else {
        text += "something unreadable";
    }
    return seen.trouble.empty() ? text : text + " (" + seen.trouble + ")";
}

}  // namespace runnel::drill
