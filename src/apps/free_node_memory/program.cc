// SPDX-License-Identifier: Apache-2.0
#include "apps/free_node_memory/program.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <ostream>
#include <sstream>

#include "apps/free_node_memory/commands.h"
#include "apps/free_node_memory/free_command.h"
#include "apps/free_node_memory/job.h"
#include "memory/reclaim/real_machine.h"
#include "memory/reclaim/settings.h"

namespace braidway::apps {
namespace {

constexpr const char* footer = R"(Examples:
  free-node-memory --node 0 --free 10G --what page-cache
  free-node-memory --node all --until-free 64G --what page-cache,slab --dry-run
  free-node-memory --node 1 --pages 25600 --what anonymous,page-cache --json
  free-node-memory status

SIZE is a whole number of bytes, or with K, M, G, T, P (powers of 1024): 100M, 64G. The amount is per node.
KINDS: page-cache (clean, mapped by no process), mapped-page-cache, anonymous (needs swap), slab.

Exit codes: 0 done (a shortfall is reported), 1 output could not be written, 2 wrong usage, 3 short
(with --strict) or cancelled, 4 refused by safety or for want of privilege or consent.)";

/// A word of the command line with its value, in the order in which they came.
struct Given {
    std::string word;
    std::vector<std::string> values;
};

/// CLI11 takes "-5" for an option of its own; a value belongs to the word before it.
std::vector<std::string> join_values(const std::vector<std::string>& words) {
    std::vector<std::string> joined;
    for (size_t at = 0; at < words.size(); ++at) {
        const auto known =
            std::ranges::find_if(memory::setting_words(), [&](const memory::SettingWord& word) {
                return words[at] == fmt::format("--{}", word.name) && !word.value.empty() &&
                       !word.value.starts_with('[');
            });
        const bool takes = known != memory::setting_words().end() && at + 1 < words.size() &&
                           words[at + 1].starts_with('-') && !words[at + 1].starts_with("--");
        if (takes) {
            joined.push_back(words[at] + "=" + words[at + 1]);
            ++at;
        } else {
            joined.push_back(words[at]);
        }
    }
    return joined;
}

/// Adds the options that set a word of the settings.
void add_setting_words(CLI::App& app, std::vector<Given>& given) {
    given.reserve(memory::setting_words().size());
    for (const memory::SettingWord& word : memory::setting_words()) {
        if (word.job) continue;
        given.push_back({std::string(word.name), {}});
        std::vector<std::string>& values = given.back().values;
        const std::string name = fmt::format("--{}", word.name);
        CLI::Option* option = nullptr;
        if (word.value.empty()) {
            option = app.add_flag_callback(
                name, [&values] { values.emplace_back("yes"); }, std::string(word.help));
            continue;
        }
        option = app.add_option(name, values, std::string(word.help));
        option->type_name(std::string(word.value));
        option->allow_extra_args(false);
        option->multi_option_policy(word.repeatable || word.name == "node"
                                        ? CLI::MultiOptionPolicy::TakeAll
                                        : CLI::MultiOptionPolicy::Throw);
        if (word.value.starts_with('[')) option->expected(0, 1);
    }
}

bool is_amount(const Given& given) {
    return given.word == "free" || given.word == "pages" || given.word == "until-free";
}

Result<void> apply_given(memory::Settings& settings, const std::vector<Given>& given) {
    // Over that of a policy file.
    if (std::ranges::any_of(
            given, [](const Given& each) { return is_amount(each) && !each.values.empty(); }))
        settings.amount_word.clear();
    for (const Given& each : given) {
        if (each.word == "node" && !each.values.empty()) {
            const auto set = memory::set_setting(settings, "node",
                                                 fmt::format("{}", fmt::join(each.values, ",")));
            if (!set) return fail("--" + set.error().message);
            continue;
        }
        const auto word =
            std::ranges::find(memory::setting_words(), each.word, &memory::SettingWord::name);
        if (each.values.size() > 1 && !word->repeatable)
            return fail(
                fmt::format("--{}: given {} times; once is enough", each.word, each.values.size()));
        for (const std::string& value : each.values)
            if (const auto set = memory::set_setting(settings, each.word, value); !set)
                return fail("--" + set.error().message);
    }
    return {};
}

int usage_exit(const CLI::App& app, const CLI::ParseError& error,
               const NodeMemoryContext& context) {
    std::ostringstream help;
    std::ostringstream complaint;
    if (app.exit(error, help, complaint) == 0) {
        std::string text = help.str();
        if (!text.ends_with('\n')) text += '\n';
        return answer(context, text, node_memory_done);
    }
    return complain(context, fmt::format("{} (see free-node-memory --help)", error.what()),
                    node_memory_usage);
}

int run_job_command(const std::string& policy, const std::vector<Given>& given,
                    const FreeCommand& command, const NodeMemoryContext& context) {
    if (policy.empty())
        return complain(context, "--job: needs --policy FILE, which says what to clean",
                        node_memory_usage);
    for (const Given& each : given)
        if (!each.values.empty())
            return complain(context,
                            fmt::format("--{}: does not go with --job; put it into the policy {}",
                                        each.word, policy),
                            node_memory_usage);
    const auto text = memory::RealMachine(context.cancel).read(policy);
    if (!text) return complain(context, "--policy: " + text.error().message, node_memory_usage);
    std::ostringstream said;
    const auto code = run_job(*context.machine(command.root), *text, policy, command.json, said);
    if (!code) return complain(context, code.error().message, node_memory_usage);
    return answer(context, command.quiet ? "" : said.str(), *code);
}

}  // namespace

