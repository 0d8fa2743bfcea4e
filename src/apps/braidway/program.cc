// SPDX-License-Identifier: Apache-2.0
#include "apps/braidway/program.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>
#include <sstream>
#include <utility>

#include "daemon/version.h"
#include "daemon/words.h"

namespace braidway::apps {
namespace {

constexpr const char* footer = R"(Try it:
  braidway demo                             a volume with four paths, no configuration
  braidway show topology                    in a second terminal
  braidway fail path a1                     undone by the next good check
  braidway set path a2 error on class=transport
  braidway events --follow

The daemon is found by --api SOCKET, else by $BRAIDWAY_API, else at the first of these that
answers: /run/braidway/api.sock, $XDG_RUNTIME_DIR/braidway/api.sock, and the demo's api.sock in
${XDG_STATE_HOME:-~/.local/state}/braidway/demo.

Exit codes: 0 done, 1 the daemon said no, 2 wrong usage or configuration, 3 no daemon found.)";

/// The innermost command that was understood.
const CLI::App& innermost(const CLI::App& app) {
    const CLI::App* command = &app;
    while (!command->get_subcommands().empty()) command = command->get_subcommands().back();
    return *command;
}

/// "braidway show topology": the words that lead to `command`.
std::string words_of(const CLI::App& command) {
    const std::string outer =
        command.get_parent() == nullptr ? "" : words_of(*command.get_parent()) + " ";
    return outer + command.get_name();
}

/// What is wrong when the next word of `command` is missing or unknown.
std::string missing_word(const CLI::App& app, const CLI::App& command) {
    std::vector<std::string> known;
    for (const CLI::App* each : command.get_subcommands(nullptr)) {
        known.push_back(each->get_name());
        for (const std::string& alias : each->get_aliases()) known.push_back(alias);
    }
    // Words that no command takes end up at the outermost one.
    const std::vector<std::string> left = app.remaining(true);
    if (left.empty())
        return fmt::format("a word is missing after `{}`; expected one of {}", words_of(command),
                           fmt::join(known, ", "));
    return fmt::format("'{}' is unknown{}; expected one of {}", left.front(),
                       daemon::did_you_mean(left.front(), known), fmt::join(known, ", "));
}

int usage_exit(const CLI::App& app, const CLI::ParseError& error, const Program& program) {
    std::ostringstream help;
    std::ostringstream complaint;
    if (app.exit(error, help, complaint) == 0) {
        std::string text = help.str();
        if (!text.ends_with('\n')) text += '\n';
        program.output.out << text;
        return exit_ok;
    }
    const CLI::App& command = innermost(app);
    const bool word_missing =
        command.get_require_subcommand_min() > 0 && command.get_subcommands().empty();
    const std::string problem = word_missing ? missing_word(app, command) : error.what();
    return complain(program, fmt::format("{} (see `{} --help`)", problem, words_of(command)),
                    exit_usage);
}

}  // namespace

int run(std::vector<std::string> words, Output output, daemon::StartDaemon start) {
    Program program{output, std::move(start), std::nullopt, false, nullptr};
    CLI::App app(
        "Braidway: several paths to one storage as one block device that survives path "
        "failures, served over NBD.",
        "braidway");
    app.set_version_flag("--version", "braidway " + std::string(daemon::version()));
    app.set_help_all_flag("--help-all", "Help for all commands");
    app.footer(footer);
    app.require_subcommand(1);
    app.fallthrough();
    app.add_option("--api", program.api, "The daemon's control socket")->type_name("SOCKET");
    app.add_flag("--json", program.json, "Answer in JSON");
    add_serve(app, program);
    add_demo(app, program);
    add_show(app, program);
    add_path_commands(app, program);
    add_map_commands(app, program);
    add_events(app, program);
    add_dm_table(app, program);
    if (words.empty()) {
        output.error << app.help();
        return exit_usage;
    }
    std::ranges::reverse(words);  // As the library wants them.
    try {
        app.parse(words);
    } catch (const CLI::ParseError& error) {
        return usage_exit(app, error, program);
    }
    return program.action ? program.action() : static_cast<int>(exit_usage);
}

int complain(const Program& program, const std::string& message, int code) {
    program.output.error << "braidway: " << message << "\n";
    return code;
}

}  // namespace braidway::apps
