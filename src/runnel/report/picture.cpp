#include "runnel/report/picture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "runnel/report/text.hpp"

namespace runnel::report {

namespace {

constexpr double kLeft = 78, kRight = 985, kWidth = 1000, kHeight = 920;

/// Colours that can be told apart by those who see few of them (Okabe and Ito), on both grounds.
constexpr std::string_view kStyle =
    "text{font:12px system-ui,sans-serif;fill:#333}"
    ".t{font-size:15px;font-weight:600}.g{stroke:#8884;fill:none}.f{stroke:#888;fill:none}"
    ".s{stroke:#0072b2}.a{stroke:#009e73}.r{stroke:#e69f00}.l{stroke:#d5201f}.i{stroke:#8a8a8a}"
    ".w{stroke:#0072b2}.h{stroke:#cc79a7;stroke-dasharray:5 4}.o{stroke:#cc79a7}"
    ".u{stroke:#009e73}"
    "path{fill:none;stroke-width:1.4;stroke-linejoin:round}.s,.r{stroke-width:2}"
    ".l,.u{stroke-width:1.8}.bg{fill:#fff}"
    ".open,.disorder,.recovery,.cwr,.loss{stroke-width:12}.open{stroke:#8883}.disorder{stroke:#f0e442}"
    ".recovery{stroke:#e69f00}.cwr{stroke:#cc79a7}.loss{stroke:#d5201f}"
    "@media(prefers-color-scheme:dark){.bg{fill:#16181c}text{fill:#d8d8d8}.s,.w{stroke:#56b4e9}"
    ".l{stroke:#ff6b5e}.a{stroke:#2fc797}}";

struct Panel {
    double top = 0, bottom = 0;
    double most_x = 1, most_y = 1;

    [[nodiscard]] double x(Duration at) const {
        return kLeft + static_cast<double>(at.ns) / 1e9 / most_x * (kRight - kLeft);
    }
    [[nodiscard]] double y(double value) const { return bottom - value / most_y * (bottom - top); }
};

/// 1, 2 or 5 times a power of ten, so that about `parts` of them reach `most`.
double step_for(double most, int parts) {
    const double raw = most / parts;
    const double power = std::pow(10.0, std::floor(std::log10(raw)));
    for (const double factor : {1.0, 2.0, 5.0}) {
        if (raw <= power * factor) {
            return power * factor;
        }
    }
    return power * 10;
}

std::string scaled(double value, std::string_view unit) {
    if (value >= 1e9) {
        return fmt::format("{:g} G{}", value / 1e9, unit);
    }
    if (value >= 1e6) {
        return fmt::format("{:g} M{}", value / 1e6, unit);
    }
    return value >= 1e3 ? fmt::format("{:g} k{}", value / 1e3, unit)
                        : fmt::format("{:g} {}", value, unit);
}
std::string octets_label(double octets) {
    return scaled(octets, "B");
}
std::string bits_label(double bits) {
    return scaled(bits, "bit/s");
}
std::string seconds_label(double seconds) {
    if (seconds == 0) {
        return "0";
    }
    return seconds < 1 ? fmt::format("{:g} ms", std::round(seconds * 1e6) / 1e3)
                       : fmt::format("{:g} s", std::round(seconds * 1e6) / 1e6);
}

class Drawing {
public:
    void text(double x, double y, std::string_view anchor, std::string_view what,
              std::string_view style = "") {
        out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y,
                           anchor, style.empty() ? "" : fmt::format(" class=\"{}\"", style),
                           escaped(what));
    }
    void path(std::string_view style, const std::string& data) {
        if (!data.empty()) {
            out += fmt::format("<path class=\"{}\" d=\"{}\"/>\n", style, data);
        }
    }
    void frame(const Panel& panel, std::string_view title, auto label, bool times) {
        const double step = step_for(panel.most_y, 5);
        for (double value = 0; value <= panel.most_y * 1.0001; value += step) {
            path("g", fmt::format("M{} {:.1f}H{}", kLeft, panel.y(value), kRight));
            text(kLeft - 6, panel.y(value) + 4, "end", label(value));
        }
        const double time_step = step_for(panel.most_x, 10);
        for (double at = 0; at <= panel.most_x * 1.0001; at += time_step) {
            const double x = kLeft + at / panel.most_x * (kRight - kLeft);
            path("g", fmt::format("M{:.1f} {}V{}", x, panel.top, panel.bottom));
            if (times) {
                text(x, panel.bottom + 17, "middle", seconds_label(at));
            }
        }
        path("f", fmt::format("M{} {}V{}H{}", kLeft, panel.top, panel.bottom, kRight));
        text(kLeft, panel.top - 8, "start", title);
    }
    /// A row of samples of lines with their names, ending near the right edge.
    void legend(double y,
                std::initializer_list<std::pair<std::string_view, std::string_view>> entries) {
        const auto width = [](std::string_view name) {
            return 24 + static_cast<double>(columns(name)) * 6.6 + 14;
        };
        double x = kRight;
        for (const auto& entry : entries) {
            x -= width(entry.second);
        }
        for (const auto& [style, name] : entries) {
            path(style, fmt::format("M{:.1f} {:.1f}h18", x, y - 4));
            text(x + 24, y, "start", name);
            x += width(name);
        }
    }

