// SPDX-License-Identifier: Apache-2.0
// A row of a conformance table: what threads do with locks, and what a validator must say of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lockdep/words.h"

namespace braidway::lockdep::conformance {

/// What an object of a row is.
enum class Kind : uint8_t {
    spin,         ///< pthread_spinlock_t.
    rwlock,       ///< pthread_rwlock_t of the default kind: readers go first.
    fair,         ///< pthread_rwlock_t of the writer-preferring kind: readers wait behind a writer.
    mutex,        ///< pthread_mutex_t of the normal type.
    pi,           ///< pthread_mutex_t with priority inheritance.
    recursive,    ///< pthread_mutex_t that its holder may take again.
    error_check,  ///< pthread_mutex_t that refuses its holder.
    robust,       ///< pthread_mutex_t that may be left by a thread that ends.
};

/// What a thread does.
enum class Verb : uint8_t {
    lock,        ///< `A.lock`: for writing, where there is a difference.
    read,        ///< `A.read`
    try_lock,    ///< `A.try`
    try_read,    ///< `A.try_read`
    timed_lock,  ///< `A.timed`: with a deadline that passes soon.
    unlock,      ///< `A.unlock`
    init,        ///< `A.init`: again, also while it is held.
    destroy,     ///< `A.destroy`
    free,        ///< `A.free`: its memory is given back without a word about the lock.
    enter,       ///< `hard.enter`: the handler of the signal starts.
    exit,        ///< `hard.exit`: and ends.
    off,         ///< `hard.off`: the thread blocks the signal, and signals below it.
    on,          ///< `hard.on`: takes them again.
    end,         ///< `thread.end`: the thread ends here.
};

/// Two signals with handlers stand for the kernel's two kinds of interrupts: a thread that keeps
/// out hard ones keeps out soft ones, too.
enum class Signal : uint8_t { none, hard, soft };

struct Object {
    /// A capital begins the name of a class: X1 and X2 are made by the same call. A small letter
    /// begins an object about whose making nothing is known.
    std::string name;
    Kind kind = Kind::mutex;

    bool has_class() const { return name[0] >= 'A' && name[0] <= 'Z'; }
};

struct Event {
    Verb verb = Verb::lock;
    Signal signal = Signal::none;
    uint8_t thread = 1;
    uint16_t object = 0;  ///< Index in Row::objects.
};

/// One row.
struct Row {
    std::string name;
    std::vector<Object> objects;
    std::vector<Event> events;
    std::string script;  ///< The events as they were written, for messages.
    /// The kind of finding that must be reported; nothing: none may be.
    std::optional<FindingKind> expected;
    /// Holds only if every fair lock counts as written by somebody: a rule that knows no writers.
    bool assume_writers = false;

    unsigned threads() const;
};

/// Rows of one origin.
struct Table {
    std::string_view name;
    std::string_view origin;
    std::vector<Row> rows;
};

/// Makes a row of text. `locks`: "X1 X2 spin, Y mutex"; `script`: "X1.lock 2: Y.lock Y.unlock",
/// where "2:" says that thread 2 goes on. What cannot be read ends the process.
Row make_row(std::string name, std::string_view locks, std::string_view script,
             std::optional<FindingKind> expected);

/// "A.lock B.lock B.unlock A.unlock " and so on for "AB BC"; `verb` may be "read".
std::string nested_pairs(std::string_view pairs, std::string_view verb);

/// `text` with every `from` replaced.
std::string replaced(std::string text, std::string_view from, std::string_view to);

/// Every table, in the order in which it is run.
std::vector<Table> all_tables();

Table kernel_table();
Table kernel_signal_table();
Table same_class_table();
Table liblockdep_table();
Table tsan_table();
Table helgrind_table();
Table parking_lot_table();

}  // namespace braidway::lockdep::conformance
