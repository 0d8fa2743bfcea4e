// SPDX-License-Identifier: Apache-2.0
// switch|disable|enable group, queue-if-no-path and fail-if-no-path, suspend and resume, reload
#include <CLI/CLI.hpp>
#include <memory>

#include "apps/braidway/api_client.h"
#include "apps/braidway/program.h"
#include "base/limits.h"

namespace braidway::apps {
namespace {

using daemon::Command;

void sends(CLI::App& app, Program& program, const std::shared_ptr<Command>& command) {
    app.callback([&program, command] {
        program.action = [&program, command] { return send_command(program, *command); };
    });
}

void add_map_name(CLI::App& app, Command& command) {
    app.add_option("map", command.map, "The map")->required()->type_name("MAP");
}

void add_group_number(CLI::App& app, Command& command) {
    app.add_option("group", command.group, "The group's number, from 1")
        ->required()
        ->check(CLI::Range(size_t{1}, limits::groups_max))
        ->type_name("N");
}

/// VERB group MAP N, and multipathd's VERB map MAP group N.
CLI::App* add_group_command(CLI::App& app, Program& program, Command::Kind kind,
                            const std::string& verb, const std::string& help) {
    CLI::App* outer = app.add_subcommand(verb, help);
    outer->fallthrough();
    outer->require_subcommand(1);
    auto command = std::make_shared<Command>();
    command->kind = kind;
    CLI::App* inner = outer->add_subcommand("group", help);
    inner->fallthrough();
    add_map_name(*inner, *command);
    add_group_number(*inner, *command);
    sends(*inner, program, command);

    CLI::App* longer = outer->add_subcommand("map", "As multipathd has it: map MAP group N");
    longer->fallthrough();
    longer->require_subcommand(1);
    add_map_name(*longer, *command);
    CLI::App* group = longer->add_subcommand("group", help);
    group->fallthrough();
    add_group_number(*group, *command);
    sends(*group, program, command);
    return outer;
}

/// VERB map MAP.
CLI::App* add_map_command(CLI::App& app, Program& program, Command::Kind kind,
                          const std::string& verb, const std::string& help) {
    CLI::App* outer = app.add_subcommand(verb, help);
    outer->fallthrough();
    outer->require_subcommand(1);
    auto command = std::make_shared<Command>();
    command->kind = kind;
    CLI::App* inner = outer->add_subcommand("map", help);
    inner->fallthrough();
    add_map_name(*inner, *command);
    sends(*inner, program, command);
    return outer;
}

/// suspend map MAP [--noflush].
void add_suspend_command(CLI::App& app, Program& program) {
    const std::string help = "Let I/O end and put new I/O off until `resume`";
    CLI::App* outer = app.add_subcommand("suspend", help);
    outer->fallthrough();
    outer->require_subcommand(1);
    auto command = std::make_shared<Command>();
    command->kind = Command::Kind::suspend_map;
    CLI::App* inner = outer->add_subcommand("map", help);
    inner->fallthrough();
    add_map_name(*inner, *command);
    inner->add_flag("--noflush", command->noflush,
                    "Keep I/O that is held for want of a path, instead of failing it");
    sends(*inner, program, command);
}

}  // namespace

void add_map_commands(CLI::App& app, Program& program) {
    add_group_command(app, program, Command::Kind::switch_group, "switch",
                      "Send I/O to another group")
        ->alias("switchgroup");
    add_group_command(app, program, Command::Kind::disable_group, "disable",
                      "Bypass a group while another one has a path");
    add_group_command(app, program, Command::Kind::enable_group, "enable", "Undo `disable group`");
    add_map_command(app, program, Command::Kind::queue_if_no_path, "queue-if-no-path",
                    "Hold I/O while the map has no path")
        ->alias("restorequeueing");
    add_map_command(app, program, Command::Kind::fail_if_no_path, "fail-if-no-path",
                    "Fail I/O at once while the map has no path, and what is held")
        ->alias("disablequeueing");
    add_suspend_command(app, program);
    add_map_command(app, program, Command::Kind::resume_map, "resume",
                    "Take the I/O of a suspended map up again");
    CLI::App* reload = app.add_subcommand("reload", "Read the configuration again, as SIGHUP does");
    reload->alias("reconfigure");
    reload->fallthrough();
    auto command = std::make_shared<Command>();
    command->kind = Command::Kind::reload;
    sends(*reload, program, command);
}

}  // namespace braidway::apps
