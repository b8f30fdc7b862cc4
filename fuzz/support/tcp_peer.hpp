// The other end of the target `stateful`, as a model: which numbers it has sent so far, and what may therefore
// have been received. Octets of both streams are a function of their number, so that content can be checked
// wherever it comes from.
#pragma once

#include <cstdint>
#include <vector>

#include "runnel/wire/seq_num.hpp"

namespace runnel::fuzz {

/// The octet of either stream at a wire number.
inline char octet_at(SeqNum seq) {
    return static_cast<char>((seq.value * 7 + (seq.value >> 8)) & 0xff);
}

/// What the peer of one four-tuple has sent, in all its incarnations.
class SentNumbers {
public:
    /// `length` counts SYN and FIN. A SYN's number may become an IRS.
    void add(SeqNum seq, std::uint32_t length, bool syn) {
        if (length != 0) {
            sent_.push_back({seq, length});
        }
        if (syn) {
            syns_.push_back(seq);
        }
    }
    [[nodiscard]] bool sent_syn(SeqNum irs) const {
        for (const SeqNum syn : syns_) {
            if (syn == irs) {
                return true;
            }
        }
        return false;
    }
    /// How many numbers from `irs` on have been sent without a gap: RCV.NXT - IRS is at most that.
    [[nodiscard]] std::uint32_t contiguous_from(SeqNum irs) {
        if (!known_ || irs != irs_) {
            irs_ = irs;
            extent_ = 0;
            known_ = true;
        }
        for (bool grown = true; grown;) {
            grown = false;
            for (const Range& range : sent_) {
                const std::int32_t begin = range.seq.offset_from(irs + extent_);
                const std::int64_t end = std::int64_t{begin} + range.length;
                if (begin <= 0 && end > 0) {
                    extent_ += static_cast<std::uint32_t>(end);
                    grown = true;
                }
            }
        }
        return extent_;
    }

private:
    struct Range {
        SeqNum seq;
        std::uint32_t length;
    };
    std::vector<Range> sent_;
    std::vector<SeqNum> syns_;
    SeqNum irs_;
    std::uint32_t extent_ = 0;
    bool known_ = false;
};

}  // namespace runnel::fuzz
