// One run of one script; private to this room. runner.cpp has the order of events and time, play_packets.cpp what is
// injected and expected, play_calls.cpp the calls, play_commands.cpp shell lines and code sections.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runnel/drill/calls.hpp"
#include "runnel/drill/code.hpp"
#include "runnel/drill/commands.hpp"
#include "runnel/drill/flows.hpp"
#include "runnel/drill/machine.hpp"
#include "runnel/drill/match.hpp"
#include "runnel/drill/runner.hpp"
#include "runnel/drill/settings.hpp"

namespace runnel::drill {

class Play {
public:
    Play(const Script& script, const RunOptions& options, const Settings& settings,
         Verdict& verdict);

    void run();

private:
    /// How far behind a wildcard's event the host is waited for.
    static constexpr Duration kLongestWait = seconds(24 * 3600);
    static constexpr std::uint64_t kMaxSteps = 5'000'000;
    static constexpr std::size_t kMaxRecordsShown = 8;
    static constexpr std::size_t kMaxBatchBytes = 32u << 20;  ///< of a line with [times N]

    struct Window {
        Instant start;  ///< as written
        Instant first;  ///< tolerance included
        Instant last;
    };
    struct Pending {
        CallState state;
        const Event* event = nullptr;
        Instant wake = Instant::never();
        Instant end;  ///< as written
    };

    // Time and order (runner.cpp).
    bool configure();
    bool play(const Event& event);
    [[nodiscard]] Duration slack(Instant when) const;
    [[nodiscard]] Window window_of(const EventTime& time) const;
    [[nodiscard]] Instant at(Duration script_time) const { return origin_ + script_time; }
    [[nodiscard]] Duration script_time(Instant instant) const { return instant - origin_; }
    /// Runs the host up to `when`; false when something went wrong meanwhile.
    bool advance(Instant when);
    /// One step towards `limit`; false when there is none left before it.
    bool step(Instant limit);
    bool finish_run();
    bool fail(Position at, std::string reason, std::vector<std::string> details = {});
    bool skip(Position at, std::string reason);
    void row(const Event& event, Instant when, std::string seen, bool right);
    void collect_decisions();

    // Packets (play_packets.cpp).
    bool inject(const Event& event, const Packet& packet);
    bool inject_tcp(const Event& event, const Packet& packet, const TcpPacket& tcp);
    void sign_if_asked(const TcpPacket& tcp, const IpHead& head,
                       std::vector<std::byte>& bytes) const;
    bool inject_udp(const Packet& packet, const UdpPacket& udp);
    bool inject_icmp(const Event& event, const Packet& packet, const IcmpPacket& icmp);
    Flow& inbound_flow(const Packet& packet, bool new_connection);
    [[nodiscard]] IpHead head_for(const Flow& flow, const Packet& packet) const;
    bool expect(const Event& event, const Packet& packet);
    bool expect_one(const Event& event, const Packet& packet, const Window& window);
    bool wait_for_packet(Instant last);
    SeenPacket take_packet(const Packet& expected, Flow*& flow);
    void gather(const Packet& expected, SeenPacket& seen, Flow& flow, Instant last);
    bool nothing_came(const Event& event, const Window& window);
    void check_times(const Window& window, const SeenPacket& seen, Instant last,
                     std::vector<std::string>& found) const;

    // Calls (play_calls.cpp).
    bool call(const Event& event, const Syscall& syscall);
    bool try_pending();
    bool wait_for_pending();
    bool finish_call(const Event& event, const Syscall& syscall, const Reply& reply);
    void after_call(const Syscall& syscall);

    // Commands and code (play_commands.cpp).
    bool configure_by(const ShellCommand& piece);
    void configure_by(const Command& command);
    bool command(const Event& event, const Command& command);
    bool code(const Event& event, const Code& code);

    const Script& script_;
    const RunOptions& options_;
    const Settings& settings_;
    Verdict& verdict_;
    Duration tolerance_;
    MatchRules rules_;
    MachineConfig config_;
    std::unique_ptr<Machine> machine_;
    std::unique_ptr<Calls> calls_;
    Flows flows_;
    Flow stray_;  ///< of packets without ports
    Instant origin_;
    Instant previous_;  ///< the last event's instant, as written (or as it was, behind a wildcard)
    std::optional<Pending> pending_;
    std::uint64_t first_record_ = 1;  ///< of the flight recorder, since the event before
    std::uint64_t record_before_ = 1;
    std::uint16_t next_peer_port_ = 40'000;
    std::uint64_t steps_ = 0;
    CodeContext code_;
    std::array<std::uint64_t, kDecisionCount>
        asked_{};                  ///< plans that code sections have looked at
    bool configuring_ = true;      ///< no event but commands so far
    bool goes_with_last_ = false;  ///< --batched: the host was not asked since the event before
    bool over_ = false;
};

}  // namespace runnel::drill
