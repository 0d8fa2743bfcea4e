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
    /// A name for reports that outlives the lock, or nullptr: declared by the program, or a symbol.
    const char* name = nullptr;
    StackId stack = 0;           ///< Of the initialisation, or of the first use.
    ThreadNumber thread = 0;     ///< Who made it.
    uint64_t block_bytes = 0;    ///< Of the heap block or the static object around it; 0 unknown.
    uint64_t offset_bytes = 0;   ///< In it.
    uint64_t block_made_at = 0;  ///< Return address of the allocation; 0 unknown.
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
    NodeId own_node = 0;      ///< Its own in the order within its class; 0 until it is needed.
    uint32_t class_id = 0;    ///< The same for all locks of a class, never 0: for reports.
    uint32_t bytes = 0;       ///< Of the object at `address`.
    LockId described_id = 0;  ///< The lock table's: keeps the id when the lock has been forgotten.
    /// For the one who enlists: what it remembers of the frame on the stack that the lock lives in.
    uint64_t watch[6] = {};
    Making making;

    // The rest is the lock table's and the validator's own.
    SignalUse* signal_use = nullptr;                 ///< Mostly none.
    std::atomic<ConditionRecord*> record = nullptr;  ///< Of a condition; mostly none.
    std::atomic<Lock*> next_in_bucket = nullptr;
    Lock* next = nullptr;  ///< In its page; of forgotten ones, in the list of those.
};

// There may be many thousands; members are ordered so that little is lost between them.
static_assert(sizeof(Lock) <= 184);

}  // namespace braidway::lockdep
