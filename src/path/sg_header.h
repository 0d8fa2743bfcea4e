// SPDX-License-Identifier: Apache-2.0
// SCSI commands as the Linux SCSI generic interface (SG_IO, version 3) takes and answers them.
#pragma once

#include <scsi/sg.h>

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "base/time.h"
#include "wire/scsi_answer.h"
#include "wire/scsi_cdb.h"

namespace braidway::path {

/// One command with all the memory that the kernel reads and writes for it. Stays where it is while
/// the kernel has it.
struct SgCommand {
    wire::Cdb cdb{};
    std::vector<std::byte> data_out{};
    std::vector<std::byte> data_in{};  ///< As large as the room for the answer.
    std::array<std::byte, 252> sense{};
    sg_io_hdr header{};
};

/// Fills the header for the rest of `command`, which has data in one direction at most. The kernel
/// counts milliseconds: `timeout` is rounded up, to 1 ms at least.
void prepare_sg(SgCommand& command, Duration timeout);

/// Reads what the kernel made of a command: `error` is the errno value of the call, 0 = none; then
/// the header counts. The spans are in `command`.
///
/// Whether a command ran is told as carefully as can be: unless the kernel says that it did not
/// leave, one without a status counts as connection_lost, which may have run.
/// Source: the host and driver codes of the Linux SCSI Generic HOWTO, 6.18 and 6.19, and of the
///         kernel's scsi_status.h.
wire::ScsiAnswer read_sg(const SgCommand& command, int error);

}  // namespace braidway::path
