// A conversation judged from outside: for each segment what it is, and whether a conforming TCP sends such a
// thing (verdicts.def); for each end what its segments show as a whole; and what the capture doesn't tell.
#pragma once

#include <array>
#include <vector>

#include <boost/container/small_vector.hpp>

#include "runnel/analyse/side.hpp"
#include "runnel/analyse/verdict.hpp"
#include "runnel/analyse/viewpoint.hpp"
#include "runnel/report/conversation.hpp"
#include "runnel/report/end_follower.hpp"

namespace runnel::analyse {

using Findings = boost::container::small_vector<Finding, 2>;

/// Findings that one segment can have; further ones are left out.
inline constexpr std::size_t kMaxFindings = 12;

/// What a receiver knows when a segment reaches it, from outside (all relative).
struct Receiver {
    std::int64_t next = 0;  ///< RCV.NXT
    std::int64_t edge = 0;  ///< RCV.NXT + RCV.WND
    bool edge_known = false;
    std::int64_t una = 0;   ///< SND.UNA
    std::int64_t sent = 0;  ///< SND.NXT
    bool has_sent = false;
    bool fin_sent = false;
    std::optional<std::uint32_t> recent;  ///< TS.Recent
    std::uint64_t peer_window = 0;
};

struct Analysis {
    std::vector<Findings> segments;            ///< of each segment, in order
    std::vector<Receiver> receivers;           ///< of each segment, before it arrives
    std::array<std::vector<Finding>, 2> ends;  ///< of each End as a whole
    std::vector<Finding> limits;               ///< of the capture
    report::FollowedStates states;
    Agreement agreement;
    Viewpoint view;
    std::array<Side, 2> sides;  ///< at the end

    /// The worst of all findings.
    [[nodiscard]] Level worst() const;
    [[nodiscard]] std::uint64_t count(Level level) const;
};

/// `earlier`: the conversation of the same endpoints before this one, or null.
[[nodiscard]] Analysis analyse(const report::Conversation& conversation,
                               const report::Conversation* earlier = nullptr);

}  // namespace runnel::analyse
