// SPDX-License-Identifier: Apache-2.0
// setrlimit() and its kin: below a hard limit of file sizes the document cannot be written any
// more.
#include <sys/resource.h>

#include "apps/lockcheck/preload/raw_calls.h"
#include "apps/lockcheck/preload/real.h"
#include "apps/lockcheck/preload/report.h"
#include "apps/lockcheck/preload/watch.h"

namespace braidway::lockcheck {
namespace {

/// A soft limit is for the program; who starts the renderer raises it.
void limit_may_come(int which, const rlimit64* wanted) {
    if (which != RLIMIT_FSIZE || wanted == nullptr || wanted->rlim_max == RLIM64_INFINITY) return;
    ThreadRecord* const self = watched();
    if (self == nullptr || !in_own_process()) return;
    in_validator(*self, [] { fix_reports(); });
}

bool is_this_process(pid_t process) {
    return process == 0 || process == process_id();
}

void know_real_functions() {
    if (real.setrlimit64 == nullptr) [[unlikely]]
        find_real_functions();
}

}  // namespace
}  // namespace braidway::lockcheck

using namespace braidway::lockcheck;

LOCKCHECK_EXPORT int setrlimit(__rlimit_resource_t which, const rlimit* limit) noexcept {
    static_assert(sizeof(rlimit) == sizeof(rlimit64));
    know_real_functions();
    limit_may_come(static_cast<int>(which), reinterpret_cast<const rlimit64*>(limit));
    return real.setrlimit(which, limit);
}

LOCKCHECK_EXPORT int setrlimit64(__rlimit_resource_t which, const rlimit64* limit) noexcept {
    know_real_functions();
    limit_may_come(static_cast<int>(which), limit);
    return real.setrlimit64(which, limit);
}

LOCKCHECK_EXPORT int prlimit(pid_t process, __rlimit_resource which, const rlimit* limit,
                             rlimit* old) noexcept {
    know_real_functions();
    if (is_this_process(process))
        limit_may_come(static_cast<int>(which), reinterpret_cast<const rlimit64*>(limit));
    return real.prlimit(process, which, limit, old);
}

LOCKCHECK_EXPORT int prlimit64(pid_t process, __rlimit_resource which, const rlimit64* limit,
                               rlimit64* old) noexcept {
    know_real_functions();
    if (is_this_process(process)) limit_may_come(static_cast<int>(which), limit);
    return real.prlimit64(process, which, limit, old);
}
