// A dialogue drawn from a seed: one stack, its user, and a peer who mostly does what a TCP does and often what none
// should. All that the stack says, answers, tells of itself and writes down goes into a digest. The peer knows the
// connection as the snapshot tells it and hears the last segment of each, so that dialogues go deep: cookies of both
// kinds are shown again, losses reported, signatures made. Memory runs out at times, and comes back.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "runnel/base/random.hpp"
#include "runnel/base/work.hpp"
#include "runnel/tcp/signature/md5_signature.hpp"
#include "runnel/tcp/stack.hpp"
#include "support/digest.hpp"

namespace runnel::test {

class Dialogue {
public:
    explicit Dialogue(std::uint64_t seed);

    /// So many turns, and then everything is closed and all of it goes in time. The digest.
    std::uint64_t run(int turns);

private:
    static constexpr std::size_t kServers = 5;  ///< tuples of ours that a listener answers
    static constexpr std::size_t kTuples = 8;

    /// What a turn is about, and what the peer has heard there last.
    struct Line {
        FourTuple tuple;
        tcp::ConnectionHandle handle;
        TcpHeader heard;
        std::optional<FastOpenOption> cookie;
        std::uint32_t shown = 0;  ///< our last TSval
        std::uint32_t last_iss = 0;
        bool signs = false;
    };

    // Chance
    std::uint64_t pick(std::uint64_t bound) { return random_.below(bound); }
    bool one_in(std::uint64_t n) { return random_.below(n) == 0; }
    template <class T>
    T of(std::initializer_list<T> values) {
        return values.begin()[random_.below(values.size())];
    }
    tcp::TcpConfig draw_config();
    tcp::ConnectionOptions draw_options();
    void draw_rare_options(tcp::ConnectionOptions& options);

    // The peer (peer.cpp)
    void peer_speaks();
    void peer_opens(Line& line);
    void peer_answers_syn(Line& line, const tcp::ConnectionStatus& s);
    void peer_goes_on(Line& line, const tcp::ConnectionStatus& s);
    void peer_reports_loss(Line& line, const tcp::ConnectionStatus& s);
    void peer_errs(Line& line, const tcp::ConnectionStatus& s);
    void bulk();
    void orderly_end();
    void icmp();
    [[nodiscard]] TcpHeader header_of(const Line& line, unsigned flags);
    void syn_options(Line& line, TcpHeader& header);
    void stamp(const Line& line, TcpHeader& header, bool agreed);
    std::uint32_t near(std::uint32_t low, std::uint32_t high);
    std::uint16_t draw_window();
    void deliver(Line& line, TcpHeader header, std::uint32_t length);

    // The user and time (dialogue.cpp)
    void user_calls();
    void user_opens(Line& line);
    void user_writes(Line& line);
    void user_reads(Line& line);
    void user_sets(Line& line);
    void user_asks(Line& line);
    void listen();
    void memory_changes();
    void time_passes();
    void timeout(Duration limit);
    void silence();

    // What is heard
    void drain(std::size_t most = 20'000);
    void look();
    void look_at_everything();
    void finish();
    [[nodiscard]] Line& line() { return lines_[current_]; }
    [[nodiscard]] tcp::ConnectionStatus row(const Line& line);
    template <class T>
    void fold(const Result<T>& result) {
        digest_.add(static_cast<std::uint64_t>(result.has_value() ? Errc::ok : result.error()));
    }

    Random random_;
    BufferPool pool_;
    BufferPool frames_;  ///< the link's: what arrives arrives
    FlightRecorder recorder_;
    std::unique_ptr<tcp::Stack> stack_;
    tcp::Md5Key key_;
    Instant now_;
    std::array<Line, kTuples> lines_;
    std::size_t current_ = 0;
    tcp::ListenerHandle listener_;
    std::vector<tcp::ConnectionHandle> handles_;
    std::vector<tcp::ConnectionStatus> all_;
    std::vector<tcp::UserEvent> events_;
    std::vector<IpAddress> suspects_;
    std::uint64_t next_record_ = 1;
    Work work_before_ = work;
    Digest digest_;
};

}  // namespace runnel::test
