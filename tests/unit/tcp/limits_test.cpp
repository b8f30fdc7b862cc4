// The named limits of `tcp` (ARCHITECTURE.md, bounded by construction). Users meet them as refusals and as memory,
// so they change on purpose, here too, or not at all.
#include <gtest/gtest.h>

#include "runnel/tcp/congestion/controller.hpp"
#include "runnel/tcp/demux/demux_table.hpp"
#include "runnel/tcp/effects.hpp"
#include "runnel/tcp/open/ephemeral_ports.hpp"
#include "runnel/tcp/open/fast_open.hpp"
#include "runnel/tcp/open/syn_cookies.hpp"
#include "runnel/tcp/output/plan.hpp"
#include "runnel/tcp/receive/reassembler.hpp"
#include "runnel/tcp/receive/receive_buffer.hpp"
#include "runnel/tcp/send/retransmission_queue.hpp"
#include "runnel/tcp/send/send_buffer.hpp"
#include "runnel/tcp/stack_state.hpp"

namespace runnel::tcp {
namespace {

TEST(Limits, OfAHost) {
    EXPECT_EQ(kMaxListeners, 65'536u);
    EXPECT_EQ(DemuxTable::kMaxEntries, 134'217'728u);
    EXPECT_EQ(kMaxControlSegments, 4096u);
    EXPECT_EQ(kEndedConnections, 1024u);
    EXPECT_EQ(Stack::kMaxSuspects, 256u);
    EXPECT_EQ(Stack::kMaxMd5Keys, 1024u);
    EXPECT_EQ(EphemeralPorts::kCounters, 1024u);
}

TEST(Limits, OfAReceiver) {
    EXPECT_EQ(Reassembler::kMaxRanges, 32'768u);
    EXPECT_EQ(Reassembler::kMaxPieces, 65'536u);
    EXPECT_EQ(Reassembler::kShort, 256u);
    EXPECT_EQ(Reassembler::kMaxShortRanges, 512u);
    EXPECT_EQ(Reassembler::kMaxShortPieces, 8192u);
    EXPECT_EQ(Reassembler::kMaxTouched, 770u);
    EXPECT_EQ(Reassembler::kMaxPinned, 67'108'864u);
    EXPECT_EQ(Reassembler::kReserveShift, 3u);
    EXPECT_EQ(ReceiveBuffer::kMaxSize, 1'073'741'824u);
    EXPECT_EQ(kCopyBelow, 4096u);
    EXPECT_EQ(kMaxPinRatio, 4u);
}

TEST(Limits, OfASender) {
    EXPECT_EQ(SendBuffer::kMaxSize, 1'073'741'824u);
    EXPECT_EQ(SendBuffer::kMaxSlices, 16'384u);
    EXPECT_EQ(SendBuffer::kReserveShift, 2u);
    EXPECT_EQ(RetransmissionQueue::kMaxRecords, 4096u);
    EXPECT_EQ(RetransmissionQueue::kMaxSent, 65'536u);
    EXPECT_EQ(kMaxSuperSegment, 65'415u);
    EXPECT_EQ(kMaxWindowSegments, 16'777'216u);
}

}  // namespace
}  // namespace runnel::tcp
