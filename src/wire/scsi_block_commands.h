// SPDX-License-Identifier: Apache-2.0
// SCSI commands of disks beyond reading and writing: caches, provisioning, which units there are.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "wire/scsi_cdb.h"

namespace braidway::wire {

/// Everything in the device's cache goes to the medium.
Cdb synchronize_cache_10_cdb();
Cdb synchronize_cache_16_cdb();

/// One range for UNMAP.
struct UnmapRange {
    uint64_t lba = 0;
    uint32_t blocks = 0;
};
inline constexpr size_t unmap_data_bytes = 24;
/// UNMAP of one range, which is in unmap_data().
Cdb unmap_cdb();
std::array<std::byte, unmap_data_bytes> unmap_data(const UnmapRange& range);

/// The block that goes with it is written to each of `blocks`; with `unmap` the device may drop
/// them instead, if they then read as that block.
Cdb write_same_16_cdb(uint64_t lba, uint32_t blocks, bool unmap);

Cdb report_luns_cdb(uint32_t data_bytes);
/// The numbers in REPORT LUNS' answer as far as it goes, in its order; units of the simple kinds of
/// addressing (peripheral, flat space), others are left out. Nothing when it is cut short inside
/// its header.
std::optional<std::vector<uint16_t>> parse_luns(std::span<const std::byte> data);

}  // namespace braidway::wire
