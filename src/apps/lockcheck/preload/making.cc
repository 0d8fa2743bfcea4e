// SPDX-License-Identifier: Apache-2.0
// Where objects without an init call are classed, being wrong costs a false report, being careful
// only a missed one; so only what is surely a member of a struct on the heap gets a class there:
// - A lock that is a heap block of its own is its own class: who asked for the block is as often a
//   pool or a factory of locks of all kinds as a place that makes one kind. (The stack of its first
//   use is no help: of locks that are taken in the order of their addresses, the same function sees
//   some first as the first lock and some as the second, which would make two classes of one kind.)
// - So is one whose block was asked for at a place that asks for several sizes, or for a size that
//   is no constant there: an allocator on top of malloc(), or a container.
// - So are the elements of an array of locks (std::vector<std::mutex>, std::deque), and the lock of
//   a std::make_shared<std::mutex>(). Two or three locks and nothing else are taken for a struct.
#include "apps/lockcheck/preload/making.h"

#include <array>
#include <atomic>

#include "apps/lockcheck/preload/allocation_sites.h"
#include "apps/lockcheck/preload/heap_map.h"
#include "apps/lockcheck/preload/initialiser.h"
#include "apps/lockcheck/preload/mixed.h"
#include "apps/lockcheck/preload/stack_locks.h"
#include "apps/lockcheck/preload/static_objects.h"
#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

using lockdep::Making;
using lockdep::Place;

/// A block or static object, and what it looks like around the lock.
struct Surround {
    bool known = false;        ///< Making::block_bytes and offset_bytes are true.
    bool bare = false;         ///< The lock is all there is.
    bool of_one_size = false;  ///< See HeapBlock.
    uintptr_t begin = 0;
};

/// Never 0, which means "a class of its own".
uint64_t key_of(std::initializer_list<uint64_t> parts) {
    uint64_t key = 0x6c6f636b;
    for (const uint64_t part : parts) key = mixed(key, part);
    return key == 0 ? 1 : key;
}

/// Locks that were initialised in one block by the very same stack, one after the other, are
/// elements of an array, and of one class; what this remembers of them is the first one's key.
///
/// Threads: any. An entry is what two words say together, so that a torn one is none.
class ArrayClasses {
  public:
    uint64_t class_of(uint64_t stack_key, uintptr_t block, uint64_t key) {
        const uint64_t question = mixed(stack_key, block);
        Entry& entry = entries_[question % entries_.size()];
        const uint64_t known = entry.key.load(std::memory_order_relaxed);
        if ((entry.check.load(std::memory_order_relaxed) ^ known) == question && known != 0)
            return known;
        entry.key.store(key, std::memory_order_relaxed);
        entry.check.store(key ^ question, std::memory_order_relaxed);
        return key;
    }

  private:
    struct Entry {
        std::atomic<uint64_t> key = 0;
        std::atomic<uint64_t> check = 0;
    };
    std::array<Entry, 1024> entries_{};
};

constinit ArrayClasses array_classes;

/// The size of one object of the type that the lock is a member of, as far as it is known: it tells
/// types apart that one wrapper initialises.
uint64_t type_bytes(const Making& making, const Surround& around) {
    if (making.place == Place::static_storage) return (making.block_bytes + 7) / 8 * 8;
    const bool of_one_type = around.of_one_size && making.block_made_at != 0 &&
                             asks_for_one_type(making.block_made_at, making.block_bytes);
    return of_one_type ? making.block_bytes : 0;
}

/// In memory of which nothing is known: a block too small to be noted, or the program's own pool.
uint64_t class_in_unknown_memory(const Initialiser& who, size_t lock_bytes) {
    const bool in_struct =
        who.block_bytes > (lock_bytes + 7) / 8 * 8 || (lock_bytes < 8 && who.block_bytes >= 8);
    if (who.kind == Initialiser::Kind::knows || in_struct) return key_of({7, who.site});
    return key_of({2, who.stack_key});
}

uint64_t class_by_initialisation(Making& making, const Surround& around, size_t lock_bytes) {
    const Initialiser who = initialiser_on_the_stack();
    if (who.site == 0) return 0;
    if (making.place != Place::static_storage) making.typed |= may_know_types(who.site - 1);
    // A function that only hands the lock on is anybody's: its callers tell its users apart.
    const bool is_anybodys =
        who.kind == Initialiser::Kind::passes || who.kind == Initialiser::Kind::pointed;
    const uint64_t user = is_anybodys ? who.stack_key : who.site;
    if (making.place == Place::stack) return key_of({1, user});
    if (!around.known) return class_in_unknown_memory(who, lock_bytes);
    if (around.bare) return key_of({2, who.stack_key});
    if (making.block_bytes > limits::lockcheck_object_bytes_max) return key_of({3, user});
    uint64_t type = 0;
    if (who.kind == Initialiser::Kind::passes) {
        type = type_bytes(making, around);
        // Users are told apart where nothing else does it, and where debug information can join
        // again what belongs together.
        if (type == 0 || (making.typed && who.has_frame)) type = mixed(type, who.user);
    }
    if (who.kind == Initialiser::Kind::pointed) type = who.stack_key;
    return array_classes.class_of(who.stack_key, around.begin,
                                  key_of({4, who.site, making.offset_bytes, type}));
}

