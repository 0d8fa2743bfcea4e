// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/real.h"

#include <dlfcn.h>

#include <cstring>

namespace braidway::lockcheck {

constinit Real real{};

namespace {

/// Conditions had another layout once, and the old functions are still there under the same names.
void* find_function(const char* name) {
    if (std::strncmp(name, "pthread_cond_", 13) == 0) {
        if (void* const found = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2")) return found;
    }
    return dlsym(RTLD_NEXT, name);
}

}  // namespace

void find_real_functions() {
#define LOCKCHECK_FIND(name) real.name = reinterpret_cast<decltype(&::name)>(find_function(#name));
    LOCKCHECK_WRAPPED(LOCKCHECK_FIND)
#undef LOCKCHECK_FIND
}

}  // namespace braidway::lockcheck
