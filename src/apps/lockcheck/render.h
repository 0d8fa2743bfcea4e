// SPDX-License-Identifier: Apache-2.0
// The renderer: from a raw document to what people and programs read.
//
// The runtime starts `lockcheck --render` with the raw document on stdin and the program's own
// environment less LD_PRELOAD; it waits meanwhile. The option is no part of the interface for
// users.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "apps/lockcheck/document.h"
#include "apps/lockcheck/settings.h"

namespace braidway::lockcheck {

/// What the renderer answers with; the runtime counts by it.
enum RenderExit : int {
    render_nothing_left = 0,    ///< No finding, or all are suppressed.
    render_something_left = 1,  ///< At least one finding is not suppressed.
    render_failed = 3  ///< The document could not be understood; nothing was printed of it.
};

/// Where the text goes, and what it is for.
struct RenderContext {
    Settings settings;
    bool colours = false;
    std::string workspace;     ///< GITHUB_WORKSPACE.
    int json_descriptor = -1;  ///< Of the JSON file, for a process that may not open it.
    /// Called at most once, so that the text of several processes stays apart.
    std::function<void(std::string_view)> print;
};

/// Renders one raw document: adds names and sentences, applies suppressions, prints what is new,
/// replaces the document in the JSON file and draws the picture. What goes wrong on the way is
/// printed as a line of its own. Returns a RenderExit.
int render(std::string_view raw, const RenderContext& context);

/// `lockcheck --render`: render() with this process's stdin, stderr and environment.
int run_render();

}  // namespace braidway::lockcheck
