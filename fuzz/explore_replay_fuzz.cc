// SPDX-License-Identifier: Apache-2.0
// The name of an execution: any text is decisions or an error of one line, decisions come back from
// their text, and running them ends in a verdict.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "braidway/explore/explorer.h"
#include "braidway/explore/policy.h"
#include "braidway/explore/report.h"
#include "braidway/sync/mutex.h"
#include "explore/replay.h"

namespace {

using namespace braidway::explore;

/// Three threads, one of which may die, with a step of several outcomes.
void program(World& world) {
    auto& mutex = world.share<braidway::sync::BasicMutex<Policy>>("mutex");
    const auto body = [&mutex] {
        if (choose(3) == 2) yield();
        mutex.lock();
        mutex.unlock();
    };
    world.thread("one", body);
    world.thread("two", body);
    world.killable_thread("three", 1, body);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto decisions = parse_replay(text);
    if (!decisions) {
        const std::string& message = decisions.error().message;
        CHECK(!message.empty() && message.find('\n') == std::string::npos, "an error is one line");
    } else {
        const auto again = parse_replay(replay_text(*decisions));
        CHECK(again && *again == *decisions, "decisions come back from their text");
    }
    Options options;
    options.method = Method::replay;
    options.kills_max = 1;
    options.spurious_wakes_max = 1;
    options.steps_max = 1'000;
    options.replay = text;
    const Verdict verdict = explore(options, program);
    CHECK(decisions || verdict.finding == Finding::failed_check, "a wrong replay is a finding");
    CHECK(!report_text(verdict).empty() && !report_json(verdict).empty(), "it can be told");
    return 0;
}
