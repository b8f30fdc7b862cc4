#include "runnel/lab/tap.hpp"

#include <algorithm>
#include <cstring>

#include "runnel/base/check.hpp"
#include "runnel/report/capture_reader.hpp"
#include "runnel/report/pcapng_writer.hpp"

namespace runnel::lab {

namespace {
bool same(Bytes a, Bytes b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}
}  // namespace

std::size_t Tap::add(Instant now, Side from, Bytes bytes) {
    Packet& packet = packets_.emplace_back();
    packet.sent = now;
    packet.from = from;
    packet.bytes.assign(bytes.begin(), bytes.end());
    packet.delivered = packet.bytes;
    current_ = packets_.size() - 1;
    return current_;
}

// The same bytes may be sent twice; the first that isn't taken yet is meant.
Tap::Packet* Tap::find(Side host, bool outbound, Instant time, Bytes bytes) {
    std::size_t& open = first_open_[index_of(host)];
    while (!outbound && open < packets_.size() &&
           (packets_[open].arrived || packets_[open].from == host)) {
        ++open;
    }
    const auto first = outbound ? std::lower_bound(packets_.begin(), packets_.end(), time,
                                                   [](const Packet& packet, Instant instant) {
                                                       return packet.sent < instant;
                                                   })
                                : packets_.begin() + static_cast<std::ptrdiff_t>(open);
    const auto found = std::find_if(first, packets_.end(), [&](const Packet& packet) {
        const bool mine = packet.from == host;
        const bool taken = outbound ? packet.explained : packet.arrived;
        return mine == outbound && !taken &&
               same(outbound ? packet.bytes : packet.delivered, bytes);
    });
    return found == packets_.end() ? nullptr : &*found;
}

void Tap::take_reasons(Side host, Bytes capture) {
    const auto read = report::read_capture(capture);
    RUNNEL_CHECK(read.has_value());
    for (const report::CapturedPacket& seen : read->packets) {
        const bool outbound = seen.direction == report::PacketDirection::outbound;
        Packet* packet = find(host, outbound, Instant{seen.time_ns}, seen.bytes);
        if (packet == nullptr) {
            continue;  // neighbour discovery, and other talk that is no part of the lesson
        }
        (outbound ? packet->explained : packet->arrived) = true;
        const auto place = outbound ? packet->reasons.begin() : packet->reasons.end();
        packet->reasons.insert(place, seen.comments.begin(), seen.comments.end());
    }
}

std::vector<std::byte> Tap::capture(const std::string& name, std::size_t first,
                                    Instant settled) const {
    std::vector<std::byte> bytes;
    report::PcapngWriter writer(bytes, {});
    const std::uint32_t interface = writer.add_interface(name, LinkLayer::raw_ip);
    for (std::size_t i = first; i < packets_.size(); ++i) {
        const Packet& packet = packets_[i];
        std::vector<std::string> comments = packet.remarks;
        const bool overdue = !packet.arrived && packet.sent < settled;
        if ((packet.lost || overdue) && packet.remarks.empty()) {
            comments.emplace_back("lost on the way");
        }
        comments.insert(comments.end(), packet.reasons.begin(), packet.reasons.end());
        writer.write_packet(interface, packet.sent, packet.bytes, packet.bytes.size(),
                            report::PacketDirection::unknown, comments);
    }
    return bytes;
}

}  // namespace runnel::lab
