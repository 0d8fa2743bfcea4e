// SPDX-License-Identifier: Apache-2.0
// Small programs for tests of the preloaded library: one executable, whose first argument says
// which. Built without sanitizers, whose libraries must come first in a process.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <span>

namespace braidway::lockcheck {

/// One program. Returns its exit status.
struct Scene {
    const char* name;
    int (*play)();
};

std::span<const Scene> lock_scenes();
std::span<const Scene> thread_scenes();
std::span<const Scene> process_scenes();

/// Ends the program when a call did not answer as it must, with or without the library.
inline void expect(bool condition, const char* what) {
    if (condition) return;
    std::fprintf(stderr, "scene: %s\n", what);
    std::_Exit(99);
}

}  // namespace braidway::lockcheck