int run_free_node_memory(const std::vector<std::string>& words, const NodeMemoryContext& context) {
    CLI::App app(
        "Frees a chosen amount of a chosen kind of memory on a chosen NUMA node, and measures what "
        "was freed.",
        "free-node-memory");
    FreeCommand free;
    std::vector<Given> given;
    std::string policy;
    bool capabilities = false;
    std::optional<std::function<int()>> command;
    app.set_version_flag("--version", "free-node-memory " BRAIDWAY_VERSION);
    app.footer(footer);
    app.require_subcommand(0, 1);
    add_setting_words(app, given);
    app.add_option("--policy", policy, "read settings from FILE first")->type_name("FILE");
    bool job = false;
    app.add_flag("--job", job, "clean for the Slurm job of the environment, by --policy");
    app.add_flag("--dry-run", free.dry_run, "say what would be freed, and what blocks it");
    app.add_flag("--capabilities", capabilities, "say which mechanisms work here, and why not");
    app.add_flag("--json", free.json, "answer in JSON");
    app.add_flag("--quiet", free.quiet, "no progress and no report");
    app.add_option("--root", free.root, "look at the /sys and /proc below DIR")->type_name("DIR");
    add_commands(app, context, free, command);
    for (const std::string& word : words)
        if (word.starts_with("--") && word.ends_with("="))
            return complain(context, fmt::format("{}: needs a value after '='", word),
                            node_memory_usage);
    std::vector<std::string> parsed = join_values(words);
    std::ranges::reverse(parsed);  // As the library wants them.
    try {
        app.parse(parsed);
    } catch (const CLI::ParseError& error) {
        return usage_exit(app, error, context);
    }
    if (job && (command || free.dry_run || capabilities))
        return complain(
            context, "--job: cleans, and does not go with --dry-run, --capabilities or a command",
            node_memory_usage);
    if (job) return run_job_command(policy, given, free, context);
    if (!policy.empty())
        if (const auto read = read_policy_file(free.settings, policy); !read)
            return complain(context, read.error().message, node_memory_usage);
    if (const auto applied = apply_given(free.settings, given); !applied)
        return complain(context, applied.error().message, node_memory_usage);
    if (command) return (*command)();
    if (capabilities) return run_capabilities(free, context);
    if (words.empty()) {
        context.error << app.help();
        return node_memory_usage;
    }
    if (const auto whole = memory::check_settings(free.settings); !whole)
        return complain(context, "--" + whole.error().message, node_memory_usage);
    return run_free(free, context);
}

int complain(const NodeMemoryContext& context, const std::string& message, int code) {
    context.error << "free-node-memory: " << message << "\n";
    return code;
}

int answer(const NodeMemoryContext& context, const std::string& text, int code) {
    context.out << text << std::flush;
    if (context.out) return code;
    return complain(context, "standard output could not be written", node_memory_failed);
}

}  // namespace braidway::apps
