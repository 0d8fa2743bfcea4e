// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/heap_map.h"

#include "apps/lockcheck/preload/raw_calls.h"
#include "base/limits.h"

namespace braidway::lockcheck {

constinit HeapMap heap_map;

namespace {

/// Puts `made` where nothing is yet, or takes what somebody else has put there meanwhile.
template <typename T>
T* publish(std::atomic<T*>& place, T* made, size_t bytes) {
    T* current = nullptr;
    if (place.compare_exchange_strong(current, made, std::memory_order_acq_rel)) return made;
    unmap_pages(made, bytes);
    return current;
}

}  // namespace

uint32_t HeapMap::site_number(uintptr_t address, uint32_t units) {
    for (size_t probe = 0; probe < limits::lockcheck_site_probes_max; ++probe) {
        const size_t number = (site_hash(address) + probe) % sites_max;
        if (number == 0) continue;
        Site& site = sites_[number];
        uintptr_t known = seen(site.address);
        if (known == 0) {
            if (__atomic_compare_exchange_n(&site.address, &known, address, false, __ATOMIC_RELAXED,
                                            __ATOMIC_RELAXED)) {
                __atomic_store_n(&site.units, units, __ATOMIC_RELAXED);
                return static_cast<uint32_t>(number);
            }
        }
        if (known != address) continue;
        // A site is known a moment before its size is; 0 stands for that.
        const uint32_t first = seen(site.units);
        if (first != units && first != 0 && seen(site.several) == 0)
            __atomic_store_n(&site.several, uint32_t{1}, __ATOMIC_RELAXED);
        return static_cast<uint32_t>(number);
    }
    return 0;
}

HeapMap::Word* HeapMap::make_leaf(std::atomic<Word*>& place) {
    auto* const leaf = static_cast<Word*>(map_pages(leaf_bytes));
    if (leaf == nullptr) return nullptr;
    // A few words of it are used here and there; a huge page would make all of it real.
    raw_call(SYS_madvise, as_word(leaf), leaf_bytes, MADV_NOHUGEPAGE);
    mapped_bytes_.fetch_add(leaf_bytes, std::memory_order_relaxed);
    return publish(place, leaf, leaf_bytes);
}

HeapMap::Word* HeapMap::make_word(uintptr_t address) {
    if (Word* const word = word_of(address)) return word;
    if ((address >> address_bits) != 0 || off_.load(std::memory_order_relaxed)) {
        incomplete_.store(true, std::memory_order_relaxed);
        return nullptr;
    }
    std::atomic<Middle*>& middle_place = top_[address >> middle_shift];
    Middle* middle = middle_place.load(std::memory_order_acquire);
    if (middle == nullptr) {
        auto* const made = static_cast<Middle*>(map_pages(sizeof(Middle)));
        if (made != nullptr) {
            mapped_bytes_.fetch_add(sizeof(Middle), std::memory_order_relaxed);
            middle = publish(middle_place, made, sizeof(Middle));
        }
    }
    Word* leaf = nullptr;
    if (middle != nullptr) {
        std::atomic<Word*>& place = middle->leaves[(address >> leaf_shift) % middle_leaves];
        leaf = place.load(std::memory_order_acquire);
        if (leaf == nullptr) leaf = make_leaf(place);
    }
    if (leaf == nullptr) {
        incomplete_.store(true, std::memory_order_relaxed);
        return nullptr;
    }
    return leaf + (address >> granule_shift) % leaf_words;
}

bool HeapMap::made_slowly(const void* block, size_t bytes, uintptr_t site) {
    const auto address = reinterpret_cast<uintptr_t>(block);
    Word* const word = make_word(address);
    if (word == nullptr) return true;
    if ((word->load(std::memory_order_relaxed) & locks_bit) != 0) return false;
    if (bytes <= small_bytes_max) {
        const auto units = static_cast<uint32_t>((bytes + 7) / 8);
        write_small(*word, site_number(site, units), units, address);
        return true;
    }
    Word* pieces[large_pieces];
    for (unsigned piece = 0; piece < large_pieces; ++piece) {
        pieces[piece] = make_word(address + (piece + 1) * granule_bytes);
        if (pieces[piece] == nullptr) return true;
    }
    for (unsigned piece = 0; piece < large_pieces; ++piece) {
        const auto part = static_cast<uint32_t>(bytes >> (piece * size_shift)) & site_mask;
        pieces[piece]->store(large_bit | ((piece + 1) << size_shift) | part,
                             std::memory_order_relaxed);
    }
    // Sizes of large blocks count as one: nothing of class depends on them.
    word->store(large_bit | site_number(site, UINT32_MAX) | begin_bits(address),
                std::memory_order_relaxed);
    return true;
}

HeapMap::Word* HeapMap::piece_of(uintptr_t granule, unsigned piece) const {
    Word* const word = word_of(granule + (piece + 1) * granule_bytes);
    if (word == nullptr) return nullptr;
    const uint32_t value = word->load(std::memory_order_relaxed);
    const bool is_this_one = is_piece(value) && ((value >> size_shift) & size_mask) == piece + 1;
    return is_this_one ? word : nullptr;
}

uint64_t HeapMap::large_bytes(uintptr_t granule) const {
    uint64_t bytes = 0;
    for (unsigned piece = 0; piece < large_pieces; ++piece) {
        const Word* const word = piece_of(granule, piece);
        if (word == nullptr) return 0;
        const uint64_t part = word->load(std::memory_order_relaxed) & site_mask;
        bytes |= part << (piece * size_shift);
    }
    return bytes;
}

void HeapMap::describe(uintptr_t granule, uint32_t value, HeapBlock& block) const {
    block.begin = granule + ((value >> begin_shift) & 3) * 8;
    block.bytes = (value & large_bit) != 0 ? large_bytes(granule)
                                           : uint64_t{((value >> size_shift) & size_mask) + 1} * 8;
    const Site& site = sites_[value & site_mask];
    block.made_at = seen(site.address);
    block.of_one_size = block.made_at != 0 && seen(site.several) == 0;
}

bool HeapMap::block_at(const void* block, HeapBlock& found) const {
    const auto address = reinterpret_cast<uintptr_t>(block);
    const Word* const word = word_of(address);
    const uint32_t value = word == nullptr ? 0 : word->load(std::memory_order_relaxed);
    if (value == 0 || is_piece(value)) return false;
    if (value == locks_bit) {
        found = {.begin = address};
        return true;
    }
    describe(address & ~(granule_bytes - 1), value, found);
    return found.begin == address;
}

bool HeapMap::find(const void* address, HeapBlock& found) const {
    const auto wanted = reinterpret_cast<uintptr_t>(address);
    uintptr_t granule = wanted & ~(granule_bytes - 1);
    const uintptr_t last = granule > scan_bytes_max ? granule - scan_bytes_max : 0;
    while (granule >= last && granule != 0) {
        const Word* word = word_of(granule);
        if (word == nullptr) return false;
        // Up to the first word of this leaf.
        for (size_t left = (granule >> granule_shift) % leaf_words + 1; left > 0; --left, --word) {
            const uint32_t value = word->load(std::memory_order_relaxed);
            if (value != 0 && value != locks_bit && !is_piece(value)) {
                describe(granule, value, found);
                if (found.begin <= wanted) return wanted - found.begin < found.bytes;
            }
            granule -= granule_bytes;
            if (granule < last) break;
        }
    }
    return false;
}

void HeapMap::has_locks(const HeapBlock& block) {
    if (Word* const word = word_of(block.begin))
        word->fetch_or(locks_bit, std::memory_order_relaxed);
}

void HeapMap::has_lock_in_small_block(const void* address) {
    // The block begins in these 32 bytes or in those before.
    const auto lock = reinterpret_cast<uintptr_t>(address);
    for (const uintptr_t place : {lock, lock - granule_bytes})
        if (Word* const word = make_word(place))
            word->fetch_or(locks_bit, std::memory_order_relaxed);
}

bool HeapMap::is_marked(const void* block) const {
    const Word* const word = word_of(reinterpret_cast<uintptr_t>(block));
    return word != nullptr && (word->load(std::memory_order_relaxed) & locks_bit) != 0;
}

void HeapMap::forget(const void* block) {
    const auto address = reinterpret_cast<uintptr_t>(block);
    Word* const word = word_of(address);
    if (word == nullptr) return;
    const uint32_t value = word->load(std::memory_order_relaxed);
    if ((value & large_bit) != 0 && !is_piece(value)) {
        for (unsigned piece = 0; piece < large_pieces; ++piece)
            if (Word* const part = piece_of(address, piece))
                part->store(0, std::memory_order_relaxed);
    }
    word->store(0, std::memory_order_relaxed);
}

void HeapMap::turn_off() {
    off_.store(true, std::memory_order_relaxed);
    incomplete_.store(true, std::memory_order_relaxed);
}

size_t HeapMap::sites() const {
    size_t count = 0;
    for (const Site& site : sites_)
        if (seen(site.address) != 0) ++count;
    return count;
}

}  // namespace braidway::lockcheck
