// SPDX-License-Identifier: Apache-2.0
// A finding as JSON, and as a line for people.
#pragma once

#include <span>

#include "apps/lockcheck/preload/text.h"
#include "lockdep/finding.h"
#include "lockdep/lock.h"

namespace braidway::lockcheck {

/// Adds the finding as an object: everything that is known now, because locks are forgotten.
void add_finding(Text& text, const lockdep::Finding& finding, uint32_t number);

/// Adds one line that says it in addresses.
void add_plain_line(Text& text, const lockdep::Finding& finding);

/// Adds the sentence of the finding: what it is, in addresses.
void add_sentence(Text& text, const lockdep::Finding& finding);

/// Adds return addresses as a list of frames.
void add_frames(Text& text, std::span<const uintptr_t> frames);

/// Which file an address lies in, and where in it; without a lock, from any thread.
bool find_module(uintptr_t address, const char*& path, uintptr_t& offset);

/// The place in the document's words.
const char* place_word(lockdep::Place place);

/// Sets "printed" in a list of findings that add_finding() made.
void mark_as_printed(Text& list);

}  // namespace braidway::lockcheck
