// SPDX-License-Identifier: Apache-2.0
// include/braidway/node_memory.h: the C interface of the shared library. No exception leaves it.
#include <braidway/node_memory.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <string>

#include "memory/reclaim/cancel.h"
#include "memory/reclaim/free_nodes.h"
#include "memory/reclaim/real_machine.h"
#include "memory/reclaim/report_json.h"
#include "memory/reclaim/settings.h"

using namespace braidway;
using namespace braidway::memory;

struct node_memory_options {
    Settings settings{};
    std::string error{};
    Cancel cancel{};
};

struct node_memory_report {
    Report report{};
    std::string json{};
};

static_assert(KindSet::bit(Kind::page_cache) == NODE_MEMORY_PAGE_CACHE);
static_assert(KindSet::bit(Kind::mapped_page_cache) == NODE_MEMORY_MAPPED_PAGE_CACHE);
static_assert(KindSet::bit(Kind::anonymous) == NODE_MEMORY_ANONYMOUS);
static_assert(KindSet::bit(Kind::slab) == NODE_MEMORY_SLAB);
static_assert(KindSet::bits_all == NODE_MEMORY_ALL);
static_assert(static_cast<int>(Outcome::done) == NODE_MEMORY_DONE);
static_assert(static_cast<int>(Outcome::usage) == NODE_MEMORY_USAGE);
static_assert(static_cast<int>(Outcome::fell_short) == NODE_MEMORY_SHORT);
static_assert(static_cast<int>(Outcome::refused) == NODE_MEMORY_REFUSED);

namespace {

/// In a mask no kind comes first, so what costs the least to have again does.
constexpr std::array mask_order{Kind::page_cache, Kind::slab, Kind::mapped_page_cache,
                                Kind::anonymous};

/// Sets errno and answers as C does.
int no(int code) {
    errno = code;
    return -1;
}

/// The answer of `work`, or -1 with ENOMEM when it threw: memory and threads are all that the
/// library can be short of.
template <typename Work>
auto guarded(const Work& work) noexcept -> decltype(work()) {
    try {
        return work();
    } catch (...) {
        return no(ENOMEM);
    }
}

/// An error that a caller looks up later; -1 with EINVAL when it has no number of its own.
int refuse(node_memory_options& options, Error error) {
    options.error = std::move(error.message);
    return no(error.code != 0 ? error.code : EINVAL);
}

/// The last word that gives an amount counts; of the other words that is so anyway.
void forget_amount(Settings& settings, std::string_view word) {
    if (word == "free" || word == "pages" || word == "until-free") settings.amount_word.clear();
}

/// The nodes that the options name; "all" is resolved.
Result<NodeList> nodes_of(const Settings& settings, const Machine& machine) {
    if (auto complete = check_settings(settings); !complete)
        return std::unexpected(complete.error());
    if (!settings.nodes->empty()) return *settings.nodes;
    return nodes_with_memory(machine);
}

/// A bad wish: nothing was done and there is no report.
int usage(node_memory_options& options, Error error) {
    refuse(options, std::move(error));
    return NODE_MEMORY_USAGE;
}

int run(node_memory_options& options, node_memory_report** report, bool dry) {
    RealMachine machine(options.cancel);
    const Request& request = options.settings.request;
    const auto nodes = nodes_of(options.settings, machine);
    if (!nodes) return usage(options, nodes.error());
    // Before anything is freed, so that no want of memory can lose what was done.
    auto made = std::make_unique<node_memory_report>();
    auto done = dry ? plan_nodes(machine, *nodes, request) : free_nodes(machine, *nodes, request);
    if (!done) return usage(options, done.error());
    made->report = std::move(*done);
    made->json = report_json(made->report, request, dry);
    const Outcome outcome = dry ? Outcome::done : outcome_of(made->report);
    if (report != nullptr) *report = made.release();
    return static_cast<int>(outcome);
}

int guarded_run(node_memory_options* options, node_memory_report** report, bool dry) noexcept {
    if (report != nullptr) *report = nullptr;
    if (options == nullptr) {
        errno = EINVAL;
        return NODE_MEMORY_USAGE;
    }
    options->error.clear();
    const int outcome = guarded([&] { return run(*options, report, dry); });
    return outcome < 0 ? NODE_MEMORY_REFUSED : outcome;
}

int64_t value_of_node(const NodeReport& node, int value) {
    switch (value) {
        case NODE_MEMORY_VALUE_NODE:
            return node.node;
        case NODE_MEMORY_VALUE_ASKED_BYTES:
            return static_cast<int64_t>(node.asked);
        case NODE_MEMORY_VALUE_FREED_BYTES:
            return static_cast<int64_t>(node.freed.total());
        case NODE_MEMORY_VALUE_FREED_PAGE_CACHE_BYTES:
            return static_cast<int64_t>(node.freed[Kind::page_cache]);
        case NODE_MEMORY_VALUE_FREED_MAPPED_PAGE_CACHE_BYTES:
            return static_cast<int64_t>(node.freed[Kind::mapped_page_cache]);
        case NODE_MEMORY_VALUE_FREED_ANONYMOUS_BYTES:
            return static_cast<int64_t>(node.freed[Kind::anonymous]);
        case NODE_MEMORY_VALUE_FREED_SLAB_BYTES:
            return static_cast<int64_t>(node.freed[Kind::slab]);
        case NODE_MEMORY_VALUE_COLLATERAL_BYTES:
            return static_cast<int64_t>(node.collateral.total() + node.collateral_shmem);
        case NODE_MEMORY_VALUE_NET_FREE_BYTES:
            return node.net_free;
        case NODE_MEMORY_VALUE_NANOSECONDS:
            return node.length.count();
        default:
            return 0;
    }
}

int64_t value_of_all(const Report& report, int value) {
    if (value == NODE_MEMORY_VALUE_NODE) return 0;  // Numbers of nodes have no sum.
    // Nodes are worked on at once.
    if (value == NODE_MEMORY_VALUE_NANOSECONDS) return report.length.count();
    int64_t sum = 0;
    for (const NodeReport& node : report.nodes)
        if (__builtin_add_overflow(sum, value_of_node(node, value), &sum)) return INT64_MAX;
    return sum;
}

long free_pages(long node, long pages, long what) {
    if (pages < 0 || what <= 0 || what > NODE_MEMORY_ALL) return no(EINVAL);
    if (node < 0 || node > limits::node_max) return no(ENODEV);
    const Cancel cancel;
    RealMachine machine(cancel);
    if (!check_node(machine, static_cast<uint32_t>(node))) return no(ENODEV);
    if (pages == 0) return 0;
    const auto page_bytes = static_cast<int64_t>(machine.page_bytes());
    if (pages > INT64_MAX / page_bytes) return no(EINVAL);
    Request request;
    request.bytes = static_cast<uint64_t>(pages * page_bytes);
    const KindSet asked(static_cast<uint32_t>(what));
    for (const Kind kind : mask_order)
        if (asked.has(kind)) request.kinds.push_back(kind);
    const auto report = free_nodes(machine, {static_cast<uint32_t>(node)}, request);
    if (!report) return no(report.error().code != 0 ? report.error().code : EINVAL);
    const NodeReport& done = report->nodes.at(0);
    const auto freed = static_cast<int64_t>(done.freed.total()) / page_bytes;
    if (freed > 0) return freed;
    return no(done.shortfall == Shortfall::privilege ? EPERM : EAGAIN);
}

}  // namespace

