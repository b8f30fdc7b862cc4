// What a user asked to be told about octets on their way (MSG_ZEROCOPY, SO_TIMESTAMPING of Linux), where
// records end (MSG_EOR), and the error queue in which the answers wait. Most connections have none of it,
// so it stands out of line and costs the others one pointer.
#pragma once

#include <cstdint>
#include <optional>

#include "runnel/base/ring.hpp"
#include "runnel/base/time.hpp"
#include "runnel/tcp/seq64.hpp"
#include "runnel/tcp/stack.hpp"

namespace runnel::tcp {

class SendNotices {
public:
    /// Marks of sends under way, and entries of the error queue nobody has taken; more are not kept.
    static constexpr std::size_t kMaxMarks = 4096;
    static constexpr std::size_t kMaxQueued = 1024;

    /// One SEND has put octets up to `end` into the buffer; `last` is the number of its last octet.
    void mark(Seq64 end, const SendFlags& flags, std::uint32_t timestamping);
    /// Room for what `flags` asks to remember; a zero-copy SEND without room fails with no_buffer_space.
    [[nodiscard]] bool has_room() const { return marks_.size() < kMaxMarks; }

    /// SND.NXT and SND.UNA have come to `nxt` and `una`.
    void sent(Seq64 nxt, Instant now);
    void acknowledged(Seq64 una, Instant now);
    /// Nothing will be acknowledged any more: what was lent comes back.
    void give_up();

    /// The end of the first record (MSG_EOR) behind `seq`, or none.
    [[nodiscard]] std::optional<Seq64> record_end(Seq64 seq) const;

    /// SOF_TIMESTAMPING_OPT_ID: keys count octets from `base` on.
    void start_keys(Seq64 base) { key_base_ = base; }

    void push(const QueuedError& error);
    [[nodiscard]] std::optional<QueuedError> take();
    [[nodiscard]] bool waiting() const { return !queue_.empty(); }
    /// Nothing to remember: it may go.
    [[nodiscard]] bool idle() const { return marks_.empty() && ends_.empty() && queue_.empty(); }

private:
    struct Mark {
        Seq64 end;
        std::uint32_t zerocopy_id = 0;
        bool zerocopy = false;
        bool copied = false;
        bool on_schedule = false;
        bool on_send = false;
        bool on_ack = false;
        bool keyed = false;
    };
    void stamp(const Mark& mark, QueuedError::Stamp what, Instant now);
    void complete(const Mark& mark);

    Ring<Mark> marks_;  ///< by `end`
    Ring<Seq64> ends_;  ///< of records, ascending
    Ring<QueuedError> queue_;
    std::size_t first_unsent_ = 0;
    std::uint32_t next_zerocopy_ = 0;
    Seq64 key_base_;
};

}  // namespace runnel::tcp
