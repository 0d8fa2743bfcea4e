// SPDX-License-Identifier: Apache-2.0
#include "apps/free_node_memory/known_state_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <memory>
#include <ostream>

#include "base/limits.h"
#include "base/units.h"
#include "memory/reclaim/fingerprint_json.h"

namespace braidway::apps {
namespace {

constexpr size_t text_columns = 100;

Result<memory::Fingerprint> read_expectation(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text(limits::fingerprint_bytes_max + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
    if (!file.is_open() || file.bad()) return fail(fmt::format("--assert: cannot read {}", path));
    auto expected = memory::parse_fingerprint(text);
    if (!expected)
        return fail(fmt::format("--assert: {} {}; expected a file that --save made", path,
                                expected.error().message));
    return expected;
}

Result<void> save(const memory::Fingerprint& fingerprint, const std::string& path) {
    std::ofstream file(path, std::ios::binary);
    file << memory::saved_fingerprint(fingerprint) << std::flush;
    if (!file) return fail(fmt::format("--save: cannot write {}", path));
    return {};
}

/// What stands on the command line but means nothing here.
Result<void> check_words(const memory::Settings& settings) {
    if (!settings.amount_word.empty())
        return fail(fmt::format("--{}: known-state takes no amount", settings.amount_word));
    if (!settings.request.kinds.empty())
        return fail("--what: known-state drops page cache and slab, and takes no kinds");
    return {};
}

int code_of(const Error& error) {
    if (error.code == ECANCELED) return node_memory_short;
    const bool refused = error.code == EACCES || error.code == EPERM || error.code == EROFS;
    return refused ? node_memory_refused : node_memory_failed;
}

Result<memory::KnownState> measure_only(const memory::Machine& machine,
                                        const memory::NodeList& nodes) {
    auto fingerprint = memory::read_fingerprint(machine, nodes);
    if (!fingerprint) return std::unexpected(fingerprint.error());
    memory::KnownState state;
    state.fingerprint = std::move(*fingerprint);
    return state;
}

Result<memory::KnownState> reach(memory::Machine& machine, const memory::NodeList& nodes,
                                 bool compact, bool quiet, const NodeMemoryContext& context) {
    const bool show = context.progress_bar && !quiet;
    const auto began = [&](std::string_view step) {
        if (show) context.error << fmt::format("\r{} ...\x1b[K", step) << std::flush;
    };
    auto state = memory::reach_known_state(machine, nodes, compact, began);
    if (show) context.error << "\r\x1b[K" << std::flush;
    return state;
}

/// Words after one another, broken into indented lines.
std::string folded(const std::vector<std::string>& words, std::string_view indent) {
    std::string text;
    size_t column = 0;
    for (const std::string& word : words) {
        const bool fits = column > 0 && column + 1 + word.size() <= text_columns;
        text += fits ? " " : fmt::format("{}{}", column == 0 ? "" : "\n", indent);
        column = (fits ? column + 1 : indent.size()) + word.size();
        text += word;
    }
    return text + "\n";
}

}  // namespace

void add_known_state(CLI::App& app, const NodeMemoryContext& context, FreeCommand& free,
                     std::optional<std::function<int()>>& command) {
    CLI::App* known = app.add_subcommand(
        "known-state", "write back, drop caches, compact and take a fingerprint, for benchmarks");
    known->fallthrough();
    const auto options = std::make_shared<KnownStateCommand>();
    known->add_flag("--no-compact", options->no_compact, "leave free memory as scattered as it is");
    known->add_flag("--check-only", options->check_only,
                    "change nothing, only take the fingerprint");
    known->add_option("--save", options->save, "write the fingerprint to FILE")->type_name("FILE");
    known
        ->add_option("--assert", options->expectation,
                     "compare with the fingerprint in FILE; exit 3 if it differs")
        ->type_name("FILE");
    known->callback([&, options] {
        command = [&, options] { return run_known_state(*options, free, context); };
    });
}

std::string known_state_text(const memory::KnownState& state) {
    std::string text;
    for (const memory::KnownStateStep& step : state.steps)
        text += fmt::format("{:<12} {:>8.3f} s  {:>5} freed  {}\n", step.mechanism,
                            std::chrono::duration<double>(step.length).count(),
                            format_size(step.freed), step.outcome);
    const memory::Fingerprint& found = state.fingerprint;
    if (!state.steps.empty())
        text += fmt::format("{:<12} {:>8.3f} s\n", "in all",
                            std::chrono::duration<double>(state.length).count());
    text += fmt::format("kernel {}\n", found.kernel);
    for (const memory::NodeFingerprint& node : found.nodes) {
        text += fmt::format("node {}\n", node.node);
        for (const memory::FingerprintAmount& amount : memory::fingerprint_amounts())
            text += fmt::format("  {:<24} {:>6}\n", amount.name, format_size(node.*amount.place));
    }
    text += fmt::format("swap\n  {:<24} {:>6}\n  {:<24} {:>6}\nsettings\n", "size",
                        format_size(found.swap_total), "used", format_size(found.swap_used));
    std::vector<std::string> settings;
    for (const memory::FingerprintSetting& setting : found.settings)
        settings.push_back(fmt::format("{}={}", setting.name, setting.value));
    return text + folded(settings, "  ");
}

int run_known_state(const KnownStateCommand& command, const FreeCommand& free,
                    const NodeMemoryContext& context) {
    if (const auto good = check_words(free.settings); !good)
        return complain(context, good.error().message, node_memory_usage);
    const auto machine = context.machine(free.root);
    memory::Settings settings = free.settings;
    if (!settings.nodes) settings.nodes.emplace();
    const auto nodes = resolve_nodes(*machine, settings);
    if (!nodes) return complain(context, nodes.error().message, node_memory_usage);
    std::optional<memory::Fingerprint> expected;
    if (!command.expectation.empty()) {
        auto read = read_expectation(command.expectation);
        if (!read) return complain(context, read.error().message, node_memory_usage);
        expected = std::move(*read);
    }
    auto state = command.check_only || free.dry_run
                     ? measure_only(*machine, *nodes)
                     : reach(*machine, *nodes, !command.no_compact, free.quiet, context);
    if (!state) return complain(context, state.error().message, code_of(state.error()));
    if (expected) state->differences = compare(*expected, state->fingerprint);
    if (!command.save.empty())
        if (const auto saved = save(state->fingerprint, command.save); !saved)
            return complain(context, saved.error().message, node_memory_failed);
    const int code = state->differences.empty() ? node_memory_done : node_memory_short;
    if (free.json) return answer(context, known_state_json(*state), code);
    std::string text = free.quiet ? "" : known_state_text(*state);
    for (const memory::FingerprintDifference& one : state->differences)
        text += fmt::format("differs: {}\n", difference_text(one));
    if (expected && state->differences.empty() && !free.quiet)
        text += fmt::format("as in {}\n", command.expectation);
    return answer(context, text, code);
}

}  // namespace braidway::apps
