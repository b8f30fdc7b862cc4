// The calls a script makes, over SocketLayer: a table of descriptors, blocking and not, with errno results. A call is
// tried at its instant; one that would block on a blocking descriptor is tried again whenever something has happened.
// What a script writes in the place of an out-argument is compared when the call has succeeded.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runnel/drill/machine.hpp"
#include "runnel/drill/script.hpp"
#include "runnel/drill/settings.hpp"
#include "runnel/socket/epoll.hpp"

namespace runnel::drill {

/// What one attempt of a call came to.
struct Reply {
    enum class Kind : std::uint8_t {
        done,     ///< `value` and `error`
        blocked,  ///< nothing yet; at `wake` at the latest again
        skip,     ///< Runnel can't: `text` says what
        wrong     ///< an argument makes no sense: `text`
    };
    Kind kind = Kind::done;
    std::int64_t value = 0;
    int error = 0;  ///< errno, with value -1
    std::string text;
    std::vector<std::string> mismatches;  ///< out-arguments that differ from what the script says
    Instant wake = Instant::never();

    static Reply ok(std::int64_t value) {
        Reply reply;
        reply.value = value;
        return reply;
    }
    static Reply failed(int error) {
        Reply reply;
        reply.value = -1;
        reply.error = error;
        return reply;
    }
    static Reply failed(Errc error);
    static Reply blocks(Instant wake = Instant::never()) {
        Reply reply;
        reply.kind = Kind::blocked;
        reply.wake = wake;
        return reply;
    }
    static Reply of(Kind kind, std::string text) {
        Reply reply;
        reply.kind = kind;
        reply.text = std::move(text);
        return reply;
    }
    static Reply skip(std::string text) { return of(Kind::skip, std::move(text)); }
    static Reply wrong(std::string text) { return of(Kind::wrong, std::move(text)); }
};

/// A call under way.
struct CallState {
    const Syscall* call = nullptr;
    Instant started;
    std::size_t progress = 0;                 ///< bytes moved by earlier attempts
    bool begun = false;                       ///< an attempt has been made
    std::vector<std::byte> received;          ///< by earlier attempts of a call that wants more
    std::optional<LingeringClose> lingering;  ///< what a close() waits for
};

class Arguments;

class Calls {
public:
    Calls(Machine& machine, const Settings& settings);

    /// Tries the call now.
    Reply attempt(CallState& state);
    /// Sockets with news since the last attempt, for edge-triggered epoll; called after every event.
    void note_readiness();
    /// The socket whose tcp_info a code section reads: the last one a call named that has a connection.
    [[nodiscard]] std::optional<SocketId> info_socket() const { return info_socket_; }
    /// Peer's port and address of that socket's connection, to know that its flow is over.
    [[nodiscard]] std::optional<Endpoint> closed_peer() const { return closed_peer_; }
    [[nodiscard]] std::optional<std::uint16_t> listening_port() const { return listening_port_; }
    /// The last datagram socket's own name and its peer's (port 0: not connected).
    [[nodiscard]] std::optional<std::pair<Endpoint, Endpoint>> datagram_names() const;
    /// The socket last bound, whether it listens or not (UDP's too).
    [[nodiscard]] std::optional<std::uint16_t> bound_port() const { return bound_port_; }
    /// The key that TCP_MD5SIG has set last.
    [[nodiscard]] const std::optional<tcp::Md5Key>& md5_key() const { return md5_key_; }

private:
    friend class Arguments;

    struct Pipe {
        std::vector<std::byte> bytes;
        bool writer_gone = false;
        bool reader_gone = false;
    };
    /// When octets came (SO_TIMESTAMPING, SO_TIMESTAMP): each arrival's end in the stream, and its time.
    struct Arrivals {
        std::uint64_t consumed = 0;
        std::uint64_t known = 0;  ///< the end of the last one
        std::deque<std::pair<std::uint64_t, Instant>> ends;
    };
    struct Descriptor {
        enum class Kind : std::uint8_t { stream, datagram, pipe_reader, pipe_writer, file, epoll };
        Kind kind = Kind::stream;
        SocketId socket = {};
        bool v6 = false;
        bool nonblocking = false;
        std::size_t position = 0;                ///< of a file
        Pipe* pipe = nullptr;                    ///< in pipes_
        std::vector<std::byte>* file = nullptr;  ///< in files_
        Epoll* epoll = nullptr;                  ///< in epolls_
        Arrivals* arrivals = nullptr;  ///< in arrivals_, where the time of arrival is wanted
        Duration receive_timeout;      ///< SO_RCVTIMEO; 0: none
        Duration send_timeout;         ///< SO_SNDTIMEO
        std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t>
            kept;  ///< options without effect

