// SPDX-License-Identifier: Apache-2.0
// Asking a disk of the kernel who it is, where one may sleep.
#pragma once

#include "path/scsi_identify.h"
#include "path/sg_io.h"

namespace braidway::path {

/// ScsiIdentify by SG_IO, in the calling thread. May sleep: not for a lane.
/// `call` is for tests; empty = the system's.
/// Errors: as ScsiIdentify.
Result<ScsiSelfPortrait> identify_sg_device(const SgDevice& device, const SgCall& call = {});

}  // namespace braidway::path
