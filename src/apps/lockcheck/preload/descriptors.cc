// SPDX-License-Identifier: Apache-2.0
// close() and its kin: programs that close all descriptors mean their own.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "apps/lockcheck/preload/own_descriptors.h"
#include "apps/lockcheck/preload/raw_calls.h"
#include "apps/lockcheck/preload/real.h"
#include "apps/lockcheck/preload/watch.h"

using namespace braidway::lockcheck;

namespace {

void know_real_functions() {
    if (real.close == nullptr) [[unlikely]]
        find_real_functions();
}

/// As far as the program knows, there is nothing.
int not_open() {
    errno = EBADF;
    return -1;
}

}  // namespace

LOCKCHECK_EXPORT int close(int fd) {
    if (is_own_descriptor(fd)) return not_open();
    if (real.close != nullptr) [[likely]]
        return real.close(fd);
    // A program's own malloc() may be what calls, on its way to the first block: looking a function
    // up would ask it for another.
    const long answer = raw_call(SYS_close, fd);
    if (answer >= 0) return 0;
    errno = static_cast<int>(-answer);
    return -1;
}

LOCKCHECK_EXPORT int dup2(int fd, int wanted) noexcept {
    know_real_functions();
    if (is_own_descriptor(fd)) return not_open();
    move_own_descriptor(wanted);
    return real.dup2(fd, wanted);
}

LOCKCHECK_EXPORT int dup3(int fd, int wanted, int flags) noexcept {
    know_real_functions();
    if (is_own_descriptor(fd)) return not_open();
    move_own_descriptor(wanted);
    return real.dup3(fd, wanted, flags);
}

LOCKCHECK_EXPORT int close_range(unsigned first, unsigned last, int flags) noexcept {
    know_real_functions();
    int answer = 0;
    // A range the wrong way round is for the kernel to refuse.
    if (first > last)
        answer = real.close_range(first, last, flags);
    else
        around_own_descriptors(first, last, [&](unsigned from, unsigned to) {
            answer = real.close_range(from, to, flags);
            return answer == 0;
        });
    return answer;
}

LOCKCHECK_EXPORT void closefrom(int first) noexcept {
    know_real_functions();
    const auto from = static_cast<unsigned>(first < 0 ? 0 : first);
    around_own_descriptors(from, UINT_MAX, [](unsigned begin, unsigned end) {
        if (end == UINT_MAX) {
            real.closefrom(static_cast<int>(begin));
            return true;
        }
        if (real.close_range(begin, end, 0) == 0) return true;
        for (unsigned fd = begin; fd <= end; ++fd) real.close(static_cast<int>(fd));
        return true;
    });
}
