// SPDX-License-Identifier: Apache-2.0
// What a map keeps with a request: the words of its frame.
#pragma once

#include <cstddef>
#include <cstdint>

namespace braidway::map {

/// The words of a map's frame. A ticket is packed into the first three; the last has the sequence
/// number of the request's arrival, which table its path index is of, and in its lowest bit whether
/// this is a flush on its walk over the stores.
enum : size_t { path_and_entry, generation_and_attempts, started_at, sequence_and_mode };
/// The first words of a flush on its walk: the path whose store it is at; the path that has it, and
/// tries so far; the number of the last write that it covers.
enum : size_t { flush_at, flush_via_and_attempts, flush_covers };
inline constexpr uint64_t flush_walk = 1;
inline constexpr unsigned table_shift = 1;
inline constexpr unsigned sequence_shift = 17;
inline constexpr uint64_t table_mask = uint64_t{0xFFFF} << table_shift;

}  // namespace braidway::map
