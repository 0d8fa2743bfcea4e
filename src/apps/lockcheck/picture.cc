// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numbers>
#include <utility>
#include <vector>

#include "apps/lockcheck/naming.h"

namespace braidway::lockcheck {
namespace {

// --- SVG, in pixels --------------------------------------------------------------------------
constexpr double box_width = 230;
constexpr double box_height = 50;
constexpr double width_min = 900;
constexpr double radius_min = 130;
constexpr double head_height = 70;
/// A ring is wider than high, as the boxes are.
constexpr double wider = 1.9;
/// About what one character of the text is wide.
constexpr size_t box_letters_max = 30;
constexpr size_t label_letters_max = 44;

// --- attributes, not a style sheet: not every program that shows SVG reads one
// --------------------
constexpr std::string_view title_style = R"(font-size="17" font-weight="bold" fill="#1b2a44")";
constexpr std::string_view message_style = R"(font-size="12" fill="#333333")";
constexpr std::string_view lock_style = R"(font-weight="bold" fill="#1b2a44" text-anchor="middle")";
/// With a white rim, where a line passes behind.
constexpr std::string_view who_style =
    R"(font-weight="bold" fill="#b3261e" stroke="#ffffff" stroke-width="4" paint-order="stroke")";
constexpr std::string_view where_style =
    R"(font-size="11" fill="#555555" stroke="#ffffff" stroke-width="4" paint-order="stroke")";
constexpr std::string_view what_style = R"(font-size="11" fill="#555555" text-anchor="middle")";
constexpr std::string_view way_style =
    R"~(fill="none" stroke="#b3261e" stroke-width="2" marker-end="url(#tip)")~";
constexpr std::string_view class_style =
    R"(stroke="#3b5b92" stroke-width="1.5" stroke-dasharray="6 5")";
constexpr std::string_view box_style =
    R"(rx="6" fill="#eef3fb" stroke="#3b5b92" stroke-width="1.5")";

struct Point {
    double x = 0;
    double y = 0;
};

std::string escaped_xml(std::string_view text) {
    std::string out;
    for (const char each : text) {
        if (each == '<')
            out += "&lt;";
        else if (each == '>')
            out += "&gt;";
        else if (each == '&')
            out += "&amp;";
        else if (each == '"')
            out += "&quot;";
        else
            out += each;
    }
    return out;
}

std::string escaped_dot(std::string_view text) {
    std::string out;
    for (const char each : text) {
        if (each == '"' || each == '\\') out += '\\';
        out += each;
    }
    return out;
}

/// At most `most` characters, cut at the end; never within a character.
std::string cut(std::string_view text, size_t most) {
    if (text.size() <= most) return std::string(text);
    size_t end = most - 3;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0u) == 0x80u) --end;
    return std::string(text.substr(0, end)) + "...";
}

/// What an arrow says: who wants it, and where.
std::string who(const Chain& chain) {
    return thread_word(chain) + (chain.wants_mode == "shared" ? " wants to read" : " wants it");
}

/// The arrow ends where the lock is that is wanted; what wants nothing has none.
bool has_arrow(const Finding& finding, const Chain& chain) {
    return finding.lock(chain.holds) != nullptr && finding.lock(chain.wants) != nullptr;
}

/// Pairs of locks that are one class, of which the first is wanted and the second held: where a
/// ring of classes goes on with another object.
std::vector<std::pair<const Lock*, const Lock*>> same_classes(const Finding& finding) {
    std::vector<std::pair<const Lock*, const Lock*>> pairs;
    for (const Chain& one : finding.chains)
        for (const Chain& next : finding.chains) {
            const Lock* wanted = finding.lock(one.wants);
            const Lock* held = finding.lock(next.holds);
            if (wanted == nullptr || held == nullptr || wanted == held) continue;
            const std::pair pair(wanted, held);
            if (wanted->lock_class && wanted->lock_class == held->lock_class &&
                std::ranges::find(pairs, pair) == pairs.end())
                pairs.push_back(pair);
        }
    return pairs;
}

size_t position(const Finding& finding, uint64_t index) {
    const auto found = std::ranges::find(finding.locks, index, &Lock::index);
    return static_cast<size_t>(std::distance(finding.locks.begin(), found));
}

