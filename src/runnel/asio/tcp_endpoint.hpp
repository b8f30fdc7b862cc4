// An address and a port in Asio's dialect, convertible from and to Runnel's own and Asio's.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <compare>
#include <cstdint>
#include <string>

#include "runnel/wire/address.hpp"

namespace runnel::tcp {

class endpoint {
public:
    constexpr endpoint() = default;
    constexpr endpoint(const IpAddress& address, std::uint16_t port) : value_{address, port} {}
    constexpr endpoint(const Endpoint& value) : value_(value) {}
    endpoint(const boost::asio::ip::tcp::endpoint& other)
        : value_{from_asio(other.address()), other.port()} {}
    /// Any address of the family.
    constexpr endpoint(Family family, std::uint16_t port) : value_{IpAddress::any(family), port} {}

    [[nodiscard]] constexpr const IpAddress& address() const { return value_.address; }
    [[nodiscard]] constexpr std::uint16_t port() const { return value_.port; }
    [[nodiscard]] constexpr const Endpoint& value() const { return value_; }
    [[nodiscard]] Family family() const { return value_.address.family(); }
    [[nodiscard]] std::string to_string() const { return runnel::to_string(value_); }
    explicit operator boost::asio::ip::tcp::endpoint() const {
        return {to_asio(value_.address), value_.port};
    }
    constexpr auto operator<=>(const endpoint&) const = default;

    static IpAddress from_asio(const boost::asio::ip::address& address) {
        if (address.is_v4()) {
            return IpAddress::v4(address.to_v4().to_uint());
        }
        std::array<std::byte, 16> bytes{};
        const auto source = address.to_v6().to_bytes();
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            bytes[i] = static_cast<std::byte>(source[i]);
        }
        return IpAddress::v6(bytes);
    }
    static boost::asio::ip::address to_asio(const IpAddress& address) {
        if (address.is_v4()) {
            return boost::asio::ip::address_v4(address.v4_value());
        }
        boost::asio::ip::address_v6::bytes_type bytes{};
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            bytes[i] = std::to_integer<unsigned char>(address.bytes()[i]);
        }
        return boost::asio::ip::address_v6(bytes);
    }

private:
    Endpoint value_;
};

}  // namespace runnel::tcp
