// SPDX-License-Identifier: Apache-2.0
// Work in a process beside this one, which may do what this one must not.
#pragma once

namespace braidway::lockcheck {

/// Runs `work` in a process that shares this one's memory, but has descriptors, limits, signals and
/// a root folder of its own, and waits for it. Its soft limits are as high as they may be, and
/// where the program has changed its root (see keep_root()) it is back in the old one, if it may.
/// Descriptor 0 is closed there, so that one is always free. The program does not notice: no signal
/// tells of the end, and wait() does not see it. Returns what `work` answers, 0 to 126; -1: it
/// could not be run or did not come to its end. Call it with all signals blocked.
int run_beside(int (*work)(void*), void* argument);

/// The same, with a template for what it needs. `work` shares this process's memory.
template <typename Work>
int run_beside(const Work& work) {
    return run_beside([](void* argument) { return (*static_cast<const Work*>(argument))(); },
                      const_cast<Work*>(&work));
}

/// Becomes `arguments[0]` in a child and waits for it, in a process beside. Standard input comes
/// from a pipe with `input`. -1: it could not be started, or died; else its exit status.
struct Words {
    char* const* arguments;
    char* const* environment;
};
int run_program(const Words& words, const char* input, unsigned long input_bytes);

}  // namespace braidway::lockcheck
