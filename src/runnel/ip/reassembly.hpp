// Reassembly of both families (RFC 791 §3.2, RFC 815's idea of holes as gaps between sorted pieces, RFC 8200
// §4.5). Bounded in datagrams, pieces, memory and time; an overlap gives the whole datagram up (RFC 5722).
#pragma once

#include <cstdint>
#include <vector>

#include "runnel/base/buffer.hpp"
#include "runnel/base/siphash.hpp"
#include "runnel/base/time.hpp"
#include "runnel/ip/ip_config.hpp"
#include "runnel/observe/decision.hpp"
#include "runnel/wire/address.hpp"

namespace runnel {

/// One fragment as it arrived.
struct ArrivedFragment {
    IpAddress source;
    IpAddress destination;
    std::uint32_t identification = 0;
    std::uint8_t protocol = 0;  ///< IPv4: part of the name; IPv6: 0
    std::uint32_t offset = 0;   ///< of its data in the datagram, bytes
    bool more = false;
    std::uint8_t ecn = 0;
    std::uint8_t interface = 0;
    bool to_unicast = true;

    Slice packet;  ///< headers and data, in one piece
    std::uint32_t header_size =
        0;  ///< IPv6: a fragment header of 8 bytes stands between it and the data
    std::uint32_t data_at = 0;         ///< where in `packet` the data start
    std::uint32_t next_header_at = 0;  ///< IPv6: the field that says 44
    std::uint8_t next_header = 0;      ///< IPv6: what has to stand there instead

    [[nodiscard]] std::uint32_t data_size() const {
        return static_cast<std::uint32_t>(packet.size()) - data_at;
    }
};

class Reassembler {
public:
    /// Incomplete datagrams at once, and pieces of one of them.
    static constexpr std::size_t kMaxDatagrams = 256;
    static constexpr std::size_t kMaxPieces = 128;

    Reassembler(BufferPool& pool, const IpConfig& config, const SipKey& key)
        : pool_(pool), config_(config), key_(key) {}

    struct Added {
        Decision decision{};
        Slice whole;  ///< with ip_accept_reassembled: one packet without a trace of fragments
        std::uint32_t evicted = 0;  ///< older datagrams that had to make room
    };
    Added add(ArrivedFragment&& fragment, Instant now);

    /// A datagram whose time is over.
    struct Expired {
        ArrivedFragment first;  ///< meaningful with `has_first`: the fragment with offset 0
        bool has_first = false;
    };
    [[nodiscard]] Instant next_timeout() const { return next_expiry_; }
    /// Appends what has expired, but for datagrams that were given up before.
    void on_timeout(Instant now, std::vector<Expired>& expired);

    [[nodiscard]] std::uint32_t pinned_bytes() const { return pinned_; }
    [[nodiscard]] std::size_t size() const { return used_; }

private:
    struct Piece {
        std::uint32_t offset = 0;
        std::uint32_t size = 0;
        Slice data;
    };
    struct Datagram {
        std::uint64_t name_hash = 0;  ///< 0: the place is free
        ArrivedFragment name;  ///< the first piece seen, without its bytes; offset 0 replaces it
        bool has_first = false;
        bool given_up = false;    ///< its fragments are refused until its time is over
        std::uint32_t total = 0;  ///< bytes of data, once the last fragment is there
        bool has_last = false;
        std::uint32_t received = 0;
        std::uint32_t pinned = 0;
        std::uint8_t ecn_seen = 0;  ///< bit n: codepoint n
        Instant expires = Instant::never();
        std::vector<Piece> pieces;  ///< by offset
    };

    [[nodiscard]] std::uint64_t hash_of(const ArrivedFragment& fragment) const;
    Datagram* find(const ArrivedFragment& fragment, std::uint64_t hash);
    Datagram* create(const ArrivedFragment& fragment, std::uint64_t hash, Instant now,
                     std::uint32_t& evicted);
    void release(Datagram& datagram);
    void give_up(Datagram& datagram);
    bool evict_oldest(const Datagram* keep);
    [[nodiscard]] std::uint32_t pinned_by(const IpAddress& source) const;
    Decision check_place(const Datagram& datagram, const ArrivedFragment& fragment,
                         std::size_t& place) const;
    Decision check_ends(Datagram& datagram, const ArrivedFragment& fragment) const;
    Decision make_room(Datagram& datagram, const ArrivedFragment& fragment, std::uint32_t bytes,
                       std::uint32_t& evicted);
    Decision check(Datagram& datagram, const ArrivedFragment& fragment, std::size_t& place) const;
    Decision keep(Datagram& datagram, const ArrivedFragment& fragment, std::size_t place,
                  std::uint32_t& evicted);
    [[nodiscard]] bool fits_length_field(const Datagram& datagram) const;
    Slice assemble(const Datagram& datagram);

    BufferPool& pool_;
    IpConfig config_;
    SipKey key_;
    std::vector<Datagram> datagrams_;  ///< grows to kMaxDatagrams
    std::size_t used_ = 0;
    std::uint32_t pinned_ = 0;
    Instant next_expiry_ = Instant::never();
};

}  // namespace runnel
