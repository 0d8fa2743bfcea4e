// SPDX-License-Identifier: Apache-2.0
// What a finding means: in one sentence, step by step, and what to do about it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/lockcheck/document.h"

namespace braidway::lockcheck {

/// The fixed words of one kind.
struct KindWords {
    std::string_view kind;
    std::string_view meaning;  ///< What it is, for a title: "locks are taken in a ring".
    std::string_view hint;     ///< What to do; whole sentences.
};

/// The words of `kind`, or null when nobody knows it. Every kind of the spec is known.
const KindWords* kind_words(std::string_view kind);

/// One sentence, with names and places: "a_lock and b_lock are taken in opposite orders: ...".
std::string explain(const Finding& finding);

/// What one thread does next on the way to the deadlock.
struct Step {
    size_t column = 0;
    std::string text;
};

/// How it comes to the worst: one column for each thread, the steps in their order.
struct Story {
    std::vector<std::string> columns;  ///< "Thread 1", "Thread 2".
    std::vector<Step> steps;
    std::string end;  ///< What it comes to: "Neither goes on."
};

/// The story of a finding in which somebody waits; none for misuse, which needs no other thread.
std::optional<Story> story(const Finding& finding);

}  // namespace braidway::lockcheck
