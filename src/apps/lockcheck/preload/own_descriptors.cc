// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/own_descriptors.h"

#include <sys/stat.h>

#include "apps/lockcheck/preload/raw_calls.h"

namespace braidway::lockcheck {
namespace {

constexpr int kept_from = 500;

/// One of them, and which file it is: a program may close it by ways that are not seen.
struct Kept {
    std::atomic<int> fd = -1;
    dev_t device = 0;
    ino_t inode = 0;
};
constinit Kept kept[own_descriptors];

/// Also below, where the program's limit allows no better.
int duplicate(int fd) {
    const long high = raw_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, kept_from);
    return static_cast<int>(high >= 0 ? high : raw_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3));
}

}  // namespace

bool keep_descriptor(OwnDescriptor which, int fd) {
    Kept& slot = kept[static_cast<size_t>(which)];
    struct stat status{};
    const int own = duplicate(fd);
    if (own < 0) return false;
    if (raw_call(SYS_fstat, own, as_word(&status)) != 0) {
        close_file(own);
        return false;
    }
    const int before = kept_descriptor(which);
    slot.device = status.st_dev;
    slot.inode = status.st_ino;
    slot.fd.store(own, std::memory_order_release);
    if (before >= 0) close_file(before);
    return true;
}

int kept_descriptor(OwnDescriptor which) {
    const Kept& slot = kept[static_cast<size_t>(which)];
    const int fd = slot.fd.load(std::memory_order_acquire);
    // Where nobody may ask, nobody may close either.
    if (fd < 0 || confined.forbids(SYS_fstat)) return fd;
    struct stat now{};
    if (raw_call(SYS_fstat, fd, as_word(&now)) != 0 || now.st_dev != slot.device ||
        now.st_ino != slot.inode)
        return -1;
    return fd;
}

bool is_own_descriptor(int fd) {
    if (fd < 0) return false;
    for (size_t which = 0; which < own_descriptors; ++which)
        if (kept[which].fd.load(std::memory_order_relaxed) == fd &&
            kept_descriptor(static_cast<OwnDescriptor>(which)) == fd)
            return true;
    return false;
}

void move_own_descriptor(int fd) {
    for (size_t which = 0; which < own_descriptors; ++which) {
        if (kept[which].fd.load(std::memory_order_relaxed) != fd) continue;
        if (kept_descriptor(static_cast<OwnDescriptor>(which)) != fd) continue;
        const int own = duplicate(fd);
        if (own >= 0) kept[which].fd.store(own, std::memory_order_release);
    }
}

void keep_root() {
    if (kept_descriptor(OwnDescriptor::root) >= 0) return;
    const int fd = open_file("/", O_PATH | O_DIRECTORY);
    if (fd < 0) return;
    keep_descriptor(OwnDescriptor::root, fd);
    close_file(fd);
}

void go_to_kept_root() {
    const int root = kept_descriptor(OwnDescriptor::root);
    if (root < 0) return;
    struct stat now{};
    const Kept& slot = kept[static_cast<size_t>(OwnDescriptor::root)];
    if (raw_call(SYS_newfstatat, AT_FDCWD, as_word("/"), as_word(&now), 0) == 0 &&
        now.st_dev == slot.device && now.st_ino == slot.inode)
        return;
    if (raw_call(SYS_fchdir, root) == 0) raw_call(SYS_chroot, as_word("."));
}

}  // namespace braidway::lockcheck
