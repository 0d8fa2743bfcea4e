// SPDX-License-Identifier: Apache-2.0
// Loaded into tgtd by LD_PRELOAD: its writes to disks wait while $SLOW_DISK_FOLDER/hold exists. So
// a target has a write under way for as long as a test wants, and is alive.
#include <dlfcn.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace {

bool is_held() {
    static const char* const folder = std::getenv("SLOW_DISK_FOLDER");
    if (folder == nullptr) return false;
    char name[512] = {};
    std::strncat(name, folder, 480);
    std::strcat(name, "/hold");
    return access(name, F_OK) == 0;
}

}  // namespace

extern "C" ssize_t pwrite64(int fd, const void* data, size_t bytes, off_t offset) {
    using Write = ssize_t (*)(int, const void*, size_t, off_t);
    static const Write real = reinterpret_cast<Write>(dlsym(RTLD_NEXT, "pwrite64"));
    while (is_held()) usleep(2000);
    return real(fd, data, bytes, offset);
}
