// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/units.h"

namespace braidway::memory {
namespace {

constexpr std::array mechanism_names{
    std::string_view("node-reclaim"),    std::string_view("mglru"),
    std::string_view("fadvise"),         std::string_view("cgroup-reclaim"),
    std::string_view("process-pageout"), std::string_view("shrinker"),
    std::string_view("drop-caches")};

/// Puts a value where it belongs. Errors: the sentence is about the value only.
using Apply = Result<void> (*)(Settings& settings, std::string_view value);

struct Row {
    SettingWord word;
    Apply apply;
};

/// A switch without its effect: "yes", "no" or nothing.
Result<bool> parse_switch(std::string_view value) {
    if (value.empty() || value == "yes") return true;
    if (value == "no") return false;
    return fail(fmt::format("'{}' is neither yes nor no", value));
}

template <typename T>
Result<void> store(T& place, const Result<T>& value) {
    if (!value) return std::unexpected(value.error());
    place = *value;
    return {};
}

Result<uint64_t> parse_pages(std::string_view value) {
    uint64_t pages = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), pages);
    const auto page_bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    if (error == std::errc::result_out_of_range ||
        (error == std::errc() && pages > INT64_MAX / page_bytes))
        return fail(fmt::format("'{}' is too many pages of {} bytes", value, page_bytes));
    if (error != std::errc() || end != value.data() + value.size())
        return fail(fmt::format("'{}' is no number of pages; expected a whole number", value));
    return pages * page_bytes;
}

Result<double> parse_percent(std::string_view value) {
    double percent = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), percent,
                                              std::chars_format::fixed);
    if (error != std::errc() || end != value.data() + value.size() || value.starts_with('-') ||
        !std::isfinite(percent) || percent > 100)
        return fail(fmt::format("'{}' is no percentage; expected a number from 0 to 100", value));
    return percent;
}

Result<Duration> parse_budget(std::string_view value) {
    const auto length = parse_duration(value);
    if (!length) return std::unexpected(length.error());
    if (*length <= Duration(0) || *length > limits::reclaim_budget_max)
        return fail(
            fmt::format("'{}' is out of bounds; expected more than 0 s and at most {:.0f} h", value,
                        limits::reclaim_budget_max / std::chrono::duration<double>(3600)));
    return *length;
}

Result<void> add_to(std::vector<std::string>& list, std::string_view value) {
    if (value.empty()) return fail("needs a value");
    if (std::ranges::find(list, value) != list.end()) return {};
    if (list.size() == limits::settings_list_max)
        return fail(fmt::format("'{}' is one too many; at most {} can be named", value,
                                limits::settings_list_max));
    list.emplace_back(value);
    return {};
}

Result<void> set_amount(Settings& settings, std::string_view word, Goal goal,
                        const Result<uint64_t>& bytes) {
    if (!settings.amount_word.empty() && settings.amount_word != word)
        return fail(
            fmt::format("cannot be used together with {}; give one of free, pages and "
                        "until-free",
                        settings.amount_word));
    if (!bytes) return std::unexpected(bytes.error());
    settings.amount_word = word;
    settings.request.goal = goal;
    settings.request.bytes = *bytes;
    return {};
}

Result<void> set_nodes(Settings& settings, std::string_view value) {
    if (value == "all") {
        settings.nodes.emplace();
        return {};
    }
    auto nodes = parse_node_list(value);
    if (!nodes) return std::unexpected(nodes.error());
    settings.nodes = std::move(*nodes);
    return {};
}

Result<void> set_kinds(Settings& settings, std::string_view value) {
    const auto set = parse_kinds(value);
    if (!set) return std::unexpected(set.error());
    // The set has no order; the text says which kind to take from first.
    std::vector<std::pair<size_t, Kind>> places;
    for (const Kind kind : kinds_all) {
        const std::string name = fmt::format(",{},", name_of(kind));
        if (set->has(kind)) places.emplace_back(fmt::format(",{},", value).find(name), kind);
    }
    std::ranges::sort(places);
    settings.request.kinds.clear();
    for (const auto& [place, kind] : places) settings.request.kinds.push_back(kind);
    return {};
}

Result<void> set_writeback(Settings& settings, std::string_view value) {
    Request& request = settings.request;
    // What looks like a path is one; anything else would be a mistyped "yes".
    if (value.find('/') != std::string_view::npos || value.starts_with('.')) {
        const auto added = add_to(request.writeback_paths, value);
        if (added) request.writeback = true;
        return added;
    }
    const auto wanted = parse_switch(value);
    if (!wanted)
        return fail(fmt::format("'{}' is neither yes nor no nor a path with a '/'", value));
    request.writeback = *wanted;
    if (!*wanted) request.writeback_paths.clear();
    return {};
}

Result<void> add_mechanism(Settings& settings, std::string_view value) {
    if (std::ranges::find(mechanism_names, value) == mechanism_names.end())
        return fail(fmt::format("'{}' is no mechanism; there are {}", value,
                                fmt::join(mechanism_names, ", ")));
    return add_to(settings.request.mechanisms, value);
}

Result<void> set_when(Settings& settings, std::string_view value) {
    if (value != "start" && value != "end" && value != "both" && value != "never")
        return fail(fmt::format("'{}' is none of start, end, both and never", value));
    settings.on_start = value == "start" || value == "both";
    settings.on_end = value == "end" || value == "both";
    return {};
}

Result<void> set_job_nodes(Settings& settings, std::string_view value) {
    if (value != "job" && value != "all")
        return fail(fmt::format("'{}' is neither job nor all", value));
    settings.job_nodes = value == "job";
    return {};
}

