// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/call_places.h"

#include <unwind.h>

#include <span>

#include "apps/lockcheck/preload/passing.h"

namespace braidway::lockcheck {

constinit CallPlaces call_places;

namespace {

/// Return addresses of the program's innermost frames, and where on the stack they are.
struct Walk {
    static constexpr size_t frames_max = limits::lockcheck_call_depth_max + 2;

    std::array<uintptr_t, frames_max> addresses{};
    std::array<uintptr_t, frames_max> slots{};
    size_t count = 0;
};

_Unwind_Reason_Code take_frame(_Unwind_Context* context, void* argument) {
    Walk& walk = *static_cast<Walk*>(argument);
    int interrupted = 0;
    const uintptr_t address = _Unwind_GetIPInfo(context, &interrupted);
    if (address == 0 || interrupted != 0) return _URC_END_OF_STACK;
    if (walk.count == 0 && is_of_this_library(address)) return _URC_NO_REASON;
    if (walk.count == Walk::frames_max) return _URC_END_OF_STACK;
    walk.addresses[walk.count] = address;
    walk.slots[walk.count++] = _Unwind_GetCFA(context) - sizeof(uintptr_t);
    return _URC_NO_REASON;
}

/// Is the function that goes on at `returns_to` there to take the lock for its caller?
bool is_wrapper(uintptr_t returns_to, bool calls_us) {
    const FunctionCode function = function_at(returns_to - 1);
    const CallsMade calls = calls_made(function);
    if (!calls.known) return false;
    if (!calls_us) return calls.near == 1 && calls.to_us == 0;
    if (calls.to_us > 1) return false;
    const Role role = passing_of(function, returns_to, 0).role;
    return role == Role::passes || role == Role::whole || role == Role::part;
}

}  // namespace

void CallPlaces::learn(uintptr_t site, uintptr_t slot) {
    Walk walk;
    _Unwind_Backtrace(take_frame, &walk);
    // Whoever has come by a jump, or unwinds otherwise than we think, is taken as he is.
    if (walk.count < 2 || walk.addresses[0] != site || walk.slots[0] != slot) {
        note(site, stop);
        return;
    }
    for (size_t at = 0; at < walk.count; ++at) {
        const bool last = at + 1 == walk.count;
        const uintptr_t distance = last ? 0 : walk.slots[at + 1] - walk.slots[at];
        const bool goes_on =
            !last && distance <= limits::lockcheck_wrapper_frame_bytes_max &&
            *reinterpret_cast<const uintptr_t*>(walk.slots[at + 1]) == walk.addresses[at + 1] &&
            is_wrapper(walk.addresses[at], at == 0);
        note(walk.addresses[at], goes_on ? static_cast<uint32_t>(distance) : stop);
        if (!goes_on) return;
    }
}

void CallPlaces::note(uintptr_t address, uint32_t distance) {
    for (size_t attempt = 0; attempt < tries_max; ++attempt) {
        Entry& entry = entries_[index_of(address, attempt)];
        uintptr_t found = entry.address.load(std::memory_order_acquire);
        if (found == address) return;
        if (found != 0) continue;
        // Whoever finds the address before the distance takes it for unknown, and learns it again.
        if (entry.address.compare_exchange_strong(found, address, std::memory_order_acq_rel)) {
            entry.distance.store(distance, std::memory_order_release);
            return;
        }
        if (found == address) return;
    }
}

}  // namespace braidway::lockcheck
