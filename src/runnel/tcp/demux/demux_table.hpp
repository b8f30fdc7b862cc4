// Whose segment is it: from a four-tuple (RFC 9293 §3.3.1) to a number that the stack gives a
// meaning. Open addressing over a keyed 64-bit hash that no peer can aim at; an entry is 12 bytes
// and holds the hash, not the tuple, so that a million connections cost 16 to 24 MB and a look-up
// one or two cache lines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "runnel/base/siphash.hpp"
#include "runnel/wire/address.hpp"

namespace runnel::tcp {

/// A tuple's hash under the table's key: made once, used for prefetch and look-up.
struct DemuxKey {
    std::uint64_t hash = 0;
    constexpr bool operator==(const DemuxKey&) const = default;
};

/// The hash stands for the tuple. Two tuples share one in 2^64 pairs: then `insert` refuses the
/// second, and `find` of a tuple that is not in the table may give another's value. So whoever
/// reads the object behind a value compares its tuple (it is in the cache by then) and takes a
/// difference as "not found".
class DemuxTable {
public:
    /// Most entries; `insert` refuses more.
    static constexpr std::size_t kMaxEntries = std::size_t{1} << 27;

    explicit DemuxTable(const SipKey& key) : key_(key) {}

    [[nodiscard]] DemuxKey key(const FourTuple& tuple) const;
    /// Asks for the cache line that `find` will read; a batch is looked up faster in two passes.
    void prefetch(DemuxKey key) const;
    DemuxKey prefetch(const FourTuple& tuple) const;

    [[nodiscard]] std::optional<std::uint32_t> find(DemuxKey key) const;
    [[nodiscard]] std::optional<std::uint32_t> find(const FourTuple& tuple) const {
        return find(key(tuple));
    }
    /// Adds an entry; false, and nothing changed, when the tuple is there already or the table is
    /// full.
    bool insert(const FourTuple& tuple, std::uint32_t value);
    /// Gives an entry another value (an embryo becomes a connection); false when there is none.
    bool replace(const FourTuple& tuple, std::uint32_t value);
    /// False when there is none. A table of which little is left gives memory back.
    bool erase(const FourTuple& tuple);

    [[nodiscard]] std::size_t size() const { return size_; }
    /// Octets that the table takes now.
    [[nodiscard]] std::size_t bytes_held() const { return capacity_ * sizeof(Entry); }
    /// All values in ascending order: the table has no order of its own that may be seen.
    [[nodiscard]] std::vector<std::uint32_t> sorted_values() const;

private:
    struct Entry {
        // In halves, because a whole one would make the entry 16 bytes. Both 0: free.
        std::uint32_t low = 0;
        std::uint32_t high = 0;
        std::uint32_t value = 0;

        [[nodiscard]] std::uint64_t hash() const { return std::uint64_t{high} << 32 | low; }
    };
    static constexpr std::size_t kFirstCapacity = 16;

    /// Any capacity will do, so that the table can grow by halves.
    [[nodiscard]] std::size_t home(std::uint64_t hash) const {
        return static_cast<std::size_t>(((hash >> 32) * capacity_) >> 32);
    }
    [[nodiscard]] std::size_t after(std::size_t i) const { return i + 1 == capacity_ ? 0 : i + 1; }
    /// Steps from `from` to `to`, round the end.
    [[nodiscard]] std::size_t steps(std::size_t from, std::size_t to) const {
        return to >= from ? to - from : to + capacity_ - from;
    }
    [[nodiscard]] Entry* find_entry(DemuxKey key) const;
    void place(Entry entry);
    void resize(std::size_t capacity);

    SipKey key_;
    std::unique_ptr<Entry[]> entries_;
    std::size_t capacity_ = 0;
    std::size_t size_ = 0;
};

}  // namespace runnel::tcp
