// SPDX-License-Identifier: Apache-2.0
// A map of the heap: where the blocks of the program's allocator begin, how large they are, who
// asked for them, and which of them have locks in them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/limits.h"

namespace braidway::lockcheck {

/// A block of the program's allocator.
struct HeapBlock {
    uintptr_t begin = 0;
    uint64_t bytes = 0;     ///< As asked for, rounded up to 8.
    uintptr_t made_at = 0;  ///< Return address of the allocation; 0 unknown.
    /// `made_at` made blocks of one size only, up to now: it makes things of one kind. One that
    /// made several is likely the inside of an allocator on top of ours, or of a container.
    bool of_one_size = false;
};

/// A shadow of the address space, in which 4 bytes stand for 32.
///
/// The word of the 32 bytes in which a block begins has, from its lowest bit: 19 bits site (its
/// number in the table of sites), 9 bits size (in 8 bytes, less one), 2 bits where the block begins
/// (in 8 bytes), 1 bit "large", 1 bit "locks live here". Blocks above small_bytes_max are large:
/// the 9 bits are 0, and the three words that follow, which belong to the block alone, have the
/// size in 19 bits each, with 1, 2, 3 in the 9 bits. A word with the last bit alone: locks live in
/// a block that is too small to be written down. 0: no block begins here.
///
/// Shapes:  blocks of noted_bytes_min and more; memory is mapped as addresses are used, 2 MiB for
///          16 MiB of them, of which only the touched pages are real.
/// Units:   bytes.
/// Errors:  without memory, blocks are not written down and complete() says no.
/// Threads: any, and after fork() in a threaded process: no locks. What is written down of one
/// block
///          is changed by its owner only, as the allocator hands it out.
class HeapMap {
  public:
    static constexpr size_t noted_bytes_min = 40;  ///< No pthread lock but the spinlock is smaller.
    static constexpr size_t small_bytes_max = 4096;
    static constexpr size_t scan_bytes_max =
        limits::lockcheck_heap_scan_bytes_max;  ///< How far find() looks back.
    static constexpr unsigned site_bits = 18;
    static constexpr size_t sites_max = size_t{1} << site_bits;

    constexpr HeapMap() = default;
    HeapMap(const HeapMap&) = delete;
    HeapMap& operator=(const HeapMap&) = delete;

    /// A block was made; `site` is the return address of the allocation. False: nothing was done,
    /// for locks of an earlier block that went away unseen are still known here; forget() that one
    /// first.
    [[nodiscard]] bool made(const void* block, size_t bytes, uintptr_t site) {
        return made_quickly(block, bytes, site) || made_slowly(block, bytes, site);
    }

    /// As made() where that is short: false means nothing but that it is not. Calls nothing, so
    /// that the way through an allocation keeps nothing over a call.
    bool made_quickly(const void* block, size_t bytes, uintptr_t site) {
        if (bytes < noted_bytes_min) return true;
        const auto address = reinterpret_cast<uintptr_t>(block);
        Word* const word = word_of(address);
        if (word == nullptr || bytes > small_bytes_max) [[unlikely]]
            return false;
        if ((word->load(std::memory_order_relaxed) & locks_bit) != 0) [[unlikely]]
            return false;
        const auto units = static_cast<uint32_t>((bytes + 7) / 8);
        const size_t number = site_hash(site);
        const Site& known = sites_[number];
        if (seen(known.address) != site || (seen(known.units) != units && seen(known.several) == 0))
            [[unlikely]] {
            return false;
        }
        write_small(*word, static_cast<uint32_t>(number), units, address);
        return true;
    }

    /// The block is about to be given back. True: locks may live in it; find out and forget() it.
    /// False: none do, and the block is forgotten.
    bool gone_without_locks(const void* block) {
        Word* const word = word_of(reinterpret_cast<uintptr_t>(block));
        if (word == nullptr) return complete();
        const uint32_t value = word->load(std::memory_order_relaxed);
        if (value == 0) [[likely]]
            return true;
        if ((value & (locks_bit | large_bit)) != 0 && !is_piece(value)) return false;
        word->store(0, std::memory_order_relaxed);
        return true;
    }

    /// The block that begins at `block`. False: it is not known. One too small to be written down,
    /// in which locks live, has 0 bytes.
    bool block_at(const void* block, HeapBlock& found) const;

    /// The block in which `address` is. False: in none that is known, or too deep in a large one.
    bool find(const void* address, HeapBlock& found) const;

