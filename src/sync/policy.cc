// SPDX-License-Identifier: Apache-2.0
#include "braidway/sync/policy.h"

#include <sched.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "sync/misuse.h"

namespace braidway::sync {
namespace {

constinit thread_local MisuseListener misuse_listener = nullptr;

// About 20 us, longer than a sleep and a wake-up take. A spin that ends earlier makes a convoy of a
// fair lock: once one waiter sleeps, each hand-over lasts as long as a wake-up, and so the next
// waiter sleeps, too.
constexpr unsigned spin_turns_with_company = 2000;

unsigned spin_turns_of_process() noexcept {
    cpu_set_t usable;
    CPU_ZERO(&usable);
    // More processors than the set has bits: it is not filled in, and there is company.
    if (sched_getaffinity(0, sizeof(usable), &usable) == 0 && CPU_COUNT(&usable) < 2) return 0;
    return spin_turns_with_company;
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
