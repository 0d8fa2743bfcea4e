// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "braidway/explore/report.h"
#include "explore/rows.h"
#include "explore/waiting.h"
#include "explore/words.h"

namespace braidway::explore {
namespace {

// Pixels. A letter of the 12-pixel monospace font is 7.2 wide; a little more fits every font.
constexpr unsigned letter = 8;
constexpr unsigned row_height = 26;
constexpr unsigned box_height = 20;
constexpr unsigned gutter = 56;
constexpr unsigned lane_gap = 24;
constexpr unsigned margin = 16;
constexpr unsigned top = 98;
constexpr unsigned end_height = 66;
// Longer words end in "...".
constexpr size_t words_columns = 46;

std::string escaped(std::string_view text) {
    std::string out;
    for (const char each : printable(text)) {
        switch (each) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            case '\'':
                out += "&#39;";
                break;
            default:
                out += each;
        }
    }
    return out;
}

std::string shortened(std::string_view text) {
    std::string words = printable(text);
    if (columns_of(words) <= words_columns) return words;
    return std::string(first_columns(words, words_columns - 3)) + "...";
}

std::string_view box_colours(const Trace& trace, const Row& row) {
    if (row.kind != Row::Kind::step)
        return R"(fill="none" stroke="#b8b8b8" stroke-dasharray="3 3")";
    switch (trace.steps[row.step].kind) {
        case StepKind::lock:
            return R"(fill="#fff1c9" stroke="#b08500")";
        case StepKind::futex_sleep:
        case StepKind::futex_return:
            return R"(fill="#dfe7fb" stroke="#4a69bd")";
        case StepKind::futex_wake:
            return R"(fill="#d9f2df" stroke="#2e8b57")";
        case StepKind::killed:
            return R"(fill="#f8d7d7" stroke="#b02a2a")";
        case StepKind::note:
        case StepKind::start:
        case StepKind::end:
            return R"(fill="#f2f2f2" stroke="#999999")";
        default:
            return R"(fill="#ffffff" stroke="#777777")";
    }
}

struct Lane {
    unsigned left = 0;
    unsigned width = 0;
    unsigned middle() const { return left + width / 2; }
};

/// Draws one verdict.
class Picture {
  public:
    Picture(const Verdict& verdict, std::string_view title, const ReportOptions& options)
        : verdict_(verdict),
          trace_(verdict.trace),
          title_(printable(title)),
          rows_(rows_of(trace_, options)) {
        size_t threads = std::max(trace_.threads.size(), trace_.states.size());
        for (const Step& step : trace_.steps) threads = std::max<size_t>(threads, step.thread + 1);
        lanes_.resize(threads);
        if (verdict.finding == Finding::deadlock || verdict.finding == Finding::livelock)
            waitings_ = waitings(trace_);
        ring_ = ring_of(waitings_);
        measure();
    }

    std::string draw() {
        frame();
        lifelines();
        for (size_t at = 0; at < rows_.size(); ++at) row(rows_[at], at);
        wake_arrows();
        ends();
        blocked_arrows();
        reasons();
        out_ += "</svg>\n";
        return std::move(out_);
    }

  private:
    template <typename... Args>
    void put(fmt::format_string<Args...> format, Args&&... args) {
        fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
    }

    void text(unsigned x, unsigned y, std::string_view attributes, std::string_view words) {
        put("<text x=\"{}\" y=\"{}\" {}>{}</text>\n", x, y, attributes, escaped(words));
    }

    unsigned y_of(size_t at) const { return top + static_cast<unsigned>(at) * row_height; }
    unsigned ends_top() const { return y_of(rows_.size()) + 10; }
    unsigned arrows_top() const { return ends_top() + (trace_.states.empty() ? 0 : end_height); }
    unsigned reasons_top() const {
        return arrows_top() + 14 + 12 * static_cast<unsigned>(waitings_.size());
    }

