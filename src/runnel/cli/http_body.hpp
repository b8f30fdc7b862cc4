// Reading an HTTP body off a Runnel socket (RFC 9112 §6): with a known length or until the end of the
// stream the bytes are taken as the host's own slices, without a copy; chunked bodies go through Beast's
// parser. Only the HTTP sources include this.
#pragma once

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <cstdint>
#include <optional>
#include <vector>

#include "runnel/asio/tcp_socket.hpp"
#include "runnel/cli/byte_sink.hpp"
#include "runnel/cli/sha256.hpp"

namespace runnel {

/// A body's sink and what is learnt on the way.
struct BodyReport {
    std::uint64_t bytes = 0;
    bool complete = false;  ///< all that the header promised came
};

template <bool kIsRequest>
class BodyReader {
public:
    using Parser = boost::beast::http::parser<kIsRequest, boost::beast::http::buffer_body>;

    /// The header has been read: `buffer` holds what came behind it.
    BodyReader(tcp::socket& socket, boost::beast::flat_buffer& buffer, Parser& parser,
               Duration idle)
        : socket_(socket), buffer_(buffer), parser_(parser), idle_(idle) {}

    /// Reads the whole body into `sink`, and into `digest` if given. Throws system_error.
    boost::asio::awaitable<BodyReport> read_all(ByteSink& sink, Sha256* digest) {
        if (parser_.chunked()) {
            co_await read_chunked(sink, digest);
        } else {
            co_await read_plain(sink, digest);
        }
        co_return report_;
    }

private:
    static constexpr std::size_t kTake = 1u << 20;
    static constexpr std::size_t kChunkBuffer = 128 * 1024;

    boost::asio::awaitable<void> deliver(std::span<const Bytes> pieces, ByteSink& sink,
                                         Sha256* digest) {
        for (const Bytes piece : pieces) {
            report_.bytes += piece.size();
            if (digest != nullptr) {
                digest->update(piece);
            }
        }
        co_await sink.write(pieces);
    }

    boost::asio::awaitable<void> read_plain(ByteSink& sink, Sha256* digest) {
        const auto length = parser_.content_length();
        // A request without a length has no body (RFC 9112 §6.3, rule 7).
        std::uint64_t left = kIsRequest ? 0 : ~std::uint64_t{0};
        if (length) {
            left = *length;
        }
        if (parser_.is_done()) {
            left = 0;
        }
        const auto early = std::min<std::uint64_t>(left, buffer_.size());
        if (early != 0) {
            const std::array<Bytes, 1> piece = {
                Bytes(static_cast<const std::byte*>(buffer_.data().data()), early)};
            co_await deliver(piece, sink, digest);
            buffer_.consume(early);
            left -= early;
        }
        std::vector<Bytes> pieces;
        while (left != 0) {
            socket_.expires_after(idle_);
            const std::size_t limit = std::min<std::uint64_t>(left, kTake);
            auto [error, slices] = co_await socket_.async_read_slices(
                limit, boost::asio::as_tuple(boost::asio::use_awaitable));
            if (error == boost::asio::error::eof) {
                report_.complete = !length;
                co_return;
            }
            if (error) {
                throw boost::system::system_error(error);
            }
            pieces.clear();
            for (const Slice& slice : slices) {
                pieces.push_back(slice.bytes());
                left -= slice.size();
            }
            co_await deliver(pieces, sink, digest);
        }
        report_.complete = true;
    }

    boost::asio::awaitable<void> read_chunked(ByteSink& sink, Sha256* digest) {
        namespace http = boost::beast::http;
        std::vector<std::byte> space(kChunkBuffer);
        while (!parser_.is_done()) {
            auto& body = parser_.get().body();
            body.data = space.data();
            body.size = space.size();
            socket_.expires_after(idle_);
            auto [error, count] = co_await http::async_read(
                socket_, buffer_, parser_, boost::asio::as_tuple(boost::asio::use_awaitable));
            (void)count;
            if (error && error != http::error::need_buffer) {
                throw boost::system::system_error(error);
            }
            const std::array<Bytes, 1> piece = {Bytes(space.data(), space.size() - body.size)};
            co_await deliver(piece, sink, digest);
        }
        report_.complete = true;
    }

    tcp::socket& socket_;
    boost::beast::flat_buffer& buffer_;
    Parser& parser_;
    Duration idle_;
    BodyReport report_;
};

}  // namespace runnel
