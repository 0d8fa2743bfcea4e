// SPDX-License-Identifier: Apache-2.0
// dm-table LINE: what a device-mapper multipath table means.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/braidway/dm_explain.h"
#include "apps/braidway/program.h"
#include "daemon/json.h"
#include "multipath/dm_status.h"

namespace braidway::apps {
namespace {

using multipath::DmTarget;
using multipath::QueueMode;

nlohmann::json groups_json(const multipath::MultipathSpec& map) {
    nlohmann::json groups = nlohmann::json::array();
    for (const multipath::GroupSpec& group : map.groups) {
        nlohmann::json paths = nlohmann::json::array();
        for (const multipath::PathSpec& path : group.paths)
            paths.push_back({{"name", path.name}, {"arguments", path.arguments}});
        groups.push_back({{"selector", group.selector},
                          {"selector_arguments", group.selector_arguments},
                          {"paths", std::move(paths)}});
    }
    return groups;
}

/// The table as a document. Words keep the form they were given in.
nlohmann::json target_json(const DmTarget& target) {
    const multipath::MultipathSpec& map = target.map;
    nlohmann::json value;
    value["name"] = target.line.name;
    value["start_sectors"] = target.line.start_sectors;
    value["length_sectors"] = target.line.length_sectors;
    value["queue_if_no_path"] = map.no_path.queue;
    value["pg_init_retries"] = map.pg_init_retries;
    value["pg_init_delay_ms"] = nullptr;
    if (map.pg_init_delay)
        value["pg_init_delay_ms"] =
            std::chrono::duration_cast<std::chrono::milliseconds>(*map.pg_init_delay).count();
    value["retain_attached_hw_handler"] = map.retain_attached_handler;
    value["queue_mode"] = map.queue_mode == QueueMode::bio ? "bio" : "rq";
    value["handler"] = map.handler.name;
    value["handler_arguments"] = map.handler.parameters;
    value["initial_group"] = map.initial_group;
    value["groups"] = groups_json(map);
    value["printed_back"] = dm_target_text(target);
    value["warnings"] = dm_target_warnings(target);
    return value;
}

/// What is wrong with `line`, and a hint when it is something else.
std::string problem_of(const std::string& line, const Error& error) {
    const auto start = multipath::parse_dm_line(line);
    if (start && multipath::parse_dm_info(start->parameters))
        return "this is a status line (`dmsetup status`); expected a table line (`dmsetup table`)";
    return error.message;
}

/// Explains `lines`, all of them even if one is bad. Returns the exit code.
int explain_lines(const Program& program, const std::vector<std::string>& lines) {
    int code = exit_ok;
    nlohmann::json tables = nlohmann::json::array();
    bool first = true;
    for (size_t at = 0; at < lines.size(); ++at) {
        if (multipath::split_dm_words(lines[at]).empty()) continue;
        const auto target = multipath::parse_dm_target(lines[at], nullptr);
        if (!target) {
            const std::string where = lines.size() > 1 ? fmt::format("line {}: ", at + 1) : "";
            code = complain(program, where + problem_of(lines[at], target.error()), exit_usage);
        } else if (program.json) {
            tables.push_back(target_json(*target));
        } else {
            program.output.out << (first ? "" : "\n") << explain_dm_target(*target, lines[at]);
            first = false;
        }
    }
    if (program.json && code == exit_ok)
        program.output.out << daemon::json_document({{"tables", std::move(tables)}}) << "\n";
    return code;
}

int dm_table(const Program& program, const std::vector<std::string>& words) {
    std::vector<std::string> lines;
    if (words == std::vector<std::string>{"-"}) {
        for (std::string line; std::getline(std::cin, line);) lines.push_back(line);
    } else {
        lines.push_back(fmt::format("{}", fmt::join(words, " ")));
    }
    const bool empty = std::ranges::all_of(
        lines, [](const std::string& line) { return multipath::split_dm_words(line).empty(); });
    if (empty)
        return complain(program, "no table line; expected 0 LENGTH multipath ...", exit_usage);
    return explain_lines(program, lines);
}

}  // namespace

void add_dm_table(CLI::App& app, Program& program) {
    CLI::App* command =
        app.add_subcommand("dm-table", "Check and explain a device-mapper multipath table");
    command->fallthrough();
    auto words = std::make_shared<std::vector<std::string>>();
    command
        ->add_option("line", *words,
                     "\"[NAME:] 0 LENGTH multipath ...\" as `dmsetup table` prints it; - reads "
                     "lines from standard input")
        ->required()
        ->type_name("LINE");
    command->footer(
        "Accepts and refuses what dm-multipath 1.14.0 (Linux 6.12) does, in the same words; does "
        "not look the\ndevices up, and asks no daemon.\n\nExamples:\n"
        "  braidway dm-table \"0 2097152 multipath 1 queue_if_no_path 1 alua 1 1 service-time 0 2 "
        "2 8:0 1 1 8:16 1 1\"\n"
        "  dmsetup table --target multipath | braidway dm-table -");
    command->callback([&program, words] {
        program.action = [&program, words] { return dm_table(program, *words); };
    });
}

}  // namespace braidway::apps
