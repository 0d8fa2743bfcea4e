// SPDX-License-Identifier: Apache-2.0
// Which findings their reader knows already: suppression files, in valgrind's spirit.
//
//     # A comment.
//     {
//        a name of your own
//        order
//        fun:deposit
//        ...
//        src:*/bank.c
//        lock:log_lock
//     }
//
// The second line is a kind, or * for any. The other lines say what the finding must have:
// fun:GLOB, obj:GLOB and src:GLOB are one frame of a stack each, innermost first, "..." any number
// of frames; lock:GLOB is a lock of the finding.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "apps/lockcheck/document.h"
#include "base/error.h"
#include "base/limits.h"

namespace braidway::lockcheck {

/// What one file may be long.
inline constexpr size_t suppressions_bytes_max = limits::lockcheck_suppressions_bytes_max;

/// One line that asks for a frame.
struct FramePattern {
    enum class Of : uint8_t {
        function,  ///< fun: with or without the function's parameters.
        object,    ///< obj: the module, whole or its file name.
        source,    ///< src: the source file, whole or its file name.
        any,       ///< ... any number of frames, also none.
    };
    Of of = Of::any;
    std::string glob;
};

/// One block.
struct Suppression {
    std::string name;
    std::string kind;  ///< Or "*".
    std::vector<FramePattern> frames;
    std::vector<std::string> locks;  ///< Globs; each must match a lock of the finding.
    std::string file;
    size_t line = 0;  ///< Where the block begins.
};

/// Reads a file's text. Errors: "FILE:LINE: expected ...", the first one.
Result<std::vector<Suppression>> parse_suppressions(std::string_view text, std::string_view file);

/// Whether `text` is what `glob` says: * is any characters, ? any one; nothing else is special, as
/// names of functions have all other characters.
bool glob_matches(std::string_view glob, std::string_view text);

/// Whether the block speaks of this finding. The frames are compared with each stack of each chain
/// from its innermost frame on, with library frames and without them.
bool matches(const Suppression& suppression, const Finding& finding);

/// Names in each finding and note the block that suppresses it; what named one before is asked
/// anew.
void suppress(Document& document, std::span<const Suppression> suppressions);

/// A block that suppresses this finding, to be pasted into a file.
std::string suppression_for(const Finding& finding);

}  // namespace braidway::lockcheck
