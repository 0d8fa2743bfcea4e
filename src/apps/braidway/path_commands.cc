// SPDX-License-Identifier: Apache-2.0
// fail path, reinstate path, check path, set path
#include <CLI/CLI.hpp>
#include <memory>

#include <fmt/format.h>

#include "apps/braidway/api_client.h"
#include "apps/braidway/program.h"
#include "daemon/layer_config.h"
#include "daemon/words.h"

namespace braidway::apps {
namespace {

using daemon::Command;

/// VERB path NAME; returns the innermost command, so that options can be added.
CLI::App* add_path_command(CLI::App& app, Program& program, Command::Kind kind,
                           const std::string& verb, const std::string& help,
                           const std::shared_ptr<Command>& command) {
    CLI::App* outer = app.add_subcommand(verb, help);
    outer->fallthrough();
    outer->require_subcommand(1);
    CLI::App* inner = outer->add_subcommand("path", help);
    inner->fallthrough();
    inner->add_option("name", command->path, "The path")->required()->type_name("NAME");
    command->kind = kind;
    inner->callback([&program, command] {
        program.action = [&program, command] { return send_command(program, *command); };
    });
    return inner;
}

/// "on", "off" and KEY=VALUE into the command.
Result<void> read_layer_words(const std::vector<std::string>& words, Command& command) {
    if (!daemon::layer_kind_from_name(command.layer))
        return fail(fmt::format("'{}' is no layer{}; expected {}", command.layer,
                                daemon::did_you_mean(command.layer, daemon::layer_kind_names()),
                                daemon::list_words(daemon::layer_kind_names())));
    for (const std::string& word : words) {
        const size_t equals = word.find('=');
        if (word == "on" || word == "off") {
            command.enabled = word == "on";
        } else if (equals != std::string::npos && equals != 0) {
            command.parameters.push_back({word.substr(0, equals), word.substr(equals + 1)});
        } else {
            return fail(fmt::format("'{}': expected on, off or KEY=VALUE", word));
        }
    }
    // The daemon checks again; here a typo costs no round trip and needs no daemon.
    daemon::LayerConfig probe;
    probe.kind = *daemon::layer_kind_from_name(command.layer);
    probe.flakey.up = probe.flakey.down = std::chrono::seconds(1);
    if (const Result<void> set = daemon::set_layer_parameters(probe, command.parameters); !set)
        return fail(set.error().message);
    return {};
}

constexpr const char* set_footer = R"(Layers and their parameters:
  delay   read=5ms write=5ms flush=5ms other=5ms jitter=1ms
  error   class=transport|medium|resource|... ops=read,write,... offset=1M length=64K
          blocks=100-200 (of 512 bytes) chance=10% count=3
  flakey  up=5s down=1s class=... ops=... error_reads=true error_writes=true drop_writes=true
          offset=... length=... blocks=...
What is not named keeps its value. Parameters without `off` switch the layer on.

Examples:
  braidway set path a1 error on class=transport
  braidway set path a1 error class=medium blocks=100-200 ops=read
  braidway set path a1 delay read=5ms write=10ms
  braidway set path a1 flakey up=5s down=1s
  braidway set path a1 error off)";

void add_set(CLI::App& app, Program& program) {
    CLI::App* set = app.add_subcommand("set", "Switch a small device on a path: inject faults");
    set->fallthrough();
    set->require_subcommand(1);
    CLI::App* path = set->add_subcommand("path", "Switch delay, error or flakey of a path");
    path->fallthrough();
    path->footer(set_footer);
    auto command = std::make_shared<Command>();
    auto words = std::make_shared<std::vector<std::string>>();
    command->kind = Command::Kind::set_layer;
    path->add_option("name", command->path, "The path")->required()->type_name("NAME");
    path->add_option("layer", command->layer, "delay, error or flakey")
        ->required()
        ->type_name("LAYER");
    path->add_option("words", *words, "on, off, KEY=VALUE")->required()->type_name("WORD");
    path->callback([&program, command, words] {
        program.action = [&program, command, words]() -> int {
            if (const Result<void> read = read_layer_words(*words, *command); !read)
                return complain(program, read.error().message, exit_usage);
            return send_command(program, *command);
        };
    });
}

}  // namespace

void add_path_commands(CLI::App& app, Program& program) {
    auto failing = std::make_shared<Command>();
    CLI::App* fail_path = add_path_command(app, program, Command::Kind::fail_path, "fail",
                                           "Fail a path; a good check reinstates it", failing);
    fail_path->add_flag("--hold", failing->hold, "Keep it failed until `reinstate path`");
    add_path_command(app, program, Command::Kind::reinstate_path, "reinstate",
                     "Use a failed path again", std::make_shared<Command>());
    add_path_command(app, program, Command::Kind::check_path, "check", "Check a path now",
                     std::make_shared<Command>());
    add_set(app, program);
}

}  // namespace braidway::apps
