#include "runnel/lab/app.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "runnel/base/check.hpp"

namespace runnel::lab {

namespace {
constexpr std::size_t kReadAtOnce = 16 * 1024;
}

void App::send(std::string text) {
    unsent_ += text;
    act();
}

void App::send_urgent(char octet) {
    urgent_ += octet;
    act();
}

void App::close() {
    act();
    if (!closed) {
        (void)sockets().close(socket_, now());
        closed = true;
    }
}

void App::read(std::size_t most) {
    if (!closed) {
        (void)receive_some(most);
    }
}

std::string App::read_urgent() {
    std::array<std::byte, 1> octet{};
    const auto count = sockets().receive(socket_, octet, {.urgent = true}, now());
    return count && *count == 1 ? std::string(1, static_cast<char>(octet[0])) : "none";
}

void App::set(SocketOption option, std::int64_t value) {
    RUNNEL_CHECK(sockets().set_option(socket_, option, value, now()).has_value());
}

tcp::ConnectionStatus App::status() const {
    const auto info = sockets().tcp_info(socket_);
    return info ? *info : tcp::ConnectionStatus{};
}

std::string App::error_text() const {
    return error == Errc::ok ? "none" : message(error);
}

void App::fail_with(Errc failure) {
    error = failure;
    told = world_.now();
    closed = true;
    (void)sockets().close(socket_, now());
}

/// Whether there may be more to read at once.
bool App::receive_some(std::size_t most) {
    std::array<std::byte, kReadAtOnce> buffer;
    const auto count = sockets().receive(
        socket_, MutableBytes(buffer).first(std::min(most, buffer.size())), {}, now());
    if (!count) {
        if (count.error() != Errc::would_block) {
            fail_with(count.error());
        }
        return false;
    }
    if (*count == 0) {
        told = ended ? told : world_.now();
        ended = true;
        return false;
    }
    for (const std::byte octet : std::span(buffer).first(*count)) {
        received += static_cast<char>(octet);
    }
    return true;
}

void App::act() {
    if (closed) {
        return;
    }
    if (!connected) {
        const auto state = status().state;
        if (const auto code = sockets().get_option(socket_, SocketOption::error);
            code && *code != 0) {
            return fail_with(static_cast<Errc>(*code));
        }
        if (state == tcp::State::closed || state == tcp::State::syn_sent ||
            state == tcp::State::syn_received) {
            return;
        }
        connected = true;
        told = world_.now();
    }
    while (!unsent_.empty() && !closed) {
        const auto count = sockets().send(socket_, as_bytes(unsent_), {}, now());
        if (!count) {
            if (count.error() != Errc::would_block) {
                return fail_with(count.error());
            }
            break;
        }
        unsent_.erase(0, *count);
    }
    if (unsent_.empty() && !urgent_.empty() &&
        sockets().send(socket_, as_bytes(urgent_), {.urgent = true}, now())) {
        urgent_.clear();
    }
    bool news = false;
    while (reads && !closed && receive_some(kReadAtOnce)) {
        news = true;
    }
    if (news && on_data) {
        on_data(*this);
    }
    if (closed) {
        return;
    }
    if (ended && closes_at_end) {
        finishing_ = true;
    }
    if (finishing_ && !finished && unsent_.empty()) {
        (void)sockets().shutdown(socket_, ShutdownHow::send, now());
        finished = true;
    }
}

}  // namespace runnel::lab