    /// Locks live in this block.
    void has_locks(const HeapBlock& block);
    /// A lock lives at `address`, which is in no known block: in a small one, if in any.
    void has_lock_in_small_block(const void* address);
    /// Was one of these two said of the block that begins here?
    bool is_marked(const void* block) const;

    /// Nothing is known any more of the block that begins here.
    void forget(const void* block);

    /// False: some blocks are not known, for there was no memory for them.
    bool complete() const { return !incomplete_.load(std::memory_order_relaxed); }
    /// Writes nothing down from here on (a process whose address space is limited).
    void turn_off();

    /// Address space taken for the map, and how many sites are known: for tests and figures.
    size_t mapped_bytes() const { return mapped_bytes_.load(std::memory_order_relaxed); }
    size_t sites() const;

  private:
    using Word = std::atomic<uint32_t>;

    static constexpr unsigned granule_shift = 5;
    static constexpr unsigned leaf_shift = 24;
    static constexpr unsigned middle_shift = 36;
    static constexpr unsigned address_bits = 48;
    static constexpr size_t leaf_words = size_t{1} << (leaf_shift - granule_shift);
    static constexpr size_t middle_leaves = size_t{1} << (middle_shift - leaf_shift);
    static constexpr size_t top_middles = size_t{1} << (address_bits - middle_shift);
    static constexpr size_t leaf_bytes = leaf_words * sizeof(Word);
    static constexpr uintptr_t granule_bytes = uintptr_t{1} << granule_shift;

    static constexpr uint32_t locks_bit = uint32_t{1} << 31;
    static constexpr uint32_t large_bit = uint32_t{1} << 30;
    static constexpr unsigned begin_shift = 28;
    static constexpr unsigned size_shift = 19;
    static constexpr uint32_t site_mask = (uint32_t{1} << size_shift) - 1;
    static constexpr uint32_t size_mask = 511;
    static constexpr unsigned large_pieces = 3;

    struct Middle {
        std::array<std::atomic<Word*>, middle_leaves> leaves;
    };
    /// Plain words, read and written as atomic ones, so that the whole table is zero without a
    /// constructor for each.
    struct Site {
        uintptr_t address = 0;
        uint32_t units = 0;    ///< Size of the first block, in 8 bytes; large ones alike.
        uint32_t several = 0;  ///< Blocks of other sizes came, too.
    };
    template <typename T>
    static T seen(const T& word) {
        return __atomic_load_n(&word, __ATOMIC_RELAXED);
    }

    static uint32_t begin_bits(uintptr_t address) {
        return static_cast<uint32_t>((address >> 3) & 3) << begin_shift;
    }

    /// A word that follows that of a large block (and may be left over from one).
    static bool is_piece(uint32_t value) {
        return (value & large_bit) != 0 && ((value >> size_shift) & size_mask) != 0;
    }

    Word* word_of(uintptr_t address) const {
        if ((address >> address_bits) != 0) [[unlikely]]
            return nullptr;
        const Middle* const middle = top_[address >> middle_shift].load(std::memory_order_acquire);
        if (middle == nullptr) [[unlikely]]
            return nullptr;
        Word* const leaf =
            middle->leaves[(address >> leaf_shift) % middle_leaves].load(std::memory_order_acquire);
        if (leaf == nullptr) [[unlikely]]
            return nullptr;
        return leaf + (address >> granule_shift) % leaf_words;
    }

    static size_t site_hash(uintptr_t address) {
        return (address * 0x9e3779b97f4a7c15) >> (64 - site_bits);
    }

    static void write_small(Word& word, uint32_t site, uint32_t units, uintptr_t address) {
        word.store(site | ((units - 1) << size_shift) | begin_bits(address),
                   std::memory_order_relaxed);
    }

    uint32_t site_number(uintptr_t address, uint32_t units);
    bool made_slowly(const void* block, size_t bytes, uintptr_t site);
    Word* make_word(uintptr_t address);
    Word* make_leaf(std::atomic<Word*>& place);
    void describe(uintptr_t granule, uint32_t value, HeapBlock& block) const;
    uint64_t large_bytes(uintptr_t granule) const;
    Word* piece_of(uintptr_t granule, unsigned piece) const;

    std::atomic<bool> incomplete_ = false;
    std::atomic<bool> off_ = false;
    std::atomic<size_t> mapped_bytes_ = 0;
    std::array<std::atomic<Middle*>, top_middles> top_{};
    std::array<Site, sites_max> sites_{};  ///< By hash of the address; [0] is "unknown".
};

/// The map of this process.
extern HeapMap heap_map;

}  // namespace braidway::lockcheck
