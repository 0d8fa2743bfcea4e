// SPDX-License-Identifier: Apache-2.0
#include "path/peer_process.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

// Linux 6.5; the value is the same on all machines that this is built for.
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

namespace braidway::path {
namespace {

/// A descriptor for the process that listened, or -1.
int process_behind(int socket) {
    int descriptor = -1;
    socklen_t length = sizeof descriptor;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &descriptor, &length) == 0)
        return descriptor;
    if (errno != ENOPROTOOPT) return -1;
    // Before 6.5 by number. The connection was accepted a moment ago, so a number that was given to
    // another process meanwhile would have to be of a listener that had gone before.
    ucred credentials{};
    length = sizeof credentials;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return -1;
    if (credentials.pid <= 0) return -1;
    return static_cast<int>(::syscall(SYS_pidfd_open, credentials.pid, 0));
}

}  // namespace

PeerProcess::PeerProcess(loop::Loop& loop) : loop_(loop) {
    poll_.owner = this;
    poll_.done = [](loop::Operation& operation, int32_t result) {
        auto& self = *static_cast<PeerProcess*>(operation.owner);
        if (self.ended_ == nullptr || result <= 0) return;
        const auto ended = std::exchange(self.ended_, nullptr);
        ended();
    };
}

PeerProcess::~PeerProcess() {
    CHECK(quiet(), "a watch goes when it is over");
    if (!known()) return;
    loop_.remove_file(file_);
    ::close(file_.fd);
}

void PeerProcess::find(int socket) {
    CHECK(!known(), "a process is looked for once");
    const int descriptor = process_behind(socket);
    if (descriptor < 0) return;
    // Who listened and went, leaving the serving to a child, says nothing about the child.
    pollfd ended{descriptor, POLLIN, 0};
    if (::poll(&ended, 1, 0) != 0) {
        ::close(descriptor);
        return;
    }
    file_ = loop_.add_file(descriptor);
}

void PeerProcess::watch(std::function<void()> ended) {
    ended_ = std::move(ended);
    if (poll_.idle()) loop_.poll(poll_, file_, POLLIN);
}

void PeerProcess::stop() {
    ended_ = nullptr;
    if (!poll_.idle()) loop_.cancel(poll_);
}

}  // namespace braidway::path
