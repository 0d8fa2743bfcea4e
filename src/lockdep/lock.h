// SPDX-License-Identifier: Apache-2.0
// What the validator knows of one lock.
#pragma once

#include <atomic>
#include <cstdint>

#include "lockdep/order_graph.h"
#include "lockdep/words.h"

namespace braidway::lockdep {

struct ConditionRecord;
struct SignalUse;

/// Where an object lives.
enum class Place : uint8_t {
    unknown,
    static_storage,  ///< Of the program or a library.
    heap,            ///< In a block of the allocator.
    stack,           ///< Of some thread.
    mapped,          ///< In memory that was mapped otherwise.
};

/// What is known of the making of a lock, when it is first seen. Whoever enlists a lock finds this
/// out; the validator decides by it what belongs together.
struct Making {
    /// Locks with one key are of one class. 0: nothing is known, and the object is its own class.
    uint64_t class_key = 0;
    Place place = Place::unknown;
    bool initialised = false;  ///< By a call; otherwise first seen when it was used.
    bool typed = false;        ///< The type it is a member of may be found out later (ClassOrigin).
    /// A name for reports that outlives the lock, or nullptr: declared by the program, or a symbol.
    const char* name = nullptr;
    StackId stack = 0;          ///< Of the initialisation, or of the first use.
    ThreadNumber thread = 0;    ///< Who made it.
    uint64_t block_bytes = 0;   ///< Of the heap block or the static object around it; 0 unknown.
    uint64_t offset_bytes = 0;  ///< In it; on a stack from the end of its frame down.
    /// Return address of the allocation; on a stack, where the frame's function begins; 0 unknown.
    uint64_t block_made_at = 0;
};

/// One lock. Its memory belongs to the validator and stays; long after the lock has gone it is used
/// for another one with another id.
struct Lock {
    std::atomic<LockId> id = 0;  ///< 0: forgotten. A new one when a stranger gave the lock back.
    LockTraits traits;
    bool evidence = false;  ///< The validator's: a step names it, its description is kept longer.
    std::atomic<ThreadNumber> left_by = 0;  ///< The validator's: ended while it held the lock.
    std::atomic<const void*> address = nullptr;
    /// Of its class; for one without a class key, its own. 0 until a step needs it.
    std::atomic<NodeId> class_node = 0;
    NodeId own_node = 0;  ///< Its own in the order within its class; 0 until it is needed.
    /// The same for all locks of a class, never 0. Changes when classes merge.
    std::atomic<uint32_t> class_id = 0;
    uint32_t bytes = 0;       ///< Of the object at `address`.
    LockId described_id = 0;  ///< The lock table's: keeps the id when the lock has been forgotten.
    /// Of a condition: counts notifications by twos; odd when the last one held other locks.
    std::atomic<uint32_t> notified = 0;
    std::atomic<LockId> waits_with = 0;  ///< Of a condition: the mutex of the last wait.
    /// For the one who enlists: what it keeps of the lock beside this. nullptr at first.
    std::atomic<void*> kept = nullptr;
    Making making;

    // The rest is the lock table's and the validator's own.
    SignalUse* signal_use = nullptr;                 ///< Mostly none.
    std::atomic<ConditionRecord*> record = nullptr;  ///< Of a condition; mostly none.
    std::atomic<Lock*> next_in_bucket = nullptr;
    Lock* next = nullptr;  ///< In its page; of forgotten ones, in the list of those.
};

// There may be many thousands; members are ordered so that little is lost between them.
static_assert(sizeof(Lock) <= 152);

}  // namespace braidway::lockdep
