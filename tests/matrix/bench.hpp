// The engine on a bench: brought into a state, given one segment or one call, and looked at from outside. One
// Stack a case, so that no case knows of another.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runnel/model/arrival.hpp"
#include "runnel/model/calls.hpp"
#include "runnel/tcp/stack.hpp"

namespace runnel::matrix {

/// How the engine comes to stand where the case begins.
enum class Row : std::uint8_t {
    closed,
    listen,
    syn_sent,
    syn_received_passive,
    syn_received_active,
    established,
    fin_wait_1,
    fin_wait_2,
    close_wait,
    closing,
    last_ack,
    time_wait,
    time_wait_listening,  ///< a listener stands beside it
    count_,
};
inline constexpr std::size_t kRows = static_cast<std::size_t>(Row::count_);
[[nodiscard]] std::string_view name_of(Row row);

/// What differs between runs of the matrix.
struct Variant {
    std::string_view name;
    bool wrap = false;         ///< both spaces of numbers pass 2^32 inside their windows
    bool timestamps = false;   ///< and window scaling
    int stamp = 1;             ///< TSval of the case's segment, less TS.Recent
    bool window_zero = false;  ///< ours: the user doesn't read
    bool held = false;         ///< text waits behind a gap
    bool queued = false;       ///< our data waits for the peer's window
    bool user_gone = false;    ///< CLOSEd both ways instead of half
    bool quick_acks = true;    ///< else delayed from the first segment on
    bool keepalive = false;

    /// Whether the row exists in this variant. A user's handle is there from SYN-SENT on, but not for an
    /// embryo.
    [[nodiscard]] bool has(Row row) const;
};

/// What a case shows.
struct Observed {
    bool there = false;  ///< a connection, embryo or TIME-WAIT entry exists
    bool listener = false;
    model::State state = model::State::closed;
    std::vector<model::Reply> replies;
    unsigned timers = 0;  ///< model::Timers
    Errc error = Errc::ok;
    bool urgent = false;
    bool readable_end = false;  ///< RECEIVE has come to the end of the stream
    bool has_reader = false;
    std::string text;
    std::uint32_t una = 0, nxt = 0, rcv_nxt = 0;
    std::uint64_t wnd = 0;
    std::uint32_t edge = 0;
};

/// Memory that outlives a case.
struct Workshop {
    BufferPool pool{64U << 20};
    FlightRecorder recorder{64};
};

class Bench {
public:
    static constexpr std::uint32_t kPeerMss = 500;
    static constexpr std::uint32_t kWindow = 4000;       ///< ours
    static constexpr std::uint32_t kSmallWindow = 1000;  ///< ours in the variant without window
    static constexpr std::uint32_t kPeerWindow = 8000;

    Bench(Workshop& workshop, Row row, const Variant& variant);

    /// Comes to the row's state; true when the engine is where it should be.
    bool reach();
    /// The same state as the model sees it. Numbers come from the engine, the rest from the script.
    [[nodiscard]] model::Block block();
    /// A segment with wire numbers.
    void arrives(const TcpHeader& header, std::string_view text);
    /// The user's call; what it answers, in the RFC's words.
    model::Signal call(model::Call call, std::string_view text);
    [[nodiscard]] Observed observe();

    [[nodiscard]] tcp::Stack& stack() { return stack_; }
    [[nodiscard]] tcp::ConnectionHandle connection() const { return connection_; }
    [[nodiscard]] tcp::ListenerHandle listener() const { return listener_; }
    [[nodiscard]] Instant now() const { return now_; }
    [[nodiscard]] const FourTuple& tuple() const { return tuple_; }
    [[nodiscard]] std::uint32_t ts_recent() const { return kPeerStamp; }
    [[nodiscard]] tcp::ConnectionOptions options() const;

    static constexpr std::uint32_t kPeerStamp = 1000;

private:
    [[nodiscard]] static tcp::TcpConfig config_of(const Variant& variant);
    [[nodiscard]] static Instant start_of(const Variant& variant);
    void peer(unsigned flags, std::uint32_t seq, std::uint32_t ack, std::uint32_t window,
              std::string_view text = {});
    [[nodiscard]] std::vector<model::Reply> sent();
    void open_actively();
    void open_passively();
    void exchange();
    void stop_sending();

    const Row row_;
    const Variant variant_;
    Workshop& workshop_;
    tcp::Stack stack_;
    FourTuple tuple_{{IpAddress::v4(0x0a000001), 1000}, {IpAddress::v4(0x0a000002), 2000}};
    Instant now_;
    tcp::ConnectionHandle connection_;
    tcp::ListenerHandle listener_;
    std::uint32_t peer_iss_;
    std::uint32_t our_iss_ = 0;
    std::uint32_t peer_nxt_ = 1;  ///< relative to the peer's ISS
    std::uint32_t acked_ = 1;     ///< of ours, relative to our ISS
    std::uint32_t wl1_ = 0, wl2_ = 0;
    std::uint64_t max_wnd_ = 0;
    bool let_go_ = false;  ///< the user has closed or aborted: the handle names nothing to him
    std::string read_;     ///< by a RECEIVE of the case itself
    std::vector<tcp::ConnectionStatus> snapshot_;
};

/// The peer's stream: the octet with this number, always the same.
[[nodiscard]] std::string stream(std::uint32_t from, std::size_t length);
[[nodiscard]] std::string describe(const model::Reply& reply);

}  // namespace runnel::matrix
