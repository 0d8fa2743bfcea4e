// SPDX-License-Identifier: Apache-2.0
#include "loop/uring_entry.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <climits>

#include "base/check.h"

namespace braidway::loop {

namespace {

void prepare_vectored(const Operation& operation, io_uring_sqe& entry, int fd) {
    const iovec& first = operation.iov[0];
    const bool writes = operation.kind == Operation::Kind::write;
    if (operation.iov_count > 1) {
        if (writes) {
            io_uring_prep_writev2(&entry, fd, operation.iov, operation.iov_count, operation.offset,
                                  operation.flags);
        } else {
            io_uring_prep_readv(&entry, fd, operation.iov, operation.iov_count, operation.offset);
        }
        return;
    }
    const auto length = static_cast<unsigned>(std::min<size_t>(first.iov_len, INT_MAX));
    if (operation.registered) {
        constexpr int first_range = 0;
        if (writes) {
            io_uring_prep_write_fixed(&entry, fd, first.iov_base, length, operation.offset,
                                      first_range);
            entry.rw_flags = operation.flags;
        } else {
            io_uring_prep_read_fixed(&entry, fd, first.iov_base, length, operation.offset,
                                     first_range);
        }
    } else if (writes) {
        io_uring_prep_write(&entry, fd, first.iov_base, length, operation.offset);
        entry.rw_flags = operation.flags;
    } else {
        io_uring_prep_read(&entry, fd, first.iov_base, length, operation.offset);
    }
}

void prepare_message(Operation& operation, io_uring_sqe& entry, int fd) {
    const iovec& first = operation.iov[0];
    const bool sends = operation.kind == Operation::Kind::send;
    // Without waiting for room, less than all is a failure, which is what WAITALL asks for then.
    const int send_flags = MSG_WAITALL | MSG_NOSIGNAL | (operation.quick ? MSG_DONTWAIT : 0);
    if (operation.iov_count > 1) {
        operation.message = {};
        operation.message.msg_iov = const_cast<iovec*>(operation.iov);
        operation.message.msg_iovlen = operation.iov_count;
        if (sends) {
            io_uring_prep_sendmsg(&entry, fd, &operation.message, send_flags);
        } else {
            io_uring_prep_recvmsg(&entry, fd, &operation.message, 0);
        }
    } else if (sends) {
        io_uring_prep_send(&entry, fd, first.iov_base, first.iov_len, send_flags);
    } else {
        io_uring_prep_recv(&entry, fd, first.iov_base, first.iov_len, 0);
    }
}

/// The events that mean "try again" to an operation that the kernel did not let wait.
unsigned readiness_for(const Operation& operation) {
    switch (operation.kind) {
        case Operation::Kind::poll:
            return static_cast<unsigned>(operation.flags);
        case Operation::Kind::send:
            return POLLOUT;
        default:
            return POLLIN;
    }
}

}  // namespace

void prepare_entry(Operation& operation, io_uring_sqe& entry) {
    const File file = operation.file;
    const int fd = file.slot >= 0 ? file.slot : file.fd;
    if (operation.waiting) {
        io_uring_prep_poll_add(&entry, fd, readiness_for(operation));
    } else {
        switch (operation.kind) {
            case Operation::Kind::read:
            case Operation::Kind::write:
                prepare_vectored(operation, entry, fd);
                break;
            case Operation::Kind::receive:
            case Operation::Kind::send:
                prepare_message(operation, entry, fd);
                break;
            case Operation::Kind::sync_data:
                io_uring_prep_fsync(&entry, fd, IORING_FSYNC_DATASYNC);
                break;
            case Operation::Kind::allocate:
                io_uring_prep_fallocate(&entry, fd, operation.flags,
                                        static_cast<off_t>(operation.offset),
                                        static_cast<off_t>(operation.length));
                break;
            case Operation::Kind::accept:
                io_uring_prep_accept(&entry, fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
                break;
            case Operation::Kind::poll:
                io_uring_prep_poll_add(&entry, fd, readiness_for(operation));
                break;
            case Operation::Kind::idle:
            case Operation::Kind::ready:
            case Operation::Kind::held:
                CHECK(false, "only what the kernel does goes to it");
        }
    }
    if (file.slot >= 0) entry.flags |= IOSQE_FIXED_FILE;
    if (operation.quick) entry.flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data(&entry, &operation);
}

}  // namespace braidway::loop
