// SPDX-License-Identifier: Apache-2.0
#include "base/io.h"

#include <array>
#include <cerrno>

namespace braidway {
namespace {

struct StatusRow {
    IoStatus status;
    std::string_view name;
    int code;
};

constexpr std::array<StatusRow, io_statuses> rows{{
    {IoStatus::ok, "ok", 0},
    {IoStatus::not_supported, "not-supported", EOPNOTSUPP},
    {IoStatus::no_space, "no-space", ENOSPC},
    {IoStatus::target, "target", EREMOTEIO},
    {IoStatus::reservation_conflict, "reservation-conflict", EBADE},
    {IoStatus::medium, "medium", ENODATA},
    {IoStatus::protection, "protection", EILSEQ},
    {IoStatus::invalid, "invalid", EINVAL},
    {IoStatus::shutdown, "shutdown", ESHUTDOWN},
    {IoStatus::io, "io", EIO},
    {IoStatus::timeout, "timeout", ETIMEDOUT},
    {IoStatus::transport, "transport", ENOLINK},
    {IoStatus::resource, "resource", ENOMEM},
    {IoStatus::device_resource, "device-resource", EBUSY},
    {IoStatus::again, "again", EAGAIN},
    {IoStatus::offline, "offline", ENODEV},
    {IoStatus::duration_limit, "duration-limit", ETIME},
    {IoStatus::zone_resource, "zone-resource", ETOOMANYREFS},
}};

constexpr std::array<std::string_view, io_ops> op_names{
    "read", "write", "flush", "discard", "write-zeroes", "block-status", "cache"};

}  // namespace

std::string_view io_status_name(IoStatus status) {
    return rows[static_cast<size_t>(status)].name;
}

std::optional<IoStatus> io_status_from_name(std::string_view name) {
    for (const StatusRow& row : rows)
        if (row.name == name) return row.status;
    return std::nullopt;
}

IoStatus io_status_from_errno(int code) {
    // From a system call it says that a socket is down; IoStatus::shutdown is the volume's own.
    if (code == ESHUTDOWN) return IoStatus::transport;
    for (const StatusRow& row : rows)
        if (row.code == code) return row.status;
    switch (code) {
        case EDQUOT:
        case EFBIG:
            return IoStatus::no_space;
        case ENOSYS:
            return IoStatus::not_supported;
        case ECONNRESET:
        case ECONNABORTED:
        case ECONNREFUSED:
        case ENOTCONN:
        case EPIPE:
        case EHOSTUNREACH:
        case ENETUNREACH:
            return IoStatus::transport;
        case ENXIO:
            return IoStatus::offline;
        case EOVERFLOW:
            return IoStatus::zone_resource;
        default:
            return IoStatus::io;
    }
}

int io_status_to_errno(IoStatus status) {
    return rows[static_cast<size_t>(status)].code;
}

std::string_view io_op_name(IoOp op) {
    return op_names[static_cast<size_t>(op)];
}

std::optional<IoOp> io_op_from_name(std::string_view name) {
    for (size_t at = 0; at < op_names.size(); ++at)
        if (op_names[at] == name) return static_cast<IoOp>(at);
    return std::nullopt;
}

}  // namespace braidway
