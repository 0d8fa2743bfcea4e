// SPDX-License-Identifier: Apache-2.0
// Which locks are the same member of the same type of object, as debug information tells.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "apps/lockcheck/debug_units.h"
#include "apps/lockcheck/document.h"
#include "apps/lockcheck/type_evidence.h"
#include "base/time.h"

namespace braidway::lockcheck {

/// What the runtime knows of the making of one lock.
struct LockOrigin {
    std::string place;          ///< static, heap, stack or mapped.
    Stack made;                 ///< Who asked for the block, or initialised the lock; may be empty.
    std::string module;         ///< Of a static lock: the file it lies in ...
    uint64_t address = 0;       ///< ... and the lock's address less the module's load bias.
                                ///< On a stack: these of the function in whose frame it is.
    uint64_t block_bytes = 0;   ///< On the heap: what was asked for; 0 when that is not known.
    uint64_t offset_bytes = 0;  ///< On the heap: of the lock in its block. On a stack: from the
                                ///< frame's end (its CFA) down to the lock.
    uint64_t lock_bytes = 0;    ///< 40 for a mutex, 56 for an rwlock, ...
    bool initialised = false;   ///< `made` is the stack of pthread_mutex_init() or the like.
};

/// Finds of which type's objects locks are members. Types are surely so, or not told: two locks
/// with the same answer are of one class, so that a wrong one would be a false report.
///
/// Errors:  none: what is not known, also for lack of debug information or time, is "".
/// Threads: one at a time.
/// Source:  DWARF 5, chapters 3 (code) and 5 (types).
class LockTypes {
  public:
    /// Nothing is found any more after `deadline`.
    explicit LockTypes(Instant deadline) : deadline_(deadline) {}

    /// "account (bank.h:12)::mutex": type, where it was declared, and member. The type is the
    /// innermost structure of the program's own; which element of an array it is in, and what
    /// that is a member of, is left out. "" for a lock that is no member of a structure, and
    /// where that or the type is not known for sure.
    std::string type_of(const LockOrigin& origin);

    /// The calls, from the program's source, that initialised a lock which may be an element of an
    /// array of locks and nothing else: where the compiler unrolls a loop, these have several
    /// places in the code, and one here. "" for other locks, and where it is not known.
    std::string calls_of(const LockOrigin& origin);

    /// Does the code that made it make objects of another type as well, which look the same? Then
    /// locks that were made there may be of two classes.
    bool is_of_mixed_code(const LockOrigin& origin);

  private:
    struct Module {
        explicit Module(const std::string& path, Instant deadline)
            : elf(path), units(elf, deadline) {}
        ElfModule elf;
        DebugUnits units;
    };
    Module& module(const std::string& path);
    std::string type_of_static(const LockOrigin& origin);
    std::string type_on_stack(const LockOrigin& origin);
    Evidence evidence_by_stack(const LockOrigin& origin);
    std::string call_in_source(const Frame& frame);

    Instant deadline_;
    std::map<std::string, std::unique_ptr<Module>> modules_;
};

}  // namespace braidway::lockcheck
