// SPDX-License-Identifier: Apache-2.0
#include "loop/stream.h"

#include <sys/socket.h>
#include <unistd.h>

namespace braidway::loop {

SocketStream::SocketStream(Loop& loop, int fd) : loop_(loop), file_(loop.add_file(fd)) {
}

SocketStream::~SocketStream() {
    const int fd = file_.fd;
    loop_.remove_file(file_);
    ::close(fd);
}

void SocketStream::receive(Operation& operation, const iovec* iov, uint32_t count) {
    loop_.receive(operation, file_, iov, count);
}

void SocketStream::send(Operation& operation, const iovec* iov, uint32_t count) {
    loop_.send(operation, file_, iov, count);
}

void SocketStream::cancel(Operation& operation) {
    if (!operation.idle()) loop_.cancel(operation);
}

void SocketStream::end_sending() {
    ::shutdown(file_.fd, SHUT_WR);
}

void SocketStream::shut_down() {
    ::shutdown(file_.fd, SHUT_RDWR);
}

}  // namespace braidway::loop
