// SPDX-License-Identifier: Apache-2.0
// CHECK: what must hold in every build. A failed check is a bug of ours, never bad input.
#pragma once

#include <source_location>
#include <string_view>

namespace braidway {

/// Prints `where: sentence` to stderr and aborts. Called by CHECK only.
[[noreturn]] void check_failed(std::string_view condition, std::string_view sentence,
                               std::source_location where);

}  // namespace braidway

/// Aborts with `sentence` when `condition` is false, in every build. The sentence says what
/// invariant was broken, not what to do: there is nothing a user can do.
#define CHECK(condition, sentence)                                                           \
    do {                                                                                     \
        if (!(condition)) [[unlikely]]                                                       \
            ::braidway::check_failed(#condition, sentence, std::source_location::current()); \
    } while (false)

/// CHECK in debug builds only, for conditions that cost something on the I/O path.
#ifdef NDEBUG
#define DEBUG_CHECK(condition, sentence) \
    do {                                 \
    } while (false)
#else
#define DEBUG_CHECK(condition, sentence) CHECK(condition, sentence)
#endif
