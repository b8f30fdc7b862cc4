#include "runnel/report/connection_table.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>

#include "runnel/report/connection_json.hpp"
#include "runnel/report/text.hpp"

namespace runnel::report {

namespace {

using tcp::ConnectionStatus;
using tcp::State;

// `ss` without options: all states but LISTEN, CLOSED, and those without a full socket behind them.
bool is_shown(const ConnectionStatus& connection, const TableOptions& options) {
    if (options.all) {
        return true;
    }
    if (options.listening) {
        return connection.state == State::listen;
    }
    return connection.state != State::listen && connection.state != State::closed &&
           connection.state != State::time_wait && connection.state != State::syn_received;
}

// "*" for what a listener leaves open.
std::string endpoint_text(const Endpoint& endpoint, bool remote_of_listener) {
    if (remote_of_listener && endpoint.port == 0) {
        return endpoint.address.is_v4() ? "0.0.0.0:*" : "[::]:*";
    }
    return to_string(endpoint);
}

Duration remaining(const ConnectionStatus& connection, Instant now) {
    return connection.timer_deadline > now ? connection.timer_deadline - now : Duration{};
}

// As ss writes it, without blanks: "1min59sec", "2.5sec", "204ms".
std::string timer_duration(Duration duration) {
    const std::int64_t ms = (duration.ns + 999'999) / 1'000'000;
    if (ms < 1000) {
        return fmt::format("{}ms", ms);
    }
    if (ms < 60'000) {
        return fmt::format("{:g}sec", static_cast<double>(ms) / 1000);
    }
    const std::int64_t minutes = ms / 60'000;
    const std::int64_t rest = ms % 60'000 / 1000;
    return rest == 0 ? fmt::format("{}min", minutes) : fmt::format("{}min{}sec", minutes, rest);
}

std::string timer_text(const ConnectionStatus& connection, Instant now) {
    if (connection.timer == tcp::Timer::count_ || connection.timer_deadline.is_never()) {
        return "-";
    }
    const bool probing =
        connection.timer == tcp::Timer::persist || connection.timer == tcp::Timer::keepalive;
    return fmt::format("timer:({},{},{})", tcp::to_string(connection.timer),
                       timer_duration(remaining(connection, now)),
                       probing ? connection.probes : connection.retransmits);
}

void join(std::string& text, std::string_view piece) {
    text += text.empty() ? "" : " ";
    text += piece;
}

// "75.4G": three digits.
std::string rate_text(double value) {
    constexpr const char* kUnits[] = {"", "k", "M", "G", "T"};
    std::size_t unit = 0;
    while (value >= 1000 && unit + 1 < std::size(kUnits)) {
        value /= 1000;
        ++unit;
    }
    return fmt::format("{:.3g}{}", value, kUnits[unit]);
}

void join_rates(std::string& text, const ConnectionStatus& connection) {
    if (connection.rtt.ns > 0) {
        // What the window lets out in a round-trip time.
        const double bits = 8.0 * connection.cwnd_segments * connection.snd_mss;
        join(text, fmt::format("send {}bps",
                               rate_text(bits * 1e9 / static_cast<double>(connection.rtt.ns))));
    }
    if (connection.pacing_rate != 0) {
        join(text, fmt::format("pacing_rate {}bps",
                               rate_text(8.0 * static_cast<double>(connection.pacing_rate))));
    }
    if (connection.delivery_rate != 0) {
        join(text, fmt::format("delivery_rate {}bps{}",
                               rate_text(8.0 * static_cast<double>(connection.delivery_rate)),
                               connection.delivery_app_limited ? " app_limited" : ""));
    }
}

void join_recovery(std::string& text, const ConnectionStatus& connection) {
    if (connection.reorderings != 0) {
        join(text, fmt::format("reordering:{} reord_seen:{}", connection.reordering,
                               connection.reorderings));
    }
    join(text, fmt::format("recovery:{}", connection.recovery_state));
    if (connection.undone != 0) {
        join(text, fmt::format("undone:{}", connection.undone));
    }
}

// As `ss -i` has it: name:value, times in milliseconds.
std::string info_text(const ConnectionStatus& connection, Instant now) {
    std::string text = connection.congestion_control;
    if (connection.has_timestamps) {
        join(text, "ts");
    }
    if (connection.has_sack) {
        join(text, "sack");
    }
    if (connection.has_ecn) {
        join(text, connection.has_accecn ? "accecn" : "ecn");
    }
    if (connection.ecn_seen) {
        join(text, "ecnseen");
    }
    if (connection.has_window_scale) {
        join(text, fmt::format("wscale:{},{}", connection.snd_wscale, connection.rcv_wscale));
    }
    const auto ms = [](Duration duration) { return static_cast<double>(duration.ns) / 1e6; };
    join(text, fmt::format("rto:{:.6g}", ms(connection.rto)));
    if (connection.backoff != 0) {
        join(text, fmt::format("backoff:{}", connection.backoff));
    }
    if (connection.rtt.ns != 0) {
        join(text, fmt::format("rtt:{:.4g}/{:.4g} minrtt:{:.4g}", ms(connection.rtt),
                               ms(connection.rtt_variance), ms(connection.rtt_min)));
    }
    join(text, fmt::format("mss:{} rcvmss:{} advmss:{} pmtu:{}", connection.snd_mss,
                           connection.rcv_mss, connection.advertised_mss, connection.path_mtu));
    join(text, fmt::format("cwnd:{}", connection.cwnd_segments));
    if (connection.ssthresh_segments != kUnknownThreshold) {
        join(text, fmt::format("ssthresh:{}", connection.ssthresh_segments));
    }
    join(text, fmt::format("bytes_sent:{} bytes_acked:{} bytes_received:{}", connection.bytes_sent,
                           connection.bytes_acked, connection.bytes_received));
    join(text, fmt::format("segs_out:{} segs_in:{}", connection.segments_sent,
                           connection.segments_received));
    if (connection.segments_out != 0) {
        join(text, fmt::format("unacked:{}", connection.segments_out));
    }
    if (connection.total_retransmissions != 0) {
        join(text,
             fmt::format("retrans:{}/{} bytes_retrans:{}", connection.segments_retransmitted_out,
                         connection.total_retransmissions, connection.bytes_retransmitted));
    }
    if (connection.segments_lost != 0) {
        join(text, fmt::format("lost:{}", connection.segments_lost));
    }
    if (connection.delivered_marked != 0 || connection.received_marked != 0) {
        join(text, fmt::format("delivered_ce:{} received_ce:{}", connection.delivered_marked,
                               connection.received_marked));
    }
    if (connection.segments_sacked != 0) {
        join(text, fmt::format("sacked:{}", connection.segments_sacked));
    }
    join_rates(text, connection);
    if (connection.last_data_sent != Instant{}) {
        join(text, fmt::format("lastsnd:{}", (now - connection.last_data_sent).ns / 1'000'000));
    }
    if (connection.last_data_received != Instant{}) {
        join(text, fmt::format("lastrcv:{}", (now - connection.last_data_received).ns / 1'000'000));
    }
    join_recovery(text, connection);
    return text;
}

// Sequence numbers as on the wire, under the names of RFC 9293 §3.3.1. Memory: received bytes, how many
// there may be, what they pin, those beyond a gap; bytes to be sent, how many there may be.
std::string extended_text(const ConnectionStatus& connection) {
    return fmt::format(
        "handle:{:x} iss:{} snd.una:{} snd.nxt:{} snd.wnd:{} irs:{} rcv.nxt:{} rcv.wnd:{} "
        "mem:(r{},rb{},p{},o{},t{},tb{}) limited-by:{}{}",
        connection.handle, connection.iss, connection.snd_una, connection.snd_nxt,
        connection.snd_wnd, connection.irs, connection.rcv_nxt, connection.rcv_wnd,
        connection.receive_queue, connection.receive_buffer, connection.pinned,
        connection.out_of_order, connection.send_queue, connection.send_buffer,
        limit_text(connection.limited_by), connection.orphan ? " orphan" : "");
}

Ink ink_of(State state) {
    switch (state) {
        case State::established: return Ink::good;
        case State::listen: return Ink::notice;
        case State::closed: return Ink::alarm;
        case State::syn_sent:
        case State::syn_received: return Ink::warning;
        case State::time_wait: return Ink::dim;
        default: return Ink::accent;
    }
}

using Row = std::array<std::string, 7>;
constexpr std::array<bool, 7> kRightAligned = {false, true, true, false, false, false, false};

}  // namespace

std::string connection_table(std::span<const ConnectionStatus> connections, Instant now,
                             const TableOptions& options, std::span<const std::string> users) {
    const Paint paint{options.color};
    std::vector<Row> rows;
    std::vector<const ConnectionStatus*> shown;
    if (options.header) {
        rows.push_back({"State", "Recv-Q", "Send-Q", "Local Address:Port", "Peer Address:Port",
                        options.timers ? "Timer" : "", options.processes ? "Process" : ""});
        shown.push_back(nullptr);
    }
    for (std::size_t index = 0; index < connections.size(); ++index) {
        const ConnectionStatus& connection = connections[index];
        if (!is_shown(connection, options)) {
            continue;
        }
        shown.push_back(&connection);
        rows.push_back({std::string(tcp::to_string(connection.state)),
                        std::to_string(connection.receive_queue),
                        std::to_string(connection.send_queue),
                        endpoint_text(connection.tuple.local, false),
                        endpoint_text(connection.tuple.remote, connection.state == State::listen),
                        options.timers ? timer_text(connection, now) : "",
                        options.processes && index < users.size() ? users[index] : ""});
    }
    std::array<std::size_t, 7> widths = {};
    for (const Row& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], columns(row[i]));
        }
    }
    std::string table;
    for (std::size_t r = 0; r < rows.size(); ++r) {
        std::string text;
        const std::string state = pad_right(rows[r][0], widths[0]);
        for (std::size_t i = 1; i < widths.size(); ++i) {
            text += "  ";
            text += kRightAligned[i] ? pad_left(rows[r][i], widths[i])
                                     : pad_right(rows[r][i], widths[i]);
        }
        text.erase(text.find_last_not_of(' ') + 1);
        const ConnectionStatus* connection = shown[r];
        const Ink ink = connection == nullptr ? Ink::bold : ink_of(connection->state);
        table += paint(ink, state);
        table += connection == nullptr ? paint(Ink::bold, text) : text;
        table += '\n';
        if (connection != nullptr && is_full(*connection)) {
            if (options.info) {
                table += "      " + info_text(*connection, now) + '\n';
            }
            if (options.extended) {
                table += "      " + extended_text(*connection) + '\n';
            }
        }
    }
    return table;
}

std::string connection_table_json(std::span<const ConnectionStatus> connections, Instant now,
                                  const TableOptions& options) {
    std::string text;
    JsonWriter json(text);
    json.begin_array();
    for (const ConnectionStatus& connection : connections) {
        if (!is_shown(connection, options)) {
            continue;
        }
        json.begin_object();
        write_connection(json, connection, now);
        json.end_object();
    }
    json.end_array();
    return text;
}

}  // namespace runnel::report
