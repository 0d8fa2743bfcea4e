// SPDX-License-Identifier: Apache-2.0
// serve --config FILE [--check]
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <ostream>

#include "apps/braidway/overrides.h"
#include "apps/braidway/places.h"
#include "apps/braidway/program.h"
#include "apps/braidway/service.h"

namespace braidway::apps {
namespace {

struct ServeOptions {
    std::string file = default_config_file;
    bool check = false;
    Overrides overrides;
};

/// Every problem on a line of its own, and what that means.
int print_problems(const Program& program, const daemon::ConfigProblems& problems) {
    program.output.error << daemon::problems_text(problems);
    return complain(program,
                    fmt::format("{} problem{} in the configuration", problems.size(),
                                problems.size() == 1 ? "" : "s"),
                    exit_usage);
}

int serve(const Program& program, ServeOptions options) {
    options.overrides.api = program.api;
    // A later reload must find the file from any folder.
    std::error_code ignored;
    const std::filesystem::path absolute = std::filesystem::absolute(options.file, ignored);
    const std::string file = absolute.empty() ? options.file : absolute.string();
    const auto read =
        [file,
         overrides = options.overrides]() -> std::expected<daemon::Config, daemon::ConfigProblems> {
        auto config = daemon::load_config(file);
        if (config) apply_overrides(overrides, *config);
        return config;
    };
    auto config = read();
    if (!config) return print_problems(program, config.error());
    if (options.check) {
        program.output.out << fmt::format("ok: {} maps, {} paths, {} exports\n",
                                          config->maps.size(), config->paths.size(),
                                          config->exports.size());
        return exit_ok;
    }
    return run_service(program, {.config = std::move(*config),
                                 .reload = read,
                                 .address_hint = fmt::format("change `nbd` of its [export.NAME] in "
                                                             "{}",
                                                             file),
                                 .started = nullptr});
}

}  // namespace

void add_serve(CLI::App& app, Program& program) {
    CLI::App* command = app.add_subcommand("serve", "Serve the volumes of a configuration file");
    command->fallthrough();
    auto options = std::make_shared<ServeOptions>();
    command->add_option("--config,-c", options->file, "The configuration")
        ->type_name("FILE")
        ->capture_default_str();
    command->add_flag("--check", options->check, "Only check the configuration; exit code 0 or 2");
    add_override_options(*command, options->overrides);
    command->footer(
        "Stays in the foreground. SIGTERM and SIGINT drain and end it, a second one at "
        "once; SIGHUP reads\nthe configuration again.\n\nExamples:\n"
        "  braidway serve --config braidway.toml --check\n"
        "  braidway serve --config braidway.toml --api /tmp/api.sock");
    command->callback([&program, options] {
        program.action = [&program, options] { return serve(program, *options); };
    });
}

}  // namespace braidway::apps