/// The words about which memory, and how much of it.
constexpr Row wish_rows[] = {
    {{"node", "LIST|all", "NUMA nodes, such as 0,2-3"}, set_nodes},
    {{"free", "SIZE", "free this much more on each node, such as 10G"},
     [](Settings& s, std::string_view v) {
         return set_amount(s, "free", Goal::free_more, parse_amount(v));
     }},
    {{"pages", "N", "the same in pages of this machine"},
     [](Settings& s, std::string_view v) {
         return set_amount(s, "pages", Goal::free_more, parse_pages(v));
     }},
    {{"until-free", "SIZE", "free until this much of each node is free"},
     [](Settings& s, std::string_view v) {
         return set_amount(s, "until-free", Goal::until_free, parse_amount(v));
     }},
    {{"what", "KINDS",
      "list of page-cache, mapped-page-cache, anonymous, slab; first is taken first"},
     set_kinds},
};

/// The words about what may be done for it.
constexpr Row means_rows[] = {
    {{"writeback", "[PATH]", "write dirty pages back first, of all filesystems or that of PATH",
      true},
     set_writeback},
    {{"allow-global", "", "consent to means that free on every node, such as drop_caches"},
     [](Settings& s, std::string_view v) {
         return store(s.request.allow_global, parse_switch(v));
     }},
    {{"allow-sysctl", "", "consent to changing sysctls of reclaim while a run lasts"},
     [](Settings& s, std::string_view v) {
         return store(s.request.allow_sysctl, parse_switch(v));
     }},
    {{"files", "PATH", "file or tree whose cache may be dropped file by file", true},
     [](Settings& s, std::string_view v) { return add_to(s.request.files, v); }},
    {{"protect", "PATH", "file or tree whose cache stays", true},
     [](Settings& s, std::string_view v) { return add_to(s.request.protect, v); }},
    {{"mechanism", "NAME", "use only this one (and others that are named so)", true},
     add_mechanism},
};

/// The bounds of a run.
constexpr Row bound_rows[] = {
    {{"budget", "TIME", "stop after this time, such as 10s"},
     [](Settings& s, std::string_view v) { return store(s.request.budget, parse_budget(v)); }},
    {{"keep-free", "SIZE", "swap nothing out when less than this is free on the node"},
     [](Settings& s, std::string_view v) { return store(s.request.keep_free, parse_amount(v)); }},
    {{"keep-cache", "SIZE", "leave this much page cache on the node"},
     [](Settings& s, std::string_view v) { return store(s.request.keep_cache, parse_amount(v)); }},
    {{"pressure-max", "PERCENT", "stop when memory pressure (PSI some avg10) is above; 0 = never"},
     [](Settings& s, std::string_view v) {
         return store(s.request.pressure_percent_max, parse_percent(v));
     }},
    {{"rate", "SIZE", "free at most this much in a second; 0 = as fast as it goes"},
     [](Settings& s, std::string_view v) {
         return store(s.request.bytes_per_second_max, parse_amount(v));
     }},
    {{"strict", "", "a shortfall is an error"},
     [](Settings& s, std::string_view v) { return store(s.strict, parse_switch(v)); }},
};

/// The words for jobs of a scheduler.
constexpr Row job_rows[] = {
    {{"when", "start|end|both|never", "clean before a job, after it, or both", false, true},
     set_when},
    {{"nodes", "job|all", "only the nodes of the job's cpuset, or all", false, true},
     set_job_nodes},
    {{"drain-on-shortfall", "", "a shortfall may drain the machine", false, true},
     [](Settings& s, std::string_view v) { return store(s.drain, parse_switch(v)); }},
};

const std::vector<Row>& rows() {
    static const std::vector<Row> all = [] {
        std::vector<Row> made(std::begin(wish_rows), std::end(wish_rows));
        made.insert(made.end(), std::begin(means_rows), std::end(means_rows));
        made.insert(made.end(), std::begin(bound_rows), std::end(bound_rows));
        made.insert(made.end(), std::begin(job_rows), std::end(job_rows));
        return made;
    }();
    return all;
}

}  // namespace

const std::vector<SettingWord>& setting_words() {
    static const std::vector<SettingWord> words = [] {
        std::vector<SettingWord> made;
        for (const Row& row : rows()) made.push_back(row.word);
        return made;
    }();
    return words;
}

Result<void> set_setting(Settings& settings, std::string_view word, std::string_view value) {
    const auto row = std::ranges::find(rows(), word, [](const Row& r) { return r.word.name; });
    if (row == rows().end()) {
        std::vector<std::string_view> names;
        for (const Row& known : rows()) names.push_back(known.word.name);
        return fail(fmt::format("{}: no such setting; there are {}", word, fmt::join(names, ", ")));
    }
    // What is printed or handed to the kernel as a path must be one line.
    if (std::ranges::any_of(value, [](unsigned char c) { return c < ' ' || c == 0x7f; }))
        return fail(fmt::format("{}: the value has a control character", word));
    if (value.empty() && !row->word.value.empty() && !row->word.value.starts_with('['))
        return fail(fmt::format("{}: needs a value: {}", word, row->word.value));
    const auto applied = row->apply(settings, value);
    if (!applied)
        return fail(fmt::format("{}: {}", word, applied.error().message), applied.error().code);
    return {};
}

Result<void> check_settings(const Settings& settings) {
    if (!settings.nodes)
        return fail("node: it is not said which; expected a list such as 0,2-3, or all");
    if (settings.amount_word.empty())
        return fail(
            "free: it is not said how much; expected one of free, pages and until-free, "
            "such as free 10G");
    if (settings.request.kinds.empty())
        return fail(
            "what: it is not said what to free; expected a list of page-cache, "
            "mapped-page-cache, anonymous and slab");
    return {};
}

}  // namespace braidway::memory
