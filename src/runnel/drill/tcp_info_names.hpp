// TCP_INFO's members by name, for code sections.
#pragma once

#include <optional>
#include <string_view>

#include "runnel/drill/code.hpp"
#include "runnel/socket/tcp_info.hpp"

namespace runnel::drill {

/// Nothing when there is no such member.
[[nodiscard]] std::optional<CodeValue> tcp_info_value(const TcpInfo& info, std::string_view name);

}  // namespace runnel::drill
