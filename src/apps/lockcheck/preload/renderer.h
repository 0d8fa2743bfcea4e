// SPDX-License-Identifier: Apache-2.0
// The program that makes reports of documents, started so that this process does not notice.
#pragma once

#include <cstdint>
#include <string_view>

#include "apps/lockcheck/preload/text.h"

namespace braidway::lockcheck {

/// What became of a document.
enum class Rendered : uint8_t {
    nothing_left,   ///< All of it was suppressed, or notes.
    findings_left,  ///< At least one finding counts.
    failed,         ///< There is no renderer, or it could not be started, or it failed.
};

/// Where standard error goes now is where text will go, also when the program closes it. Once, at
/// start.
void remember_text_target();

/// Runs the renderer on `document` and waits for it. No signal tells of its end, wait() does not
/// see it, and no descriptor stays open. Unless `keeps_document`, it prints only. Call it with all
/// signals blocked.
Rendered render(std::string_view document, bool keeps_document);

/// Writes to where standard error went at start; nowhere if that cannot be reached any more. Call
/// it with all signals blocked.
void print_to_target(std::string_view text);

/// Keeps that open, for a process that will not be able to look for it.
void keep_text_target();

/// Asks the renderer: `question` is its standard input, `mode` its option, and what it prints is
/// added to `answer`. False: there is no answer. Takes as long as the renderer does.
bool ask(const char* mode, std::string_view question, Text& answer);

}  // namespace braidway::lockcheck
