// SPDX-License-Identifier: Apache-2.0
// What lockcheck knows of one process: its findings, the locks in them, and who held and wanted
// what. The runtime writes it raw (addresses only); the renderer adds names and writes it again in
// the same schema.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/limits.h"

namespace braidway::lockcheck {

/// The version of the schema, in the field "lockcheck".
inline constexpr int document_schema = 1;
/// What one document may be long; more is refused unread.
inline constexpr size_t document_bytes_max = limits::lockcheck_document_bytes_max;

/// One call in a stack. The runtime gives address, module and offset; the renderer the rest.
struct Frame {
    uint64_t address = 0;            ///< A return address, as it was in memory.
    std::string module;              ///< The file it lies in; "" when that is not known.
    std::optional<uint64_t> offset;  ///< The address less the module's load bias.
    std::string function;            ///< Demangled; "" when no symbol is known.
    std::string file;                ///< Source file; "" without debug information.
    unsigned line = 0;
    bool library = false;  ///< Of the C or C++ library: never the place of a finding.
    bool wrapper = false;  ///< Takes the lock for its caller, who is the place of the finding.
    bool inlined = false;  ///< Was built into the frame that follows it.
};

/// Innermost call first.
using Stack = std::vector<Frame>;

/// Where and by whom a lock was made.
struct Creation {
    uint64_t thread = 0;
    Stack stack;
};

/// One lock of a finding.
struct Lock {
    uint64_t index = 0;  ///< Its number in the finding; chains refer to it.
    uint64_t address = 0;
    std::string type = "lock";        ///< "mutex", "rwlock", "spinlock", ...
    std::optional<std::string> name;  ///< As the program declared it, or of its symbol.
    std::string place = "unknown";    ///< static, heap, stack, mapped or unknown.
    std::optional<uint64_t> lock_class;
    std::optional<Creation> created;
    std::optional<uint64_t> offset;         ///< On the heap: within its block.
    std::optional<uint64_t> size;           ///< On the heap: of its block.
    std::string module;                     ///< Of a static one, when the runtime knows it.
    std::optional<uint64_t> module_offset;  ///< The address less the module's load bias.
    std::string description;                ///< Name and place for people; the renderer's.

    /// A condition is "wanted" by who waits and "held" by who is to wake it.
    bool is_condition() const { return type == "condition"; }
    /// The end of a thread is "wanted" by who joins it and "held" by the thread.
    bool is_thread() const { return type == "thread"; }
};

/// What one thread held while it wanted something.
struct Chain {
    uint64_t thread = 0;
    std::optional<std::string> thread_name;
    std::optional<uint64_t> holds;  ///< Index of a lock.
    std::string holds_mode;         ///< exclusive or shared.
    Stack holds_stack;
    std::optional<uint64_t> wants;  ///< Index of a lock; none where nothing is wanted.
    std::string wants_mode;
    Stack wants_stack;
    std::vector<uint64_t> also_held;  ///< Indices of further locks that its thread held.
};

/// A finding, or a note.
struct Finding {
    uint64_t number = 0;
    std::string kind;
    bool printed = false;
    std::string message;  ///< One sentence.
    std::string remark;   ///< What is special about it: "no writer was seen"; mostly "".
    std::vector<Lock> locks;
    std::vector<Chain> chains;
    std::optional<std::string> suppressed_by;

    /// Without the locks that were only held besides, which are not what it is about.
    Finding without_also_held() const;
    /// The lock with this index, or null.
    const Lock* lock(std::optional<uint64_t> index) const;
};

/// The process that a document is about.
struct Process {
    std::string id;  ///< Unique in a FILE: a pid may come again.
    int64_t pid = 0;
    int64_t parent = 0;
    std::string program;
    std::vector<std::string> arguments;
};

/// One document: everything that is known of one process.
struct Document {
    std::string state;  ///< running, exited or ended.
    Process process;
    std::vector<Finding> findings;
    std::vector<Finding> notes;
    /// Suppressions that were of no use in the whole run; of the first process, at its end.
    std::vector<std::string> unused_suppressions;
};

/// Reads one document. Unknown fields are left out; what is missing keeps its default, but a
/// document without version, process or list of findings is refused.
/// Errors: "document: WHERE: what is wrong", one line. Never throws, whatever the bytes are.
Result<Document> read_document(std::string_view text);

/// The document as one line of JSON with its newline.
std::string document_line(const Document& document);

/// `text` as UTF-8 without control characters: bytes that are none become U+FFFD.
std::string clean_text(std::string_view text);

}  // namespace braidway::lockcheck
