// SPDX-License-Identifier: Apache-2.0
// A document as text: changing one without reading all of it.
#pragma once

#include <cstddef>
#include <string_view>

#include "apps/lockcheck/preload/text.h"

namespace braidway::lockcheck {

/// Adds `line`, a document as this library or the renderer writes it, with another state and with
/// further members at the end of its two lists (each "{...},{...}", or ""). A line that is no
/// document is added as it is.
void add_updated_line(Text& into, std::string_view line, std::string_view state,
                      std::string_view findings, std::string_view notes);

/// Puts `line` into `place`, which is `room_bytes` long, without its newline, and blanks after it.
/// False, and nothing is changed: there is no room.
bool fill_line(char* place, size_t room_bytes, std::string_view line);

}  // namespace braidway::lockcheck