    /// What the lane's last box says, line by line.
    std::vector<std::string> end_lines(unsigned thread) const {
        const ThreadState& state = trace_.states[thread];
        std::vector<std::string> lines{shortened(state_words(trace_, state))};
        const auto list = [&](std::string_view verb, const std::vector<ThreadState::Held>& locks) {
            std::string line(verb);
            for (const ThreadState::Held& each : locks)
                line += " " + lock_words(trace_, each.lock, each.mode);
            if (!locks.empty()) lines.push_back(shortened(line));
        };
        list("holds", state.holds);
        list("waits for", state.wants);
        return lines;
    }

    void measure() {
        std::vector<size_t> columns(lanes_.size(), 12);
        for (unsigned thread = 0; thread < lanes_.size(); ++thread) {
            size_t& widest = columns[thread];
            widest = std::max(widest, columns_of(shortened(thread_name(trace_, thread))));
            if (thread >= trace_.states.size()) continue;
            for (const std::string& line : end_lines(thread))
                widest = std::max(widest, columns_of(line));
        }
        for (const Row& row : rows_) {
            if (row.kind == Row::Kind::left_out) continue;
            columns[row.thread] = std::max(columns[row.thread], columns_of(shortened(row.words)));
        }
        unsigned left = gutter;
        for (size_t at = 0; at < lanes_.size(); ++at) {
            lanes_[at] = {left, static_cast<unsigned>(columns[at]) * letter + 12};
            left += lanes_[at].width + lane_gap;
        }
        // The title's letters are larger.
        size_t longest = std::max({columns_of(verdict_.summary()), columns_of(verdict_.message),
                                   columns_of(title_) * 5 / 4});
        for (const Waiting& waiting : waitings_)
            longest = std::max(longest, columns_of(waiting_words(trace_, waiting)));
        width_ = std::max(left, gutter + static_cast<unsigned>(longest) * letter) + margin;
        const bool ring_line = !ring_.empty();
        height_ = reasons_top() +
                  18 * static_cast<unsigned>(waitings_.size() + (ring_line ? 1 : 0)) + margin;
    }

