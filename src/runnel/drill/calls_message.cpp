// sendmsg and recvmsg: control messages, and the error queue (MSG_ERRQUEUE). What a script writes of a control message
// is compared field by field; one that Runnel hasn't makes the script one to skip.
#include <algorithm>
#include <limits>
#include <span>

#include <fmt/format.h>

#include "runnel/base/errno.hpp"
#include "runnel/drill/calls.hpp"
#include "runnel/drill/symbols.hpp"

namespace runnel::drill {

namespace {

constexpr int kEbadf = 9, kEnomsg = 42;
constexpr std::int64_t kMsgTrunc = 0x20, kMsgErrqueue = 0x2000;
constexpr std::int64_t kSolIp = 0, kSolSocket = 1, kSolTcp = 6, kSolIpv6 = 41;
constexpr std::int64_t kIpTos = 1, kIpRecvErr = 11, kIpv6RecvErr = 25, kIpv6Tclass = 67,
                       kTcpCmInq = 36;
constexpr std::int64_t kScmTimestamp = 29, kScmTimestampNs = 35, kScmTimestamping = 37,
                       kScmTimestampNew = 63, kScmTimestampNsNew = 64, kScmTimestampingNew = 65;

bool is_open(const Expression* written) {
    return written == nullptr || written->is(Expression::Kind::ellipsis);
}

bool is_stamp(std::int64_t level, std::int64_t type) {
    return level == kSolSocket &&
           (type == kScmTimestamp || type == kScmTimestampNs || type == kScmTimestamping ||
            type == kScmTimestampNew || type == kScmTimestampNsNew || type == kScmTimestampingNew);
}

struct Value {
    const char* name;
    std::int64_t value;
};

void compare_fields(const Expression& written, std::span<const Value> values, Arguments& arguments,
                    std::vector<std::string>& mismatches) {
    for (const Value& value : values) {
        const Expression* field = written.field(value.name);
        if (is_open(field)) {
            continue;
        }
        const std::int64_t expected = arguments.number_of(*field);
        if (expected != value.value) {
            mismatches.push_back(
                fmt::format("{}: expected {}, got {}", value.name, expected, value.value));
        }
    }
}

/// SO_EE_ORIGIN_ICMP6 is a number of its own.
std::int64_t origin_number(tcp::QueuedError::Origin origin, bool v6) {
    const auto number = static_cast<std::int64_t>(origin);
    return origin == tcp::QueuedError::Origin::icmp && v6 ? number + 1 : number;
}

}  // namespace

std::vector<Calls::Control> Calls::controls_of(const Expression* written, Arguments& arguments) {
    std::vector<Control> controls;
    if (written == nullptr || !written->is(Expression::Kind::array)) {
        return controls;
    }
    for (const Expression& part : written->parts) {
        const Expression* level = field_of(part, "cmsg_level", 0);
        const Expression* type = field_of(part, "cmsg_type", 1);
        if (level == nullptr || type == nullptr) {
            arguments.fail(
                "a control message is written as {cmsg_level=…, cmsg_type=…, cmsg_data=…}");
            return controls;
        }
        controls.push_back({arguments.number_of(*level), arguments.number_of(*type),
                            field_of(part, "cmsg_data", 2)});
    }
    return controls;
}

/// {scm_sec=0, scm_nsec=200000000}, {tv_sec=…, tv_usec=…}: since the script's start, within its tolerance.
void Calls::compare_stamp(const Control& control, Instant time, Arguments& arguments,
                          std::vector<std::string>& mismatches) const {
    if (is_open(control.data)) {
        return;
    }
    const Expression& data = pointee(*control.data);
    std::int64_t expected = 0;
    bool said = false;
    const Value kUnits[] = {
        {"scm_sec", 1'000'000'000}, {"tv_sec", 1'000'000'000}, {"tv_usec", 1'000},
        {"scm_usec", 1'000},        {"scm_nsec", 1},           {"tv_nsec", 1}};
    for (const Value& unit : kUnits) {
        const Expression* field = data.field(unit.name);
        if (!is_open(field)) {
            const std::int64_t most = std::numeric_limits<std::int64_t>::max() / 4 / unit.value;
            expected += std::clamp(arguments.number_of(*field), -most, most) * unit.value;
            said = true;
        }
    }
    const std::int64_t seen = (time - origin_).ns;
    const std::int64_t off = seen > expected ? seen - expected : expected - seen;
    if (said && (off < 0 || off > settings_.tolerance.ns)) {
        mismatches.push_back(fmt::format("timestamp: expected {}.{:09}, got {}.{:09}",
                                         expected / 1'000'000'000, expected % 1'000'000'000,
                                         seen / 1'000'000'000, seen % 1'000'000'000));
    }
}

/// The oldest entry of the error queue against the control messages that the script writes.
Reply Calls::take_error(const Descriptor& descriptor, const Expression& message, std::size_t room,
                        Arguments& arguments) {
    using Origin = tcp::QueuedError::Origin;
    constexpr std::int64_t kTsOnly = 0x800;
    SocketLayer& sockets = machine_.sockets();
    const auto controls = controls_of(message.field("msg_control"), arguments);
    std::int32_t wanted_stamps = 0;
    (void)sockets.get_linux_option(descriptor.socket, kSolSocket, kScmTimestamping,
                                   std::as_writable_bytes(std::span(&wanted_stamps, 1)),
                                   machine_.now());
    const auto queued = sockets.take_queued_error(descriptor.socket);
    if (!queued) {
        return Reply::failed(queued.error());
    }
    const bool stamp = queued->origin == Origin::timestamping;
    const bool payload = stamp && (wanted_stamps & kTsOnly) == 0;
    if (payload && room > 0) {
        return Reply::skip("the packet behind a timestamp (write msg_iov with a size of 0)");
    }
    const Value fields[] = {
        {"ee_errno", stamp                       ? kEnomsg
                     : queued->error == Errc::ok ? 0
                                                 : to_errno(queued->error)},
        {"ee_origin", origin_number(queued->origin, descriptor.v6)},
        {"ee_code", queued->code},
        {"ee_info", std::int64_t{queued->info}},
        {"ee_data", std::int64_t{queued->data}},
    };
    Reply reply;
    for (const Control& control : controls) {
        // An IPv6 socket has its own level, also for IPv4's errors; scripts for mapped addresses write either.
        const bool error =
            (descriptor.v6 && control.level == kSolIpv6 && control.type == kIpv6RecvErr) ||
            (settings_.ip_version != IpVersion::ipv6 && control.level == kSolIp &&
             control.type == kIpRecvErr);
        if (is_stamp(control.level, control.type) && stamp) {
            compare_stamp(control, queued->time, arguments, reply.mismatches);
        } else if (error && control.data != nullptr) {
            compare_fields(*control.data, fields, arguments, reply.mismatches);
            const Expression* type = control.data->field("ee_type");
            if (!is_open(type) && queued->origin != Origin::icmp) {
                const Value none[] = {{"ee_type", 0}};
                compare_fields(*control.data, none, arguments, reply.mismatches);
            }
        } else if (!error) {
            reply.mismatches.push_back(
                fmt::format("a control message of level {}, type {} does not come with it",
                            control.level, control.type));
        }
    }
    const Expression* flags = message.field("msg_flags");
    if (!is_open(flags) && queued->origin != Origin::icmp) {
        const std::int64_t seen = kMsgErrqueue | (payload ? kMsgTrunc : 0);
        const std::int64_t expected = arguments.number_of(*flags);
        // 0 is how a script writes what it hands in.
        if (expected != 0 && expected != seen) {
            reply.mismatches.push_back(fmt::format("msg_flags: expected {}, got {}",
                                                   flags_text(SymbolGroup::message_flag, expected),
                                                   flags_text(SymbolGroup::message_flag, seen)));
        }
    }
    return reply;
}

/// A control message that comes with data; false: Runnel has none of that kind.
bool Calls::compare_received(const Control& control, const Descriptor& descriptor,
                             Arguments& arguments, std::vector<std::string>& mismatches) {
    if (control.level == kSolTcp && control.type == kTcpCmInq) {
        if (!in_queue_) {
            mismatches.emplace_back("TCP_CM_INQ does not come: TCP_INQ is off");
        } else if (!is_open(control.data)) {
            const std::int64_t expected = arguments.number_of(pointee(*control.data));
            if (expected != std::int64_t{*in_queue_}) {
                mismatches.push_back(
                    fmt::format("TCP_CM_INQ: expected {}, got {}", expected, *in_queue_));
            }
        }
        return true;
    }
    if (!is_stamp(control.level, control.type) || !descriptor.arrivals) {
        return false;
    }
    Arrivals& arrivals = *descriptor.arrivals;
    while (!arrivals.ends.empty() && arrivals.ends.front().first < arrivals.consumed) {
        arrivals.ends.pop_front();
    }
    if (arrivals.ends.empty()) {
        mismatches.emplace_back("no timestamp comes with it");
    } else {
        compare_stamp(control, arrivals.ends.front().second, arguments, mismatches);
    }
    return true;
}

/// What has come since the last event, for those who want to know when.
void Calls::note_arrivals() {
    for (auto& [fd, descriptor] : descriptors_) {
        if (!descriptor.arrivals || descriptor.kind != Descriptor::Kind::stream) {
            continue;
        }
        Arrivals& arrivals = *descriptor.arrivals;
        const std::uint64_t end =
            arrivals.consumed + machine_.sockets().available(descriptor.socket).value_or(0);
        if (end > arrivals.known) {
            arrivals.known = end;
            arrivals.ends.emplace_back(end, machine_.now());
        }
    }
}

Calls::Transfer Calls::message_transfer(const Expression& message, Arguments& arguments) {
    Transfer transfer;
    transfer.fd = arguments.fd(0);
    transfer.flags = arguments.number(2, 0);
    transfer.name = message.field("msg_name");
    return transfer;
}

Reply Calls::recvmsg(CallState& state, Arguments& arguments) {
    const Expression& message = pointee(arguments.at(1));
    const Expression* vector = message.field("msg_iov");
    Transfer transfer = message_transfer(message, arguments);
    std::size_t room = 0;
    if (vector != nullptr && vector->is(Expression::Kind::array)) {
        transfer.pieces = pieces_of(*vector, arguments);
        for (const Piece& piece : transfer.pieces) {
            room += piece.size;
        }
    }
    Descriptor* descriptor = find(transfer.fd);
    if (!arguments.ok()) {
        return arguments.reply();
    }
    if (descriptor == nullptr) {
        return Reply::failed(kEbadf);
    }
    if (descriptor->is_socket() && (transfer.flags & kMsgErrqueue) != 0) {
        return take_error(*descriptor, message, room, arguments);
    }
    const auto controls = controls_of(message.field("msg_control"), arguments);
    Reply reply = receive(state, transfer, arguments);
    if (reply.kind != Reply::Kind::done || reply.value < 0) {
        return reply;
    }
    for (const Control& control : controls) {
        if (!compare_received(control, *descriptor, arguments, reply.mismatches)) {
            return Reply::skip(fmt::format("a control message of level {}, type {} of recvmsg()",
                                           control.level, control.type));
        }
    }
    return reply;
}

Reply Calls::sendmsg(CallState& state, Arguments& arguments) {
    const Expression& message = pointee(arguments.at(1));
    const Expression* vector = message.field("msg_iov");
    Transfer transfer = message_transfer(message, arguments);
    if (transfer.name != nullptr && transfer.name->is(Expression::Kind::ellipsis)) {
        const auto found = descriptors_.find(transfer.fd);
        // `...`: the other end, which a connected socket knows.
        if (found != descriptors_.end() && found->second.kind == Descriptor::Kind::datagram &&
            machine_.sockets().remote_endpoint(found->second.socket)) {
            transfer.name = nullptr;
        }
    }
    if (vector != nullptr) {
        transfer.pieces = pieces_of(*vector, arguments);
    }
    for (const Control& control : controls_of(message.field("msg_control"), arguments)) {
        const std::int64_t value =
            control.data == nullptr ? 0 : arguments.number_of(pointee(*control.data));
        if (is_stamp(control.level, control.type)) {
            transfer.timestamping = static_cast<std::uint32_t>(value);
        } else if ((control.level == kSolIp && control.type == kIpTos) ||
                   (control.level == kSolIpv6 && control.type == kIpv6Tclass)) {
            transfer.traffic_class = value;  // which a stream takes no notice of, in Linux too
        } else {
            return Reply::skip(fmt::format("a control message of level {}, type {} of sendmsg()",
                                           control.level, control.type));
        }
    }
    return transmit(state, transfer, arguments);
}

}  // namespace runnel::drill
