// The TCP MD5 signature option (RFC 2385): both ends know a key, every segment carries the MD5 of what it
// says and of the key, and one without it, or with another, is dropped as if it had never come.
#pragma once

#include <cstdint>
#include <optional>

#include <boost/container/static_vector.hpp>

#include "runnel/base/md5.hpp"
#include "runnel/observe/decision.hpp"
#include "runnel/wire/address.hpp"
#include "runnel/wire/frame.hpp"
#include "runnel/wire/tcp_segment.hpp"

namespace runnel::tcp {

/// The key for peers whose address begins with `prefix` bits of `peer`.
struct Md5Key {
    static constexpr std::size_t kMaxSize = 80;  ///< Linux's TCP_MD5SIG_MAXKEYLEN

    IpAddress peer;
    std::uint8_t prefix = 0;
    boost::container::static_vector<std::byte, kMaxSize> bytes;

    [[nodiscard]] bool covers(const IpAddress& address) const;
};

/// Octets that the option takes in a header, with two NOPs before it.
inline constexpr std::uint32_t kMd5OptionBytes = 20;

/// RFC 2385 §2.0: over the pseudo-header from `from` to `to`, the header without options and with a checksum of
/// zero, the payload and the key. `header_length` octets of header are on the wire.
[[nodiscard]] Md5Digest md5_signature(const IpAddress& from, const IpAddress& to,
                                      const TcpHeader& header, std::size_t header_length,
                                      const SliceList& payload, const Md5Key& key);

/// Signs a segment that is otherwise complete and leaves by `tuple`.
void sign(const FourTuple& tuple, TcpHeader& header, const SliceList& payload, const Md5Key& key);

/// Why an arriving segment is to be dropped, or none. `key`: nullptr where none is agreed on.
[[nodiscard]] std::optional<Decision> check_signature(const FourTuple& tuple,
                                                      const TcpHeader& header,
                                                      const SliceList& payload, const Md5Key* key);

}  // namespace runnel::tcp