/// Where the way from the middle of a box towards `to` leaves it.
Point edge_of_box(Point from, Point to) {
    const double x = to.x - from.x;
    const double y = to.y - from.y;
    const double by_x = x == 0 ? 1e9 : box_width / 2 / std::abs(x);
    const double by_y = y == 0 ? 1e9 : box_height / 2 / std::abs(y);
    const double part = std::min({by_x, by_y, 1.0});
    return {from.x + x * part, from.y + y * part};
}

void add_text(std::string& out, Point at, std::string_view text, std::string_view style) {
    out += fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\" {}>{}</text>\n", at.x, at.y, style,
                       escaped_xml(text));
}

/// What lies on the outer side of a picture grows away from its middle.
std::string anchored(std::string_view style, double x, Point middle) {
    const std::string_view anchor = x > middle.x + 20   ? "start"
                                    : x < middle.x - 20 ? "end"
                                                        : "middle";
    return fmt::format("{} text-anchor=\"{}\"", style, anchor);
}

void add_class_line(std::string& out, Point left, Point right, Point middle) {
    const Point start = edge_of_box(left, right);
    const Point end = edge_of_box(right, left);
    const Point half{(start.x + end.x) / 2, (start.y + end.y) / 2};
    out += fmt::format("<line x1=\"{:.0f}\" y1=\"{:.0f}\" x2=\"{:.0f}\" y2=\"{:.0f}\" {}/>\n",
                       start.x, start.y, end.x, end.y, class_style);
    add_text(out, {half.x, half.y + 4}, "one class", anchored(where_style, half.x, middle));
}

void add_arrow(std::string& out, const Chain& chain, Point from, Point to, Point middle) {
    Point bend{};
    std::string path;
    if (from.x == to.x && from.y == to.y) {
        // A loop above the box.
        bend = {from.x, from.y - box_height * 1.6};
        path =
            fmt::format("M{:.0f},{:.0f} C{:.0f},{:.0f} {:.0f},{:.0f} {:.0f},{:.0f}", from.x - 50,
                        from.y - box_height / 2, from.x - 90, from.y - box_height * 2, from.x + 90,
                        from.y - box_height * 2, from.x + 50, from.y - box_height / 2);
    } else {
        // To the left of its way, so that two arrows between two boxes do not meet.
        const double length = std::hypot(to.x - from.x, to.y - from.y);
        const double aside = 55;
        const Point half{(from.x + to.x) / 2, (from.y + to.y) / 2};
        bend = {half.x + (to.y - from.y) / length * aside,
                half.y - (to.x - from.x) / length * aside};
        const Point start = edge_of_box(from, bend);
        const Point end = edge_of_box(to, bend);
        path = fmt::format("M{:.0f},{:.0f} Q{:.0f},{:.0f} {:.0f},{:.0f}", start.x, start.y, bend.x,
                           bend.y, end.x, end.y);
        // The curve passes half way to the point that bends it.
        bend = {(bend.x + half.x) / 2, (bend.y + half.y) / 2};
    }
    out += fmt::format("<path d=\"{}\" {}/>\n", path, way_style);
    const bool below = bend.y > middle.y + 1;
    const double first = below ? bend.y + 20 : bend.y - 26;
    const Frame* place = site(chain.wants_stack);
    add_text(out, {bend.x, first}, cut(who(chain), label_letters_max),
             anchored(who_style, bend.x, middle));
    if (place != nullptr)
        add_text(out, {bend.x, first + 15}, cut("in " + short_place(*place), label_letters_max),
                 anchored(where_style, bend.x, middle));
}

double radius_of(const Finding& finding) {
    const size_t count = finding.locks.size();
    if (count < 2) return 0;
    return std::max(radius_min, 95.0 * static_cast<double>(count) / std::numbers::pi);
}

