// SPDX-License-Identifier: Apache-2.0
#include "explore/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "explore/waiting.h"
#include "explore/words.h"

namespace braidway::explore {
namespace {

constexpr unsigned rows_least = 4;

bool inside(const NamedObject& object, const void* address) {
    const auto* const begin = static_cast<const std::byte*>(object.begin);
    const auto* const at = static_cast<const std::byte*>(address);
    return std::less_equal<>{}(begin, at) && std::less<>{}(at, begin + object.size_bytes);
}

/// Finds the steps that a lock's own words make needless.
class Folding {
  public:
    explicit Folding(const Trace& trace) {
        std::set<const void*> locks;
        for (const Step& step : trace.steps)
            if (step.kind == StepKind::lock) locks.insert(step.address);
        for (const NamedObject& object : trace.objects)
            if (std::ranges::any_of(locks, [&](const void* at) { return inside(object, at); }))
                objects_.push_back(object);
    }

    bool folds(const Step& step) const {
        switch (step.kind) {
            case StepKind::load:
            case StepKind::store:
            case StepKind::exchange:
            case StepKind::failed_cas:
            case StepKind::flush:
            case StepKind::mutex_lock:
            case StepKind::mutex_unlock:
            case StepKind::spin:
                return std::ranges::any_of(objects_, [&](const NamedObject& object) {
                    return inside(object, step.address);
                });
            default:
                return false;
        }
    }

  private:
    std::vector<NamedObject> objects_;
};

std::string counted_steps(size_t steps) {
    return fmt::format("... {} step{}", steps, steps == 1 ? "" : "s");
}

Row step_row(const Trace& trace, size_t at, const std::optional<size_t>& waker) {
    const Step& step = trace.steps[at];
    Row row{.step = at, .thread = step.thread, .waker = waker, .words = {}};
    const bool woken =
        step.kind == StepKind::futex_return && step.outcome == sync::FutexOutcome::woken;
    if (!woken) {
        row.words = step_words(trace, step);
    } else {
        const std::string word = printable(name_of(trace, step.address));
        row.words = waker ? fmt::format("{}: woken by {}", word,
                                        thread_name(trace, trace.steps[*waker].thread))
                          : fmt::format("{}: wakes up for no reason", word);
    }
    return row;
}

/// The steps that `thread` folded until now, as one row before its next.
void add_folded(const Trace& trace, std::vector<size_t>& folded, unsigned thread,
                std::vector<Row>& rows) {
    if (folded.empty()) return;
    if (folded.size() == 1) {
        rows.push_back(step_row(trace, folded.front(), std::nullopt));
    } else {
        rows.push_back({.kind = Row::Kind::folded,
                        .step = folded.front(),
                        .steps = folded.size(),
                        .thread = thread,
                        .waker = std::nullopt,
                        .words = counted_steps(folded.size())});
    }
    folded.clear();
}

/// Leaves out the middle: the end tells more than the beginning.
void shorten(std::vector<Row>& rows, size_t rows_max) {
    if (rows.size() <= rows_max) return;
    const size_t head = rows_max / 4;
    const size_t tail = rows_max - head - 1;
    const auto from = rows.begin() + static_cast<ptrdiff_t>(head);
    const auto to = rows.end() - static_cast<ptrdiff_t>(tail);
    Row gap{.kind = Row::Kind::left_out,
            .step = from->step,
            .steps = 0,
            .waker = std::nullopt,
            .words = {}};
    for (auto row = from; row != to; ++row) gap.steps += row->steps;
    gap.words = counted_steps(gap.steps);
    *from = gap;
    rows.erase(from + 1, to);
}

}  // namespace

std::vector<Row> rows_of(const Trace& trace, const ReportOptions& options) {
    const Folding folding(trace);
    const std::vector<std::optional<size_t>> woken_by = wakers(trace);
    unsigned threads = static_cast<unsigned>(trace.threads.size());
    for (const Step& step : trace.steps) threads = std::max(threads, step.thread + 1);
    std::vector<std::vector<size_t>> folded(threads);
    std::vector<Row> rows;
    for (size_t at = 0; at < trace.steps.size(); ++at) {
        const unsigned thread = trace.steps[at].thread;
        if (!options.detail && folding.folds(trace.steps[at])) {
            folded[thread].push_back(at);
            continue;
        }
        add_folded(trace, folded[thread], thread, rows);
        rows.push_back(step_row(trace, at, woken_by[at]));
    }
    for (unsigned thread = 0; thread < threads; ++thread)
        add_folded(trace, folded[thread], thread, rows);
    shorten(rows, std::max(options.rows_max, rows_least));
    return rows;
}

}  // namespace braidway::explore
