// SPDX-License-Identifier: Apache-2.0
// Why nobody goes on: who waits for whom at the end of a trace, and who woke whom during it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "braidway/explore/trace.h"

namespace braidway::explore {

/// One reason why a thread does not go on at the end of a trace.
struct Waiting {
    enum class Why : uint8_t {
        held,    ///< `blocker` holds the lock in a mode that shuts this thread out.
        queued,  ///< Nobody who holds it does, but `blocker` came first and will.
        free,    ///< Nobody stands in its way. Asleep, it missed its wake-up.
        word,    ///< It waits on a word that belongs to no lock that tells.
    };
    unsigned thread = 0;
    Why why = Why::word;
    unsigned blocker = 0;                                ///< Of held and queued.
    ThreadState::Held wanted{nullptr, {}};               ///< Not of word.
    sync::LockMode held_as = sync::LockMode::exclusive;  ///< Of held: the blocker's mode.
};

/// Everybody's reasons, in the order of the threads. A lock grants its waiters in the order of
/// coming; readers share.
std::vector<Waiting> waitings(const Trace& trace);

/// Threads each of which waits for the next, and the last for the first; empty when there is no
/// such ring.
std::vector<unsigned> ring_of(const std::vector<Waiting>& waitings);

/// "reader waits behind writer for lock (shared)".
std::string waiting_words(const Trace& trace, const Waiting& waiting);

/// For each step the step that woke it: of a futex_return that a futex_wake explains. Of several
/// wakes of one word the earliest counts.
std::vector<std::optional<size_t>> wakers(const Trace& trace);

}  // namespace braidway::explore