    void frame() {
        put("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
            "height=\"{1}\" font-family=\"monospace\" font-size=\"12\" role=\"img\">\n",
            width_, height_);
        put("<title>{}</title>\n", escaped(title_));
        out_ +=
            "<defs>\n"
            "<marker id=\"wakes\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" "
            "markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" "
            "fill=\"#2e8b57\"/></marker>\n"
            "<marker id=\"waits\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" "
            "markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" "
            "fill=\"#b02a2a\"/></marker>\n"
            "</defs>\n";
        // Its own paper: the ink below is then right on any page.
        put("<rect width=\"{}\" height=\"{}\" rx=\"8\" fill=\"#fdfdfb\"/>\n", width_, height_);
        text(margin, 26, R"(font-size="15" font-weight="bold" fill="#1b1b1b")", title_);
        text(margin, 46, R"(fill="#555555")", verdict_.summary());
        text(margin, 62, R"(fill="#555555")", verdict_.message);
    }

    void lifelines() {
        for (unsigned thread = 0; thread < lanes_.size(); ++thread) {
            const Lane& lane = lanes_[thread];
            text(lane.middle(), top - 12,
                 R"(text-anchor="middle" font-weight="bold" fill="#1b1b1b")",
                 shortened(thread_name(trace_, thread)));
            put("<line x1=\"{0}\" y1=\"{1}\" x2=\"{0}\" y2=\"{2}\" stroke=\"#cccccc\"/>\n",
                lane.middle(), top - 6, ends_top());
        }
    }

    void row(const Row& row, size_t at) {
        const unsigned y = y_of(at);
        if (row.kind == Row::Kind::left_out) {
            text(gutter, y + 14, R"(fill="#555555")", row.words);
            return;
        }
        const Lane& lane = lanes_[row.thread];
        if (row.kind == Row::Kind::step)
            text(gutter - 12, y + 14, R"(text-anchor="end" fill="#777777" font-size="11")",
                 fmt::format("{}", row.step + 1));
        // The paper below a box without a fill hides the lane's line.
        put("<rect x=\"{0}\" y=\"{1}\" width=\"{2}\" height=\"{3}\" fill=\"#fdfdfb\"/>\n",
            lane.left, y, lane.width, box_height);
        put("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"4\" {}/>\n", lane.left, y,
            lane.width, box_height, box_colours(trace_, row));
        text(lane.middle(), y + 14, R"(text-anchor="middle" fill="#1b1b1b")", shortened(row.words));
    }

    void wake_arrows() {
        std::map<size_t, size_t> row_of_step;
        for (size_t at = 0; at < rows_.size(); ++at)
            if (rows_[at].kind == Row::Kind::step) row_of_step[rows_[at].step] = at;
        for (size_t at = 0; at < rows_.size(); ++at) {
            if (!rows_[at].waker) continue;
            const auto from = row_of_step.find(*rows_[at].waker);
            if (from == row_of_step.end()) continue;
            const Lane& source = lanes_[rows_[from->second].thread];
            const Lane& target = lanes_[rows_[at].thread];
            const bool right = source.left < target.left;
            put("<path d=\"M{} {}L{} {}\" fill=\"none\" stroke=\"#2e8b57\" stroke-width=\"1.5\" "
                "marker-end=\"url(#wakes)\"/>\n",
                right ? source.left + source.width : source.left,
                y_of(from->second) + box_height / 2,
                right ? target.left : target.left + target.width, y_of(at) + box_height / 2);
        }
    }

    void ends() {
        for (unsigned thread = 0; thread < trace_.states.size(); ++thread) {
            const Lane& lane = lanes_[thread];
            const bool in_ring = std::ranges::find(ring_, thread) != ring_.end();
            put("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"6\" fill=\"{}\" "
                "stroke=\"{}\"/>\n",
                lane.left, ends_top(), lane.width, end_height - 8, in_ring ? "#fbe3e3" : "#f2f2f2",
                in_ring ? "#b02a2a" : "#777777");
            unsigned y = ends_top() + 16;
            for (const std::string& line : end_lines(thread)) {
                text(lane.middle(), y, R"(text-anchor="middle" fill="#1b1b1b")", line);
                y += 16;
            }
        }
    }

    /// From below the one who waits to below the one it waits for, each at a depth of its own.
    void blocked_arrows() {
        unsigned depth = 14;
        for (const Waiting& waiting : waitings_) {
            if (waiting.why == Waiting::Why::free || waiting.why == Waiting::Why::word) continue;
            const unsigned base = ends_top() + end_height - 8;
            const unsigned from = lanes_[waiting.thread].middle() + 10;
            const unsigned to = lanes_[waiting.blocker].middle() - 10;
            put("<path d=\"M{0} {1}V{2}H{3}V{4}\" fill=\"none\" stroke=\"#b02a2a\" "
                "stroke-width=\"1.5\" marker-end=\"url(#waits)\"/>\n",
                from, base, base + depth, to, base + 1);
            depth += 12;
        }
    }

    void reasons() {
        unsigned y = reasons_top() + 14;
        for (const Waiting& waiting : waitings_) {
            text(gutter, y, R"(fill="#1b1b1b")", waiting_words(trace_, waiting));
            y += 18;
        }
        if (ring_.empty()) return;
        std::string words = "the ring: ";
        for (const unsigned thread : ring_) words += thread_name(trace_, thread) + " -> ";
        text(gutter, y, R"(fill="#b02a2a")", words + thread_name(trace_, ring_.front()));
    }

    const Verdict& verdict_;
    const Trace& trace_;
    std::string title_;
    std::vector<Row> rows_;
    std::vector<Lane> lanes_;
    std::vector<Waiting> waitings_;
    std::vector<unsigned> ring_;
    unsigned width_ = 0;
    unsigned height_ = 0;
    std::string out_;
};

}  // namespace

std::string trace_svg(const Verdict& verdict, std::string_view title,
                      const ReportOptions& options) {
    return Picture(verdict, title, options).draw();
}

}  // namespace braidway::explore
