// SPDX-License-Identifier: Apache-2.0
// events [--follow] [--since N]
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "apps/braidway/api_client.h"
#include "apps/braidway/program.h"
#include "daemon/json.h"
#include "daemon/log.h"

namespace braidway::apps {
namespace {

struct EventOptions {
    bool follow = false;
    std::optional<uint64_t> since;
};

/// One event for people; a line that is none is shown as it is.
std::string readable(std::string_view line) {
    const std::optional<daemon::EventRecord> event = daemon::event_from_json(line);
    if (!event) {
        const nlohmann::json value = nlohmann::json::parse(line, nullptr, false);
        const auto lost = value.is_object() ? value.find("lost") : value.end();
        if (lost == value.end() || !lost->is_number_unsigned()) return std::string(line);
        return fmt::format("({} events are no longer kept)", lost->get<uint64_t>());
    }
    return fmt::format("{} {} {}", event->sequence, daemon::format_wall_clock(event->wall_clock),
                       daemon::event_line(*event));
}

int show_events(const Program& program, const EventOptions& options) {
    const Result<ApiClient> client = ApiClient::find(program);
    if (!client) return complain(program, client.error().message, exit_no_daemon);
    std::string path = options.follow ? "/v1/events?follow=1" : "/v1/events?";
    if (options.since) path += fmt::format("&since={}", *options.since);
    std::ostream& out = program.output.out;
    const Result<ApiAnswer> answer = client->stream(path, [&](std::string_view line) {
        out << (program.json ? std::string(line) : readable(line)) << "\n" << std::flush;
        return out.good();
    });
    if (!answer) return complain(program, answer.error().message, exit_no_daemon);
    return answer->status == 200 ? static_cast<int>(exit_ok) : print_error(program, *answer);
}

}  // namespace

void add_events(CLI::App& app, Program& program) {
    CLI::App* events = app.add_subcommand("events", "What happened: failed paths, switched groups");
    events->fallthrough();
    auto options = std::make_shared<EventOptions>();
    events->add_flag("-f,--follow", options->follow, "Go on with what happens from now on");
    events->add_option("--since", options->since, "Only events after this number")->type_name("N");
    events->footer(
        "Without --since, all kept events are shown, and with --follow only new ones;\n"
        "`--follow --since 0` shows both.");
    events->callback([&program, options] {
        program.action = [&program, options] { return show_events(program, *options); };
    });
}

}  // namespace braidway::apps
