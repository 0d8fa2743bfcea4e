// SPDX-License-Identifier: Apache-2.0
// Runs a scene under the preloaded library and gives what came of it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace braidway::lockcheck {

/// How a scene is run.
struct Play {
    std::string scene;
    bool is_root = true;                        ///< As the process that lockcheck becomes.
    std::vector<std::string> environment = {};  ///< Further words "NAME=value".
    unsigned alarm_s = 20;                      ///< Then SIGALRM ends it.
};

/// What came of it.
struct Played {
    int status = -1;  ///< Exit status, or 100 and the signal.
    std::string output;
    std::string errors;
    std::vector<nlohmann::json> documents;

    /// Kinds of all findings, or notes, of all processes, in the order of the documents.
    std::vector<std::string> kinds(const char* list = "findings") const;
};

/// Runs it to its end, at most to its alarm.
Played play(const Play& play);

}  // namespace braidway::lockcheck
