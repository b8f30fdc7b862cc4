// The text forms of addresses and prefixes: whatever text is accepted comes back from the value it names, and
// every address has a text that names it alone.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "fuzz/support/target.hpp"
#include "runnel/wire/address.hpp"

namespace runnel::fuzz {
namespace {

void check_address(const IpAddress& address) {
    const std::string text = to_string(address);
    FUZZ_CHECK(parse_ip_address(text) == address);
    FUZZ_CHECK(text.size() <= 39);
    FUZZ_CHECK(IpAddress::from_bytes(address.wire_bytes()) == address);
    const std::string endpoint = to_string(Endpoint{address, 65'535});
    FUZZ_CHECK(endpoint.ends_with(":65535") && endpoint.find(text) != std::string::npos);
    const std::uint8_t longest = address.is_v4() ? 32 : 128;
    for (const std::uint8_t length : {std::uint8_t{0}, std::uint8_t{17}, longest}) {
        const Cidr cidr{address, length};
        FUZZ_CHECK(parse_cidr(to_string(cidr)) == cidr && cidr.contains(address));
    }
    FUZZ_CHECK(!(address.is_multicast() && address.is_loopback()));
}

void run(Bytes input) {
    const std::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
    if (const auto address = parse_ip_address(text)) {
        check_address(*address);
        FUZZ_CHECK(text.find_first_of(" \t\n%/") == std::string_view::npos);
    }
    if (const auto cidr = parse_cidr(text)) {
        FUZZ_CHECK(cidr->prefix_length <= (cidr->address.is_v4() ? 32 : 128));
        FUZZ_CHECK(cidr->contains(cidr->address));
        FUZZ_CHECK(parse_cidr(to_string(*cidr)) == *cidr);
        check_address(cidr->address);
    }
    if (input.size() >= 16) {
        std::array<std::byte, 16> bytes{};
        std::copy_n(input.begin(), 16, bytes.begin());
        check_address(IpAddress::v6(bytes));
    } else if (input.size() == 4) {
        check_address(IpAddress::from_bytes(input));
    }
}

}  // namespace
}  // namespace runnel::fuzz

RUNNEL_FUZZ_TARGET(address, runnel::fuzz::run);
