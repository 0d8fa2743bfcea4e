// SPDX-License-Identifier: Apache-2.0
#include "apps/free_node_memory/commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/free_node_memory/known_state_command.h"
#include "apps/free_node_memory/mount.h"
#include "apps/free_node_memory/status.h"
#include "base/limits.h"
#include "memory/reclaim/holders.h"
#include "memory/reclaim/holders_print.h"
#include "memory/reclaim/tools.h"

namespace braidway::apps {

Result<void> read_policy_file(memory::Settings& settings, const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text(limits::policy_bytes_max + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
    if (!file.is_open() || file.bad()) return fail(fmt::format("--policy: cannot read {}", path));
    return memory::read_policy(settings, text, path);
}

int run_capabilities(const FreeCommand& free, const NodeMemoryContext& context) {
    const auto machine = context.machine(free.root);
    memory::Settings settings = free.settings;
    if (!settings.nodes) settings.nodes.emplace();
    const auto nodes = resolve_nodes(*machine, settings);
    if (!nodes) return complain(context, nodes.error().message, node_memory_usage);
    const auto found = memory::find_capabilities(*machine, *nodes);
    if (free.json) {
        nlohmann::ordered_json json{{"schema_version", 1},
                                    {"capabilities", nlohmann::ordered_json::array()}};
        for (const memory::Capability& each : found)
            json["capabilities"].push_back({{"node", each.node},
                                            {"mechanism", each.mechanism},
                                            {"kinds", format_kinds(each.kinds)},
                                            {"reach", each.global ? "global" : "node"},
                                            {"usable", each.usable},
                                            {"reason", each.why_not}});
        return answer(context, json.dump(2) + "\n", node_memory_done);
    }
    std::string text = fmt::format("{:<5} {:<16} {:<7} {:<41} {}\n", "NODE", "MECHANISM", "REACH",
                                   "KINDS", "USABLE");
    for (const memory::Capability& each : found)
        text += fmt::format("{:<5} {:<16} {:<7} {:<41} {}\n", each.node, each.mechanism,
                            each.global ? "global" : "node", format_kinds(each.kinds),
                            each.usable ? "yes" : "no: " + each.why_not);
    return answer(context, text, node_memory_done);
}

namespace {

/// As they stand on the command line.
struct MountWords {
    std::string directory;
    std::string mode = "0600";
    std::string owner;
};

int mount(const MountWords& words, const FreeCommand& free, const NodeMemoryContext& context) {
    MountOptions options{.directory = words.directory, .base = free.settings, .root = free.root};
    const auto mode = parse_mode(words.mode);
    if (!mode) return complain(context, "--mode: " + mode.error().message, node_memory_usage);
    options.mode = *mode;
    if (!words.owner.empty()) {
        const auto owner = parse_owner(words.owner);
        if (!owner)
            return complain(context, "--owner: " + owner.error().message, node_memory_usage);
        options.owner = *owner;
    }
    const int code = run_mount(options, context.out, context.error);
    return code == node_memory_done ? answer(context, "", code) : code;
}

void add_mount(CLI::App& app, const NodeMemoryContext& context, FreeCommand& free,
               std::optional<std::function<int()>>& command) {
    CLI::App* made = app.add_subcommand("mount", "control files for others in a file system");
    const auto words = std::make_shared<MountWords>();
    made->add_option("DIR", words->directory, "an empty directory")->required();
    made->add_option("--mode", words->mode, "of the files that can be written (0600)")
        ->type_name("MODE");
    made->add_option("--owner", words->owner, "of the files: USER, USER:GROUP or :GROUP")
        ->type_name("OWNER");
    made->fallthrough();
    made->callback([&context, &free, &command, words] {
        command = [&context, &free, words] { return mount(*words, free, context); };
    });
}

struct WhoWords {
    std::vector<std::string> paths{};
    size_t top = memory::HoldersOptions{}.top;
};

int who(const WhoWords& words, const FreeCommand& free, const NodeMemoryContext& context) {
    const auto machine = context.machine(free.root);
    memory::Settings settings = free.settings;
    if (!settings.nodes) settings.nodes.emplace();
    const auto nodes = resolve_nodes(*machine, settings);
    if (!nodes) return complain(context, nodes.error().message, node_memory_usage);
    const auto found =
        memory::find_holders(*machine, {.nodes = *nodes, .paths = words.paths, .top = words.top});
    if (!found) return complain(context, found.error().message, node_memory_failed);
    const bool cancelled = context.cancel.cancelled();
    return answer(context, free.json ? holders_json(*found) : holders_text(*found),
                  cancelled ? node_memory_short : node_memory_done);
}

void add_who(CLI::App& app, const NodeMemoryContext& context, FreeCommand& free,
             std::optional<std::function<int()>>& command) {
    CLI::App* made = app.add_subcommand("who", "which processes, cgroups and files hold a node");
    const auto words = std::make_shared<WhoWords>();
    made->add_option("PATH", words->paths, "files and trees to look at besides what is in use");
    made->add_option("--top", words->top, "how many of each sort")
        ->type_name("N")
        ->check(CLI::Range(size_t{1}, limits::holders_top_max));
    made->fallthrough();
    made->callback([&context, &free, &command, words] {
        command = [&context, &free, words] { return who(*words, free, context); };
    });
}

}  // namespace

void add_commands(CLI::App& app, const NodeMemoryContext& context, FreeCommand& free,
                  std::optional<std::function<int()>>& command) {
    CLI::App* status = app.add_subcommand("status", "what lies on each node, by kind");
    status->fallthrough();
    status->callback([&] { command = [&] { return run_status(free, context); }; });
    add_who(app, context, free, command);
    add_mount(app, context, free, command);
    add_known_state(app, context, free, command);
}

}  // namespace braidway::apps
