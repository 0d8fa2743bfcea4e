// SPDX-License-Identifier: Apache-2.0
// show topology|maps|dm|paths|exports|status [NAME]
#include <CLI/CLI.hpp>
#include <memory>

#include "apps/braidway/api_client.h"
#include "apps/braidway/program.h"

namespace braidway::apps {
namespace {

void add_page(CLI::App& show, Program& program, const std::string& page,
              const std::string& singular, const std::string& help, bool takes_name = false) {
    CLI::App* command = show.add_subcommand(page, help);
    command->fallthrough();
    auto name = std::make_shared<std::string>();
    if (!singular.empty()) command->alias(singular);
    if (!singular.empty() || takes_name)
        command->add_option("name", *name, "Only this one")->type_name("NAME");
    command->callback([&program, page, name] {
        program.action = [&program, page, name] {
            return show_page(program, "/v1/" + page + (name->empty() ? "" : "/" + *name));
        };
    });
}

}  // namespace

void add_show(CLI::App& app, Program& program) {
    CLI::App* show = app.add_subcommand("show", "Show what the daemon has and does");
    show->alias("list");
    show->fallthrough();
    show->require_subcommand(1);
    add_page(*show, program, "topology", "tree", "Maps, groups and paths, as `multipath -ll`");
    add_page(*show, program, "maps", "map", "Maps: size, paths, held I/O, retries");
    add_page(*show, program, "dm", "", "Each map's table and status line in device-mapper's words",
             true);
    add_page(*show, program, "paths", "path",
             "Paths: state, checks, I/O, errors, and who failed them when and why");
    add_page(*show, program, "exports", "export", "Exports: addresses, connections, requests");
    add_page(*show, program, "status", "", "The daemon itself");
}

}  // namespace braidway::apps