/// Could these 4-byte words be locks of `lock_bytes` each, some of them in use? Small numbers, and
/// no pointers.
bool is_array_of_locks(const Making& making, uintptr_t begin, size_t lock_bytes) {
    constexpr uint32_t number_max = uint32_t{1} << 23;
    const uint64_t bytes = making.block_bytes;
    // Where debug information may tell structs from arrays, it is asked at the end.
    const uint64_t locks_max = making.typed ? 1 : limits::lockcheck_struct_locks_max;
    if (bytes <= locks_max * lock_bytes || bytes % lock_bytes != 0 ||
        making.offset_bytes % lock_bytes != 0)
        return false;
    for (uint64_t at = 0; at + 4 <= bytes; at += 4) {
        const auto* const word = reinterpret_cast<const volatile uint32_t*>(begin + at);
        if (*word >= number_max) return false;
        // The last quarter of a mutex is the list of robust ones, or nothing.
        if (lock_bytes == 40 && at % lock_bytes >= 24 && *word != 0) return false;
    }
    return true;
}

/// A control block of std::shared_ptr, as make_shared() lays it out, with just the lock in it: a
/// pointer to a table of functions, and two counts.
bool is_shared_pointer_block(const Making& making, uintptr_t begin, size_t lock_bytes) {
    if (making.offset_bytes != 16 || making.block_bytes != 16 + lock_bytes) return false;
    const auto* const words = reinterpret_cast<const volatile uint64_t*>(begin);
    const uint64_t counts = words[1];
    constexpr uint32_t count_max = uint32_t{1} << 20;
    const auto uses = static_cast<uint32_t>(counts);
    const auto weak = static_cast<uint32_t>(counts >> 32);
    return uses >= 1 && uses < count_max && weak >= 1 && weak < count_max && is_in_module(words[0]);
}

uint64_t class_by_place(const Making& making, const Surround& around, size_t lock_bytes) {
    if (making.place != Place::heap || !around.known || around.bare || !around.of_one_size)
        return 0;
    if (making.block_bytes > limits::lockcheck_object_bytes_max || making.block_made_at == 0)
        return 0;
    if (!asks_for_one_type(making.block_made_at, making.block_bytes)) return 0;
    if (is_array_of_locks(making, around.begin, lock_bytes)) return 0;
    if (is_shared_pointer_block(making, around.begin, lock_bytes)) return 0;
    return key_of({5, making.block_made_at, making.block_bytes, making.offset_bytes});
}

bool look_in_heap(const void* address, size_t bytes, Making& making, Surround& around) {
    HeapBlock block;
    if (!heap_map.find(address, block)) {
        if (bytes < HeapMap::noted_bytes_min) heap_map.has_lock_in_small_block(address);
        return false;
    }
    heap_map.has_locks(block);
    making.place = Place::heap;
    making.block_bytes = block.bytes;
    making.offset_bytes = reinterpret_cast<uintptr_t>(address) - block.begin;
    making.block_made_at = block.made_at;
    around = {.known = true,
              .bare = block.bytes == (bytes + 7) / 8 * 8,
              .of_one_size = block.of_one_size,
              .begin = block.begin};
    return true;
}

bool look_in_modules(const void* address, size_t bytes, Making& making, Surround& around) {
    StaticObject object;
    if (!find_static_object(address, object)) return false;
    making.place = Place::static_storage;
    making.name = object.name;
    if (object.name == nullptr) return true;
    making.block_bytes = object.bytes;
    making.offset_bytes = reinterpret_cast<uintptr_t>(address) - object.begin;
    around = {
        .known = true, .bare = object.bytes == bytes, .of_one_size = false, .begin = object.begin};
    return true;
}

/// With the type of a lock it is known what it is a member of: by debug information, at the end.
bool may_know_type(const Making& making, uintptr_t address) {
    switch (making.place) {
        case Place::static_storage:
            return may_know_types(address);
        case Place::stack:
            return making.block_made_at != 0 && may_know_types(making.block_made_at);
        default:
            return making.block_made_at != 0 && may_know_types(making.block_made_at - 1);
    }
}

}  // namespace

Making making_of(ThreadState& self, const void* address, size_t bytes, bool initialised) {
    Making making;
    making.initialised = initialised;
    if (self.thread != nullptr) making.thread = self.thread->number();
    Surround around;
    const auto place = reinterpret_cast<uintptr_t>(address);
    if (is_in_own_frame(self, place)) {
        making.place = Place::stack;
        const PlaceInFrame in_frame = place_in_frame(self, place);
        making.block_made_at = in_frame.function;
        making.offset_bytes = in_frame.bytes_below;
    } else if (!look_in_heap(address, bytes, making, around) &&
               !look_in_modules(address, bytes, making, around)) {
        making.place = is_in_other_stack(self, place) ? Place::stack : Place::mapped;
    }
    making.typed = may_know_type(making, place);
    making.class_key = initialised ? class_by_initialisation(making, around, bytes)
                                   : class_by_place(making, around, bytes);
    return making;
}

}  // namespace braidway::lockcheck
