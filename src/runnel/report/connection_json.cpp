#include "runnel/report/connection_json.hpp"

#include <type_traits>

namespace runnel::report {

namespace {

struct FieldWriter {
    JsonWriter& json;

    void operator()(std::string_view name, bool value) const { json.boolean(name, value); }
    template <class T>
        requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
    void operator()(std::string_view name, T value) const {
        if constexpr (std::is_signed_v<T>) {
            json.number(name, std::int64_t{value});
        } else {
            json.number(name, std::uint64_t{value});
        }
    }
};

void write_names(JsonWriter& json, const tcp::ConnectionStatus& connection, Instant now) {
    if (connection.ssthresh_segments == kUnknownThreshold) {
        json.null("ssthresh_segments");
    } else {
        json.number("ssthresh_segments", connection.ssthresh_segments);
    }
    json.text("congestion_control", connection.congestion_control);
    json.text("recovery_state", connection.recovery_state);
    json.text("limited_by", limit_text(connection.limited_by));
    json.text("plan", describe(connection.plan).name);
    if (connection.last_data_sent != Instant{}) {
        json.number("last_data_sent_ago_ns", (now - connection.last_data_sent).ns);
    }
    if (connection.last_data_received != Instant{}) {
        json.number("last_received_ago_ns", (now - connection.last_data_received).ns);
    }
}

}  // namespace

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

void write_connection(JsonWriter& json, const tcp::ConnectionStatus& connection, Instant now) {
    json.text("state", tcp::to_string(connection.state));
    json.number("receive_queue", connection.receive_queue);
    json.number("send_queue", connection.send_queue);
    json.text("local", to_string(connection.tuple.local));
    json.text("remote", to_string(connection.tuple.remote));
    json.text("handle", fmt::format("{:x}", connection.handle));
    if (connection.timer == tcp::Timer::count_ || connection.timer_deadline.is_never()) {
        json.null("timer");
    } else {
        const bool ahead = connection.timer_deadline > now;
        json.text("timer", tcp::to_string(connection.timer));
        json.number("timer_remaining_ns", ahead ? (connection.timer_deadline - now).ns : 0);
    }
    json.begin_array("timers");
    for (unsigned i = 0; i < static_cast<unsigned>(tcp::Timer::count_); ++i) {
        if ((connection.timers & (1U << i)) != 0) {
            json.text("", tcp::to_string(static_cast<tcp::Timer>(i)));
        }
    }
    json.end_array();
    if (connection.state == tcp::State::listen) {
        json.number("embryos", connection.embryos);
    }
    if (is_full(connection)) {
        visit_fields(connection, FieldWriter{json});
        write_names(json, connection, now);
    }
    json.number("last_event", connection.last_event);
}

}  // namespace runnel::report
