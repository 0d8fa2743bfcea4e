// SPDX-License-Identifier: Apache-2.0
#include "base/io.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

namespace braidway {
namespace {

std::vector<IoStatus> every_status() {
    std::vector<IoStatus> all;
    for (unsigned number = 0; number < io_statuses; ++number)
        all.push_back(static_cast<IoStatus>(number));
    return all;
}

TEST(IoStatus, NamesAreUniqueAndReadBack) {
    std::set<std::string_view> names;
    for (const IoStatus status : every_status()) {
        const std::string_view name = io_status_name(status);
        EXPECT_TRUE(names.insert(name).second) << name;
        EXPECT_EQ(io_status_from_name(name), status) << name;
    }
    EXPECT_EQ(io_status_name(IoStatus::device_resource), "device-resource");
    EXPECT_EQ(io_status_from_name("no such class"), std::nullopt);
    EXPECT_EQ(io_status_from_name(""), std::nullopt);
}

TEST(IoStatus, SurvivesTheWayThroughErrno) {
    for (const IoStatus status : every_status()) {
        if (status == IoStatus::shutdown) continue;
        EXPECT_EQ(io_status_from_errno(io_status_to_errno(status)), status)
            << io_status_name(status);
    }
    EXPECT_EQ(io_status_to_errno(IoStatus::shutdown), ESHUTDOWN);
}

TEST(IoStatus, OnlyWhatTheKernelRetriesElsewhereIsAPathError) {
    const std::set<IoStatus> not_path{IoStatus::ok,
                                      IoStatus::not_supported,
                                      IoStatus::no_space,
                                      IoStatus::target,
                                      IoStatus::reservation_conflict,
                                      IoStatus::medium,
                                      IoStatus::protection,
                                      IoStatus::invalid,
                                      IoStatus::shutdown};
    for (const IoStatus status : every_status())
        EXPECT_EQ(is_path_error(status), !not_path.contains(status)) << io_status_name(status);
}

TEST(IoStatusFromErrno, ClassifiesAsTheKernelDoes) {
    EXPECT_EQ(io_status_from_errno(0), IoStatus::ok);
    EXPECT_EQ(io_status_from_errno(EOPNOTSUPP), IoStatus::not_supported);
    EXPECT_EQ(io_status_from_errno(ENOSPC), IoStatus::no_space);
    EXPECT_EQ(io_status_from_errno(EREMOTEIO), IoStatus::target);
    EXPECT_EQ(io_status_from_errno(EBADE), IoStatus::reservation_conflict);
    EXPECT_EQ(io_status_from_errno(ENODATA), IoStatus::medium);
    EXPECT_EQ(io_status_from_errno(EILSEQ), IoStatus::protection);
    EXPECT_EQ(io_status_from_errno(ENOMEM), IoStatus::resource);
    EXPECT_EQ(io_status_from_errno(EBUSY), IoStatus::device_resource);
    EXPECT_EQ(io_status_from_errno(EAGAIN), IoStatus::again);
    EXPECT_EQ(io_status_from_errno(ENODEV), IoStatus::offline);
    EXPECT_EQ(io_status_from_errno(ETIME), IoStatus::duration_limit);
    EXPECT_EQ(io_status_from_errno(ETOOMANYREFS), IoStatus::zone_resource);
    EXPECT_EQ(io_status_from_errno(EOVERFLOW), IoStatus::zone_resource);
    EXPECT_EQ(io_status_from_errno(ETIMEDOUT), IoStatus::timeout);
    EXPECT_EQ(io_status_from_errno(ENOLINK), IoStatus::transport);
}

TEST(IoStatusFromErrno, AMalformedRequestIsNoPathError) {
    EXPECT_EQ(io_status_from_errno(EINVAL), IoStatus::invalid);
    EXPECT_FALSE(is_path_error(io_status_from_errno(EINVAL)));
}

TEST(IoStatusFromErrno, LostConnectionsAreTransportErrors) {
    for (const int code : {ECONNRESET, ECONNABORTED, ECONNREFUSED, ENOTCONN, EPIPE, EHOSTUNREACH,
                           ENETUNREACH, ESHUTDOWN})
        EXPECT_EQ(io_status_from_errno(code), IoStatus::transport) << code;
}

TEST(IoStatusFromErrno, WhatHasNoClassIsAnIoError) {
    for (const int code : {EIO, EPERM, EACCES, EROFS, EBADF, EFAULT, 4095})
        EXPECT_EQ(io_status_from_errno(code), IoStatus::io) << code;
}

TEST(IoOp, NamesAreUniqueAndReadBack) {
    std::set<std::string_view> names;
    for (unsigned number = 0; number < io_ops; ++number) {
        const auto op = static_cast<IoOp>(number);
        EXPECT_TRUE(names.insert(io_op_name(op)).second);
        EXPECT_EQ(io_op_from_name(io_op_name(op)), op);
    }
    EXPECT_EQ(io_op_name(IoOp::write_zeroes), "write-zeroes");
    EXPECT_EQ(io_op_from_name("trim"), std::nullopt);
}

}  // namespace
}  // namespace braidway
