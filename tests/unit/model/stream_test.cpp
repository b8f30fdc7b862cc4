// Properties of the reference model: numbers near the wrap, choices, and the stream that comes out of any order
// of overlapping segments.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

#include "runnel/model/arrival.hpp"
#include "runnel/model/calls.hpp"

namespace runnel::model {
namespace {

TEST(ModelNumber, UnwrapsNearTheWrap) {
    const Number near = first_number(0xffff'fff0U);
    EXPECT_EQ(unwrap_number(0x10, near), near + 0x20);
    EXPECT_EQ(unwrap_number(0xffff'ff00U, near + 0x20), near - 0xf0);
    EXPECT_EQ(wire_number(near + 0x20), 0x10u);
    // Half a round away is behind.
    EXPECT_EQ(unwrap_number(0x7fff'fff0U, near), near - (Number{1} << 31));
    static_assert(unwrap_number(5, first_number(7)) == first_number(5));
}

RC_GTEST_PROP(ModelNumber, ADistanceBelowHalfARoundComesBack, (std::uint32_t wire)) {
    const auto away = *rc::gen::inRange<Number>(-(Number{1} << 31), Number{1} << 31);
    const Number near = first_number(wire);
    RC_ASSERT(unwrap_number(wire_number(near + away), near) == near + away);
}

TEST(ModelChoices, EveryCombinationOnce) {
    std::vector<std::string> seen;
    Choices choices;
    do {
        std::string path;
        path += choices.take("a") ? 'A' : 'a';
        if (path == "A") {
            path += choices.take("b") ? 'B' : 'b';
        }
        path += choices.take("c") ? 'C' : 'c';
        seen.push_back(path);
    } while (choices.next());
    EXPECT_EQ(seen, (std::vector<std::string>{"ac", "aC", "Abc", "AbC", "ABc", "ABC"}));
}

/// Every outcome's stream must be the one that was sent, whatever the order and the overlaps, over the wrap.
RC_GTEST_PROP(ModelStream, ComesOutInOrder, ()) {
    const std::string text = *rc::gen::container<std::string>(300, rc::gen::inRange('a', 'z'));
    const std::uint32_t start = 0xffff'ff80U;
    Block b;
    b.state = State::established;
    b.iss = first_number(9);
    b.una = b.nxt = b.iss + 1;
    b.wnd = b.max_wnd = 1000;
    b.irs = first_number(start);
    b.rcv_nxt = b.irs + 1;
    b.edge = b.rcv_nxt + 400;
    b.wl1 = b.irs;
    b.wl2 = b.una;
    std::string got;
    const auto arrives = [&](std::size_t from, std::size_t size, bool fin) {
        Segment s;
        s.header.flags.bits =
            static_cast<std::uint16_t>(TcpFlags::kAck | (fin ? TcpFlags::kFin : 0U));
        s.header.seq = {start + 1 + static_cast<std::uint32_t>(from)};
        s.header.ack = {wire_number(b.una)};
        s.header.window = 1000;
        s.text = std::string_view(text).substr(from, size);
        Outcomes all = segment_arrives(b, s);
        const std::size_t which = *rc::gen::inRange<std::size_t>(0, all.size());
        got += all[which].delivered;
        b = all[which].next;
        RC_ASSERT(text.substr(0, got.size()) == got);
        RC_ASSERT(b.unread == got);
        RC_ASSERT(b.rcv_nxt ==
                  b.irs + 1 + static_cast<Number>(got.size()) + (b.fin_received ? 1 : 0));
    };
    const int pieces = *rc::gen::inRange(0, 40);
    for (int i = 0; i < pieces; ++i) {
        const auto from = *rc::gen::inRange<std::size_t>(0, text.size());
        const auto size = *rc::gen::inRange<std::size_t>(0, 80);
        const bool last = from + size >= text.size();
        arrives(from, size, last);
    }
    for (std::size_t from = 0; from < text.size(); from += 50) {
        arrives(from, 50, from + 50 >= text.size());
    }
    RC_ASSERT(got == text);
    RC_ASSERT(b.state == State::close_wait);
    RC_ASSERT(b.held.empty());
}

TEST(ModelCalls, ClosedKnowsOnlyOpen) {
    for (const Call call : {Call::send, Call::receive, Call::close, Call::abort, Call::status}) {
        const Outcomes all = user_calls(Block{}, call);
        ASSERT_EQ(all.size(), 1u);
        EXPECT_EQ(all[0].signal, Signal::no_connection) << name_of(call);
        EXPECT_EQ(all[0].next.state, State::closed);
    }
    EXPECT_EQ(user_calls(Block{}, Call::open_passive)[0].next.state, State::listen);
    const Outcome opened = user_calls(Block{}, Call::open_active)[0];
    EXPECT_EQ(opened.next.state, State::syn_sent);
    EXPECT_EQ(opened.timers, Timers::kRetransmission);
    EXPECT_EQ(opened.replies.at(0).flags, TcpFlags::kSyn);
}

TEST(ModelCalls, CloseAndAbortByState) {
    Block b;
    b.iss = first_number(9);
    b.una = b.nxt = b.iss + 1;
    b.wnd = b.max_wnd = 1000;
    b.rcv_nxt = b.edge = first_number(50);
    b.state = State::close_wait;
    const Outcome last = user_calls(b, Call::close)[0];
    EXPECT_EQ(last.next.state, State::last_ack);
    EXPECT_EQ(last.replies.at(0).flags, TcpFlags::kFin | TcpFlags::kAck);
    for (const Outcome& o : user_calls(b, Call::abort)) {
        EXPECT_EQ(o.next.state, State::closed);
        EXPECT_EQ(o.replies.at(0).seq, 10u);
        EXPECT_NE(o.replies.at(0).flags & TcpFlags::kRst, 0);
    }
    b.state = State::closing;
    EXPECT_TRUE(user_calls(b, Call::abort)[0].replies.empty());
    EXPECT_EQ(user_calls(b, Call::send, "x")[0].signal, Signal::closing);
    b.state = State::established;
    EXPECT_EQ(user_calls(b, Call::open_active)[0].signal, Signal::exists);
    EXPECT_EQ(user_calls(b, Call::receive)[0].signal, Signal::waits);
    b.unread = "late";
    EXPECT_TRUE(user_calls(b, Call::close_both)[0].next.state == State::closed) << "RFC 2525 §2.17";
}

}  // namespace
}  // namespace runnel::model
