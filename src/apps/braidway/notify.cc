// SPDX-License-Identifier: Apache-2.0
#include "apps/braidway/notify.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "base/clock.h"

namespace braidway::apps {

void notify_systemd(std::string_view state) {
    const char* name = std::getenv("NOTIFY_SOCKET");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const size_t length = name == nullptr ? 0 : std::strlen(name);
    if (length < 2 || length >= sizeof address.sun_path) return;
    std::memcpy(address.sun_path, name, length);
    if (name[0] == '@') address.sun_path[0] = '\0';  // An abstract socket.
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    const auto address_bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
    ::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL,
             reinterpret_cast<const sockaddr*>(&address), address_bytes);
    ::close(fd);
}

void notify_ready() {
    notify_systemd("READY=1");
}

void notify_reloading() {
    // systemd wants to know when, so that it can tell this reload from an earlier one.
    const auto now =
        std::chrono::duration_cast<std::chrono::microseconds>(Duration(monotonic_now().ns));
    notify_systemd(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now.count()));
}

void notify_stopping() {
    notify_systemd("STOPPING=1");
}

}  // namespace braidway::apps
