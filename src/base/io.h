// SPDX-License-Identifier: Apache-2.0
// The words for one I/O: what is asked, of which shape, and how it ended.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace braidway {

/// What a block request asks for.
enum class IoOp : uint8_t {
    read,          ///< Fill the data buffers from the device.
    write,         ///< Store the data buffers.
    flush,         ///< Make every write that has completed survive a power loss.
    discard,       ///< The range is no longer needed; reading it afterwards is unspecified.
    write_zeroes,  ///< The range reads as zeroes afterwards.
    block_status,  ///< Which parts of the range are holes or zeroes.
    cache,         ///< The range will be read soon.
};
inline constexpr unsigned io_ops = 7;

/// Whether it changes what is stored. What does not may be sent twice without harm.
constexpr bool changes_data(IoOp op) {
    switch (op) {
        case IoOp::write:
        case IoOp::discard:
        case IoOp::write_zeroes:
            return true;
        case IoOp::read:
        case IoOp::flush:
        case IoOp::block_status:
        case IoOp::cache:
            return false;
    }
    return false;
}

/// How one I/O ended. Closed: switch over it without `default`. The names are the kernel's block
/// status classes; io_status_name() gives the words that users write and see.
enum class IoStatus : uint8_t {
    ok,
    // Answered by the storage itself: go straight up, say nothing about the path.
    not_supported,         ///< BLK_STS_NOTSUPP, EOPNOTSUPP.
    no_space,              ///< BLK_STS_NOSPC, ENOSPC.
    target,                ///< BLK_STS_TARGET, EREMOTEIO: the target refused for good.
    reservation_conflict,  ///< BLK_STS_RESV_CONFLICT, EBADE.
    medium,                ///< BLK_STS_MEDIUM, ENODATA: bad sector.
    protection,            ///< BLK_STS_PROTECTION, EILSEQ: integrity data did not match.
    invalid,               ///< BLK_STS_INVAL, EINVAL: a malformed request. Fails no path here; it
                           ///< does in the kernel.
    shutdown,              ///< The volume is being shut down. Never comes from a path.
    // Say something about the path: it fails.
    io,               ///< BLK_STS_IOERR, EIO and every errno without a class of its own.
    timeout,          ///< BLK_STS_TIMEOUT, ETIMEDOUT.
    transport,        ///< BLK_STS_TRANSPORT, ENOLINK and lost connections.
    resource,         ///< BLK_STS_RESOURCE, ENOMEM: out of memory or requests.
    device_resource,  ///< BLK_STS_DEV_RESOURCE, EBUSY.
    again,            ///< BLK_STS_AGAIN, EAGAIN.
    offline,          ///< BLK_STS_OFFLINE, ENODEV: the device is gone or set offline.
    duration_limit,   ///< BLK_STS_DURATION_LIMIT, ETIME: the command's own time limit.
    zone_resource,    ///< BLK_STS_ZONE_*_RESOURCE, ETOOMANYREFS and EOVERFLOW.
};
inline constexpr unsigned io_statuses = 18;

/// Whether this outcome says that the path is bad (spec: the kernel's blk_path_error), so that the
/// request is tried on another one. ok is no path error.
constexpr bool is_path_error(IoStatus status) {
    return status >= IoStatus::io;
}

/// The words users write in configurations and see in logs: "transport", "medium", "no-space"...
std::string_view io_status_name(IoStatus status);

/// The reverse of io_status_name; nothing when the word is unknown.
std::optional<IoStatus> io_status_from_name(std::string_view name);

/// Classifies a positive errno value of a system call. 0 is ok.
IoStatus io_status_from_errno(int code);

/// The errno value that stands for `status`; 0 for ok.
int io_status_to_errno(IoStatus status);

/// "read", "write", "flush", "discard", "write-zeroes", "block-status", "cache".
std::string_view io_op_name(IoOp op);

/// The reverse of io_op_name; nothing when the word is unknown.
std::optional<IoOp> io_op_from_name(std::string_view name);

/// What deciding code needs to know of a request.
struct IoShape {
    IoOp op = IoOp::read;
    uint64_t offset_bytes = 0;
    uint64_t length_bytes = 0;
    uint32_t cpu = 0;  ///< Of the lane that submits it.
};

}  // namespace braidway
