// SPDX-License-Identifier: Apache-2.0
#include "braidway/sync/policy.h"

#include <sched.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "base/clock.h"
#include "sync/misuse.h"

namespace braidway::sync {
namespace {

constinit thread_local MisuseListener misuse_listener = nullptr;

// As long as the wake-up of a sleeper takes (12 us between two processors of a virtual machine).
// Who spins for less may fall asleep behind a head that is just waking up, is then waited for in
// its turn, and so on: one sleep made every later hand-over a sleep.
constexpr int64_t spin_ns = 12'000;

/// A pause takes 10 to 60 ns, by the kind of processor.
unsigned spin_turns_with_company() noexcept {
    constexpr int pauses = 32;
    int64_t shortest_ns = INT64_MAX;
    for (int batch = 0; batch < 4; ++batch) {
        const Instant before = monotonic_now();
        for (int i = 0; i < pauses; ++i) SystemPolicy::spin_hint();
        shortest_ns = std::min(shortest_ns, monotonic_now().ns - before.ns);
    }
    return static_cast<unsigned>(
        std::clamp<int64_t>(spin_ns * pauses / std::max<int64_t>(shortest_ns, 1), 100, 2000));
}

unsigned spin_turns_of_process() noexcept {
    cpu_set_t usable;
    CPU_ZERO(&usable);
    // More processors than the set has bits: it is not filled in, and there is company.
    if (sched_getaffinity(0, sizeof(usable), &usable) == 0 && CPU_COUNT(&usable) < 2) return 0;
    return spin_turns_with_company();
}

// Asked when the program is loaded: later this thread may have bound itself to one processor, and
// that says nothing about the others. Until then nobody spins, which is right for one thread.
const unsigned spin_turns_found = spin_turns_of_process();

}  // namespace

unsigned SystemPolicy::spin_turns() noexcept {
    return spin_turns_found;
}

void SystemPolicy::spin_wait() noexcept {
    sched_yield();
}

MisuseListener set_misuse_listener(MisuseListener listener) noexcept {
    return std::exchange(misuse_listener, listener);
}

void lock_misused(const char* what, const void* lock) noexcept {
    if (misuse_listener != nullptr) misuse_listener(what, lock);
    std::fprintf(stderr, "braidway: %s (at %p)\n", what, lock);
    std::abort();
}

}  // namespace braidway::sync
