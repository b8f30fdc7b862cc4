// The configuration as text, a line a setting: what is refused changes nothing, what is accepted keeps its
// bounds, and every configuration that can be set makes a TCP that opens, sends, gives up and goes away.
#include <algorithm>
#include <cstring>
#include <string_view>
#include <vector>

#include "fuzz/support/target.hpp"
#include "runnel/tcp/config.hpp"
#include "runnel/tcp/stack.hpp"

namespace runnel::fuzz {
namespace {

using tcp::TcpConfig;

constexpr std::uint32_t kPeerIss = 0xffff'fff0;
constexpr int kMostTimeouts = 2000;

void check_bounds(const TcpConfig& config) {
    FUZZ_CHECK(config.rto_min.ns > 0 && config.rto_min <= config.rto_max);
    FUZZ_CHECK(config.rto_initial.ns > 0 && config.syn_rto.ns > 0);
    FUZZ_CHECK(config.delayed_ack_min <= config.delayed_ack_max);
    FUZZ_CHECK(config.delayed_ack_max < milliseconds(500));  // RFC 9293 §3.8.6.3, MUST-58
    FUZZ_CHECK(config.port_low >= 1 && config.port_low <= config.port_high);
    FUZZ_CHECK(config.send_buffer >= 4096 && config.receive_buffer >= 4096);
    FUZZ_CHECK(config.initial_window_segments >= 1 && config.hop_limit >= 1);
    FUZZ_CHECK(config.msl.ns >= 0 && config.fin_timeout.ns >= 0 && config.user_timeout.ns >= 0);
}

/// A short life under `config`: opened, written to, never heard of again.
class Life {
public:
    explicit Life(const TcpConfig& config)
        : recorder_(64), stack_(pool_, recorder_, config, SipKey{1, 2}) {}

    void run() {
        const auto made = stack_.connect(tuple_.local, tuple_.remote, 1500, {}, now_);
        if (!made) {
            return;
        }
        poll();
        answer();
        (void)stack_.send(*made, as_bytes("GET / HTTP/1.0\r\n\r\n"), {}, now_);
        poll();
        stack_.close(*made, now_);
        poll();
        if (!pass_all_time()) {
            return;
        }
        FUZZ_CHECK(pool_.bytes_in_use() == 0);
        std::vector<tcp::ConnectionStatus> left;
        stack_.snapshot(left, now_);
        FUZZ_CHECK(left.empty());
    }

private:
    void poll() {
        tcp::OutgoingSegment out;
        int sent = 0;
        while (stack_.poll_transmit(now_, out)) {
            last_ = out.header;
            FUZZ_CHECK(++sent < 1000);
        }
    }
    /// The peer's SYN,ACK with every option.
    void answer() {
        tcp::ArrivingSegment segment;
        segment.tuple = tuple_;
        segment.header.source_port = tuple_.remote.port;
        segment.header.destination_port = tuple_.local.port;
        segment.header.seq = SeqNum{kPeerIss};
        segment.header.ack = last_.seq + 1;
        segment.header.flags.bits = TcpFlags::kSyn | TcpFlags::kAck;
        segment.header.window = 65'535;
        segment.header.options.mss = std::uint16_t{1460};
        segment.header.options.window_scale = std::uint8_t{7};
        segment.header.options.sack_permitted = true;
        segment.header.options.timestamps = TcpTimestamps{1, 1};
        stack_.on_segment(std::move(segment), now_);
        poll();
    }
    /// Until nothing is due any more; false when that takes too long to be waited for.
    bool pass_all_time() {
        for (int timeouts = 0; !stack_.next_timeout().is_never(); ++timeouts) {
            // A long USER TIMEOUT takes the place of R2 and means as many retransmissions as it has room for.
            if (timeouts == kMostTimeouts) {
                FUZZ_CHECK(stack_.config().user_timeout > stack_.config().rto_min * kMostTimeouts);
                return false;
            }
            now_ = std::max(now_, stack_.next_timeout());
            stack_.on_timeout(now_);
            poll();
        }
        return true;
    }

    BufferPool pool_{16u << 20};
    FlightRecorder recorder_;
    tcp::Stack stack_;
    FourTuple tuple_{{IpAddress::v4(0x0a000001), 1000}, {IpAddress::v4(0x0a000002), 2000}};
    Instant now_{seconds(1000).ns};
    TcpHeader last_;
};

void set_line(TcpConfig& config, std::string_view line) {
    const std::size_t equals = line.find('=');
    const std::string_view name = line.substr(0, equals);
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view{} : line.substr(equals + 1);
    std::vector<std::byte> before(sizeof config);
    std::memcpy(before.data(), static_cast<const void*>(&config), sizeof config);
    const Status status = set_by_name(config, name, value);
    if (!status) {
        FUZZ_CHECK(status.error() == Errc::argument_invalid ||
                   status.error() == Errc::option_not_supported);
        FUZZ_CHECK(std::memcmp(before.data(), static_cast<const void*>(&config), sizeof config) ==
                   0);
    }
    check_bounds(config);
}

void run(Bytes input) {
    if (input.empty()) {
        return;
    }
    TcpConfig config =
        profile_config(static_cast<tcp::Profile>(std::to_integer<unsigned>(input[0]) % 3));
    check_bounds(config);
    std::string_view text(reinterpret_cast<const char*>(input.data()) + 1, input.size() - 1);
    for (int lines = 0; lines < 64 && !text.empty(); ++lines) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        set_line(config, text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    // Tables are made when they are needed, so that great limits cost nothing here.
    Life(config).run();
}

}  // namespace
}  // namespace runnel::fuzz

RUNNEL_FUZZ_TARGET(config, runnel::fuzz::run);
