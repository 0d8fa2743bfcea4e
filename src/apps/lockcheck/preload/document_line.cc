// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/document_line.h"

#include <cstring>

namespace braidway::lockcheck {
namespace {

// Inside of texts quotes have a backslash before them, so these are found nowhere but at the top.
constexpr std::string_view before_state = "\"state\":\"";
constexpr std::string_view before_notes = "],\"notes\":[";
constexpr std::string_view at_end = "]}";

/// Adds `more` to a list whose text so far ends with `before`.
void add_members(Text& into, std::string_view before, std::string_view more) {
    if (more.empty()) return;
    if (!before.ends_with('[')) into.add(",");
    into.add(more);
}

}  // namespace

void add_updated_line(Text& into, std::string_view line, std::string_view state,
                      std::string_view findings, std::string_view notes) {
    while (line.ends_with('\n') || line.ends_with(' ')) line.remove_suffix(1);
    const size_t state_at = line.find(before_state);
    const size_t notes_at = line.find(before_notes);
    if (state_at == std::string_view::npos || notes_at == std::string_view::npos ||
        notes_at < state_at || !line.ends_with(at_end)) {
        into.add(line).add("\n");
        return;
    }
    const size_t word_at = state_at + before_state.size();
    const size_t word_end = line.find('"', word_at);
    const std::string_view between = line.substr(word_end, notes_at - word_end);
    const std::string_view rest = line.substr(notes_at, line.size() - at_end.size() - notes_at);
    into.add(line.substr(0, word_at)).add(state).add(between);
    add_members(into, between, findings);
    into.add(rest);
    add_members(into, rest, notes);
    into.add(at_end).add("\n");
}

bool fill_line(char* place, size_t room_bytes, std::string_view line) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    if (line.size() > room_bytes) return false;
    std::memcpy(place, line.data(), line.size());
    std::memset(place + line.size(), ' ', room_bytes - line.size());
    return true;
}

}  // namespace braidway::lockcheck