        [[nodiscard]] bool is_socket() const {
            return kind == Kind::stream || kind == Kind::datagram;
        }
    };
    using Handler = Reply (Calls::*)(CallState&, Arguments&);
    struct Entry {
        std::string_view name;
        Handler handler;
    };
    static const Entry kEntries[];

    static constexpr std::size_t kPipeBytes = 65'536;
    static constexpr std::size_t kMaxDescriptors = 1024;
    static constexpr std::size_t kMaxTransfer = 1u << 28;  ///< bytes of one call

    // Opening and closing (calls_open.cpp).
    Reply socket(CallState& state, Arguments& arguments);
    Reply bind(CallState& state, Arguments& arguments);
    Reply listen(CallState& state, Arguments& arguments);
    Reply accept(CallState& state, Arguments& arguments);
    Reply connect(CallState& state, Arguments& arguments);
    Reply disconnect(Descriptor& descriptor);
    Reply close(CallState& state, Arguments& arguments);
    Reply shutdown(CallState& state, Arguments& arguments);
    Reply fcntl(CallState& state, Arguments& arguments);
    Reply ioctl(CallState& state, Arguments& arguments);
    Reply getsockname(CallState& state, Arguments& arguments);
    [[nodiscard]] Endpoint endpoint_of(const Expression& written, std::size_t fd_argument,
                                       bool local, Arguments& arguments);
    void compare_name(const Expression& written, const Endpoint& seen, bool v6,
                      std::vector<std::string>& mismatches) const;

    // Data (calls_data.cpp).
    Reply readv(CallState& state, Arguments& arguments);
    Reply recv(CallState& state, Arguments& arguments);
    Reply recvmsg(CallState& state, Arguments& arguments);
    Reply writev(CallState& state, Arguments& arguments);
    Reply send(CallState& state, Arguments& arguments);
    Reply sendmsg(CallState& state, Arguments& arguments);
    struct Piece {
        const Expression* content;  ///< a string or `...`
        std::size_t size;
    };
    struct Transfer {
        int fd = 0;
        std::vector<Piece> pieces;
        std::int64_t flags = 0;
        const Expression* name = nullptr;     ///< of the other end
        std::optional<Endpoint> remote = {};  ///< the same as an address, where one is sent to
        std::optional<std::uint32_t> timestamping = {};  ///< of a control message of sendmsg()
        std::optional<std::int64_t> traffic_class = {};
    };
    /// (fd, buffer, size, flags, name, …) of read, recv, write, send and their like.
    [[nodiscard]] static Transfer plain_transfer(Arguments& arguments);
    /// (fd, iovec, …) of readv and writev.
    [[nodiscard]] Transfer vector_transfer(Arguments& arguments);
    /// (fd, message, flags) of recvmsg and sendmsg, but for the message's iovec.
    [[nodiscard]] static Transfer message_transfer(const Expression& message, Arguments& arguments);
    [[nodiscard]] std::vector<Piece> pieces_of(const Expression& vector, Arguments& arguments);
    Reply receive(CallState& state, const Transfer& transfer, Arguments& arguments);
    Reply receive_stream(CallState& state, Descriptor& descriptor, const Transfer& transfer,
                         std::size_t wanted, std::vector<std::byte>& into);
    Reply receive_datagram(Descriptor& descriptor, const Transfer& transfer, bool waits,
                           std::vector<std::byte>& into);
    Reply transmit(CallState& state, const Transfer& transfer, Arguments& arguments);
    Reply transmit_stream(CallState& state, Descriptor& descriptor, const Transfer& transfer,
                          Bytes bytes);
    Reply transmit_datagram(Descriptor& descriptor, const Transfer& transfer, Bytes bytes);

    // Control messages and the error queue (calls_message.cpp).
    struct Control {
        std::int64_t level = 0;
        std::int64_t type = 0;
        const Expression* data = nullptr;
    };
    [[nodiscard]] static std::vector<Control> controls_of(const Expression* written,
                                                          Arguments& arguments);
    Reply take_error(const Descriptor& descriptor, const Expression& message, std::size_t room,
                     Arguments& arguments);
    void compare_stamp(const Control& control, Instant time, Arguments& arguments,
                       std::vector<std::string>& mismatches) const;
    bool compare_received(const Control& control, const Descriptor& descriptor,
                          Arguments& arguments, std::vector<std::string>& mismatches);
    void note_arrivals();
    Reply read_other(Descriptor& descriptor, std::size_t wanted, std::vector<std::byte>& into);
    Reply write_other(Descriptor& descriptor, Bytes bytes);

