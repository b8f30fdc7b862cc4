#include "dialogue/dialogue.hpp"

#include <algorithm>

namespace runnel::test {

using namespace runnel::tcp;

namespace {

constexpr std::uint16_t kServerPort = 80;
constexpr std::size_t kPlenty = 64u << 20;

/// Writes so much of a stream that repeats itself; its contents are no matter here.
std::string text(std::size_t size) {
    std::string made(size, '\0');
    for (std::size_t i = 0; i < size; ++i) {
        made[i] = static_cast<char>(i * 7 + size);
    }
    return made;
}

}  // namespace

Dialogue::Dialogue(std::uint64_t seed)
    : random_(seed), pool_(kPlenty), frames_(kPlenty), recorder_(1024) {
    const TcpConfig config = draw_config();
    stack_ = std::make_unique<Stack>(pool_, recorder_, config, SipKey{seed, 7});
    // One start is shortly before the clock of timestamps wraps.
    now_ = Instant{of({seconds(1000).ns, milliseconds(0xffff'f000).ns, seconds(5'000'000).ns})};
    const IpAddress v4 = *parse_ip_address("10.0.0.1");
    const IpAddress v6 = *parse_ip_address("fd00::1");
    const IpAddress peer4 = *parse_ip_address("10.0.0.9");
    const IpAddress peer6 = *parse_ip_address("fd00::9");
    for (std::size_t i = 0; i < kTuples; ++i) {
        const bool six = i % 3 == 2;
        const auto number = static_cast<std::uint16_t>(i);
        const bool server = i < kServers;
        lines_[i].tuple.local = {six ? v6 : v4,
                                 server ? kServerPort : std::uint16_t(1000 + number)};
        lines_[i].tuple.remote = {six ? peer6 : peer4,
                                  server ? std::uint16_t(3000 + number) : std::uint16_t(2000)};
        lines_[i].last_iss = static_cast<std::uint32_t>(random_.next());
    }
    key_.peer = peer4;
    key_.prefix = of<std::uint8_t>({32, 24});
    key_.bytes.assign(5, std::byte{0x5a});
    listen();
}

TcpConfig Dialogue::draw_config() {
    TcpConfig c = profile_config(of({Profile::modern, Profile::linux_like, Profile::rfc}));
    c.timestamps = one_in(2);
    c.sack = !one_in(3);
    c.window_scaling = !one_in(3);
    c.super_segments = !one_in(3);
    c.window_autotuning = !one_in(3);
    c.time_wait_reuse = !one_in(4);
    c.rfc1337 = one_in(2);
    c.abort_on_overflow = one_in(4);
    c.icmp_aborts = one_in(3);
    c.slow_start_after_idle = !one_in(3);
    c.linux_rto = one_in(2);
    c.max_connections = of({3U, 100U, 100U});
    c.max_time_wait = of({1U, 100U, 100U});
    c.max_orphans = of({1U, 100U, 100U});
    c.max_syn_backlog = of({1U, 2U, 100U, 100U});
    c.syn_cookies = of<std::uint8_t>({0, 1, 1, 2});
    c.somaxconn = of({2U, 4096U});
    c.syn_retries = of({1U, 3U, 6U});
    c.synack_retries = of({1U, 5U});
    c.retries1 = of({1U, 3U});
    c.retries2 = of({3U, 8U, 15U});
    c.orphan_retries = of({0U, 1U, 8U});
    c.fast_open = of({0U, 1U, 3U, 3U, 0x203U, 0x407U, 0x607U});
    c.fast_open_blackhole_timeout = of({Duration{}, seconds(10), seconds(3600)});
    c.receive_buffer = of({3000U, 70'000U, 1U << 20, 6U << 20, 1U << 30});
    c.send_buffer = of({3000U, 70'000U, 1U << 20});
    c.initial_receive_window = of({3000U, 65'535U, 65'536U, 200'000U});
    c.initial_window_segments = of({1U, 3U, 10U});
    c.duplicate_ack_threshold = of({2U, 3U, 3U, 5U});
    c.quick_acks = of({0U, 2U, 16U});
    c.challenge_ack_limit = of({1U, 3U, 1000U});
    c.minimum_mss = of<std::uint16_t>({48, 88, 536});
    c.congestion_control =
        of({CongestionControl::new_reno, CongestionControl::new_reno, CongestionControl::fixed});
    c.sleep_after = of({milliseconds(10), seconds(1), seconds(30)});
    c.user_timeout = of({Duration{}, Duration{}, Duration{}, seconds(20)});
    c.port_low = 40'000;
    c.port_high = of<std::uint16_t>({40'000, 40'003, 60'000});
    c.keepalive_time = of({seconds(5), seconds(7200)});
    c.keepalive_probes = of({2U, 9U});
    return c;
}

ConnectionOptions Dialogue::draw_options() {
    ConnectionOptions o;
    o.no_delay = one_in(3);
    o.cork = one_in(8);
    o.ack_mode = one_in(6) ? AckMode::delayed : AckMode::unchanged;
    o.keepalive = one_in(4);
    o.urgent_inline = one_in(2);
    o.mute_reports = one_in(4);
    o.linger_on = one_in(5);
    o.linger = of({Duration{}, seconds(2)});
    o.receive_errors = one_in(4);
    o.keepalive_time = of({Duration{}, seconds(1), seconds(30)});
    o.keepalive_interval = of({Duration{}, seconds(1)});
    o.keepalive_probes = of({0U, 1U, 3U});
    o.user_timeout =
        one_in(6) ? milliseconds(static_cast<std::int64_t>(1 + pick(5000))) : Duration{};
    o.send_buffer = of({0U, 0U, 0U, 1U, 100U, 1500U, 70'000U});
    o.receive_buffer = of({0U, 0U, 0U, 2U, 1500U, 70'000U});
    o.maximum_segment = of<std::uint16_t>({0, 0, 0, 1, 88, 536});
    if (one_in(2)) {
        draw_rare_options(o);
    }
    return o;
}

void Dialogue::draw_rare_options(ConnectionOptions& o) {
    o.fin_timeout = of({Duration{}, seconds(-1), seconds(3)});
    o.notsent_lowat = of({0U, 1U, 3000U, 100'000U});
    o.window_clamp = of({0U, 1U, 2000U, 30'000U});
    o.receive_lowat = of({0U, 1U, 500U, 20'000U});
    o.zerocopy = one_in(2);
    o.timestamping = one_in(2) ? static_cast<std::uint32_t>(pick(Timestamping::kAll + 1ULL)) : 0;
    o.traffic_class = of<std::uint8_t>({0, 0x10, 0xb8});
    o.hop_limit = of<std::uint8_t>({0, 1, 255});
    o.syn_count = of<std::uint8_t>({0, 1, 4});
    o.defer_accept = of<std::uint8_t>({0, 0, 1, 3});
    o.fast_open = one_in(2);
    o.fast_open_no_cookie = one_in(4);
    o.fast_open_queue = of<std::uint16_t>({0, 1, 5});
    o.priority = of({0U, 6U});
    o.mark = of({0U, 9U});
    o.report_inq = one_in(4);
    if (one_in(3)) {
        o.congestion_control = of({CongestionControl::new_reno, CongestionControl::fixed});
    }
}

std::uint64_t Dialogue::run(int turns) {
    for (int i = 0; i < turns && !::testing::Test::HasFailure(); ++i) {
        if (one_in(6)) {
            current_ = pick(kTuples);
        }
        const std::uint64_t turn = pick(40);
        if (turn < 18) {
            peer_speaks();
        } else if (turn < 30) {
            user_calls();
        } else if (turn < 36) {
            time_passes();
        } else if (turn == 36) {
            bulk();
        } else if (turn == 37) {
            icmp();
        } else if (turn == 38) {
            memory_changes();
        } else if (one_in(3)) {
            silence();
        } else {
            orderly_end();
        }
        look();
        if (i % 16 == 0) {
            look_at_everything();
        }
    }
    finish();
    return digest_.value();
}

// --- the user -------------------------------------------------------------------------------------------------

void Dialogue::listen() {
    const Endpoint at{one_in(3) ? lines_[0].tuple.local.address : IpAddress{}, kServerPort};
    const auto backlog = static_cast<std::uint32_t>(pick(4));
    const bool dual_stack = !one_in(4);
    const auto made = stack_->listen(at, dual_stack, backlog, draw_options());
    fold(made);
    if (!made.has_value()) {
        return;
    }
    listener_ = *made;
    const bool keyed = one_in(6);
    for (std::size_t i = 0; i < kServers; ++i) {
        lines_[i].signs = keyed && key_.covers(lines_[i].tuple.remote.address);
    }
    if (keyed) {
        fold(stack_->set_md5_keys(listener_, std::span(&key_, 1)));
    }
    if (one_in(3)) {
        const SipKey one{3, 4};
        const SipKey other{5, 6};
        const bool swapped = one_in(2);  // and so what was given out before is of the old key
        stack_->set_fast_open_keys(listener_,
                                   swapped ? FastOpenKeys{other, one} : FastOpenKeys{one, other});
    }
}

void Dialogue::user_calls() {
    Line& here = line();
    switch (pick(20)) {
        case 0:
        case 1:
        case 2: user_opens(here); break;
        case 3:
        case 4:
        case 5:
        case 6:
        case 7: user_writes(here); break;
        case 8:
        case 9:
        case 10:
        case 11: user_reads(here); break;
        case 12:
            if (one_in(2)) {
                fold(stack_->shutdown_send(here.handle, now_));
            }
            break;
        case 13:
            if (one_in(3)) {
                fold(stack_->shutdown_receive(here.handle, now_));
            }
            break;
        case 14:
            if (one_in(3)) {
                stack_->close(here.handle, now_);
            }
            break;
        case 15:
            if (one_in(8)) {
                stack_->abort(here.handle, now_);
            }
            break;
        case 16: user_sets(here); break;
        default: user_asks(here); break;
    }
}

void Dialogue::user_opens(Line& here) {
    if (current_ < kServers) {
        const auto made = stack_->accept(listener_, now_);
        fold(made);
        if (made.has_value()) {
            handles_.push_back(*made);
            const auto tuple = stack_->tuple(*made);
            for (Line& each : lines_) {
                if (tuple && each.tuple == *tuple) {
                    each.handle = *made;
                }
            }
        }
        return;
    }
    const ConnectionOptions options = draw_options();
    digest_.add(stack_->fast_open_ready(here.tuple, options, now_) ? 1 : 0);
    Endpoint local = here.tuple.local;
    local.port = one_in(5) ? 0 : local.port;
    const auto mtu = of({0U, 68U, 576U, 1500U, 1500U, 9000U, 65'535U});
    const auto made = stack_->connect(local, here.tuple.remote, mtu, options, now_);
    fold(made);
    if (made.has_value()) {
        handles_.push_back(*made);
        here.handle = *made;
        here.tuple = stack_->tuple(*made).value_or(here.tuple);
        here.signs = one_in(12) && key_.covers(here.tuple.remote.address);
        if (here.signs) {
            fold(stack_->set_md5_key(here.handle, &key_, now_));
        }
    }
}

void Dialogue::user_writes(Line& here) {
    SendFlags flags;
    flags.more = one_in(5);
    flags.urgent = one_in(10);
    flags.end_of_record = one_in(8);
    flags.zerocopy = one_in(4);
    if (one_in(6)) {
        flags.timestamping = static_cast<std::uint32_t>(pick(Timestamping::kAll + 1ULL));
    }
    const auto size = of<std::size_t>({0, 1, 10, 700, 1460, 2900, 20'000, 150'000});
    const std::string all = text(size);
    if (!one_in(4)) {
        const auto sent = stack_->send(here.handle, as_bytes(std::string_view(all)), flags, now_);
        fold(sent);
        digest_.add(sent.value_or(0));
        return;
    }
    std::vector<Slice> slices;
    for (std::size_t at = 0; at < all.size(); at += 9000) {
        slices.push_back(frames_.copy(as_bytes(std::string_view(all).substr(at, 9000))));
    }
    const auto sent = stack_->send_slices(here.handle, slices, flags, now_);
    fold(sent);
    digest_.add(sent.value_or(0));
}

void Dialogue::user_reads(Line& here) {
    if (one_in(5)) {
        const auto limit = of<std::size_t>({1, 1000, 1'000'000});
        const auto got = stack_->receive_slices(here.handle, limit, now_);
        fold(got);
        for (std::size_t i = 0; got.has_value() && i < got->size(); ++i) {
            digest_.add((*got)[i].bytes());
        }
        return;
    }
    ReceiveFlags flags;
    flags.peek = one_in(5);
    flags.urgent = one_in(8);
    flags.discard = one_in(12);
    std::string into(of<std::size_t>({0, 1, 50, 3000, 200'000}), '\0');
    const auto got = stack_->receive(
        here.handle, std::as_writable_bytes(std::span(into.data(), into.size())), flags, now_);
    fold(got);
    digest_.add(got.value_or(0));
    digest_.add(std::string_view(into).substr(0, got.value_or(0)));
}

void Dialogue::user_sets(Line& here) {
    switch (pick(6)) {
        case 0: stack_->set_backlog(listener_, static_cast<std::uint32_t>(pick(5))); break;
        case 1: stack_->set_options(listener_, draw_options()); break;
        case 2:
            stack_->close_listener(listener_, now_);
            listen();
            break;
        case 3:
            if (one_in(4)) {
                here.signs = !here.signs && key_.covers(here.tuple.remote.address);
                fold(stack_->set_md5_key(here.handle, here.signs ? &key_ : nullptr, now_));
            }
            break;
        default: fold(stack_->set_options(here.handle, draw_options(), now_)); break;
    }
}

void Dialogue::user_asks(Line& here) {
    switch (pick(6)) {
        case 0: digest_.add(static_cast<std::uint64_t>(stack_->take_error(here.handle))); break;
        case 1: {
            const ErrorReport report = stack_->take_report(here.handle);
            digest_.add_all({static_cast<std::uint64_t>(report.reason),
                             static_cast<std::uint64_t>(report.error)});
            break;
        }
        case 2:
            digest_.add(stack_->has_queued_error(here.handle) ? 1 : 0);
            while (const auto error = stack_->take_queued_error(here.handle)) {
                digest_.add_all({static_cast<std::uint64_t>(error->origin),
                                 static_cast<std::uint64_t>(error->error), error->code, error->info,
                                 error->data});
                digest_.add(error->time);
            }
            break;
        case 3: {
            const auto port = stack_->free_port(here.tuple.local.address, now_);
            digest_.add(port.value_or(0));
            digest_.add(stack_->local_in_use(here.tuple.local, one_in(2)) ? 1 : 0);
            break;
        }
        case 4: {
            const auto queues = stack_->queues(listener_);
            digest_.add_all({queues ? queues->waiting + 1ULL : 0, queues ? queues->backlog : 0});
            break;
        }
        default: {
            const auto local = stack_->local(listener_);
            digest_.add_all({local ? local->port : 0U, stack_->status(here.handle).has_value(),
                             stack_->tuple(here.handle).has_value()});
            if (const ConnectionOptions* o = stack_->options(here.handle)) {
                digest_.add_all({o->no_delay, o->keepalive, o->send_buffer, o->receive_buffer,
                                 o->maximum_segment, o->priority, o->mark, o->hop_limit});
            }
            break;
        }
    }
}

// --- memory and time ------------------------------------------------------------------------------------------

void Dialogue::memory_changes() {
    switch (pick(4)) {
        case 0: pool_.set_limit(pool_.bytes_in_use() + of<std::size_t>({0, 8'000, 100'000})); break;
        case 1: {
            const std::uint64_t period = 1 + pick(3);
            pool_.refuse_every(static_cast<std::uint32_t>(period),
                               static_cast<std::uint32_t>(1 + pick(5)));
            break;
        }
        default:
            pool_.set_limit(kPlenty);
            pool_.refuse_every(0, 0);
            break;
    }
}

void Dialogue::time_passes() {
    switch (pick(4)) {
        case 0:
            now_ = now_ + milliseconds(static_cast<std::int64_t>(pick(300)));
            stack_->on_timeout(now_);
            break;
        case 1: now_ = now_ + milliseconds(static_cast<std::int64_t>(1 + pick(60))); break;
        default: timeout(one_in(10) ? seconds(100'000) : seconds(5)); break;
    }
}

void Dialogue::timeout(Duration limit) {
    drain();
    const Instant at = stack_->next_timeout();
    if (at.is_never() || at > now_ + limit) {
        return;
    }
    now_ = std::max(now_, at);
    stack_->on_timeout(now_);
    stack_->take_suspects(suspects_);
    for (const IpAddress& address : suspects_) {
        digest_.add(address.bytes());
    }
}

/// The peer is gone for a while, and its wire with it.
void Dialogue::silence() {
    const std::uint64_t timeouts = 1 + pick(25);
    for (std::uint64_t i = 0; i < timeouts; ++i) {
        timeout(seconds(100'000));
        look();
    }
}

// --- what is heard --------------------------------------------------------------------------------------------

void Dialogue::drain(std::size_t most) {
    OutgoingSegment out;
    for (std::size_t i = 0; i < most && stack_->poll_transmit(now_, out); ++i) {
        digest_.add(out);
        for (Line& each : lines_) {
            if (each.tuple == out.tuple) {
                each.heard = out.header;
                if (out.header.options.timestamps) {
                    each.shown = out.header.options.timestamps->value;
                }
                if (out.header.options.fast_open && out.header.options.fast_open->size > 0) {
                    each.cookie = out.header.options.fast_open;
                }
            }
        }
        if (i + 1 == 20'000) {
            ADD_FAILURE() << "it never stops sending: " << describe(out.reason).name;
        }
    }
}

ConnectionStatus Dialogue::row(const Line& here) {
    stack_->snapshot(all_, now_);
    for (const ConnectionStatus& s : all_) {
        if (s.state != State::listen && s.tuple == here.tuple) {
            return s;
        }
    }
    return {};
}

void Dialogue::look() {
    digest_.add(stack_->next_timeout());
    drain(one_in(4) ? pick(3) : 20'000);
    digest_.add(stack_->next_timeout());
    const Line& here = line();
    digest_.add_all({stack_->readiness(here.handle).bits, stack_->readiness(listener_).bits,
                     stack_->readable(here.handle), stack_->at_urgent_mark(here.handle)});
    if (const auto status = stack_->status(here.handle)) {
        digest_.add(*status);
    }
    if (one_in(3)) {
        stack_->take_events(events_);
        for (const UserEvent& event : events_) {
            digest_.add_all({event.is_listener, event.handle});
        }
    }
    digest_.add(stack_->sizes());
    for (std::size_t back = 0; back < 3; ++back) {
        if (const EndedConnection* ended = stack_->ended(back)) {
            digest_.add(ended->tuple);
            digest_.add_all(
                {ended->handle, ended->last_event, static_cast<std::uint64_t>(ended->error)});
        }
    }
    digest_.add_all({pool_.bytes_in_use(), frames_.bytes_in_use(), pool_.refusals(),
                     work.nodes - work_before_.nodes, work.octets - work_before_.octets});
    next_record_ = std::max(next_record_, recorder_.oldest_number());
    for (; next_record_ < recorder_.next_number(); ++next_record_) {
        digest_.add(*recorder_.find(next_record_));
    }
}

void Dialogue::look_at_everything() {
    stack_->snapshot(all_, now_);
    for (const ConnectionStatus& s : all_) {
        digest_.add(s);
    }
    all_.clear();
    SnapshotCursor cursor;
    while (stack_->snapshot_page(cursor, 3, all_)) {
        digest_.add_all({static_cast<std::uint64_t>(cursor.table), cursor.index, all_.size()});
    }
}

void Dialogue::finish() {
    pool_.set_limit(kPlenty);
    pool_.refuse_every(0, 0);
    for (const ConnectionHandle handle : handles_) {
        stack_->close(handle, now_);
    }
    stack_->close_listener(listener_, now_);
    int still = 0;
    for (int i = 0; i < 5000 && !::testing::Test::HasFailure(); ++i) {
        drain();
        const Instant next = stack_->next_timeout();
        if (next.is_never()) {
            break;
        }
        still = next <= now_ ? still + 1 : 0;
        ASSERT_LT(still, 50) << "a timeout that makes no progress";
        timeout(seconds(1'000'000));
        digest_.add(now_);
    }
    look();
    look_at_everything();
    EXPECT_TRUE(stack_->next_timeout().is_never());
    EXPECT_EQ(stack_->sizes().connections, 0u);
    EXPECT_EQ(stack_->sizes().time_wait, 0u);
    EXPECT_EQ(stack_->sizes().orphans, 0u);
    EXPECT_EQ(pool_.bytes_in_use(), 0u);
    EXPECT_EQ(frames_.bytes_in_use(), 0u);
}

}  // namespace runnel::test
