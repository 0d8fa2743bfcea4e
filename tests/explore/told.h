// SPDX-License-Identifier: Apache-2.0
// Explorations that say how much they looked at, and a value by which readers and writers are told
// apart.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "braidway/explore/explorer.h"
#include "braidway/explore/policy.h"
#include "braidway/explore/world.h"
#include "braidway/sync/deadline.h"

namespace braidway::explore {

/// Explores and prints the verdict's line.
inline Verdict told(const char* what, const Options& options,
                    const std::function<void(World&)>& setup) {
    Verdict verdict = explore(options, setup);
    std::printf("[ EXPLORED ] %s: %s\n", what, verdict.summary().c_str());
    if (!verdict.clean()) std::printf("             %s\n", verdict.message.c_str());
    return verdict;
}

/// True when the tests that take minutes are asked for.
inline bool long_explorations() {
    const char* const value = std::getenv("BRAIDWAY_EXPLORE_LONG");
    return value != nullptr && std::string(value) == "1";
}

/// True when sanitizers leave so much on stacks that hardly any two states are the same.
inline bool states_differ_for_ever() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#else
    return false;
#endif
}

/// A deadline that comes: the explorer has it pass and not pass.
inline sync::Deadline some_time() {
    return std::chrono::steady_clock::time_point{std::chrono::seconds(1)};
}

/// What a lock guards. The explorer sees each look at it, so that two who should not be inside
/// together are seen.
struct Guarded {
    Policy::Atomic<uint32_t> value{0};

    /// Changes it in two steps; odd between them.
    void write() {
        const uint32_t before = value.load();
        check(before % 2 == 0, "no writer is inside beside a writer");
        value.store(before + 1);
        value.store(before + 2);
    }
    uint32_t read() const {
        const uint32_t seen = value.load();
        check(seen % 2 == 0, "no writer is inside beside a reader");
        return seen;
    }
    /// For World::finally().
    void expect_writes(uint32_t count) const {
        check(value.load() == 2 * count, "no write is lost");
    }
};

}  // namespace braidway::explore