/// One finding whose top is at `top`; returns its height.
double add_finding(std::string& out, const Finding& finding, double top, double width) {
    const size_t count = finding.locks.size();
    const double radius = radius_of(finding);
    // Two locks lie side by side.
    const double tall = count == 2 ? 0 : radius;
    const double around = count == 1 ? box_height * 2 : 85;
    const Point middle{width / 2, top + head_height + around + tall};
    std::vector<Point> places;
    for (size_t at = 0; at < count; ++at) {
        const double turn =
            2 * std::numbers::pi * static_cast<double>(at) / static_cast<double>(count) -
            (count == 2 ? std::numbers::pi : std::numbers::pi / 2);
        places.push_back(
            {middle.x + wider * radius * std::cos(turn), middle.y + radius * std::sin(turn)});
    }
    add_text(out, {20, top + 30}, fmt::format("{}. {}", finding.number, finding.kind), title_style);
    add_text(out, {20, top + 50}, cut(finding.message, 140), message_style);
    for (const auto& [wanted, held] : same_classes(finding))
        add_class_line(out, places[position(finding, wanted->index)],
                       places[position(finding, held->index)], middle);
    for (const Chain& chain : finding.chains)
        if (has_arrow(finding, chain))
            add_arrow(out, chain, places[position(finding, *chain.holds)],
                      places[position(finding, *chain.wants)], middle);
    for (size_t at = 0; at < count; ++at) {
        const Lock& lock = finding.locks[at];
        const Point place = places[at];
        out += fmt::format("<rect x=\"{:.0f}\" y=\"{:.0f}\" width=\"{}\" height=\"{}\" {}/>\n",
                           place.x - box_width / 2, place.y - box_height / 2, box_width, box_height,
                           box_style);
        add_text(out, {place.x, place.y - 4}, cut(lock_word(finding, lock.index), box_letters_max),
                 lock_style);
        add_text(out, {place.x, place.y + 14}, cut(describe(lock), box_letters_max + 8),
                 what_style);
    }
    // The loop of a single lock is above it.
    const double under = count == 1 ? box_height : around;
    return head_height + around + 2 * tall + under;
}

}  // namespace

std::string dot_picture(std::span<const Finding> findings) {
    std::string out = "digraph lockcheck {\n    node [shape=box, style=rounded];\n";
    for (const Finding& whole : findings) {
        if (whole.suppressed_by) continue;
        const Finding finding = whole.without_also_held();
        out += fmt::format("    subgraph cluster_{} {{\n        label=\"{}: {}\";\n",
                           finding.number, escaped_dot(finding.kind), escaped_dot(finding.message));
        const auto node = [&finding](uint64_t index) {
            return fmt::format("lock_{}_{}", finding.number, index);
        };
        for (const Lock& lock : finding.locks)
            out += fmt::format("        {} [label=\"{}\\n{}\"];\n", node(lock.index),
                               escaped_dot(lock_word(finding, lock.index)),
                               escaped_dot(describe(lock)));
        for (const Chain& chain : finding.chains) {
            if (!has_arrow(finding, chain)) continue;
            out += fmt::format("        {} -> {} [label=\"{}\\nin {}\"];\n", node(*chain.holds),
                               node(*chain.wants), escaped_dot(who(chain)),
                               escaped_dot(short_place(chain.wants_stack)));
        }
        for (const auto& [wanted, held] : same_classes(finding))
            out += fmt::format("        {} -> {} [dir=none, style=dashed, label=\"one class\"];\n",
                               node(wanted->index), node(held->index));
        out += "    }\n";
    }
    return out + "}\n";
}

std::string svg_picture(std::span<const Finding> findings) {
    std::string body;
    std::vector<Finding> drawn;
    for (const Finding& finding : findings)
        if (!finding.suppressed_by) drawn.push_back(finding.without_also_held());
    double width = width_min;
    for (const Finding& finding : drawn)
        width = std::max(width, 2 * wider * radius_of(finding) + box_width + 2 * 40);
    double height = 10;
    for (const Finding& finding : drawn) height += add_finding(body, finding, height, width);
    return fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
        "viewBox=\"0 0 {0:.0f} {1:.0f}\" font-family=\"sans-serif\" font-size=\"13\">\n"
        "<defs><marker id=\"tip\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"8\" "
        "markerHeight=\"8\" orient=\"auto\"><path d=\"M0,0 L10,5 L0,10 z\" fill=\"#b3261e\"/>"
        "</marker></defs>\n"
        "<rect x=\"0\" y=\"0\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
        "fill=\"#ffffff\"/>\n"
        "{2}</svg>\n",
        width, height + 10, body);
}

}  // namespace braidway::lockcheck
