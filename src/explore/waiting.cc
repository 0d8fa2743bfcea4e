// SPDX-License-Identifier: Apache-2.0
#include "explore/waiting.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "explore/words.h"

namespace braidway::explore {
namespace {

bool shuts_out(sync::LockMode held, sync::LockMode wanted) {
    using sync::LockMode;
    if (held == LockMode::exclusive || wanted == LockMode::exclusive) return true;
    return held == LockMode::upgrade && wanted == LockMode::upgrade;
}

bool waits(const ThreadState& state) {
    return state.at == ThreadState::At::asleep || state.at == ThreadState::At::spinning;
}

/// When the thread began to wait for the lock: the number of the step, or nothing.
std::optional<size_t> wanted_since(const Trace& trace, unsigned thread, const void* lock) {
    for (size_t at = trace.steps.size(); at-- > 0;) {
        const Step& step = trace.steps[at];
        if (step.thread == thread && step.kind == StepKind::lock && step.address == lock &&
            step.lock_event == sync::LockEvent::wanted)
            return at;
    }
    return std::nullopt;
}

/// Those who hold what `thread` wants in a mode that shuts it out, itself included: a thread that
/// takes a mutex twice waits for itself. The one with the upgrade hold may become the writer.
void add_holders(const Trace& trace, unsigned thread, const ThreadState::Held& wanted,
                 std::vector<Waiting>& found) {
    for (unsigned other = 0; other < trace.states.size(); ++other) {
        for (const ThreadState::Held& held : trace.states[other].holds) {
            if (held.lock != wanted.lock || !shuts_out(held.mode, wanted.mode)) continue;
            if (other == thread && held.mode == sync::LockMode::upgrade) continue;
            found.push_back({thread, Waiting::Why::held, other, wanted, held.mode});
        }
    }
}

/// The last of those who came before `thread` and will shut it out.
std::optional<unsigned> one_ahead(const Trace& trace, unsigned thread,
                                  const ThreadState::Held& wanted) {
    const std::optional<size_t> since = wanted_since(trace, thread, wanted.lock);
    std::optional<unsigned> ahead;
    size_t ahead_since = 0;
    for (unsigned other = 0; other < trace.states.size(); ++other) {
        if (other == thread || !waits(trace.states[other])) continue;
        for (const ThreadState::Held& want : trace.states[other].wants) {
            if (want.lock != wanted.lock || !shuts_out(want.mode, wanted.mode)) continue;
            const std::optional<size_t> its = wanted_since(trace, other, wanted.lock);
            if (!its || (since && *its > *since) || (ahead && *its < ahead_since)) continue;
            ahead = other;
            ahead_since = *its;
        }
    }
    return ahead;
}

/// The way from `at` back to itself, found depth first.
bool leads_back(const std::vector<Waiting>& waitings, unsigned at, unsigned start,
                std::vector<unsigned>& way) {
    way.push_back(at);
    for (const Waiting& waiting : waitings) {
        if (waiting.thread != at || waiting.why == Waiting::Why::free ||
            waiting.why == Waiting::Why::word)
            continue;
        if (waiting.blocker == start) return true;
        if (std::ranges::find(way, waiting.blocker) != way.end()) continue;
        if (leads_back(waitings, waiting.blocker, start, way)) return true;
    }
    way.pop_back();
    return false;
}

}  // namespace

std::vector<Waiting> waitings(const Trace& trace) {
    std::vector<Waiting> found;
    for (unsigned thread = 0; thread < trace.states.size(); ++thread) {
        const ThreadState& state = trace.states[thread];
        if (!waits(state)) continue;
        if (state.wants.empty()) found.push_back({.thread = thread, .why = Waiting::Why::word});
        for (const ThreadState::Held& wanted : state.wants) {
            const size_t before = found.size();
            add_holders(trace, thread, wanted, found);
            if (found.size() > before) continue;
            const std::optional<unsigned> ahead = one_ahead(trace, thread, wanted);
            found.push_back({.thread = thread,
                             .why = ahead ? Waiting::Why::queued : Waiting::Why::free,
                             .blocker = ahead.value_or(0),
                             .wanted = wanted});
        }
    }
    return found;
}

std::vector<unsigned> ring_of(const std::vector<Waiting>& waitings) {
    for (const Waiting& waiting : waitings) {
        std::vector<unsigned> way;
        if (leads_back(waitings, waiting.thread, waiting.thread, way)) return way;
    }
    return {};
}

std::string waiting_words(const Trace& trace, const Waiting& waiting) {
    const std::string who = thread_name(trace, waiting.thread);
    const ThreadState& state = trace.states[waiting.thread];
    const bool asleep = state.at == ThreadState::At::asleep;
    if (waiting.why == Waiting::Why::word)
        return fmt::format("{} is {}, and nobody is left to {}", who, state_words(trace, state),
                           asleep ? "wake it" : "write it");
    const std::string lock = lock_words(trace, waiting.wanted.lock, waiting.wanted.mode);
    if (waiting.why == Waiting::Why::free)
        return fmt::format("{} waits for {}, which is free for it{}", who, lock,
                           asleep ? ": its wake-up was lost" : "");
    const std::string blocker =
        waiting.blocker == waiting.thread ? "itself" : thread_name(trace, waiting.blocker);
    if (waiting.why == Waiting::Why::queued)
        return fmt::format("{} waits behind {} for {}", who, blocker, lock);
    const ThreadState::At at = trace.states[waiting.blocker].at;
    return fmt::format("{} waits for {}, which holds {}{}", who, blocker,
                       lock_words(trace, waiting.wanted.lock, waiting.held_as),
                       at == ThreadState::At::killed ? " and was killed"
                       : at == ThreadState::At::done ? " and has ended"
                                                     : "");
}

std::vector<std::optional<size_t>> wakers(const Trace& trace) {
    std::vector<std::optional<size_t>> found(trace.steps.size());
    struct Wake {
        size_t step;
        uint64_t left;
    };
    std::map<const void*, std::vector<Wake>> wakes;
    for (size_t at = 0; at < trace.steps.size(); ++at) {
        const Step& step = trace.steps[at];
        if (step.kind == StepKind::futex_wake && step.after > 0)
            wakes[step.address].push_back({at, step.after});
        if (step.kind != StepKind::futex_return || step.outcome != sync::FutexOutcome::woken)
            continue;
        const auto here = wakes.find(step.address);
        if (here == wakes.end()) continue;
        found[at] = here->second.front().step;
        if (--here->second.front().left == 0) here->second.erase(here->second.begin());
        if (here->second.empty()) wakes.erase(here);
    }
    return found;
}

}  // namespace braidway::explore
