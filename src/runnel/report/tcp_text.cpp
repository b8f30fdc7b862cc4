#include "runnel/report/tcp_text.hpp"

#include <array>
#include <utility>

#include <fmt/format.h>

namespace runnel::report {

std::string flags_text(TcpFlags flags) {
    constexpr std::array<std::pair<std::uint16_t, std::string_view>, 9> kNames = {{
        {TcpFlags::kSyn, "SYN"},
        {TcpFlags::kFin, "FIN"},
        {TcpFlags::kRst, "RST"},
        {TcpFlags::kPsh, "PSH"},
        {TcpFlags::kUrg, "URG"},
        {TcpFlags::kAck, "ACK"},
        {TcpFlags::kEce, "ECE"},
        {TcpFlags::kCwr, "CWR"},
        {TcpFlags::kAe, "AE"},
    }};
    std::string text;
    for (const auto& [bit, name] : kNames) {
        if ((flags.bits & bit) != 0) {
            text += text.empty() ? "" : ",";
            text += name;
        }
    }
    return text.empty() ? "-" : text;
}

std::string option_name(std::uint8_t kind) {
    switch (kind) {
        case 19: return "MD5";
        case 28: return "user timeout";
        case 29: return "TCP-AO";
        case 30: return "MPTCP";
        case 34: return "Fast Open";
        case 69: return "ENO";
        case 172: return "AccECN0";
        case 174: return "AccECN1";
        case 253:
        case 254: return "experiment";
        default: return fmt::format("option {}", kind);
    }
}

}  // namespace runnel::report
