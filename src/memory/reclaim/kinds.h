// SPDX-License-Identifier: Apache-2.0
// The kinds of memory that can be asked for, and amounts of them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace braidway::memory {

/// What to free, in the order in which it is freed: anonymous memory first, because the kernel's
/// node reclaim refuses it once too little page cache is left.
enum class Kind : uint8_t {
    anonymous,          ///< Private memory of processes; goes to swap.
    page_cache,         ///< Clean pages of files that no process has mapped.
    mapped_page_cache,  ///< Clean pages of files that a process has mapped; they fault in again.
    slab,               ///< Reclaimable caches of the kernel: directory entries, inodes, ...
};
inline constexpr std::array kinds_all{Kind::anonymous, Kind::page_cache, Kind::mapped_page_cache,
                                      Kind::slab};
inline constexpr size_t kinds_count = kinds_all.size();

/// "page-cache", as on the command line.
std::string_view name_of(Kind kind);

/// A set of kinds; the bits are those of the C interface.
class KindSet {
  public:
    constexpr KindSet() = default;
    constexpr explicit KindSet(uint32_t bits) : bits_(bits) {}
    constexpr bool has(Kind kind) const { return (bits_ & bit(kind)) != 0; }
    constexpr KindSet& add(Kind kind) {
        bits_ |= bit(kind);
        return *this;
    }
    constexpr bool empty() const { return bits_ == 0; }
    constexpr uint32_t bits() const { return bits_; }
    constexpr bool operator==(const KindSet&) const = default;
    /// The bit of `kind` in NODE_MEMORY_* of include/braidway/node_memory.h.
    static constexpr uint32_t bit(Kind kind) {
        switch (kind) {
            case Kind::page_cache:
                return 1;
            case Kind::mapped_page_cache:
                return 2;
            case Kind::anonymous:
                return 4;
            case Kind::slab:
                return 8;
        }
        return 0;
    }
    static constexpr uint32_t bits_all = 15;

  private:
    uint32_t bits_ = 0;
};

/// Reads "page-cache,slab". Errors: names the word that is no kind, and says which there are.
Result<KindSet> parse_kinds(std::string_view text);

/// "page-cache,slab"; the reverse of parse_kinds().
std::string format_kinds(KindSet kinds);

/// Bytes of each kind.
struct KindBytes {
    std::array<uint64_t, kinds_count> bytes{};
    uint64_t& operator[](Kind kind) { return bytes[static_cast<size_t>(kind)]; }
    uint64_t operator[](Kind kind) const { return bytes[static_cast<size_t>(kind)]; }
    uint64_t total() const;
    /// Only of the kinds in the set.
    uint64_t total(KindSet kinds) const;
    KindBytes& operator+=(const KindBytes& more);
    bool operator==(const KindBytes&) const = default;
};

/// Reads an amount: a whole number of bytes, or with K, M, G, T, P or KiB, MiB, ... in any case;
/// always powers of 1024.
/// Errors: sign, blank, fraction, hex, unknown unit, overflow: one sentence that names the text.
Result<uint64_t> parse_amount(std::string_view text);

}  // namespace braidway::memory