    std::string out;

private:
    static std::string escaped(std::string_view text) {
        std::string safe;
        for (const char c : printable(text)) {
            safe += c == '<' ? "&lt;" : c == '&' ? "&amp;" : c == '>' ? "&gt;" : std::string(1, c);
        }
        return safe;
    }
};

/// A staircase: each value holds until the next.
std::string stairs(const Panel& panel, const auto& points, auto value) {
    std::string data;
    double last = -1;
    for (const auto& point : points) {
        const double y = panel.y(value(point));
        if (data.empty()) {
            data = fmt::format("M{:.1f} {:.1f}", panel.x(point.at), y);
        } else if (std::abs(y - last) >= 0.05) {
            data += fmt::format("H{:.1f}V{:.1f}", panel.x(point.at), y);
        } else {
            continue;  // and what many small steps come to is drawn in the end
        }
        last = y;
    }
    return data.empty() ? data : data + fmt::format("H{:.1f}", panel.x(points.back().at));
}

std::string pieces(const Panel& panel, const std::vector<SentPiece>& sent) {
    std::string data;
    for (const SentPiece& piece : sent) {
        const double low = panel.y(static_cast<double>(piece.begin));
        // What is too short to be seen is made just high enough.
        const double high = std::min(panel.y(static_cast<double>(piece.end)), low - 1.2);
        data += fmt::format("M{:.1f} {:.1f}V{:.1f}", panel.x(piece.at), low, high);
    }
    return data;
}

std::string crosses(const Panel& panel, const std::vector<LostPiece>& lost) {
    std::string data;
    for (const LostPiece& piece : lost) {
        data += fmt::format("M{:.1f} {:.1f}l6 6m0-6l-6 6", panel.x(piece.at) - 3,
                            panel.y(static_cast<double>(piece.number)) - 3);
    }
    return data;
}

template <class Point, class Value>
double greatest(const std::vector<Point>& points, Value value, double least) {
    double most = least;
    for (const Point& point : points) {
        most = std::max(most, value(point));
    }
    return most;
}

double octets(std::uint64_t count) {
    return static_cast<double>(count);
}
double in_seconds(Duration duration) {
    return static_cast<double>(duration.ns) / 1e9;
}

void draw_sequence(Drawing& drawing, const TransferPicture& picture, Panel panel) {
    const auto end = [](const SentPiece& piece) { return octets(piece.end); };
    panel.most_y =
        greatest(picture.sent_again.points(), end, greatest(picture.sent.points(), end, 1)) * 1.02;
    drawing.frame(panel, "Sequence numbers, from the first octet on", octets_label, false);
    drawing.legend(panel.top - 8,
                   {{"s", "sent"}, {"r", "sent again"}, {"l", "lost ×"}, {"a", "acknowledged"}});
    drawing.path("a", stairs(panel, picture.acked.points(),
                             [](const AckPoint& point) { return octets(point.number); }));
    drawing.path("s", pieces(panel, picture.sent.points()));
    drawing.path("r", pieces(panel, picture.sent_again.points()));
    drawing.path("l", crosses(panel, picture.lost.points()));
}

void draw_windows(Drawing& drawing, const TransferPicture& picture, Panel panel) {
    const auto& points = picture.windows.points();
    panel.most_y =
        greatest(
            points, [](const WindowPoint& p) { return octets(std::max(p.window, p.in_flight)); },
            1) *
        1.05;
    drawing.frame(panel, "Congestion window", octets_label, false);
    drawing.legend(panel.top - 8,
                   {{"w", "window"}, {"i", "in flight"}, {"h", "slow-start threshold"}});
    drawing.path("i",
                 stairs(panel, points, [](const WindowPoint& p) { return octets(p.in_flight); }));
    std::vector<WindowPoint> known;
    std::copy_if(points.begin(), points.end(), std::back_inserter(known),
                 [](const WindowPoint& p) { return p.threshold != 0; });
    drawing.path("h", stairs(panel, known, [&](const WindowPoint& p) {
                     return std::min(octets(p.threshold), panel.most_y);
                 }));
    drawing.path("w", stairs(panel, points, [](const WindowPoint& p) { return octets(p.window); }));
}

/// A strip in the colour of the state; a mark where a reduction was taken back; and the reordering threshold wherever it
/// becomes another and there is room to say so.
void draw_recovery(Drawing& drawing, const TransferPicture& picture, Panel panel) {
    constexpr double kRoom = 30, kMark = 3;
    const auto& points = picture.recovery.points();
    drawing.text(kLeft, panel.top - 8, "start", "Loss recovery, and the reordering threshold");
    drawing.legend(panel.top - 8, {{"open", "open"},
                                   {"disorder", "disorder"},
                                   {"recovery", "recovery"},
                                   {"cwr", "CWR"},
                                   {"loss", "loss"},
                                   {"u", "undone"}});
    const double middle = (panel.top + panel.bottom) / 2;
    double free_from = 0;
    const RecoveryPoint* before = nullptr;
    std::string undone;
    for (std::size_t i = 0; i < points.size(); ++i) {
        const RecoveryPoint& point = points[i];
        const double x = panel.x(point.at);
        const double end = i + 1 < points.size() ? panel.x(points[i + 1].at) : kRight;
        drawing.path(point.state, fmt::format("M{:.1f} {:.1f}H{:.1f}", x, middle, end));
        if (before != nullptr && point.undone != before->undone) {
            undone +=
                fmt::format("M{:.1f} {:.1f}l-{} 6h{}z", x, panel.top - kMark, kMark, 2 * kMark);
        }
        if ((before == nullptr || point.reordering != before->reordering) && x >= free_from) {
            drawing.text(x, panel.bottom + 14, "start", fmt::format("{}", point.reordering));
            free_from = x + kRoom;
        }
        before = &point;
    }
    drawing.path("u", undone);
}

void draw_pacing(Drawing& drawing, const TransferPicture& picture, Panel panel) {
    const auto& points = picture.pacing.points();
    const auto bits = [](const PacingPoint& p) { return 8 * octets(p.rate); };
    panel.most_y = greatest(points, bits, 1) * 1.05;
    drawing.frame(panel, points.empty() ? "Pacing rate (not paced)" : "Pacing rate", bits_label,
                  false);
    drawing.path("w", stairs(panel, points, bits));
}

void draw_round_trips(Drawing& drawing, const TransferPicture& picture, Panel panel) {
    const auto& points = picture.round_trips.points();
    const auto smoothed = [](const RoundTripPoint& p) { return in_seconds(p.smoothed); };
    const double most = greatest(points, smoothed, 1e-6);
    // A timeout that has backed off would press the round trips flat: it may leave at the top.
    panel.most_y =
        std::min(greatest(
                     points, [](const RoundTripPoint& p) { return in_seconds(p.timeout); }, most),
                 most * 6) *
        1.08;
    drawing.frame(panel, "Round trip", seconds_label, true);
    drawing.legend(panel.top - 8, {{"w", "smoothed (SRTT)"}, {"o", "timeout (RTO)"}});
    drawing.path("o", stairs(panel, points, [&](const RoundTripPoint& p) {
                     return std::min(in_seconds(p.timeout), panel.most_y);
                 }));
    drawing.path("w", stairs(panel, points, smoothed));
}

double last_time(const TransferPicture& picture) {
    const auto at = [](const auto& point) { return in_seconds(point.at); };
    double most = greatest(picture.sent.points(), at, 1e-6);
    most = greatest(picture.sent_again.points(), at, most);
    most = greatest(picture.acked.points(), at, most);
    return greatest(picture.lost.points(), at, most);
}

}  // namespace

std::string transfer_svg(const TransferPicture& picture) {
    Drawing drawing;
    drawing.out = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" width=\"{}\" "
        "height=\"{}\" role=\"img\">\n<style>{}</style>\n<rect class=\"bg\" width=\"{}\" "
        "height=\"{}\"/>\n",
        kWidth, kHeight, kWidth, kHeight, kStyle, kWidth, kHeight);
    drawing.text(kLeft, 26, "start", picture.title, "t");
    const double most = last_time(picture);
    draw_sequence(drawing, picture, {.top = 62, .bottom = 400, .most_x = most});
    draw_windows(drawing, picture, {.top = 440, .bottom = 570, .most_x = most});
    draw_recovery(drawing, picture, {.top = 610, .bottom = 622, .most_x = most});
    draw_pacing(drawing, picture, {.top = 676, .bottom = 746, .most_x = most});
    draw_round_trips(drawing, picture, {.top = 784, .bottom = 885, .most_x = most});
    drawing.text((kLeft + kRight) / 2, 916, "middle",
                 picture.sent.is_thinned() ? "virtual time (of very many segments some are shown)"
                                           : "virtual time");
    return drawing.out + "</svg>\n";
}

}  // namespace runnel::report
