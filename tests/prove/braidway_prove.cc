// SPDX-License-Identifier: Apache-2.0
// braidway-prove: visits every state of small maps and says what it found.
#include <iostream>
#include <string>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "prove/explorer.h"

namespace {

using namespace braidway::prove;

void print(const Config& config, const Report& report) {
    std::cout << fmt::format(
        "{}: {}\n  {} states, {} transitions, {:.2f} s ({:.0f} states/s, "
        "{:.0f} transitions/s), {} moves deep\n",
        config.name, config.words(), report.states, report.transitions, report.seconds,
        static_cast<double>(report.states) / report.seconds,
        static_cast<double>(report.transitions) / report.seconds, report.depth);
    for (const auto& [reason, times] : report.cuts)
        std::cout << fmt::format("  cut {} times: {}\n", times, reason);
    if (report.capped) std::cout << "  NOT ALL: there are more states than --states-max\n";
    if (!report.finding) return;
    std::cout << fmt::format("  WRONG: {}\n  after:\n", report.finding->wrong);
    for (size_t at = 0; at < report.finding->events.size(); ++at)
        std::cout << fmt::format("  {:>3}. {}\n", at + 1, report.finding->events[at]);
}

}  // namespace

int main(int count, char** words) {
    CLI::App app{"Visits every state of small maps and checks what must hold in each."};
    Limits limits;
    std::vector<std::string> names;
    bool large = false;
    app.add_option("CONFIGURATION", names, "which to search; none = all of the set");
    app.add_flag("--large", large, "the large set");
    app.add_option("--states-max", limits.states_max, "stop a search there");
    CLI11_PARSE(app, count, words);

    std::vector<Config> configs = small_configs();
    if (large || !names.empty())
        for (Config& config : large_configs()) configs.push_back(std::move(config));
    Visits visits;
    bool wrong = false;
    for (const Config& config : configs) {
        if (!names.empty() && std::find(names.begin(), names.end(), config.name) == names.end())
            continue;
        const Report report = explore(config, limits, visits);
        print(config, report);
        std::cout << std::flush;
        wrong = wrong || report.finding;
    }
    return wrong ? 1 : 0;
}
