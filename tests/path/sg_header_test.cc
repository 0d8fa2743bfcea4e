// SPDX-License-Identifier: Apache-2.0
#include "path/sg_header.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace braidway::path {
namespace {

using namespace std::chrono_literals;
using wire::ScsiTransport;

TEST(SgHeader, ACommandIsLaidOutForTheKernel) {
    SgCommand command;
    command.cdb = wire::vpd_cdb(0x83, 252);
    command.data_in.resize(252);
    prepare_sg(command, 1500us);
    const sg_io_hdr& header = command.header;
    EXPECT_EQ(header.interface_id, 'S');
    EXPECT_EQ(header.cmd_len, 6);
    EXPECT_EQ(header.cmdp[0], 0x12);
    EXPECT_EQ(header.dxfer_direction, SG_DXFER_FROM_DEV);
    EXPECT_EQ(header.dxfer_len, 252u);
    EXPECT_EQ(header.dxferp, command.data_in.data());
    EXPECT_EQ(header.timeout, 2u) << "rounded up";

    command.data_in.clear();
    command.data_out.resize(8);
    prepare_sg(command, 0s);
    EXPECT_EQ(header.dxfer_direction, SG_DXFER_TO_DEV);
    EXPECT_EQ(header.dxferp, command.data_out.data());
    EXPECT_EQ(header.timeout, 1u) << "0 would be the kernel's own";

    command.data_out.clear();
    prepare_sg(command, Duration::max());
    EXPECT_EQ(header.dxfer_direction, SG_DXFER_NONE);
    EXPECT_EQ(header.timeout, 24u * 3600 * 1000);
}

ScsiTransport read(unsigned status, unsigned host, unsigned driver) {
    SgCommand command;
    command.header.status = static_cast<unsigned char>(status);
    command.header.host_status = static_cast<unsigned short>(host);
    command.header.driver_status = static_cast<unsigned short>(driver);
    return read_sg(command, 0).transport;
}

TEST(SgHeader, WhatTheKernelSaysOfTheWayIsToldWithCare) {
    EXPECT_EQ(read(0, 0, 0), ScsiTransport::answered);
    EXPECT_EQ(read(0, 0, 8), ScsiTransport::answered) << "sense data of a command that is good";
    EXPECT_EQ(read(0x02, 0, 8), ScsiTransport::answered);
    EXPECT_EQ(read(0, 1, 0), ScsiTransport::no_connection);
    EXPECT_EQ(read(0, 4, 0), ScsiTransport::no_connection);
    EXPECT_EQ(read(0, 2, 0), ScsiTransport::no_resources);
    EXPECT_EQ(read(0, 0x0c, 0), ScsiTransport::no_resources);
    EXPECT_EQ(read(0, 0x0d, 0), ScsiTransport::no_resources);
    EXPECT_EQ(read(0, 3, 0), ScsiTransport::timed_out);
    EXPECT_EQ(read(0, 0, 6), ScsiTransport::timed_out);
    EXPECT_EQ(read(0, 0, 0x26), ScsiTransport::timed_out) << "with the suggestion to abort";
    // Ended by the host or a reset, parity, an error of the adapter, the transport gone, or
    // unknown: it may have run.
    for (const unsigned host : {5u, 6u, 7u, 8u, 9u, 0x0bu, 0x0eu, 0x0fu, 0x14u, 0x99u})
        EXPECT_EQ(read(0, host, 0), ScsiTransport::connection_lost) << host;
    for (const unsigned driver : {1u, 2u, 3u, 4u, 5u, 7u})
        EXPECT_EQ(read(0, 0, driver), ScsiTransport::connection_lost) << driver;
}

TEST(SgHeader, ADeviceThatAnsweredIsBelievedWhateverTheLayersAboveMadeOfIt) {
    EXPECT_EQ(read(0x02, 0x10, 8), ScsiTransport::answered);
    EXPECT_EQ(read(0x18, 0x11, 0), ScsiTransport::answered) << "a reservation conflict";
    EXPECT_EQ(read(0x02, 3, 8), ScsiTransport::timed_out)
        << "the sense data are of another command";
}

TEST(SgHeader, ARefusalOfTheSystemSaysThatTheCommandDidNotLeave) {
    const SgCommand command;
    for (const int error : {ENOMEM, EPERM, EACCES, EINVAL, ENOTTY, EBUSY, EAGAIN, EDOM})
        EXPECT_EQ(read_sg(command, error).transport, ScsiTransport::no_resources) << error;
    EXPECT_EQ(read_sg(command, ENODEV).transport, ScsiTransport::no_connection);
    EXPECT_EQ(read_sg(command, ENXIO).transport, ScsiTransport::no_connection);
    EXPECT_EQ(read_sg(command, EIO).transport, ScsiTransport::connection_lost);
    EXPECT_EQ(read_sg(command, EFAULT).transport, ScsiTransport::connection_lost);
    EXPECT_EQ(read_sg(command, ETIMEDOUT).transport, ScsiTransport::timed_out);
}

TEST(SgHeader, DataAndSenseEndWhereTheKernelSays) {
    SgCommand command;
    command.data_in.resize(100);
    const auto data_bytes = [&](int resid) {
        command.header.resid = resid;
        return read_sg(command, 0).data_in.size();
    };
    EXPECT_EQ(data_bytes(0), 100u);
    EXPECT_EQ(data_bytes(64), 36u);
    EXPECT_EQ(data_bytes(100), 0u);
    EXPECT_EQ(data_bytes(101), 0u) << "a driver that counts wrongly";
    EXPECT_EQ(data_bytes(-4), 100u);
    command.header.sb_len_wr = 18;
    EXPECT_EQ(read_sg(command, 0).sense.size(), 18u);
    command.header.sb_len_wr = 255;
    EXPECT_EQ(read_sg(command, 0).sense.size(), command.sense.size());
}

}  // namespace
}  // namespace braidway::path
