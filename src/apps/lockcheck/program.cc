// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/program.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <ostream>
#include <sstream>

#include "apps/lockcheck/document.h"
#include "apps/lockcheck/files.h"
#include "apps/lockcheck/json_file.h"
#include "apps/lockcheck/state_file.h"
#include "apps/lockcheck/suppressions.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/units.h"

namespace braidway::lockcheck {
namespace {

using namespace std::chrono_literals;

constexpr const char* library_name = "liblockcheck.so";

constexpr const char* footer = R"(Examples:
  lockcheck ./server --port 8080
  lockcheck --json findings.json --quiet -- make check
  lockcheck --generate-suppressions ./server 2>known.supp

Options behind PROGRAM are the program's own.

Exit codes: the program's own; 66 (--exit-status) when something was found; 2 wrong usage, or a
program that cannot be watched; 126 the program cannot be executed; 127 there is no such program.)";

/// The library knows nothing of words that are a program of their own.
struct Help : CLI::Formatter {
    std::string make_usage(const CLI::App*, std::string) const override {
        return "Usage: lockcheck [OPTION]... [--] PROGRAM [ARGUMENT]...\n\n";
    }
};

/// The options as they were read.
struct Options {
    Settings settings;
    std::string on_hang = "exit";
    std::string hang_after;
};

void add_options(CLI::App& app, Options& options) {
    Settings& settings = options.settings;
    app.add_option("--json", settings.json, "write what was found to FILE; %p in it is the pid")
        ->type_name("FILE");
    app.add_flag("--quiet", settings.quiet, "print findings only: no notes, no summary");
    app.add_option("--suppressions", settings.suppressions, "leave out what FILE names; repeatable")
        ->type_name("FILE")
        ->allow_extra_args(false);
    app.add_option("--exit-status", settings.exit_status,
                   "exit with N when something was found (66); 0: with the program's own")
        ->type_name("N")
        ->check(CLI::Range(0, 255));
    app.add_option("--on-hang", options.on_hang,
                   "what follows a deadlock that happened: exit (default) or report")
        ->check(CLI::IsMember({"exit", "report"}));
    app.add_option("--hang-after", options.hang_after, "how long all must be stuck: 3s (default)")
        ->type_name("DURATION");
    app.add_option("--picture", settings.picture, "draw the rings of locks: FILE.dot or FILE.svg")
        ->type_name("FILE");
    app.add_flag("--github", settings.github, "print annotations for GitHub Actions as well");
    app.add_flag("--assume-writers", settings.assume_writers,
                 "treat every fair reader/writer lock as one that somebody writes");
    app.add_flag("--generate-suppressions", settings.generate_suppressions,
                 "print a block for a suppression file with each finding");
}

/// How many of the words are lockcheck's: PROGRAM is the first one that is no option and no
/// option's value.
size_t own_words(const CLI::App& app, const std::vector<std::string>& words) {
    for (size_t at = 0; at < words.size(); ++at) {
        const std::string& word = words[at];
        if (word == "--" || !word.starts_with('-') || word == "-") return at;
        if (word.find('=') != std::string::npos) continue;
        const CLI::Option* option = app.get_option_no_throw(word);
        if (option != nullptr && option->get_items_expected_min() > 0) ++at;
    }
    return words.size();
}

std::expected<void, Refusal> refuse(std::string message) {
    return std::unexpected(Refusal{std::move(message), lockcheck_usage});
}

/// Makes paths absolute and reads what has a form of its own.
std::expected<void, Refusal> complete(Options& options, const LockcheckContext& context) {
    Settings& settings = options.settings;
    settings.hang_ends_program = options.on_hang == "exit";
    if (!options.hang_after.empty()) {
        const auto length = parse_duration(options.hang_after);
        if (!length) return refuse("--hang-after: " + length.error().message);
        if (*length < 1ms || *length > limits::lockcheck_hang_after_max)
            return refuse(fmt::format("--hang-after: {}: expected 1ms to 24h", options.hang_after));
        settings.hang_after = *length;
    }
    for (std::string& file : settings.suppressions) {
        file = absolute(file, context.folder);
        // They are handed on in a list.
        if (file.find(':') != std::string::npos)
            return refuse(fmt::format("--suppressions: {}: must not have a colon", file));
        const auto text = read_file(file, suppressions_bytes_max);
        if (!text) return refuse("--suppressions: " + text.error().message);
        if (const auto blocks = parse_suppressions(*text, file); !blocks)
            return refuse("--suppressions: " + blocks.error().message);
    }
    if (!settings.picture.empty()) {
        if (!settings.picture.ends_with(".dot") && !settings.picture.ends_with(".svg"))
            return refuse(
                fmt::format("--picture: {}: expected FILE.dot or FILE.svg", settings.picture));
        settings.picture = absolute(settings.picture, context.folder);
        const std::string folder = std::filesystem::path(settings.picture).parent_path().string();
        if (access(folder.c_str(), W_OK | X_OK) != 0)
            return refuse(fmt::format("--picture: {}: {}", folder, errno_text(errno)));
    }
    if (!settings.json.empty()) settings.json = absolute(settings.json, context.folder);
    settings.root = context.pid;
    settings.renderer = context.self;
    return {};
}

/// Makes FILE with a first document, so that it says something whatever becomes of the program.
Result<void> begin_json(const Start& start, const Settings& settings,
                        const LockcheckContext& context) {
    if (settings.json.empty()) return {};
    const std::string file = file_of(settings.json, context.pid);
    if (auto made = make_file(file); !made) return made;
    Document document;
    document.state = "running";
    document.process = {.id = fmt::format("{}-1", context.pid),
                        .pid = context.pid,
                        .parent = context.parent,
                        .program = absolute(start.path, context.folder),
                        .arguments = start.arguments};
    return write_line(file, document.process.id, document_line(document));
}

int complain(const LockcheckContext& context, const std::string& message, int code) {
    context.error << "lockcheck: " << message << "\n";
    return code;
}

/// Checks everything, then makes what the run needs and starts the program.
int run(Options& options, const std::vector<std::string>& program,
        const LockcheckContext& context) {
    const auto completed = complete(options, context);
    if (!completed) return complain(context, completed.error().message, completed.error().status);
    const char* search = context.value_of("PATH");
    const auto path = find_program(program.front(), search == nullptr ? "/usr/bin:/bin" : search);
    if (!path) return complain(context, path.error().message, path.error().status);
    const auto library = find_library(context.self, context.value_of("LOCKCHECK_LIBRARY"));
    if (!library) return complain(context, library.error().message, library.error().status);
    if (const auto checked = check_program(*path, *library); !checked)
        return complain(context, checked.error().message, checked.error().status);

    Start start{*path, program, {}};
    remove_stale_state_files(context.state_folder, wall_clock_now());
    const auto state = make_state_file(context.state_folder, context.pid, monotonic_now());
    if (!state) return complain(context, state.error().message, lockcheck_usage);
    options.settings.state = *state;
    if (const auto begun = begin_json(start, options.settings, context); !begun) {
        unlink(state->c_str());
        return complain(context, "--json: " + begun.error().message, lockcheck_usage);
    }
    start.variables = variables(options.settings);
    const char* before = context.value_of("LD_PRELOAD");
    start.variables.push_back({"LD_PRELOAD", preload(*library, before == nullptr ? "" : before)});
    const int code = context.start(start);
    unlink(state->c_str());
    return complain(context, fmt::format("{}: {}", *path, errno_text(code)),
                    code == ENOENT ? lockcheck_not_found : lockcheck_not_executable);
}

int usage_exit(const CLI::App& app, const CLI::ParseError& error, const LockcheckContext& context) {
    std::ostringstream help;
    std::ostringstream complaint;
    if (app.exit(error, help, complaint) != 0)
        return complain(context, fmt::format("{} (see lockcheck --help)", error.what()),
                        lockcheck_usage);
    std::string text = help.str();
    if (!text.ends_with('\n')) text += '\n';
    context.out << text << std::flush;
    if (context.out) return lockcheck_done;
    return complain(context, "standard output could not be written", lockcheck_failed);
}

}  // namespace

