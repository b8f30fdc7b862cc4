// TCP Fast Open (RFC 7413): data in the SYN, for a client that shows a cookie the server gave it before. Here
// is what both sides know of it: cookies and their keys, the state of one opening, the client's cache.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <utility>

#include "runnel/base/siphash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/tcp/config.hpp"
#include "runnel/tcp/seq64.hpp"
#include "runnel/wire/address.hpp"
#include "runnel/wire/tcp_segment.hpp"

namespace runnel::tcp {

/// RFC 7413 §4.1.2: eight octets that only the holder of `key` can make, for the two addresses of `tuple`
/// (`remote` is the client). The same as Linux makes of the same key, so that a farm may be mixed.
[[nodiscard]] FastOpenOption fast_open_cookie(const SipKey& key, const FourTuple& tuple);

enum class CookieCheck : std::uint8_t { bad, good, old_key };
/// Whether `shown` is a cookie of one of the keys, compared in constant time.
[[nodiscard]] CookieCheck check_cookie(const FastOpenKeys& keys, const FourTuple& tuple,
                                       const FastOpenOption& shown);

/// What a connection must remember of its Fast Open until its handshake is over; few have one.
struct FastOpen {
    enum class Role : std::uint8_t {
        client,  ///< asks for a cookie, or shows one
        server,  ///< is in its user's hands while the handshake goes on
        grant,   ///< an embryo whose SYN,ACK brings the cookie asked for
    };
    Role role = Role::client;
    bool waits = false;          ///< client: the SYN waits for the first data
    bool learnt = false;         ///< client: the cache knows what the SYN,ACK said
    bool repeated = false;       ///< client: the SYN had to go out again
    bool reset = false;          ///< server: the peer has reset it
    std::uint16_t mss = 0;       ///< client: the peer's, by the cache or, unknown, as our own
    std::uint64_t listener = 0;  ///< server: packed, whose queue it counts in
    std::optional<FastOpenOption> offer;    ///< goes with the first SYN, or the first SYN,ACK
    std::optional<FastOpenOption> offered;  ///< what went
    std::optional<FastOpenOption> answer;   ///< client: what the SYN,ACK brought
    Seq64 data_end;                         ///< client: after the data that went with the SYN
};

/// What a client knows of the servers it has been to (RFC 7413 §4.1.3), and of paths that swallow SYNs with
/// data. Bounded: the one that was asked for longest ago goes.
class FastOpenCache {
public:
    static constexpr std::size_t kMaxEntries = 1024;

    struct Entry {
        std::uint16_t mss = 0;  ///< the server's, as its SYN,ACK said
        std::optional<FastOpenOption> cookie;
        std::uint8_t try_experimental = 0;  ///< 1: ask in the old form; 2: that was no use either
    };
    using Path = std::pair<IpAddress, IpAddress>;  ///< our address, the server's

    /// Nothing known: nullptr. Good until the next call.
    [[nodiscard]] const Entry* find(const Path& path);
    /// A SYN,ACK came to a SYN with `state.offered` (Linux's rules for the old form included).
    void learn(const Path& path, std::uint16_t mss, const FastOpen& state);

    /// Three timeouts in a row, or a given up opening: something on the way may swallow what it doesn't know.
    /// No Fast Open for a while, longer each time (Linux tcp_fastopen_blackhole_timeout_sec).
    void pause(Instant now);
    /// Whether it is paused; at most 64 times `timeout`, which 0 turns off.
    [[nodiscard]] bool paused(Duration timeout, Instant now) const;
    /// Fast Open has worked: the next pause is a short one again.
    void works() { pauses_ = 0; }

    [[nodiscard]] std::size_t size() const { return entries_.size(); }

private:
    struct Held {
        Entry entry;
        std::list<Path>::iterator order;
    };
    std::map<Path, Held> entries_;
    std::list<Path> order_;  ///< the one used last in front
    std::uint32_t pauses_ = 0;
    Instant paused_at_;
};

}  // namespace runnel::tcp
