// SPDX-License-Identifier: Apache-2.0
// Traces in words: what reports, pictures and messages have in common.
#pragma once

#include <string>
#include <string_view>

#include "braidway/explore/explorer.h"

namespace braidway::explore {

/// `text` for people: control characters and bytes that are no UTF-8 become `\x1b`.
std::string printable(std::string_view text);

/// How many columns printable text takes: its code points.
size_t columns_of(std::string_view text);

/// The first `columns` columns of printable text.
std::string_view first_columns(std::string_view text, size_t columns);

/// "DEADLOCK".
std::string_view finding_title(Finding finding);

/// "exhaustive", "bounded", "sampled".
std::string_view coverage_name(Coverage coverage);

/// "exclusive", "shared", "upgrade".
std::string_view mode_name(sync::LockMode mode);

/// "lock (shared)".
std::string lock_words(const Trace& trace, const void* lock, sync::LockMode mode);

/// The thread's name, or "thread 7" when the trace has none for it.
std::string thread_name(const Trace& trace, unsigned thread);

/// A value of a word: decimal when that is short, else hexadecimal.
std::string value_words(uint64_t value);

/// "lock: exchange 0 -> 1": what the step did, without its thread.
std::string step_words(const Trace& trace, const Step& step);

/// "asleep on lock+4".
std::string state_words(const Trace& trace, const ThreadState& state);

}  // namespace braidway::explore
