// SPDX-License-Identifier: Apache-2.0
// setuid() and its kin, and chroot(): after them the document's file may be out of reach.
#include "apps/lockcheck/preload/privileges.h"

#include <sys/types.h>
#include <unistd.h>

#include "apps/lockcheck/preload/real.h"
#include "apps/lockcheck/preload/report.h"
#include "apps/lockcheck/preload/watch.h"

namespace braidway::lockcheck {

void privileges_may_go() {
    ThreadRecord* const self = watched();
    if (self == nullptr || !in_own_process()) return;
    in_validator(*self, [] { keep_reports_writable(); });
}

}  // namespace braidway::lockcheck

using namespace braidway::lockcheck;

LOCKCHECK_EXPORT int setuid(uid_t user) noexcept {
    privileges_may_go();
    return real.setuid(user);
}

LOCKCHECK_EXPORT int seteuid(uid_t user) noexcept {
    privileges_may_go();
    return real.seteuid(user);
}

LOCKCHECK_EXPORT int setreuid(uid_t user, uid_t effective) noexcept {
    privileges_may_go();
    return real.setreuid(user, effective);
}

LOCKCHECK_EXPORT int setresuid(uid_t user, uid_t effective, uid_t saved) noexcept {
    privileges_may_go();
    return real.setresuid(user, effective, saved);
}

LOCKCHECK_EXPORT int chroot(const char* folder) noexcept {
    privileges_may_go();
    return real.chroot(folder);
}
