// SPDX-License-Identifier: Apache-2.0
// What a benchmark should find the same each time: memory by node, and settings.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "memory/reclaim/machine.h"
#include "memory/reclaim/node_list.h"

namespace braidway::memory {

/// Bytes on one node.
struct NodeFingerprint {
    uint32_t node = 0;
    uint64_t total = 0;
    uint64_t free = 0;
    uint64_t page_cache = 0;  ///< Never tmpfs.
    uint64_t mapped = 0;      ///< Of the page cache.
    uint64_t dirty = 0;       ///< Also what is being written.
    uint64_t slab = 0;        ///< Reclaimable or not.
    uint64_t anonymous = 0;
    uint64_t shmem = 0;      ///< tmpfs and shared memory.
    uint64_t free_huge = 0;  ///< Free memory in blocks of at least a huge page.
    bool operator==(const NodeFingerprint&) const = default;
};

/// "vm.swappiness" and "60"; an interface that this kernel does not have is not listed.
struct FingerprintSetting {
    std::string name;
    std::string value;
    bool operator==(const FingerprintSetting&) const = default;
};

/// A machine's state at one moment.
struct Fingerprint {
    std::string kernel{};  ///< "6.18.0-amd64".
    std::vector<NodeFingerprint> nodes{};
    uint64_t swap_total = 0;
    uint64_t swap_used = 0;
    std::vector<FingerprintSetting> settings{};
    bool operator==(const Fingerprint&) const = default;
};

/// Looks at `nodes` and at the settings of the whole machine; needs no privilege, but without one
/// counts may be some hundred pages for each CPU behind.
/// Errors: a node's counts cannot be read.
Result<Fingerprint> read_fingerprint(const Machine& machine, const NodeList& nodes);

/// Bytes that are free in blocks of at least `block_bytes` on one node, by /proc/buddyinfo.
uint64_t parse_free_blocks(std::string_view buddyinfo, uint32_t node, uint64_t page_bytes,
                           uint64_t block_bytes);

/// Bytes, or a setting.
using FingerprintValue = std::variant<uint64_t, std::string>;

/// One thing in which two states differ.
struct FingerprintDifference {
    std::string what;  ///< "node 0 free", "vm.swappiness".
    FingerprintValue expected;
    FingerprintValue found;
    uint64_t tolerance = 0;  ///< Bytes; 0 for a setting, which must be the same.
};

/// In what `found` is not as `expected`: amounts up to the larger of 2 % of the node's (or swap's)
/// size and 64 MiB, settings exactly. A node or setting that only one of them has is a difference.
std::vector<FingerprintDifference> compare(const Fingerprint& expected, const Fingerprint& found);

/// "node 0 free: expected 22G, found 18G (may differ by 482M)".
std::string difference_text(const FingerprintDifference& difference);

/// The members of a NodeFingerprint that are compared, with their names for people and for JSON.
struct FingerprintAmount {
    std::string_view name;  ///< "page cache".
    const char* key;        ///< "page_cache_bytes".
    uint64_t NodeFingerprint::* place;
};
const std::vector<FingerprintAmount>& fingerprint_amounts();

}  // namespace braidway::memory
