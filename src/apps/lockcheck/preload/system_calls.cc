// SPDX-License-Identifier: Apache-2.0
// syscall() and prctl(): ways around the functions that are wrapped.
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>

#include "apps/lockcheck/preload/confinement.h"
#include "apps/lockcheck/preload/exits.h"
#include "apps/lockcheck/preload/own_descriptors.h"
#include "apps/lockcheck/preload/privileges.h"
#include "apps/lockcheck/preload/raw_calls.h"
#include "apps/lockcheck/preload/real.h"
#include "apps/lockcheck/preload/watch.h"

using namespace braidway::lockcheck;

namespace {

/// Six words, as every system call has at most.
struct Words {
    long a, b, c, d, e, f;
};

long answer_of(long answer) {
    if (answer >= 0 || answer < -4095) return answer;
    errno = static_cast<int>(-answer);
    return -1;
}

/// Does so, with what comes of it for the library. Not through the C library, whose functions need
/// calls of their own.
long confine(long number, const Words& words, bool strict, long filter) {
    if (make_ready()) {
        if (strict)
            before_strict_mode();
        else
            before_filter(reinterpret_cast<const sock_fprog*>(filter));
    }
    const long answer = kernel_call(number, words.a, words.b, words.c, words.d, words.e, words.f);
    if (answer != 0) confinement_refused();
    return answer_of(answer);
}

bool is_mode(long mode, long wanted) {
    return static_cast<int>(mode) == wanted;
}

/// A system call that the library must know of.
[[gnu::noinline]] long known_call(long number, long a, long b, long c, long d, long e, long f) {
    const Words words{a, b, c, d, e, f};
    switch (number) {
        case SYS_exit:
            // In strict mode, the only way out.
            if (confined.forbids(SYS_exit_group))
                return kernel_call(number, status_at_end(static_cast<int>(words.a)));
            break;
        case SYS_exit_group:
            return kernel_call(number, status_at_end(static_cast<int>(words.a)));
        case SYS_prctl:
            if (static_cast<int>(words.a) == PR_SET_SECCOMP)
                return confine(number, words, is_mode(words.b, SECCOMP_MODE_STRICT), words.c);
            break;
        case SYS_seccomp:
            if (is_mode(words.a, SECCOMP_SET_MODE_STRICT) ||
                is_mode(words.a, SECCOMP_SET_MODE_FILTER))
                return confine(number, words, is_mode(words.a, SECCOMP_SET_MODE_STRICT), words.c);
            break;
        case SYS_prlimit64:
            return prlimit64(static_cast<pid_t>(words.a), static_cast<__rlimit_resource>(words.b),
                             reinterpret_cast<const rlimit64*>(words.c),
                             reinterpret_cast<rlimit64*>(words.d));
        case SYS_setrlimit:
            return setrlimit64(static_cast<__rlimit_resource>(words.a),
                               reinterpret_cast<const rlimit64*>(words.b));
        case SYS_close:
            return close(static_cast<int>(words.a));
        case SYS_dup3:
            return dup3(static_cast<int>(words.a), static_cast<int>(words.b),
                        static_cast<int>(words.c));
        case SYS_close_range:
            return close_range(static_cast<unsigned>(words.a), static_cast<unsigned>(words.b),
                               static_cast<int>(words.c));
        default:
            privileges_may_go();
            break;
    }
    return answer_of(kernel_call(number, words.a, words.b, words.c, words.d, words.e, words.f));
}

bool is_known(long number) {
    switch (number) {
        case SYS_exit:
        case SYS_exit_group:
        case SYS_prctl:
        case SYS_seccomp:
        case SYS_close:
        case SYS_dup3:
        case SYS_close_range:
        case SYS_chroot:
        case SYS_pivot_root:
        case SYS_setuid:
        case SYS_setreuid:
        case SYS_setresuid:
        case SYS_prlimit64:
        case SYS_setrlimit:
            return true;
        default:
            return false;
    }
}

}  // namespace

/// syscall(), with its words named. It may not be a call of the C library's: that one's last word
/// is on the stack, where who passes fewer has something of his own, which must not be written to.
extern "C" __attribute__((visibility("default"))) long lockcheck_syscall(long number, long a,
                                                                         long b, long c, long d,
                                                                         long e,
                                                                         long f) asm("syscall");

long lockcheck_syscall(long number, long a, long b, long c, long d, long e, long f) {
    if (is_known(number)) [[unlikely]]
        return known_call(number, a, b, c, d, e, f);
    return answer_of(kernel_call(number, a, b, c, d, e, f));
}

extern "C" __attribute__((visibility("default"))) int lockcheck_prctl(int option, long b, long c,
                                                                      long d, long e) asm("prctl");

int lockcheck_prctl(int option, long b, long c, long d, long e) {
    if (option == PR_SET_SECCOMP) [[unlikely]]
        return static_cast<int>(known_call(SYS_prctl, option, b, c, d, e, 0));
    return static_cast<int>(answer_of(kernel_call(SYS_prctl, option, b, c, d, e)));
}
