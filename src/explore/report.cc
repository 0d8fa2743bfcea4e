// SPDX-License-Identifier: Apache-2.0
#include "braidway/explore/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "explore/rows.h"
#include "explore/waiting.h"
#include "explore/words.h"

namespace braidway::explore {
namespace {

/// Cells below each other: all but the last of a line are as wide as the widest of their column.
class Table {
  public:
    void add(std::vector<std::string> cells) {
        widths_.resize(std::max(widths_.size(), cells.size()));
        for (size_t at = 0; at < cells.size(); ++at)
            widths_[at] = std::max(widths_[at], columns_of(cells[at]));
        lines_.push_back(std::move(cells));
    }

    size_t width() const {
        size_t width = 0;
        for (const size_t each : widths_) width += each + between.size();
        return width;
    }

    void print(std::string& out) const {
        for (const std::vector<std::string>& cells : lines_) {
            std::string line;
            for (size_t at = 0; at < cells.size(); ++at) {
                line += cells[at];
                if (at + 1 == cells.size()) break;
                line.append(widths_[at] - columns_of(cells[at]), ' ');
                line += between;
            }
            line.erase(line.find_last_not_of(' ') + 1);
            out += line;
            out += '\n';
        }
    }

  private:
    static constexpr std::string_view between = "  ";
    std::vector<size_t> widths_;
    std::vector<std::vector<std::string>> lines_;
};

unsigned threads_of(const Trace& trace) {
    size_t threads = std::max(trace.threads.size(), trace.states.size());
    for (const Step& step : trace.steps) threads = std::max<size_t>(threads, step.thread + 1);
    return static_cast<unsigned>(threads);
}

/// The number of a row's step, counted from 1; nothing for rows of several.
std::string row_number(const Row& row, size_t steps) {
    if (row.kind != Row::Kind::step) return "";
    return fmt::format("{:>{}}", row.step + 1, std::max(columns_of(fmt::format("{}", steps)), 4UL));
}

/// A column for each thread.
Table columns_table(const Trace& trace, const std::vector<Row>& rows) {
    const unsigned threads = threads_of(trace);
    Table table;
    std::vector<std::string> head{"step"};
    for (unsigned thread = 0; thread < threads; ++thread)
        head.push_back(thread_name(trace, thread));
    table.add(std::move(head));
    for (const Row& row : rows) {
        const bool everybody = row.kind == Row::Kind::left_out;
        std::vector<std::string> cells{row_number(row, trace.steps.size())};
        for (unsigned thread = 0; thread < threads; ++thread)
            cells.push_back(everybody || thread == row.thread ? row.words : "");
        table.add(std::move(cells));
    }
    return table;
}

/// For many threads or long words: the thread stands where it changes.
Table list_table(const Trace& trace, const std::vector<Row>& rows) {
    Table table;
    table.add({"step", "thread", ""});
    std::optional<unsigned> before;
    for (const Row& row : rows) {
        const bool everybody = row.kind == Row::Kind::left_out;
        const bool switched = !everybody && before != row.thread;
        table.add({row_number(row, trace.steps.size()),
                   switched ? thread_name(trace, row.thread) : "", row.words});
        before = everybody ? std::nullopt : std::optional(row.thread);
    }
    return table;
}

void print_steps(const Trace& trace, const ReportOptions& options, std::string& out) {
    if (trace.steps.empty()) {
        out += "no steps\n";
        return;
    }
    const std::vector<Row> rows = rows_of(trace, options);
    const Table columns = columns_table(trace, rows);
    if (columns.width() <= options.width_max)
        columns.print(out);
    else
        list_table(trace, rows).print(out);
}

std::string locks_words(const Trace& trace, const std::vector<ThreadState::Held>& locks) {
    std::string words;
    for (const ThreadState::Held& each : locks)
        words += (words.empty() ? "" : ", ") + lock_words(trace, each.lock, each.mode);
    return words.empty() ? "-" : words;
}

/// Holders and waiters.
void print_states(const Trace& trace, std::string& out) {
    if (trace.states.empty()) return;
    out += "\nat the end:\n";
    Table table;
    table.add({"thread", "state", "holds", "waits for"});
    for (unsigned thread = 0; thread < trace.states.size(); ++thread) {
        const ThreadState& state = trace.states[thread];
        table.add({thread_name(trace, thread), state_words(trace, state),
                   locks_words(trace, state.holds), locks_words(trace, state.wants)});
    }
    table.print(out);
}

void print_reasons(const Trace& trace, std::string& out) {
    const std::vector<Waiting> found = waitings(trace);
    if (found.empty()) return;
    out += "\nwhy nobody goes on:\n";
    for (const Waiting& waiting : found)
        fmt::format_to(std::back_inserter(out), "  {}\n", waiting_words(trace, waiting));
    const std::vector<unsigned> ring = ring_of(found);
    if (ring.empty()) return;
    out += "  the ring: ";
    for (const unsigned thread : ring)
        fmt::format_to(std::back_inserter(out), "{} -> ", thread_name(trace, thread));
    fmt::format_to(std::back_inserter(out), "{}\n", thread_name(trace, ring.front()));
}

}  // namespace

std::string report_text(const Verdict& verdict, const ReportOptions& options) {
    std::string out = verdict.summary() + '\n';
    if (!verdict.message.empty()) out += printable(verdict.message) + '\n';
    if (verdict.clean()) return out;
    out += '\n';
    print_steps(verdict.trace, options, out);
    print_states(verdict.trace, out);
    // Elsewhere others could still go on, so that nobody is to blame yet.
    if (verdict.finding == Finding::deadlock || verdict.finding == Finding::livelock)
        print_reasons(verdict.trace, out);
    if (!verdict.replay.empty())
        fmt::format_to(std::back_inserter(out),
                       "\nagain: .method = Method::replay, .replay = \"{}\"\n",
                       printable(verdict.replay));
    return out;
}

}  // namespace braidway::explore
