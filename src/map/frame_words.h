// SPDX-License-Identifier: Apache-2.0
// What a map keeps with a request: the words of its frame.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "multipath/multipath.h"

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

using Words = std::array<uint64_t, 4>;

inline void pack(Words& words, const multipath::Ticket& ticket) {
    words[path_and_entry] = ticket.path | uint64_t{ticket.entry} << 32;
    words[generation_and_attempts] = ticket.generation | uint64_t{ticket.attempts} << 32;
    words[started_at] = static_cast<uint64_t>(ticket.started_at.ns);
}

inline multipath::Ticket unpack(const Words& words, uint64_t length_bytes) {
    return {.path = static_cast<uint32_t>(words[path_and_entry]),
            .entry = static_cast<uint32_t>(words[path_and_entry] >> 32),
            .generation = static_cast<uint32_t>(words[generation_and_attempts]),
            .attempts = static_cast<uint32_t>(words[generation_and_attempts] >> 32),
            .length_bytes = length_bytes,
            .started_at = {static_cast<int64_t>(words[started_at])}};
}

inline uint32_t attempts_of(const Words& words) {
    return static_cast<uint32_t>(words[generation_and_attempts] >> 32);
}

}  // namespace braidway::map
