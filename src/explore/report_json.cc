// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "braidway/explore/report.h"
#include "explore/waiting.h"
#include "explore/words.h"

namespace braidway::explore {
namespace {

using nlohmann::json;

// In the order of the enumerators, whose names they are.
constexpr std::array<std::string_view, 19> kind_names{
    "load",         "store",      "exchange",   "failed_cas",   "fence", "flush",  "futex_sleep",
    "futex_return", "futex_wake", "mutex_lock", "mutex_unlock", "spin",  "choice", "yield",
    "note",         "lock",       "start",      "end",          "killed"};
constexpr std::array<std::string_view, 5> finding_names{"nothing", "failed_check", "deadlock",
                                                        "livelock", "endless"};
constexpr std::array<std::string_view, 5> outcome_names{"woken", "changed", "interrupted",
                                                        "timed_out", "fault"};
constexpr std::array<std::string_view, 7> lock_event_names{
    "asked", "upgrading", "wanted", "acquired", "given_up", "released", "gone"};
constexpr std::array<std::string_view, 5> state_names{"done", "runnable", "asleep", "spinning",
                                                      "killed"};
constexpr std::array<std::string_view, 4> why_names{"held", "queued", "free", "word"};

template <size_t count, typename Enum>
std::string_view name_in(const std::array<std::string_view, count>& names, Enum value) {
    const auto at = static_cast<size_t>(value);
    return at < count ? names[at] : "unknown";
}

json address_json(const Trace& trace, const void* address) {
    if (address == nullptr) return nullptr;
    return {{"name", name_of(trace, address)},
            {"address", fmt::format("{:#x}", std::bit_cast<uintptr_t>(address))}};
}

json step_json(const Trace& trace, const Step& step) {
    json out = {{"thread", step.thread},
                {"kind", name_in(kind_names, step.kind)},
                {"words", step_words(trace, step)}};
    if (step.address != nullptr) out["at"] = address_json(trace, step.address);
    switch (step.kind) {
        case StepKind::lock:
            out["event"] = name_in(lock_event_names, step.lock_event);
            out["mode"] = mode_name(step.lock_mode);
            break;
        case StepKind::note:
            out["note"] = step.note;
            break;
        case StepKind::futex_sleep:
        case StepKind::futex_return:
            out["before"] = step.before;
            out["outcome"] = name_in(outcome_names, step.outcome);
            break;
        case StepKind::mutex_lock:
        case StepKind::mutex_unlock:
        case StepKind::fence:
        case StepKind::yield:
        case StepKind::start:
        case StepKind::end:
        case StepKind::killed:
            break;
        default:
            out["before"] = step.before;
            out["after"] = step.after;
            break;
    }
    return out;
}

json locks_json(const Trace& trace, const std::vector<ThreadState::Held>& locks) {
    json out = json::array();
    for (const ThreadState::Held& each : locks) {
        json lock = address_json(trace, each.lock);
        if (lock.is_null()) lock = json::object();
        lock["mode"] = mode_name(each.mode);
        out.push_back(std::move(lock));
    }
    return out;
}

json states_json(const Trace& trace) {
    json out = json::array();
    for (unsigned thread = 0; thread < trace.states.size(); ++thread) {
        const ThreadState& state = trace.states[thread];
        out.push_back({{"thread", thread},
                       {"state", name_in(state_names, state.at)},
                       {"at", address_json(trace, state.address)},
                       {"holds", locks_json(trace, state.holds)},
                       {"wants", locks_json(trace, state.wants)}});
    }
    return out;
}

json waitings_json(const Trace& trace, const std::vector<Waiting>& waitings) {
    json out = json::array();
    for (const Waiting& waiting : waitings) {
        const bool blocked =
            waiting.why == Waiting::Why::held || waiting.why == Waiting::Why::queued;
        out.push_back({{"thread", waiting.thread},
                       {"why", name_in(why_names, waiting.why)},
                       {"blocker", blocked ? json(waiting.blocker) : json(nullptr)},
                       {"words", waiting_words(trace, waiting)}});
    }
    return out;
}

json trace_json(const Trace& trace) {
    json objects = json::array();
    for (const NamedObject& object : trace.objects)
        objects.push_back(
            {{"name", object.name},
             {"address", fmt::format("{:#x}", std::bit_cast<uintptr_t>(object.begin))},
             {"size_bytes", object.size_bytes}});
    json steps = json::array();
    for (const Step& step : trace.steps) steps.push_back(step_json(trace, step));
    const std::vector<Waiting> found = waitings(trace);
    return {{"threads", trace.threads},
            {"objects", std::move(objects)},
            {"steps", std::move(steps)},
            {"states", states_json(trace)},
            {"waits", waitings_json(trace, found)},
            {"ring", ring_of(found)}};
}

}  // namespace

std::string report_json(const Verdict& verdict) {
    json out = {{"schema", report_schema},
                {"summary", verdict.summary()},
                {"finding", name_in(finding_names, verdict.finding)},
                {"coverage", coverage_name(verdict.coverage)},
                {"executions", verdict.executions},
                {"blocked", verdict.blocked},
                {"states", verdict.states},
                {"steps", verdict.steps},
                {"failures", verdict.failures},
                {"first_failure", verdict.first_failure},
                {"message", verdict.message},
                {"replay", verdict.replay},
                {"trace", trace_json(verdict.trace)}};
    return out.dump(-1, ' ', false, json::error_handler_t::replace) + '\n';
}

}  // namespace braidway::explore
