// SPDX-License-Identifier: Apache-2.0
#include "multipath/selector.h"

#include <array>

#include <fmt/format.h>

#include "multipath/round_robin.h"
#include "multipath/service_time.h"

namespace braidway::multipath {
namespace {

struct SelectorRow {
    std::string_view name;
    Result<std::unique_ptr<Selector>> (*make)(const PathArguments& group,
                                              const std::vector<PathArguments>& paths,
                                              const SelectorOptions& options);
};

/// Every selector there is; a new one adds its row.
constexpr std::array selectors{
    SelectorRow{"round-robin", make_round_robin},
    SelectorRow{"service-time", make_service_time},
};

}  // namespace

Result<std::unique_ptr<Selector>> make_selector(std::string_view name, const PathArguments& group,
                                                const std::vector<PathArguments>& paths,
                                                const SelectorOptions& options) {
    std::string known;
    for (const SelectorRow& row : selectors) {
        if (row.name == name) return row.make(group, paths, options);
        known += fmt::format("{}{}", known.empty() ? "" : ", ", row.name);
    }
    return fail(fmt::format("unknown selector '{}'; there are: {}", name, known));
}

}  // namespace braidway::multipath
