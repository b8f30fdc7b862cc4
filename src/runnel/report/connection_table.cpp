#include "runnel/report/connection_table.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>

#include "runnel/report/json_writer.hpp"
#include "runnel/report/text.hpp"

namespace runnel::report {

namespace {

using tcp::ConnectionStatus;
using tcp::State;

constexpr std::uint32_t kUnknownThreshold = 0x7fff'ffff;  // ConnectionStatus::ssthresh_segments

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

const char* limit_text(tcp::Limit limit) {
    switch (limit) {
        case tcp::Limit::none: return "nothing";
        case tcp::Limit::application: return "application";
        case tcp::Limit::congestion_window: return "congestion window";
        case tcp::Limit::receive_window: return "receive window";
        case tcp::Limit::send_buffer: return "send buffer";
        case tcp::Limit::nagle: return "Nagle";
        case tcp::Limit::cork: return "cork";
    }
    return "?";
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

std::string timer_text(const ConnectionStatus& connection, Instant now) {
    if (connection.timer == tcp::Timer::count_ || connection.timer_deadline.is_never()) {
        return "-";
    }
    const bool probing =
        connection.timer == tcp::Timer::persist || connection.timer == tcp::Timer::keepalive;
    return fmt::format("({},{},{})", tcp::to_string(connection.timer),
                       duration_text(remaining(connection, now)),
                       probing ? connection.probes : connection.retransmits);
}

void join(std::string& text, std::string_view piece) {
    text += text.empty() ? "" : " ";
    text += piece;
}

// As `ss -i` has it: name:value, times in milliseconds.
std::string info_text(const ConnectionStatus& connection) {
    std::string text = connection.congestion_control;
    if (connection.has_timestamps) {
        join(text, "ts");
    }
    if (connection.has_sack) {
        join(text, "sack");
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
    if (connection.segments_sacked != 0) {
        join(text, fmt::format("sacked:{}", connection.segments_sacked));
    }
    join(text, fmt::format("recovery:{}", connection.recovery_state));
    return text;
}

// Sequence numbers as on the wire, under the names of RFC 9293 §3.3.1.
std::string extended_text(const ConnectionStatus& connection) {
    return fmt::format(
        "handle:{:x} iss:{} snd.una:{} snd.nxt:{} snd.wnd:{} irs:{} rcv.nxt:{} rcv.wnd:{} "
        "limited-by:{}{}",
        connection.handle, connection.iss, connection.snd_una, connection.snd_nxt,
        connection.snd_wnd, connection.irs, connection.rcv_nxt, connection.rcv_wnd,
        limit_text(connection.limited_by), connection.orphan ? " orphan" : "");
}

// Has sequence numbers, windows and a round-trip time of its own.
bool is_full(const ConnectionStatus& connection) {
    return connection.state != State::listen && connection.state != State::closed &&
           connection.state != State::time_wait;
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

using Row = std::array<std::string, 6>;
constexpr std::array<bool, 6> kRightAligned = {false, true, true, false, false, false};

}  // namespace

std::string connection_table(std::span<const ConnectionStatus> connections, Instant now,
                             const TableOptions& options) {
    const Paint paint{options.color};
    std::vector<Row> rows;
    std::vector<const ConnectionStatus*> shown;
    if (options.header) {
        rows.push_back({"State", "Recv-Q", "Send-Q", "Local Address:Port", "Peer Address:Port",
                        options.timers ? "Timer" : ""});
        shown.push_back(nullptr);
    }
    for (const ConnectionStatus& connection : connections) {
        if (!is_shown(connection, options)) {
            continue;
        }
        shown.push_back(&connection);
        rows.push_back({std::string(tcp::to_string(connection.state)),
                        std::to_string(connection.receive_queue),
                        std::to_string(connection.send_queue),
                        endpoint_text(connection.tuple.local, false),
                        endpoint_text(connection.tuple.remote, connection.state == State::listen),
                        options.timers ? timer_text(connection, now) : ""});
    }
    std::array<std::size_t, 6> widths = {};
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
                table += "      " + info_text(*connection) + '\n';
            }
            if (options.extended) {
                table += "      " + extended_text(*connection) + '\n';
            }
        }
    }
    return table;
}

namespace {

void write_sender(JsonWriter& json, const ConnectionStatus& connection) {
    json.number("snd_mss", connection.snd_mss);
    json.number("rcv_mss", connection.rcv_mss);
    json.number("advertised_mss", connection.advertised_mss);
    json.number("path_mtu", connection.path_mtu);
    json.number("cwnd_segments", connection.cwnd_segments);
    if (connection.ssthresh_segments == kUnknownThreshold) {
        json.null("ssthresh_segments");
    } else {
        json.number("ssthresh_segments", connection.ssthresh_segments);
    }
    json.number("segments_out", connection.segments_out);
    json.number("segments_sacked", connection.segments_sacked);
    json.number("segments_lost", connection.segments_lost);
    json.number("segments_retransmitted_out", connection.segments_retransmitted_out);
    json.number("rtt_ns", connection.rtt.ns);
    json.number("rtt_variance_ns", connection.rtt_variance.ns);
    json.number("rtt_min_ns", connection.rtt_min.ns);
    json.number("rto_ns", connection.rto.ns);
    json.number("backoff", connection.backoff);
    json.number("retransmits", connection.retransmits);
    json.number("probes", connection.probes);
    json.number("bytes_sent", connection.bytes_sent);
    json.number("bytes_acked", connection.bytes_acked);
    json.number("bytes_received", connection.bytes_received);
    json.number("bytes_retransmitted", connection.bytes_retransmitted);
    json.number("segments_sent", connection.segments_sent);
    json.number("segments_received", connection.segments_received);
    json.number("total_retransmissions", connection.total_retransmissions);
    json.text("congestion_control", connection.congestion_control);
    json.text("recovery_state", connection.recovery_state);
    json.text("limited_by", limit_text(connection.limited_by));
    json.boolean("orphan", connection.orphan);
}

void write_numbers(JsonWriter& json, const ConnectionStatus& connection) {
    json.number("iss", connection.iss);
    json.number("irs", connection.irs);
    json.number("snd_una", connection.snd_una);
    json.number("snd_nxt", connection.snd_nxt);
    json.number("rcv_nxt", connection.rcv_nxt);
    json.number("snd_wnd", connection.snd_wnd);
    json.number("rcv_wnd", connection.rcv_wnd);
    json.boolean("window_scale", connection.has_window_scale);
    json.number("snd_wscale", unsigned{connection.snd_wscale});
    json.number("rcv_wscale", unsigned{connection.rcv_wscale});
    json.boolean("sack", connection.has_sack);
    json.boolean("timestamps", connection.has_timestamps);
}

}  // namespace

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
        json.text("state", tcp::to_string(connection.state));
        json.number("receive_queue", connection.receive_queue);
        json.number("send_queue", connection.send_queue);
        json.text("local", to_string(connection.tuple.local));
        json.text("remote", to_string(connection.tuple.remote));
        json.text("handle", fmt::format("{:x}", connection.handle));
        if (connection.timer == tcp::Timer::count_ || connection.timer_deadline.is_never()) {
            json.null("timer");
        } else {
            json.text("timer", tcp::to_string(connection.timer));
            json.number("timer_remaining_ns", remaining(connection, now).ns);
        }
        if (is_full(connection)) {
            write_numbers(json, connection);
            write_sender(json, connection);
        }
        json.number("last_event", connection.last_event);
        json.end_object();
    }
    json.end_array();
    return text;
}

}  // namespace runnel::report
