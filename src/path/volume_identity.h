// SPDX-License-Identifier: Apache-2.0
// Whether a path leads to the volume that its map stands for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace braidway::path {

/// What comparing the identities of a map and of a path says. Closed: switch over it without
/// `default`.
enum class IdentityVerdict : uint8_t {
    same,     ///< The same volume: I/O may go.
    other,    ///< Another volume: the path is fenced for good. A number of a LUN or an export was
              ///< given to something else; writing there destroys it.
    unknown,  ///< It cannot be told now: no I/O goes, and the path is asked again with its next
              ///< check. Arrays that start up answer their pages before they know their LUNs.
};

/// The comparison, and one line for the log.
struct IdentityAnswer {
    IdentityVerdict verdict = IdentityVerdict::unknown;
    /// Both identities, and what to do; empty = the same. Begins with the path's name.
    std::string line = {};
};

/// The identity of an export of an NBD server, which has no name of its own for the volume:
/// "nbd:EXPORT:SIZE", with ":FINGERPRINT" when chosen blocks were read. In the name of the export
/// '%', ':' and what is no printable ASCII are written %XX, so that no two exports look alike.
/// Units: bytes.
std::string nbd_identity(const std::string& export_name, uint64_t size_bytes,
                         const std::string& fingerprint);

/// An identity of an export, taken apart.
struct NbdIdentity {
    std::string export_name = {};
    uint64_t size_bytes = 0;
    std::string fingerprint = {};
    friend bool operator==(const NbdIdentity&, const NbdIdentity&) = default;
};
/// The reverse of nbd_identity(); nothing when `identity` is none of an export (but a WWID).
std::optional<NbdIdentity> parse_nbd_identity(const std::string& identity);

/// Compares what a map stands for (its key `wwid`, or what its first working path found) with what
/// `path` has found. When a path is added to a map, and after each connect before any I/O.
///
/// Equal texts are the same volume. Texts of one kind that differ are another volume; so are texts
/// of different kinds. An export with a fingerprint and one without cannot be compared, and neither
/// can anything with a path that has found nothing.
/// Pure. `found` is empty when the device tells nothing.
IdentityAnswer compare_identity(const std::string& path, const std::string& map_identity,
                                const std::string& found);

}  // namespace braidway::path
