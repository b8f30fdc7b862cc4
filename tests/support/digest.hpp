// One number for much: whatever a stack says on the wire, answers to its user and tells of itself is folded into it,
// field by field. Golden digests are kept in files by seed, so that another compiler, or a change that is to change
// nothing, is caught by the first seed that runs otherwise.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>

#include "runnel/tcp/stack.hpp"

namespace runnel::test {

class Digest {
public:
    void add(std::uint64_t value) {
        sum_ = (sum_ ^ value) * 0x9e37'79b9'7f4a'7c15;
        sum_ ^= sum_ >> 29;
    }
    void add_all(std::initializer_list<std::uint64_t> values) {
        for (const std::uint64_t value : values) {
            add(value);
        }
    }
    void add(std::string_view text) {
        add(text.size());
        for (const char c : text) {
            add(static_cast<std::uint64_t>(static_cast<unsigned char>(c)));
        }
    }
    void add(Bytes bytes) {
        for (const std::byte octet : bytes) {
            add(static_cast<std::uint64_t>(octet));
        }
    }
    void add(Instant time) { add(static_cast<std::uint64_t>(time.ns)); }
    void add(Duration time) { add(static_cast<std::uint64_t>(time.ns)); }
    void add(const FourTuple& tuple);
    void add(const TcpHeader& header);
    void add(const tcp::OutgoingSegment& segment);
    void add(const EventRecord& record);
    void add(const tcp::ConnectionStatus& status);
    void add(const tcp::TableSizes& sizes);
    [[nodiscard]] std::uint64_t value() const { return sum_; }

private:
    std::uint64_t sum_ = 0;
};

/// Digests by seed, compared one by one with those of a file.
class DigestFile {
public:
    /// `path` from the tree's root; `how` is the command that makes them anew.
    DigestFile(const char* path, const char* how)
        : path_(std::string(RUNNEL_SOURCE_DIR "/") + path), how_(how) {
        std::ifstream file(path_);
        for (std::uint64_t seed = 0, digest = 0; file >> seed >> std::hex >> digest >> std::dec;) {
            kept_[seed] = digest;
        }
        if (std::getenv("RUNNEL_WRITE_DIGESTS") != nullptr) {
            writing_.open(path_);
        }
    }

    /// Fails where it is another than the one kept.
    void add(std::uint64_t seed, std::uint64_t digest) {
        if (writing_.is_open()) {
            writing_ << seed << ' ' << std::hex << digest << std::dec << '\n';
            return;
        }
        EXPECT_TRUE(kept_.contains(seed) && kept_[seed] == digest)
            << "seed " << seed << " runs otherwise than when " << path_
            << " was written.\nIf the change is meant: RUNNEL_WRITE_DIGESTS=1 " << how_;
    }

private:
    std::string path_;
    std::string how_;
    std::map<std::uint64_t, std::uint64_t> kept_;
    std::ofstream writing_;
};

}  // namespace runnel::test