long free_node_memory(long node, long pages, long what) {
    return guarded([&]() -> long { return free_pages(node, pages, what); });
}

node_memory_options* node_memory_options_new(void) {
    try {
        return std::make_unique<node_memory_options>().release();
    } catch (...) {
        errno = ENOMEM;
        return nullptr;
    }
}

void node_memory_options_free(node_memory_options* options) {
    delete options;
}

int node_memory_options_set(node_memory_options* options, const char* name, const char* value) {
    if (options == nullptr || name == nullptr || value == nullptr) return no(EINVAL);
    return guarded([&] {
        options->error.clear();
        Settings changed = options->settings;
        forget_amount(changed, name);
        if (auto set = set_setting(changed, name, value); !set)
            return refuse(*options, {set.error().message, EINVAL});
        options->settings = std::move(changed);
        return 0;
    });
}

int node_memory_options_read(node_memory_options* options, const char* path) {
    if (options == nullptr || path == nullptr) return no(EINVAL);
    return guarded([&] {
        options->error.clear();
        const auto text = RealMachine(options->cancel).read(path);
        if (!text) return refuse(*options, text.error());
        Settings changed = options->settings;
        if (auto read = read_policy(changed, *text, path); !read)
            return refuse(*options, {read.error().message, EINVAL});
        options->settings = std::move(changed);
        return 0;
    });
}

const char* node_memory_options_error(const node_memory_options* options) {
    return options == nullptr ? "no options were given (NULL)" : options->error.c_str();
}

void node_memory_options_cancel(node_memory_options* options) {
    if (options != nullptr) options->cancel.cancel();
}

int node_memory_run(node_memory_options* options, node_memory_report** report) {
    return guarded_run(options, report, false);
}

int node_memory_plan(node_memory_options* options, node_memory_report** report) {
    return guarded_run(options, report, true);
}

void node_memory_report_free(node_memory_report* report) {
    delete report;
}

size_t node_memory_report_nodes(const node_memory_report* report) {
    return report == nullptr ? 0 : report->report.nodes.size();
}

int64_t node_memory_report_value(const node_memory_report* report, size_t index, int value) {
    if (report == nullptr) return 0;
    if (index == SIZE_MAX) return value_of_all(report->report, value);
    if (index >= report->report.nodes.size()) return 0;
    return value_of_node(report->report.nodes[index], value);
}

const char* node_memory_report_reason(const node_memory_report* report, size_t index) {
    if (report == nullptr) return "";
    const auto& nodes = report->report.nodes;
    if (index < nodes.size()) return nodes[index].reason.c_str();
    if (index != SIZE_MAX) return "";
    const auto first =
        std::ranges::find_if(nodes, [](const NodeReport& node) { return !node.reason.empty(); });
    return first == nodes.end() ? "" : first->reason.c_str();
}

const char* node_memory_report_json(const node_memory_report* report) {
    return report == nullptr ? "" : report->json.c_str();
}

const char* node_memory_version(void) {
    return BRAIDWAY_VERSION;
}
