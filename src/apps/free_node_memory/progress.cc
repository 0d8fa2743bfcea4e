// SPDX-License-Identifier: Apache-2.0
#include "apps/free_node_memory/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "base/clock.h"
#include "base/units.h"

namespace braidway::apps {
namespace {

using namespace std::chrono_literals;

constexpr size_t bar_width = 30;
constexpr Duration pause_between = 50ms;

}  // namespace

std::string bar_of(uint64_t part, uint64_t whole, size_t width) {
    const double share =
        whole == 0 ? 0 : static_cast<double>(std::min(part, whole)) / static_cast<double>(whole);
    const auto filled = static_cast<size_t>(share * static_cast<double>(width) + 0.5);
    return fmt::format("[{}{}]", std::string(filled, '#'), std::string(width - filled, '-'));
}

void ProgressBar::progressed(uint32_t node, uint64_t freed, uint64_t goal) {
    nodes_[node] = {freed, goal};
    if (monotonic_now() - drawn_ >= pause_between) draw("");
}

void ProgressBar::waiting(uint32_t node, std::string_view why) {
    draw(fmt::format(" node {}: {}", node, why));
}

void ProgressBar::draw(const std::string& note) {
    if (!wanted_) return;
    uint64_t freed = 0;
    uint64_t goal = 0;
    for (const auto& [node, amount] : nodes_) {
        freed += std::min(amount.first, amount.second);
        goal += amount.second;
    }
    drawn_ = monotonic_now();
    out_ << fmt::format("\r{} {} of {}{}\x1b[K", bar_of(freed, goal, bar_width), format_size(freed),
                        format_size(goal), note)
         << std::flush;
}

void ProgressBar::clear() {
    if (wanted_ && drawn_ != Instant{}) out_ << "\r\x1b[K" << std::flush;
}

}  // namespace braidway::apps
