// A host that talks to itself over its loopback, and sockets of it.
#pragma once

#include <gtest/gtest.h>

#include "runnel/socket/socket_layer.hpp"
#include "support/one_host.hpp"

namespace runnel::test {

class Sockets : public testing::Test {
protected:
    OneHost machine;
    SocketLayer sockets{machine.host};
    Endpoint self4 = endpoint("127.0.0.1", 80);
    Endpoint self6 = endpoint("::1", 80);

    Instant now() const { return machine.now; }
    void run() { machine.run(); }

    SocketId stream(Family family = Family::ipv4) {
        return *sockets.open(family, SocketType::stream);
    }
    SocketId datagram(Family family = Family::ipv4) {
        return *sockets.open(family, SocketType::datagram);
    }
    /// The error of a call, ok when it succeeded.
    template <class T>
    static Errc error_of(const Result<T>& result) {
        return result ? Errc::ok : result.error();
    }
    Errc bind(SocketId id, const Endpoint& local) {
        return error_of(sockets.bind(id, local, now()));
    }
    Errc listen(SocketId id, std::uint32_t backlog = 8) {
        return error_of(sockets.listen(id, backlog, now()));
    }
    Errc connect(SocketId id, const Endpoint& remote) {
        return error_of(sockets.connect(id, remote, now()));
    }
    Errc send(SocketId id, std::string_view text) {
        return error_of(sockets.send(id, as_bytes(text), {}, now()));
    }
    Errc set(SocketId id, SocketOption option, std::int64_t value) {
        return error_of(sockets.set_option(id, option, value, now()));
    }
    std::int64_t get(SocketId id, SocketOption option) {
        return sockets.get_option(id, option).value_or(-99);
    }
    /// What there is to read at once, or the error's name.
    std::string receive(SocketId id, std::size_t limit = 1000) {
        std::vector<std::byte> buffer(limit);
        const auto got = sockets.receive(id, buffer, {}, now());
        if (!got) {
            return errno_name(got.error());
        }
        std::string text;
        for (std::size_t i = 0; i < *got; ++i) {
            text.push_back(static_cast<char>(buffer[i]));
        }
        return text;
    }
    SocketId listener(const Endpoint& local, Family family = Family::ipv4) {
        const SocketId id = stream(family);
        EXPECT_EQ(bind(id, local), Errc::ok);
        EXPECT_EQ(listen(id), Errc::ok);
        return id;
    }
    struct Pair {
        SocketId client, server;
    };
    /// Both ends of a connection to ourselves.
    Pair pair() {
        const SocketId listening = listener(self4);
        Pair ends{stream(), {}};
        EXPECT_EQ(connect(ends.client, self4), Errc::in_progress);
        run();
        ends.server = sockets.accept(listening, now()).value_or(SocketId{});
        EXPECT_FALSE(ends.server.is_none());
        EXPECT_EQ(error_of(sockets.close(listening, now())), Errc::ok);
        return ends;
    }
};

}  // namespace runnel::test
