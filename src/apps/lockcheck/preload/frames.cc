// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/frames.h"

#include <dlfcn.h>
#include <link.h>
#include <unwind.h>

#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

struct Walk {
    std::span<uintptr_t> frames;
    size_t count = 0;
    size_t depth = 0;
    uintptr_t own_begin = 0;
    uintptr_t own_end = 0;
};

_Unwind_Reason_Code take_frame(_Unwind_Context* context, void* argument) {
    Walk& walk = *static_cast<Walk*>(argument);
    const uintptr_t address = _Unwind_GetIP(context);
    if (address == 0 || ++walk.depth > limits::lockcheck_frames_walked_max)
        return _URC_END_OF_STACK;
    if (address - walk.own_begin < walk.own_end - walk.own_begin) return _URC_NO_REASON;
    walk.frames[walk.count++] = address;
    return walk.count == walk.frames.size() ? _URC_END_OF_STACK : _URC_NO_REASON;
}

struct Search {
    uintptr_t address = 0;
    uintptr_t stack_low = 0;
    uintptr_t stack_high = 0;
    uintptr_t found = 0;
    uintptr_t function = 0;  ///< Of the frame that was called from the one looked at.
    size_t depth = 0;
};

/// The context of a frame says where its stack pointer was at the call; that is the end of the
/// frame which it called.
_Unwind_Reason_Code look_for_end(_Unwind_Context* context, void* argument) {
    Search& search = *static_cast<Search*>(argument);
    const uintptr_t end = _Unwind_GetCFA(context);
    if (++search.depth > limits::lockcheck_frames_walked_max) return _URC_END_OF_STACK;
    if (end < search.stack_low || end >= search.stack_high || end <= search.address) {
        search.function = _Unwind_GetRegionStart(context);
        return _URC_NO_REASON;
    }
    search.found = end;
    return _URC_END_OF_STACK;
}

}  // namespace

size_t program_frames(std::span<uintptr_t> frames) {
    if (frames.empty()) return 0;
    Walk walk{.frames = frames};
    dl_find_object own{};
    if (_dl_find_object(reinterpret_cast<void*>(&program_frames), &own) == 0) {
        walk.own_begin = reinterpret_cast<uintptr_t>(own.dlfo_map_start);
        walk.own_end = reinterpret_cast<uintptr_t>(own.dlfo_map_end);
    }
    _Unwind_Backtrace(take_frame, &walk);
    return walk.count;
}

StackFrame frame_around(uintptr_t address, uintptr_t stack_low, uintptr_t stack_high) {
    Search search{.address = address, .stack_low = stack_low, .stack_high = stack_high};
    _Unwind_Backtrace(look_for_end, &search);
#if defined(__x86_64__)
    if (search.found == 0) return {};
    // The call put it there.
    return {reinterpret_cast<const uintptr_t*>(search.found - sizeof(uintptr_t)), search.function};
#else
    return {};
#endif
}

bool stack_reaches(uintptr_t begin, uintptr_t end) {
    // The first frame that ends above `begin`.
    Search search{.address = begin, .stack_low = begin, .stack_high = end};
    _Unwind_Backtrace(look_for_end, &search);
    return search.found != 0;
}

}  // namespace braidway::lockcheck
