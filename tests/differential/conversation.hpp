// The peer of one subject: it knows the live numbers of the conversation, turns a script's relative segments
// into packets, and writes down what the subject sends, in relative numbers. One and the same for every
// subject, so that a difference seen is a difference of the subjects.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runnel/base/bytes.hpp"
#include "runnel/wire/address.hpp"
#include "runnel/wire/tcp_segment.hpp"
#include "script.hpp"

namespace runnel::differential {

/// What a script's outcome is made of: one record a step.
struct StepRecord {
    std::int64_t at_us = 0;  ///< since the script began
    std::string result;      ///< of a call
    std::uint32_t seq = 0;   ///< of an injected segment, from the peer's initial number
    std::string stimulus;  ///< of a segment: its numbers as resolved, and those of the conversation
    std::vector<std::string> packets;  ///< JSON objects
    std::string status;                ///< JSON object: the subject after the step
};

class Conversation {
public:
    explicit Conversation(const Script& script);

    [[nodiscard]] const Script& script() const { return *script_; }
    /// The subject's side and ours.
    [[nodiscard]] const FourTuple& subject() const { return subject_; }

    /// The packet of an injected segment.
    std::vector<std::byte> build(const SegmentStep& step, std::int64_t now_us);
    /// A raw IP packet that the subject sent.
    void observe(Bytes packet, std::int64_t now_us);

    std::vector<StepRecord> records;
    /// Another subject's outcome: `rnxt` means what that one had acknowledged, so that both get one stimulus.
    const std::vector<StepRecord>* model = nullptr;
    /// How long the machine kept the player from looking, at worst: packets may have been seen so much late.
    std::int64_t stalled_us = 0;

    /// The addresses that every script's subject has, and its own peer's.
    static IpAddress subject_address(bool v6);
    static IpAddress peer_address(bool v6, std::uint32_t id);

private:
    [[nodiscard]] std::uint32_t resolve(const Relative& number) const;
    [[nodiscard]] std::vector<std::uint8_t> options_of(const SegmentStep& step,
                                                       std::int64_t now_us) const;
    [[nodiscard]] std::string describe(const TcpHeader& h, Bytes payload, std::int64_t now_us,
                                       std::uint32_t window) const;
    void note_injected(const SegmentStep& step);

    const Script* script_;
    FourTuple subject_;
    std::uint32_t peer_iss_;
    std::uint32_t stamp_base_;
    // What the subject has shown.
    std::uint32_t iss_ = 0;
    bool knows_iss_ = false;
    bool synchronized_ =
        false;  ///< it has said more than a SYN: later SYNs of ours change no options
    std::uint32_t highest_ = 0;   ///< after the last octet it sent
    std::uint32_t received_ = 0;  ///< its RCV.NXT as it last said
    std::uint32_t window_ = 0;    ///< its window, in octets
    std::uint32_t last_stamp_ = 0;
    std::uint32_t first_stamp_ = 0;
    bool stamps_ = false;  ///< both SYNs had timestamps
    bool subject_offered_stamps_ = false, peer_offered_stamps_ = false;
    int subject_scale_ = -1, peer_scale_ = -1;
    // What we have acknowledged.
    std::uint32_t acknowledged_ = 0;
};

}  // namespace runnel::differential
