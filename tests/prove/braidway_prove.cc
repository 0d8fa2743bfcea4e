// SPDX-License-Identifier: Apache-2.0
// braidway-prove: visits every state of small maps and says what it found.
#include <algorithm>
#include <iostream>
#include <string>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "prove/explorer.h"

namespace {

using namespace braidway::prove;

void print(std::ostream& out, const Config& config, const Report& report) {
    out << fmt::format(
        "{}: {}\n  {} states, {} transitions, {:.2f} s ({:.0f} states/s, "
        "{:.0f} transitions/s), {} moves deep\n",
        config.name, config.words(), report.states, report.transitions, report.seconds,
        static_cast<double>(report.states) / report.seconds,
        static_cast<double>(report.transitions) / report.seconds, report.depth);
    for (const auto& [reason, times] : report.cuts)
        out << fmt::format("  cut {} times: {}\n", times, reason);
    if (report.capped) out << "  NOT ALL: there are more states than --states-max\n";
    if (!report.finding) return;
    out << fmt::format("  WRONG: {}\n  after:\n", report.finding->wrong);
    for (size_t at = 0; at < report.finding->events.size(); ++at)
        out << fmt::format("  {:>3}. {}\n", at + 1, report.finding->events[at]);
}

}  // namespace

int main(int count, char** words) {
    CLI::App app{"Visits every state of small maps and checks what must hold in each."};
    Limits limits;
    std::vector<std::string> names;
    bool list = false;
    bool large = false;
    bool states = false;
    bool coverage = false;
    app.add_option("CONFIGURATION", names, "which to search; none = those that the tests run");
    app.add_flag("--list", list, "list the configurations");
    app.add_flag("--large", large, "the large ones, too");
    app.add_flag("--states", states, "print docs/states.md instead");
    app.add_flag("--coverage", coverage,
                 "print which states met which events how often in the tests; with --large, of all "
                 "that the large ones reach");
    app.add_option("--states-max", limits.states_max, "go no further than so many states");
    CLI11_PARSE(app, count, words);

    const auto wanted = [&](const Config& config) {
        return names.empty() || std::ranges::find(names, config.name) != names.end();
    };
    Visits tested;
    Visits all;
    bool wrong = false;
    const auto search = [&](const Config& config, Visits& visits) {
        if (list) std::cout << fmt::format("{}: {}\n", config.name, config.words());
        if (list || !wanted(config)) return;
        const Report report = explore(config, limits, visits);
        print(states ? std::cerr : std::cout, config, report);
        std::cout << std::flush;
        wrong = wrong || report.finding;
    };
    for (const Config& config : small_configs()) search(config, tested);
    all.add(tested);
    if (large || list || !names.empty())
        for (const Config& config : large_configs()) search(config, all);
    if (states) std::cout << states_text(tested);
    if (coverage) std::cout << coverage_text(all, tested);
    return wrong || (coverage && coverage_of(all, tested).missed > 0) ? 1 : 0;
}
