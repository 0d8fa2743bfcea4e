// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/annotations.h"

#include <fmt/format.h>

#include "apps/lockcheck/naming.h"

namespace braidway::lockcheck {
namespace {

/// The message takes all but line ends; a property ends at a comma or colon besides.
std::string escaped(std::string_view text, bool is_property) {
    std::string out;
    for (const char each : text) {
        if (each == '%')
            out += "%25";
        else if (each == '\r')
            out += "%0D";
        else if (each == '\n')
            out += "%0A";
        else if (is_property && each == ':')
            out += "%3A";
        else if (is_property && each == ',')
            out += "%2C";
        else
            out += each;
    }
    return out;
}

/// The first place of the finding that has a source line.
const Frame* place(const Finding& finding) {
    for (const Chain& chain : finding.chains)
        for (const Stack* stack : {&chain.wants_stack, &chain.holds_stack}) {
            const Frame* frame = site(*stack);
            if (frame != nullptr && !frame->file.empty()) return frame;
        }
    return nullptr;
}

}  // namespace

std::string annotation(const Finding& finding, bool is_note, std::string_view workspace) {
    std::string properties;
    if (const Frame* frame = place(finding); frame != nullptr) {
        std::string_view file = frame->file;
        while (workspace.ends_with('/')) workspace.remove_suffix(1);
        if (!workspace.empty() && file.starts_with(workspace) &&
            file.substr(workspace.size()).starts_with('/'))
            file.remove_prefix(workspace.size() + 1);
        properties = fmt::format("file={},line={},", escaped(file, true), frame->line);
    }
    return fmt::format("::{} {}title={}::{}\n", is_note ? "notice" : "error", properties,
                       escaped("lockcheck: " + finding.kind, true),
                       escaped(finding.message, false));
}

}  // namespace braidway::lockcheck