int run_lockcheck(const std::vector<std::string>& words, const LockcheckContext& context) {
    CLI::App app("Runs a program and reports deadlocks that did not happen, but can.", "lockcheck");
    app.set_version_flag("--version", "lockcheck " BRAIDWAY_VERSION);
    app.footer(footer);
    app.formatter(std::make_shared<Help>());
    Options options;
    add_options(app, options);
    const size_t own = own_words(app, words);
    std::vector<std::string> parsed(words.begin(), words.begin() + static_cast<ptrdiff_t>(own));
    for (const std::string& word : parsed)
        if (word.starts_with("--") && word.ends_with('='))
            return complain(context, fmt::format("{}: needs a value after '='", word),
                            lockcheck_usage);
    std::ranges::reverse(parsed);  // As the library wants them.
    try {
        app.parse(parsed);
    } catch (const CLI::ParseError& error) {
        return usage_exit(app, error, context);
    }
    const size_t first = own < words.size() && words[own] == "--" ? own + 1 : own;
    const std::vector<std::string> program(words.begin() + static_cast<ptrdiff_t>(first),
                                           words.end());
    if (program.empty())
        return complain(context, "there is no PROGRAM to run (see lockcheck --help)",
                        lockcheck_usage);
    return run(options, program, context);
}

std::expected<std::string, Refusal> find_library(const std::string& self, const char* override) {
    std::vector<std::string> places;
    if (override != nullptr && *override != '\0') {
        places.emplace_back(std::filesystem::absolute(override).string());
    } else {
        const std::string beside = std::filesystem::path(self).parent_path().string();
        for (const std::string_view folder : {"../" LOCKCHECK_LIBDIR, "../lib", "."})
            places.push_back(absolute(fmt::format("{}/{}", folder, library_name), beside));
    }
    for (const std::string& place : places) {
        if (access(place.c_str(), R_OK) != 0) continue;
        // The dynamic linker takes these apart.
        if (place.find_first_of(": \t") != std::string::npos)
            return std::unexpected(Refusal{
                fmt::format("{}: must not have a blank or colon in its path: the dynamic linker "
                            "would take it for a list",
                            place),
                lockcheck_usage});
        return place;
    }
    return std::unexpected(Refusal{fmt::format("{}: {}; LOCKCHECK_LIBRARY can say where {} is",
                                               places.front(), errno_text(ENOENT), library_name),
                                   lockcheck_usage});
}

}  // namespace braidway::lockcheck
