// poll and epoll: every transition of the mask as Linux 6.18 showed it, and level, edge and one-shot interests.
#include <array>
#include <cerrno>

#include "runnel/socket/epoll.hpp"
#include "unit/socket/socket_fixture.hpp"

namespace runnel::test {
namespace {

using P = PollEvents;

struct Polling : Sockets {
    std::string mask(SocketId id) {
        static constexpr std::pair<std::uint32_t, const char*> kNames[] = {
            {P::kIn, "IN"},
            {P::kPri, "PRI"},
            {P::kOut, "OUT"},
            {P::kErr, "ERR"},
            {P::kHup, "HUP"},
            {P::kReadNormal, "RDNORM"},
            {P::kWriteNormal, "WRNORM"},
            {P::kReadHup, "RDHUP"},
            {P::kInvalid, "NVAL"}};
        std::string text;
        for (const auto& [bit, name] : kNames) {
            if ((sockets.poll_events(id) & bit) != 0) {
                text += text.empty() ? "" : "|";
                text += name;
            }
        }
        return text.empty() ? "0" : text;
    }
    Errc shut(SocketId id, ShutdownHow how) {
        const Errc error = error_of(sockets.shutdown(id, how, now()));
        run();
        return error;
    }
};

TEST_F(Polling, TheMaskThroughALife) {
    const SocketId listening = stream();
    EXPECT_EQ(mask(listening), "OUT|HUP|WRNORM");
    EXPECT_EQ(bind(listening, self4), Errc::ok);
    EXPECT_EQ(mask(listening), "OUT|HUP|WRNORM");
    EXPECT_EQ(listen(listening), Errc::ok);
    EXPECT_EQ(mask(listening), "0");
    const SocketId client = stream();
    EXPECT_EQ(connect(client, self4), Errc::in_progress);
    EXPECT_EQ(mask(client), "0");
    run();
    EXPECT_EQ(mask(client), "OUT|WRNORM");
    EXPECT_EQ(mask(listening), "IN|RDNORM");
    const SocketId server = *sockets.accept(listening, now());
    EXPECT_EQ(mask(listening), "0");
    EXPECT_EQ(send(server, "x"), Errc::ok);
    run();
    EXPECT_EQ(mask(client), "IN|OUT|RDNORM|WRNORM");
    EXPECT_TRUE(sockets.send(server, as_bytes("u"), {.urgent = true}, now()));
    run();
    EXPECT_EQ(mask(client), "IN|PRI|OUT|RDNORM|WRNORM");
    std::byte octet{};
    EXPECT_TRUE(sockets.receive(client, {&octet, 1}, {.urgent = true}, now()));
    EXPECT_EQ(mask(client), "IN|OUT|RDNORM|WRNORM");
    EXPECT_EQ(receive(client), "x");
    EXPECT_EQ(mask(client), "OUT|WRNORM");
    EXPECT_EQ(shut(server, ShutdownHow::send), Errc::ok);
    EXPECT_EQ(mask(client), "IN|OUT|RDNORM|WRNORM|RDHUP");
    EXPECT_EQ(mask(server), "OUT|WRNORM");
    EXPECT_EQ(shut(client, ShutdownHow::send), Errc::ok);
    EXPECT_EQ(mask(client), "IN|OUT|HUP|RDNORM|WRNORM|RDHUP");
    EXPECT_EQ(mask(server), "IN|OUT|HUP|RDNORM|WRNORM|RDHUP");
    EXPECT_EQ(error_of(sockets.close(client, now())), Errc::ok);
    EXPECT_EQ(mask(client), "NVAL");
}

TEST_F(Polling, AFullBufferIsNotWritable) {
    const Pair ends = pair();
    EXPECT_EQ(set(ends.client, SocketOption::send_buffer, 30'000), Errc::ok);
    while (send(ends.client, std::string(10'000, 'x')) == Errc::ok) {
        run();
    }
    EXPECT_EQ(mask(ends.client), "0");
    for (int i = 0; i < 100; ++i) {
        (void)receive(ends.server, 1'000'000);
        machine.run_to(now() + milliseconds(50));
    }
    EXPECT_EQ(mask(ends.client), "OUT|WRNORM");
}

TEST_F(Polling, AnErrorIsTold) {
    const SocketId id = stream();
    EXPECT_EQ(connect(id, self4), Errc::in_progress);
    run();
    EXPECT_EQ(mask(id), "IN|OUT|ERR|HUP|RDNORM|WRNORM|RDHUP");
    EXPECT_EQ(get(id, SocketOption::error), static_cast<int>(Errc::connection_refused));
    EXPECT_EQ(mask(id), "IN|OUT|HUP|RDNORM|WRNORM|RDHUP");
}

// --- epoll -----------------------------------------------------------------------------------------------------

struct Epolling : Polling {
    Epoll epoll{sockets};
    Pair ends = pair();

    Epolling() { settle(); }
    /// Everything happens, and the news are handed on.
    void settle() {
        run();
        std::vector<ReadyEvent> news;
        sockets.take_ready(news);
        for (const ReadyEvent& event : news) {
            epoll.note(event.socket);
        }
    }
    /// What epoll_wait gives, "data:events" in hex.
    std::string wait(std::size_t most = 8) {
        std::vector<EpollEvent> events(most);
        const std::size_t count = epoll.wait(events);
        std::string text;
        for (std::size_t i = 0; i < count; ++i) {
            text += (i == 0 ? "" : " ") + std::to_string(events[i].data) + ":" +
                    std::to_string(events[i].events);
        }
        return text;
    }
};

TEST_F(Epolling, LevelTellsAsLongAsItLasts) {
    EXPECT_EQ(epoll.add(ends.server, {P::kIn, 7}), 0);
    EXPECT_EQ(wait(), "");
    EXPECT_EQ(send(ends.client, "abc"), Errc::ok);
    settle();
    EXPECT_EQ(wait(), "7:1");
    EXPECT_EQ(wait(), "7:1");
    EXPECT_EQ(receive(ends.server), "abc");
    EXPECT_EQ(wait(), "");
}

TEST_F(Epolling, EdgeTellsOnceForEachNews) {
    EXPECT_EQ(send(ends.client, "abc"), Errc::ok);
    settle();
    EXPECT_EQ(epoll.add(ends.server, {P::kIn | P::kEdge, 7}), 0);
    EXPECT_EQ(wait(), "7:1") << "it is so already";
    EXPECT_EQ(wait(), "");
    EXPECT_EQ(send(ends.client, "def"), Errc::ok);
    settle();
    EXPECT_EQ(wait(), "7:1") << "more came, though nothing was read";
    EXPECT_EQ(wait(), "");
    EXPECT_EQ(epoll.modify(ends.server, {P::kIn | P::kEdge, 8}), 0);
    EXPECT_EQ(wait(), "8:1") << "a change looks again";
}

TEST_F(Epolling, OneShotTellsOnceUntilItIsArmedAgain) {
    EXPECT_EQ(epoll.add(ends.server, {P::kIn | P::kOneShot, 7}), 0);
    EXPECT_EQ(send(ends.client, "abc"), Errc::ok);
    settle();
    EXPECT_EQ(wait(), "7:1");
    EXPECT_EQ(send(ends.client, "def"), Errc::ok);
    settle();
    EXPECT_EQ(wait(), "");
    EXPECT_EQ(epoll.modify(ends.server, {P::kIn | P::kOneShot, 9}), 0);
    EXPECT_EQ(wait(), "9:1");
}

TEST_F(Epolling, ErrorAndHangUpComeUnasked) {
    EXPECT_EQ(epoll.add(ends.server, {0, 7}), 0);
    EXPECT_EQ(error_of(sockets.abort(ends.client, now())), Errc::ok);
    settle();
    EXPECT_EQ(wait(), "7:24") << "ERR and HUP";
}

TEST_F(Epolling, TheReadyTakeTurns) {
    EXPECT_EQ(epoll.add(ends.server, {P::kOut, 1}), 0);
    EXPECT_EQ(epoll.add(ends.client, {P::kOut, 2}), 0);
    EXPECT_EQ(wait(1), "1:4");
    EXPECT_EQ(wait(1), "2:4");
    EXPECT_EQ(wait(1), "1:4");
    EXPECT_EQ(wait(), "2:4 1:4");
}

TEST_F(Epolling, WhatCtlRefuses) {
    EXPECT_EQ(epoll.modify(ends.server, {P::kIn, 1}), ENOENT);
    EXPECT_EQ(epoll.remove(ends.server), ENOENT);
    EXPECT_EQ(epoll.add(ends.server, {P::kIn | P::kExclusive | P::kOneShot, 1}), EINVAL);
    EXPECT_EQ(epoll.add(ends.server, {P::kIn | P::kExclusive, 1}), 0);
    EXPECT_EQ(epoll.add(ends.server, {P::kIn, 1}), EEXIST);
    EXPECT_EQ(epoll.modify(ends.server, {P::kIn, 1}), EINVAL) << "it was exclusive";
    EXPECT_EQ(epoll.remove(ends.server), 0);
    EXPECT_EQ(epoll.add(ends.server, {P::kOut, 3}), 0);
    EXPECT_EQ(epoll.remove(ends.server), 0);
    EXPECT_EQ(wait(), "");
    EXPECT_EQ(epoll.add(ends.server, {P::kOut, 3}), 0);
    EXPECT_EQ(error_of(sockets.close(ends.server, now())), Errc::ok);
    EXPECT_EQ(wait(), "");
    EXPECT_EQ(epoll.size(), 0u) << "what is closed is forgotten";
    EXPECT_EQ(epoll.add(ends.server, {P::kOut, 3}), EBADF);
}

}  // namespace
}  // namespace runnel::test
