// SPDX-License-Identifier: Apache-2.0
#include "explore/minimise.h"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

namespace braidway::explore {
namespace {

/// What one did until another went on.
using Turn = std::span<const Decision>;

std::vector<Turn> turns_of(const Decisions& decisions) {
    std::vector<Turn> turns;
    for (size_t begin = 0, end = 0; begin < decisions.size(); begin = end) {
        while (end < decisions.size() && decisions[end].slot == decisions[begin].slot) ++end;
        turns.emplace_back(decisions.begin() + static_cast<ptrdiff_t>(begin), end - begin);
    }
    return turns;
}

Decisions flat(const std::vector<Turn>& turns) {
    Decisions decisions;
    for (const Turn& turn : turns) decisions.insert(decisions.end(), turn.begin(), turn.end());
    return decisions;
}

/// Less is better.
std::tuple<unsigned, size_t, uint64_t> cost(const Decisions& taken) {
    uint64_t choices = 0;
    for (const Decision& each : taken) choices += each.choice;
    return {switches_in(taken), taken.size(), choices};
}

class Minimiser {
  public:
    Minimiser(const Attempt& failure, const RunOnce& run_once, unsigned runs_max)
        : failure_(failure), run_once_(run_once), runs_max_(runs_max), best_(failure) {}

    Minimised run() {
        if (!fails_again()) return {failure_, runs_};
        bool better = true;
        while (better && runs_ < runs_max_) {
            better = join_turns();
            better = drop_parts() || better;
            better = plainer_choices() || better;
        }
        return {best_, runs_};
    }

  private:
    bool same_failure(const Attempt& attempt) const {
        if (attempt.finding != failure_.finding || attempt.stuck != failure_.stuck) return false;
        return attempt.finding != Finding::failed_check || attempt.message == failure_.message;
    }

    bool fails_again() {
        if (runs_max_ == 0) return false;
        ++runs_;
        Attempt attempt = run_once_(failure_.taken);
        if (!same_failure(attempt)) return false;
        if (cost(attempt.taken) < cost(best_.taken)) best_ = std::move(attempt);
        return true;
    }

    /// Keeps `wanted` if it is better than the best. After the last run nothing is.
    bool keep(const Decisions& wanted) {
        if (runs_ >= runs_max_ || wanted == best_.taken) return false;
        ++runs_;
        Attempt attempt = run_once_(wanted);
        if (!same_failure(attempt) || cost(attempt.taken) >= cost(best_.taken)) return false;
        best_ = std::move(attempt);
        return true;
    }

    /// Moves a thread's next turn forward to this one, or this one back to the next.
    bool join_at(size_t at) {
        const std::vector<Turn> turns = turns_of(best_.taken);
        const auto here = turns.begin() + static_cast<ptrdiff_t>(at);
        const auto next = std::find_if(here + 1, turns.end(), [&](const Turn& turn) {
            return turn.front().slot == here->front().slot;
        });
        if (next == turns.end()) return false;
        const ptrdiff_t first = here - turns.begin();
        const ptrdiff_t second = next - turns.begin();
        std::vector<Turn> forward = turns;
        std::rotate(forward.begin() + first + 1, forward.begin() + second,
                    forward.begin() + second + 1);
        if (keep(flat(forward))) return true;
        std::vector<Turn> back = turns;
        std::rotate(back.begin() + first, back.begin() + first + 1, back.begin() + second);
        return keep(flat(back));
    }

    bool join_turns() {
        bool better = false;
        for (size_t at = 0; at < turns_of(best_.taken).size();) {
            const bool joined = join_at(at);
            better = better || joined;
            // A joined turn may be joined again; the list behind it is another now.
            if (!joined) ++at;
        }
        return better;
    }

    /// Leaves out halves, quarters, ... of the decisions: a thread whose turn is missing goes on
    /// later.
    bool drop_parts() {
        bool better = false;
        for (size_t length = (best_.taken.size() + 1) / 2; length > 0; length /= 2) {
            for (size_t at = 0; at < best_.taken.size();) {
                Decisions wanted = best_.taken;
                const auto from = wanted.begin() + static_cast<ptrdiff_t>(at);
                const size_t count = std::min(length, wanted.size() - at);
                wanted.erase(from, from + static_cast<ptrdiff_t>(count));
                const bool kept = keep(wanted);
                better = better || kept;
                if (!kept) at += length;
                if (runs_ >= runs_max_) return better;
            }
        }
        return better;
    }

    bool plainer_choices() {
        bool better = false;
        for (size_t at = 0; at < best_.taken.size(); ++at) {
            if (best_.taken[at].choice == 0) continue;
            Decisions wanted = best_.taken;
            wanted[at].choice = 0;
            better = keep(wanted) || better;
        }
        return better;
    }

    const Attempt& failure_;
    const RunOnce& run_once_;
    const unsigned runs_max_;
    unsigned runs_ = 0;
    Attempt best_;
};

}  // namespace

unsigned switches_in(std::span<const Decision> decisions) {
    unsigned switches = 0;
    for (size_t at = 1; at < decisions.size(); ++at)
        if (decisions[at].slot != decisions[at - 1].slot) ++switches;
    return switches;
}

Minimised minimise(const Attempt& failure, const RunOnce& run_once, unsigned runs_max) {
    return Minimiser(failure, run_once, runs_max).run();
}

Outcome minimised(Runner& runner, const Outcome& failing) {
    const auto run_once = [&runner](std::span<const Decision> wanted) {
        Outcome outcome = runner.run_leniently(wanted);
        return Attempt{outcome.finding, std::move(outcome.message), std::move(outcome.decisions),
                       std::move(outcome.stuck)};
    };
    const Minimised best =
        minimise({failing.finding, failing.message, failing.decisions, failing.stuck}, run_once);
    Outcome outcome = runner.run_once(best.attempt.taken, true);
    return outcome.finding == failing.finding ? outcome : failing;
}

}  // namespace braidway::explore
