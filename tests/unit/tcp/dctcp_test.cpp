// DCTCP by RFC 8257: alpha follows the share of marked segments, and the window alpha.
#include "runnel/tcp/congestion/dctcp.hpp"

#include <gtest/gtest.h>

namespace runnel::tcp {
namespace {

/// A window of a hundred segments after the other, of which some are marked.
struct Path {
    void round(std::uint32_t marked) {
        for (std::uint32_t i = 0; i < 100; ++i) {
            una += 1;
            AckSummary ack;
            ack.delivered = 1;
            ack.segments_acked = 1;
            ack.ecn_echo = i < marked;
            dctcp.note_marks(ack, una, una >= end ? una + 100 : end);
        }
        end = una + 100;
    }
    [[nodiscard]] double alpha() const {
        return static_cast<double>(dctcp.alpha()) / static_cast<double>(Dctcp::kOne);
    }

    Dctcp dctcp;
    CongestionWindow window{.segments = 100, .threshold = 50};
    Seq64 una{1000};
    Seq64 end{1100};
};

TEST(Dctcp, AlphaStartsAtOneAndFallsByASixteenth) {  // §3.3, §4.2
    Path path;
    EXPECT_DOUBLE_EQ(path.alpha(), 1.0);
    EXPECT_TRUE(path.dctcp.is_fresh());
    path.round(0);
    EXPECT_NEAR(path.alpha(), 15.0 / 16, 1e-6);
    path.round(0);
    EXPECT_NEAR(path.alpha(), 15.0 / 16 * 15 / 16, 1e-5);
    EXPECT_FALSE(path.dctcp.is_fresh());
    for (int i = 0; i < 300; ++i) {
        path.round(0);
    }
    EXPECT_LT(path.alpha(), 1e-4) << "and to nothing in the end";
}

TEST(Dctcp, TheHandshakeIsNoWindow) {
    Path path;
    AckSummary ack;
    ack.delivered = 1;
    ack.syn_acked = true;
    path.dctcp.note_marks(ack, path.una, path.una);
    EXPECT_DOUBLE_EQ(path.alpha(), 1.0) << "a SYN is never marked";
    path.round(100);
    EXPECT_DOUBLE_EQ(path.alpha(), 1.0);
}

TEST(Dctcp, AlphaIsTheShareOfMarks) {  // §3.3 step 7
    Path path;
    for (int i = 0; i < 200; ++i) {
        path.round(25);
    }
    EXPECT_NEAR(path.alpha(), 0.25, 0.001);
    path.round(100);
    EXPECT_NEAR(path.alpha(), 0.25 * 15 / 16 + 1.0 / 16, 0.001);
}

TEST(Dctcp, AccurateCountsGoBeforeEce) {  // RFC 9768's counter
    Path path;
    AckSummary ack;
    ack.delivered = 100;
    ack.segments_marked = 10;
    ack.ecn_echo = true;
    for (int i = 0; i < 200; ++i) {
        path.dctcp.note_marks(ack, path.end, path.end + 100);
        path.end += 100;
    }
    EXPECT_NEAR(path.alpha(), 0.1, 0.001);
}

TEST(Dctcp, MarksCutByHalfOfAlphaAndLossesByHalf) {  // §3.3, §3.5
    Path path;
    EXPECT_EQ(path.dctcp.threshold_after(CongestionEvent::ecn, path.window, {}), 50u);
    for (int i = 0; i < 200; ++i) {
        path.round(10);
    }
    EXPECT_EQ(path.dctcp.threshold_after(CongestionEvent::ecn, path.window, {}), 95u);
    EXPECT_EQ(path.dctcp.threshold_after(CongestionEvent::loss, path.window, {}), 50u);
    EXPECT_EQ(path.dctcp.threshold_after(CongestionEvent::timeout, path.window, {}), 50u);
    path.window.segments = 2;
    EXPECT_EQ(path.dctcp.threshold_after(CongestionEvent::loss, path.window, {}), 2u);
}

}  // namespace
}  // namespace runnel::tcp
