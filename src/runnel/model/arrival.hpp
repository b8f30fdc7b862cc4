// SEGMENT ARRIVES of the reference TCP: RFC 9293 §3.10.7 for all eleven states, with RFC 5961 and RFC 7323.
#pragma once

#include "runnel/model/run.hpp"

namespace runnel::model {

/// Everything that a conforming TCP may do when `segment` arrives for `block`. Never empty.
[[nodiscard]] Outcomes segment_arrives(const Block& block, const Segment& segment);

// The parts, for the model's own files.

/// §3.10.7.1.
void arrives_closed(Run& run, const Segment& segment);
/// §3.10.7.2.
void arrives_listen(Run& run, const Segment& segment);
/// §3.10.7.3.
void arrives_syn_sent(Run& run, const Segment& segment);
/// §3.10.7.4.
void arrives_otherwise(Run& run, const Segment& segment);

/// A segment whose number has been unwrapped and which may have been cut to the window.
struct Arrived {
    const TcpHeader& header;
    Number seq = 0;
    Number ack = 0;
    std::string_view text;
    bool syn = false;  ///< a SYN that counts; cleared when it lies left of the window
    bool fin = false;
    Number number = 0;           ///< SEG.SEQ as it came: what the urgent pointer counts from
    bool window_closed = false;  ///< let through a zero window for its ACK, URG and RST only

    [[nodiscard]] Number length() const {
        return static_cast<Number>(text.size()) + (syn ? 1 : 0) + (fin ? 1 : 0);
    }
    [[nodiscard]] Number end() const { return seq + length(); }
};

/// Sixth, seventh and eighth step: URG, text, FIN.
void take_urgent(Run& run, const Arrived& s);
/// False when the connection has ended.
bool take_text(Run& run, const Arrived& s);
void take_fin(Run& run, const Arrived& s);

}  // namespace runnel::model
