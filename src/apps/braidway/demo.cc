// SPDX-License-Identifier: Apache-2.0
// demo [--state DIR] [--nbd ADDRESS]...
#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <ostream>

#include "apps/braidway/demo_config.h"
#include "apps/braidway/overrides.h"
#include "apps/braidway/places.h"
#include "apps/braidway/program.h"
#include "apps/braidway/service.h"

namespace braidway::apps {
namespace {

struct DemoOptions {
    std::string state = default_demo_state();
    std::vector<std::string> nbd;
    Overrides overrides;
};

int demo(const Program& program, DemoOptions options) {
    if (options.state.empty())
        return complain(program, "no state folder: give --state DIR, or set $HOME", exit_usage);
    std::error_code ignored;
    const std::string state = std::filesystem::absolute(options.state, ignored);
    Result<daemon::Config> config = make_demo_config(state, options.nbd);
    if (!config) return complain(program, config.error().message, exit_usage);
    options.overrides.api = program.api;
    apply_overrides(options.overrides, *config);
    if (const Result<void> made = make_demo_image(state); !made)
        return complain(program, made.error().message, exit_failed);
    const std::string hints = demo_hints(*config, default_demo_state());
    return run_service(
        program, {.config = std::move(*config),
                  .reload = nullptr,
                  .address_hint = "--nbd ADDRESS chooses another one",
                  .started = [&program, hints] { program.output.out << hints << std::flush; }});
}

}  // namespace

void add_demo(CLI::App& app, Program& program) {
    CLI::App* command = app.add_subcommand("demo", "Serve a volume without any configuration");
    command->fallthrough();
    auto options = std::make_shared<DemoOptions>();
    command->add_option("--state", options->state, "Where its image and sockets are")
        ->type_name("DIR")
        ->capture_default_str();
    command
        ->add_option("--nbd", options->nbd,
                     "Listen here instead of on tcp:127.0.0.1:10809: unix:/PATH or "
                     "tcp:HOST:PORT; may be repeated")
        ->type_name("ADDRESS");
    add_override_options(*command, options->overrides);
    command->footer(
        "Makes a sparse image of 1 GiB and four paths to it in two groups, `controller "
        "A` (a1, a2) and\n`controller B` (b1, b2), and exports it as `demo` on "
        "unix:DIR/demo.sock too.\n\nExamples:\n"
        "  braidway demo\n"
        "  braidway demo --state /tmp/demo --nbd tcp:127.0.0.1:10810");
    command->callback([&program, options] {
        program.action = [&program, options] { return demo(program, *options); };
    });
}

}  // namespace braidway::apps
