// A transfer as a picture: what was sent, lost and acknowledged over time, and below it, on the same axis of
// time, the congestion window, the state of loss recovery, the pacing rate and the round trip. SVG that needs nothing
// else, on light and dark grounds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/base/time.hpp"

namespace runnel::report {

/// All times count from one zero of the caller's; numbers are octets of the sender's stream from its ISN on.
struct SentPiece {
    Duration at;
    std::uint64_t begin = 0, end = 0;
    bool again = false;  ///< a retransmission
};
struct LostPiece {
    Duration at;
    std::uint64_t number = 0;  ///< where it began
    std::string_view why;      ///< outlives the picture
};
struct AckPoint {
    Duration at;
    std::uint64_t number = 0;
};
struct WindowPoint {
    Duration at;
    std::uint64_t window = 0;     ///< octets
    std::uint64_t in_flight = 0;  ///< octets
    std::uint64_t threshold = 0;  ///< octets; 0: not known yet
    bool operator==(const WindowPoint&) const = default;
};
/// From here on; the last one holds.
struct RecoveryPoint {
    Duration at;
    std::string_view state = "open";  ///< as `ss -i` names it; outlives the picture
    std::uint64_t undone = 0;         ///< reductions taken back so far
    std::uint32_t reordering = 0;     ///< segments that may overtake one before it counts as lost
    bool operator==(const RecoveryPoint&) const = default;
};
struct PacingPoint {
    Duration at;
    std::uint64_t rate = 0;  ///< octets a second; 0: not paced
    bool operator==(const PacingPoint&) const = default;
};
struct RoundTripPoint {
    Duration at;
    Duration smoothed, timeout;
    bool operator==(const RoundTripPoint&) const = default;
};

/// Points kept of each kind: when there are more, every second one goes, and half as many come.
inline constexpr std::size_t kPicturePoints = 20'000;

template <class Point>
class Thinned {
public:
    void add(const Point& point) {
        if (++seen_ % stride_ != 0) {
            return;
        }
        if (points_.size() == kPicturePoints) {
            for (std::size_t i = 0; i < points_.size() / 2; ++i) {
                points_[i] = points_[i * 2];
            }
            points_.resize(points_.size() / 2);
            stride_ *= 2;
        }
        points_.push_back(point);
    }
    [[nodiscard]] const std::vector<Point>& points() const { return points_; }
    [[nodiscard]] bool is_thinned() const { return stride_ > 1; }

private:
    std::vector<Point> points_;
    std::uint64_t seen_ = 0;
    std::uint64_t stride_ = 1;
};

struct TransferPicture {
    std::string title;
    Thinned<SentPiece> sent;
    Thinned<SentPiece> sent_again;
    Thinned<LostPiece> lost;
    Thinned<AckPoint> acked;
    Thinned<WindowPoint> windows;
    Thinned<RecoveryPoint> recovery;
    Thinned<PacingPoint> pacing;
    Thinned<RoundTripPoint> round_trips;
};

/// An SVG document of 1000 by 920 units.
[[nodiscard]] std::string transfer_svg(const TransferPicture& picture);

}  // namespace runnel::report
