// SPDX-License-Identifier: Apache-2.0
// Wishes as text: one set of words for the command line, policy files, the C interface and the
// control files.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "memory/reclaim/node_list.h"
#include "memory/reclaim/request.h"

namespace braidway::memory {

/// A request as it is being put together from words.
struct Settings {
    /// Which nodes; nothing was said: none. "all" is an empty list.
    std::optional<NodeList> nodes{};
    /// The word that gave the amount ("free", "pages" or "until-free"); there must be exactly one.
    /// Whoever lets one source of words overrule another clears it between them.
    std::string amount_word{};
    Request request{};
    bool strict = false;  ///< A shortfall is an error.

    // For jobs of a scheduler; nobody else looks at these.
    bool on_start = true;   ///< Clean before a job.
    bool on_end = false;    ///< Clean after a job.
    bool job_nodes = true;  ///< Only the nodes of the job's cpuset.
    bool drain = false;     ///< A shortfall may drain the machine.
};

/// One word that can be set.
struct SettingWord {
    std::string_view name;  ///< "until-free": on the command line with "--" before it.
    /// What it takes, for help: "SIZE"; empty: a switch; in brackets: a switch that takes a value.
    std::string_view value;
    std::string_view help;    ///< One line.
    bool repeatable = false;  ///< Set again, it adds; else the last one counts.
    bool job = false;         ///< Means something in a policy file only.
};

/// All of them, in the order of the help.
const std::vector<SettingWord>& setting_words();

/// Sets one word. A switch takes "yes", "no" or nothing (yes).
/// Errors: unknown word, bad value, a second word that gives an amount. The sentence begins with
/// "WORD: ", so that "--" can be put before it, and names the value. Nothing is changed then.
Result<void> set_setting(Settings& settings, std::string_view word, std::string_view value);

/// Reads lines "word = value" (a switch needs no value) of at most limits::policy_bytes_max. '#' at
/// the beginning of a line or after a blank begins a comment. A word that is not repeatable may be
/// set once. `name` stands in messages: "FILE:3: ...". On an error nothing is changed.
Result<void> read_policy(Settings& settings, std::string_view text, std::string_view name);

/// Reads one line of words "node=1 pages=25600 what=page-cache", as the control file takes it, of
/// at most limits::control_bytes_max. `settings` are what the file's owner has set.
///
/// Whoever may write the file has no other right, so a line cannot name paths or mechanisms or give
/// consent; where the owner named nodes or kinds it may only choose among them; and it may make the
/// bounds (budget, keep-free, keep-cache, pressure-max, rate) tighter, never wider.
/// On an error nothing is changed.
Result<void> read_control_line(Settings& settings, std::string_view line);

/// What is missing or contradicts itself once all words are set: no node, no amount, no kind.
Result<void> check_settings(const Settings& settings);

}  // namespace braidway::memory
