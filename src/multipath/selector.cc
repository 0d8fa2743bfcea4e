// SPDX-License-Identifier: Apache-2.0
#include "multipath/selector.h"

#include <array>

#include <fmt/format.h>

#include "multipath/historical_service_time.h"
#include "multipath/io_affinity.h"
#include "multipath/latency.h"
#include "multipath/queue_length.h"
#include "multipath/round_robin.h"
#include "multipath/round_robin_count.h"
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
    SelectorRow{"queue-length", make_queue_length},
    SelectorRow{"service-time", make_service_time},
    SelectorRow{"historical-service-time", make_historical_service_time},
    SelectorRow{"io-affinity", make_io_affinity},
    SelectorRow{"round-robin-count", make_round_robin_count},
    SelectorRow{"latency", make_latency},
};

}  // namespace

Result<std::unique_ptr<Selector>> make_selector(std::string_view name, const PathArguments& group,
                                                const std::vector<PathArguments>& paths,
                                                const SelectorOptions& options) {
    for (const SelectorRow& row : selectors)
        if (row.name == name) return row.make(group, paths, options);
    return fail(fmt::format("unknown path selector type '{}'; there are: {}", name,
                            fmt::join(selector_names(), ", ")));
}

std::vector<std::string> selector_names() {
    std::vector<std::string> names;
    for (const SelectorRow& row : selectors) names.emplace_back(row.name);
    return names;
}

}  // namespace braidway::multipath