    // Options (calls_options.cpp).
    Reply getsockopt(CallState& state, Arguments& arguments);
    Reply setsockopt(CallState& state, Arguments& arguments);
    [[nodiscard]] std::optional<Reply> set_own_option(Descriptor& descriptor, std::int64_t level,
                                                      std::int64_t name, Bytes value);
    [[nodiscard]] std::optional<std::vector<std::byte>> own_option(const Descriptor& descriptor,
                                                                   std::int64_t level,
                                                                   std::int64_t name) const;
    Reply compare_option(const Expression& written, std::int64_t level, std::int64_t name,
                         Bytes value, Arguments& arguments, const Descriptor& descriptor);

    // Readiness (calls_poll.cpp).
    Reply poll(CallState& state, Arguments& arguments);
    Reply epoll_create(CallState& state, Arguments& arguments);
    Reply epoll_ctl(CallState& state, Arguments& arguments);
    Reply epoll_wait(CallState& state, Arguments& arguments);
    [[nodiscard]] std::uint32_t events_of(const Descriptor& descriptor) const;

    // Files and pipes (calls_files.cpp).
    Reply open(CallState& state, Arguments& arguments);
    Reply pipe(CallState& state, Arguments& arguments);
    Reply splice(CallState& state, Arguments& arguments);
    Reply sendfile(CallState& state, Arguments& arguments);

    [[nodiscard]] Descriptor* find(int fd);
    /// The number for a new descriptor: the one the script expects if that is free, else the lowest.
    int add(Descriptor&& descriptor, const Expression& expected);
    void noticed(const Descriptor& descriptor);
    /// A blocked call whose socket has a timeout for it (SO_RCVTIMEO, SO_SNDTIMEO).
    Reply limited(const CallState& state, Arguments& arguments, Reply reply);

    Machine& machine_;
    const Settings& settings_;
    std::map<int, Descriptor> descriptors_;
    std::deque<Epoll> epolls_;  ///< all three are kept, so that descriptors stay good
    std::deque<Arrivals> arrivals_;
    std::deque<Pipe> pipes_;
    std::map<std::string, std::vector<std::byte>> files_;  ///< by name
    std::vector<ReadyEvent> ready_;
    std::optional<SocketId> info_socket_;
    std::optional<SocketId> datagram_;
    std::optional<Endpoint> closed_peer_;
    std::optional<std::uint16_t> listening_port_;
    std::optional<std::uint16_t> bound_port_;
    std::optional<tcp::Md5Key> md5_key_;
    std::optional<std::uint32_t> in_queue_;  ///< TCP_CM_INQ of the last receive
    Instant origin_;                         ///< the script's start
};

/// A call's arguments read one by one; the first that makes no sense is kept, and what is read then is 0.
class Arguments {
public:
    explicit Arguments(const Syscall& call) : call_(call) {}

    [[nodiscard]] std::size_t count() const { return call_.arguments.size(); }
    /// The expression in that place; an ellipsis where there is none.
    [[nodiscard]] const Expression& at(std::size_t index) const;
    [[nodiscard]] bool is_open(std::size_t index) const {
        return at(index).is(Expression::Kind::ellipsis);
    }
    std::int64_t number(std::size_t index) { return number_of(at(index)); }
    std::int64_t number_of(const Expression& expression);
    /// The same where `...` stands for `otherwise`.
    std::int64_t number(std::size_t index, std::int64_t otherwise) {
        return is_open(index) ? otherwise : number(index);
    }
    /// A size that a call moves or a buffer has: 0 … kMaxTransfer.
    std::size_t size_of(const Expression& expression);
    std::size_t size(std::size_t index) { return size_of(at(index)); }
    int fd(std::size_t index) { return static_cast<int>(number(index)); }

    void fail(std::string text) {
        if (trouble_.empty()) {
            trouble_ = std::move(text);
        }
    }
    void fail(const Trouble& trouble) {
        skip_ = skip_ || (trouble_.empty() && trouble.unsupported());
        fail(trouble.message);
    }
    [[nodiscard]] bool ok() const { return trouble_.empty(); }
    [[nodiscard]] Reply reply() const {
        return skip_ ? Reply::skip(trouble_) : Reply::wrong(trouble_);
    }

private:
    const Syscall& call_;
    std::string trouble_;
    bool skip_ = false;
};

/// The first part of a one-element array, or the expression itself: scripts write an int behind a pointer as [5].
[[nodiscard]] const Expression& pointee(const Expression& expression);
/// A structure's field by name or, without names, by place; nullptr when there is none.
[[nodiscard]] const Expression* field_of(const Expression& structure, std::string_view name,
                                         std::size_t place);

}  // namespace runnel::drill
