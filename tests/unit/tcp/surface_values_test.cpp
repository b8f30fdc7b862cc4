// The values that users hand to the stack and get from it, as they are when nobody has said anything: every option
// leaves the matter to the host's configuration, every flag asks for nothing, every report is empty.
#include <gtest/gtest.h>

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>

#include "runnel/tcp/stack.hpp"

namespace runnel::tcp {
namespace {

TEST(SurfaceValues, AnOptionNobodySetLeavesItToTheHost) {
    const ConnectionOptions o;
    EXPECT_FALSE(o.no_delay || o.cork || o.keepalive);
    EXPECT_EQ(o.ack_mode, AckMode::unchanged);
    EXPECT_FALSE(o.urgent_inline || o.mute_reports || o.linger_on || o.report_inq);
    EXPECT_FALSE(o.receive_errors || o.zerocopy || o.fast_open || o.fast_open_no_cookie);
    EXPECT_EQ(o.linger, Duration{});
    EXPECT_EQ(o.fin_timeout, Duration{});
    EXPECT_EQ(o.keepalive_time, Duration{});
    EXPECT_EQ(o.keepalive_interval, Duration{});
    EXPECT_EQ(o.user_timeout, Duration{});
    EXPECT_EQ(o.congestion_control, std::nullopt);
    for (const std::uint32_t unset :
         {o.notsent_lowat, o.window_clamp, o.receive_lowat, o.timestamping, o.priority, o.mark,
          o.keepalive_probes, o.send_buffer, o.receive_buffer, std::uint32_t{o.maximum_segment},
          std::uint32_t{o.traffic_class}, std::uint32_t{o.hop_limit}, std::uint32_t{o.syn_count},
          std::uint32_t{o.defer_accept}, std::uint32_t{o.fast_open_queue}}) {
        EXPECT_EQ(unset, 0u);
    }
}

TEST(SurfaceValues, ACallWithoutFlagsIsAPlainOne) {
    const SendFlags send;
    EXPECT_FALSE(send.more || send.urgent || send.end_of_record || send.zerocopy);
    EXPECT_FALSE(send.by_reference || send.timestamping.has_value());
    const ReceiveFlags receive;
    EXPECT_FALSE(receive.peek || receive.urgent || receive.discard);
}

TEST(SurfaceValues, ASegmentIsPlainAndForUsAlone) {
    const ArrivingSegment in;
    EXPECT_EQ(in.payload_size, 0u);
    EXPECT_EQ(in.gso_size, 0u);
    EXPECT_EQ(in.traffic_class, 0u);
    EXPECT_TRUE(in.to_unicast);
    EXPECT_EQ(in.path_mtu, 1500u);
    const OutgoingSegment out;
    EXPECT_EQ(out.payload_size, 0u);
    EXPECT_EQ(out.gso_size, 0u);
    EXPECT_EQ(out.traffic_class, 0u);
    EXPECT_EQ(out.hop_limit, 64u);
}

TEST(SurfaceValues, ReportsAreEmptyUntilSomethingIsSaid) {
    const ErrorReport report;
    EXPECT_EQ(report.reason, ErrorReport::Reason::none);
    EXPECT_EQ(report.error, Errc::ok);
    const QueuedError queued;
    EXPECT_EQ(queued.error, Errc::ok);
    EXPECT_EQ(queued.code + queued.info + queued.data, 0u);
    const IcmpReport icmp;
    EXPECT_FALSE(icmp.hard || icmp.packet_too_big);
    EXPECT_EQ(icmp.mtu, 0u);
    EXPECT_EQ(icmp.error, Errc::host_unreachable);
    const UserEvent event;
    EXPECT_FALSE(event.is_listener);
    EXPECT_EQ(event.handle, 0u);
    EXPECT_EQ(Readiness{}.bits, 0u);
}

TEST(SurfaceValues, TimestampingHasLinuxsBits) {
    EXPECT_EQ(Timestamping::kTxHardware, std::uint32_t{SOF_TIMESTAMPING_TX_HARDWARE});
    EXPECT_EQ(Timestamping::kTxSoftware, std::uint32_t{SOF_TIMESTAMPING_TX_SOFTWARE});
    EXPECT_EQ(Timestamping::kSoftware, std::uint32_t{SOF_TIMESTAMPING_SOFTWARE});
    EXPECT_EQ(Timestamping::kOptId, std::uint32_t{SOF_TIMESTAMPING_OPT_ID});
    EXPECT_EQ(Timestamping::kTxSched, std::uint32_t{SOF_TIMESTAMPING_TX_SCHED});
    EXPECT_EQ(Timestamping::kTxAck, std::uint32_t{SOF_TIMESTAMPING_TX_ACK});
    EXPECT_EQ(Timestamping::kOptIdTcp, 1U << 16);
    EXPECT_EQ(Timestamping::kTxCompletion, 1U << 18);
    // Younger than some systems' headers: OPT_ID_TCP and TX_COMPLETION above. What a control message may replace, and all that there is.
    EXPECT_EQ(Timestamping::kRecord, 0x40303u);
    EXPECT_EQ(Timestamping::kAll, 0x7ffffu);
}

TEST(SurfaceValues, TheErrorQueueHasLinuxsNumbers) {
    EXPECT_EQ(static_cast<int>(QueuedError::Origin::icmp), SO_EE_ORIGIN_ICMP);
    EXPECT_EQ(static_cast<int>(QueuedError::Origin::timestamping), SO_EE_ORIGIN_TIMESTAMPING);
    EXPECT_EQ(static_cast<int>(QueuedError::Origin::zerocopy), SO_EE_ORIGIN_ZEROCOPY);
    EXPECT_EQ(static_cast<int>(QueuedError::Stamp::sent), SCM_TSTAMP_SND);
    EXPECT_EQ(static_cast<int>(QueuedError::Stamp::scheduled), SCM_TSTAMP_SCHED);
    EXPECT_EQ(static_cast<int>(QueuedError::Stamp::acknowledged), SCM_TSTAMP_ACK);
    EXPECT_EQ(QueuedError::kCopied, SO_EE_CODE_ZEROCOPY_COPIED);
}

TEST(SurfaceValues, ReadinessHasABitForEachMatter) {
    EXPECT_EQ(Readiness::kReadable, 1);
    EXPECT_EQ(Readiness::kWritable, 2);
    EXPECT_EQ(Readiness::kUrgent, 4);
    EXPECT_EQ(Readiness::kPeerClosed, 8);
    EXPECT_EQ(Readiness::kHangUp, 16);
    EXPECT_EQ(Readiness::kError, 32);
    EXPECT_EQ(Readiness::kReport, 64);
    EXPECT_EQ(Readiness::kUrgentHere, 128);
}

}  // namespace
}  // namespace runnel::tcp
