// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/cancel.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "base/clock.h"

namespace braidway::memory {

Cancel::Cancel() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
}

Cancel::~Cancel() {
    if (event_ >= 0) close(event_);
}

void Cancel::cancel() noexcept {
    const int kept = errno;
    cancelled_.store(true, std::memory_order_release);
    const uint64_t one = 1;
    // Cannot fail in a way that matters: the counter is far from full, and the flag is set.
    if (event_ >= 0 && write(event_, &one, sizeof one) < 0) errno = kept;
    errno = kept;
}

bool Cancel::pause(Duration length) const {
    const Instant until = monotonic_now() + length;
    while (!cancelled()) {
        const Duration left = until - monotonic_now();
        if (left <= Duration::zero()) return true;
        const timespec wait{.tv_sec = left.count() / 1'000'000'000,
                            .tv_nsec = left.count() % 1'000'000'000};
        pollfd poll{.fd = event_, .events = POLLIN, .revents = 0};
        // A signal only makes it look again.
        (void)ppoll(&poll, 1, &wait, nullptr);
    }
    return false;
}

}  // namespace braidway::memory
