#include "runnel/tcp/send/send_notices.hpp"

namespace runnel::tcp {

void SendNotices::mark(Seq64 end, const SendFlags& flags, std::uint32_t timestamping) {
    if (flags.end_of_record && (ends_.empty() || ends_.back() < end)) {
        ends_.push_back(end);
    }
    Mark mark;
    mark.end = end;
    mark.zerocopy = flags.zerocopy;
    mark.copied = !flags.by_reference;
    mark.on_schedule = (timestamping & Timestamping::kTxSched) != 0;
    mark.on_send = (timestamping & Timestamping::kTxSoftware) != 0;
    mark.on_ack = (timestamping & Timestamping::kTxAck) != 0;
    mark.keyed = (timestamping & Timestamping::kOptId) != 0;
    if (!mark.zerocopy && !mark.on_schedule && !mark.on_send && !mark.on_ack) {
        return;
    }
    if (mark.zerocopy) {
        mark.zerocopy_id = next_zerocopy_++;
    }
    if (has_room()) {
        marks_.push_back(mark);
    }
}

void SendNotices::stamp(const Mark& mark, QueuedError::Stamp what, Instant now) {
    QueuedError entry;
    entry.origin = QueuedError::Origin::timestamping;
    entry.info = static_cast<std::uint32_t>(what);
    // The key names the last octet of the SEND.
    entry.data =
        mark.keyed ? static_cast<std::uint32_t>((mark.end - 1).value - key_base_.value) : 0;
    entry.time = now;
    push(entry);
}

void SendNotices::sent(Seq64 nxt, Instant now) {
    for (; first_unsent_ < marks_.size() && marks_[first_unsent_].end <= nxt; ++first_unsent_) {
        const Mark& mark = marks_[first_unsent_];
        if (mark.on_schedule) {
            stamp(mark, QueuedError::Stamp::scheduled, now);
        }
        if (mark.on_send) {
            stamp(mark, QueuedError::Stamp::sent, now);
        }
    }
}

void SendNotices::acknowledged(Seq64 una, Instant now) {
    while (!marks_.empty() && marks_.front().end <= una) {
        const Mark mark = marks_.front();
        marks_.pop_front();
        first_unsent_ -= first_unsent_ > 0 ? 1 : 0;
        if (mark.on_ack) {
            stamp(mark, QueuedError::Stamp::acknowledged, now);
        }
        complete(mark);
    }
    while (!ends_.empty() && ends_.front() <= una) {
        ends_.pop_front();
    }
}

void SendNotices::give_up() {
    for (; !marks_.empty(); marks_.pop_front()) {
        complete(marks_.front());
    }
    ends_.clear();
    first_unsent_ = 0;
}

void SendNotices::complete(const Mark& mark) {
    if (!mark.zerocopy) {
        return;
    }
    if (!queue_.empty()) {
        // Linux tells of neighbours in one entry.
        QueuedError& last = queue_.back();
        if (last.origin == QueuedError::Origin::zerocopy && last.data + 1 == mark.zerocopy_id &&
            (last.code == QueuedError::kCopied) == mark.copied) {
            last.data = mark.zerocopy_id;
            return;
        }
    }
    QueuedError entry;
    entry.origin = QueuedError::Origin::zerocopy;
    entry.code = mark.copied ? QueuedError::kCopied : std::uint8_t{0};
    entry.info = entry.data = mark.zerocopy_id;
    push(entry);
}

std::optional<Seq64> SendNotices::record_end(Seq64 seq) const {
    std::size_t low = 0;
    std::size_t high = ends_.size();
    while (low < high) {
        const std::size_t middle = (low + high) / 2;
        (ends_[middle] <= seq ? low : high) = ends_[middle] <= seq ? middle + 1 : middle;
    }
    return low < ends_.size() ? std::optional(ends_[low]) : std::nullopt;
}

void SendNotices::push(const QueuedError& error) {
    if (queue_.size() < kMaxQueued) {
        queue_.push_back(error);
    }
}

std::optional<QueuedError> SendNotices::take() {
    if (queue_.empty()) {
        return std::nullopt;
    }
    const QueuedError first = queue_.front();
    queue_.pop_front();
    return first;
}

}  // namespace runnel::tcp
