#include "runnel/tcp/demux/demux_table.hpp"

#include <algorithm>
#include <utility>

#include "runnel/base/check.hpp"
#include "runnel/tcp/demux/tuple_hash.hpp"

namespace runnel::tcp {

DemuxKey DemuxTable::key(const FourTuple& tuple) const {
    const std::uint64_t hash = tuple_hash(key_, tuple);
    return {hash == 0 ? 1 : hash};  // 0 marks a free entry
}

void DemuxTable::prefetch(DemuxKey key) const {
    if (capacity_ > 0) {
        __builtin_prefetch(&entries_[home(key.hash)]);
    }
}

DemuxKey DemuxTable::prefetch(const FourTuple& tuple) const {
    const DemuxKey made = key(tuple);
    prefetch(made);
    return made;
}

DemuxTable::Entry* DemuxTable::find_entry(DemuxKey key) const {
    if (capacity_ == 0) {
        return nullptr;
    }
    // A quarter of the entries is free at least, so that a run of taken ones ends soon.
    for (std::size_t i = home(key.hash);; i = after(i)) {
        const std::uint64_t hash = entries_[i].hash();
        if (hash == key.hash) {
            return &entries_[i];
        }
        if (hash == 0) {
            return nullptr;
        }
    }
}

std::optional<std::uint32_t> DemuxTable::find(DemuxKey key) const {
    const Entry* entry = find_entry(key);
    return entry == nullptr ? std::nullopt : std::optional(entry->value);
}

void DemuxTable::place(Entry entry) {
    std::size_t i = home(entry.hash());
    while (entries_[i].hash() != 0) {
        i = after(i);
    }
    entries_[i] = entry;
}

void DemuxTable::resize(std::size_t capacity) {
    const std::unique_ptr<Entry[]> old =
        std::exchange(entries_, std::make_unique<Entry[]>(capacity));
    const std::size_t old_capacity = std::exchange(capacity_, capacity);
    for (std::size_t i = 0; i < old_capacity; ++i) {
        if (old[i].hash() != 0) {
            place(old[i]);
        }
    }
}

bool DemuxTable::insert(const FourTuple& tuple, std::uint32_t value) {
    const DemuxKey made = key(tuple);
    if (size_ >= kMaxEntries || find_entry(made) != nullptr) {
        return false;
    }
    if ((size_ + 1) * 4 > capacity_ * 3) {
        resize(std::max(kFirstCapacity, capacity_ + capacity_ / 2));
    }
    place({static_cast<std::uint32_t>(made.hash), static_cast<std::uint32_t>(made.hash >> 32),
           value});
    ++size_;
    return true;
}

bool DemuxTable::replace(const FourTuple& tuple, std::uint32_t value) {
    Entry* entry = find_entry(key(tuple));
    if (entry == nullptr) {
        return false;
    }
    entry->value = value;
    return true;
}

bool DemuxTable::erase(const FourTuple& tuple) {
    const Entry* entry = find_entry(key(tuple));
    if (entry == nullptr) {
        return false;
    }
    // Backward shift: each entry behind that may stand nearer to its home moves into the hole, so
    // that no tombstones lengthen later walks.
    auto hole = static_cast<std::size_t>(entry - entries_.get());
    for (std::size_t i = after(hole); entries_[i].hash() != 0; i = after(i)) {
        if (steps(home(entries_[i].hash()), i) >= steps(hole, i)) {
            entries_[hole] = entries_[i];
            hole = i;
        }
    }
    entries_[hole] = {};
    --size_;
    // Half of it when an eighth is taken: as many erasures pass before the next change of size as entries
    // are moved.
    if (capacity_ > kFirstCapacity && size_ * 8 < capacity_) {
        resize(std::max(kFirstCapacity, capacity_ / 2));
    }
    return true;
}

std::vector<std::uint32_t> DemuxTable::sorted_values() const {
    std::vector<std::uint32_t> values;
    values.reserve(size_);
    for (std::size_t i = 0; i < capacity_; ++i) {
        if (entries_[i].hash() != 0) {
            values.push_back(entries_[i].value);
        }
    }
    std::sort(values.begin(), values.end());
    return values;
}

}  // namespace runnel::tcp
