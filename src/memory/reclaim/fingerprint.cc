// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/fingerprint.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>
#include <utility>

#include "base/limits.h"
#include "base/units.h"
#include "memory/reclaim/node_state.h"

namespace braidway::memory {
namespace {

constexpr uint64_t huge_page_usual = 2u << 20;

/// What is known to change the outcome of benchmarks. A directory's files are named after it.
struct Place {
    std::string_view prefix;     ///< Of the setting's name.
    std::string_view directory;  ///< With a slash at its end.
    std::vector<std::string_view> files;
};

const std::vector<Place>& places() {
    static const std::vector<Place> all{
        {"transparent_hugepage.",
         "/sys/kernel/mm/transparent_hugepage/",
         {"enabled", "defrag", "shmem_enabled"}},
        {"vm.",
         "/proc/sys/vm/",
         {"compaction_proactiveness",
          "dirty_background_bytes",
          "dirty_background_ratio",
          "dirty_bytes",
          "dirty_expire_centisecs",
          "dirty_ratio",
          "dirty_writeback_centisecs",
          "laptop_mode",
          "min_free_kbytes",
          "min_slab_ratio",
          "min_unmapped_ratio",
          "nr_hugepages",
          "nr_overcommit_hugepages",
          "overcommit_memory",
          "overcommit_ratio",
          "page-cluster",
          "swappiness",
          "vfs_cache_pressure",
          "watermark_boost_factor",
          "watermark_scale_factor",
          "zone_reclaim_mode"}},
        {"kernel.", "/proc/sys/kernel/", {"numa_balancing", "nmi_watchdog"}},
        {"lru_gen.", "/sys/kernel/mm/lru_gen/", {"enabled"}},
        {"ksm.", "/sys/kernel/mm/ksm/", {"run"}},
        {"zswap.", "/sys/module/zswap/parameters/", {"enabled"}},
        {"cpu.", "/sys/devices/system/cpu/", {"online"}},
        {"cpu.smt_", "/sys/devices/system/cpu/smt/", {"active"}},
        {"cpu.", "/sys/devices/system/cpu/cpufreq/", {"boost"}},
        {"cpu.", "/sys/devices/system/cpu/intel_pstate/", {"no_turbo"}}};
    return all;
}

/// The text of a small file in one line; of "always [madvise] never" what is in force.
std::optional<std::string> read_setting(const Machine& machine, const std::string& path) {
    const auto text = machine.read(path);
    if (!text) return std::nullopt;
    std::string value = *text;
    while (!value.empty() && (value.back() == '\n' || value.back() == ' ')) value.pop_back();
    const size_t open = value.find('[');
    const size_t close = value.find(']', std::min(open, value.size()));
    if (open != std::string::npos && close != std::string::npos)
        value = value.substr(open + 1, close - open - 1);
    return value;
}

/// "performance", or "performance,powersave" where the CPUs do not agree.
std::optional<std::string> read_governors(const Machine& machine) {
    const std::string cpus = "/sys/devices/system/cpu/";
    std::set<std::string> governors;
    for (const std::string& name : machine.list(cpus).value_or(std::vector<std::string>{})) {
        const bool is_cpu =
            name.starts_with("cpu") && name.size() > 3 && name[3] >= '0' && name[3] <= '9';
        if (!is_cpu) continue;
        if (auto one = read_setting(machine, cpus + name + "/cpufreq/scaling_governor"))
            governors.insert(std::move(*one));
    }
    if (governors.empty()) return std::nullopt;
    std::string all;
    for (const std::string& one : governors)
        all += fmt::format("{}{}", all.empty() ? "" : ",", one);
    return all;
}

std::vector<FingerprintSetting> read_settings(const Machine& machine) {
    std::vector<FingerprintSetting> settings;
    for (const Place& place : places())
        for (const std::string_view file : place.files)
            if (auto value = read_setting(machine, fmt::format("{}{}", place.directory, file)))
                settings.push_back({fmt::format("{}{}", place.prefix, file), std::move(*value)});
    if (auto governor = read_governors(machine))
        settings.push_back({"cpu.governor", std::move(*governor)});
    return settings;
}

uint64_t read_huge_page_bytes(const Machine& machine) {
    const auto text = read_setting(machine, "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size");
    uint64_t bytes = 0;
    if (text) std::from_chars(text->data(), text->data() + text->size(), bytes);
    return bytes == 0 ? huge_page_usual : bytes;
}

uint64_t tolerance_for(uint64_t size) {
    return std::max(limits::known_state_tolerance_bytes,
                    size / 100 * limits::known_state_tolerance_percent);
}

void compare_bytes(std::string what, uint64_t expected, uint64_t found, uint64_t size,
                   std::vector<FingerprintDifference>& differences) {
    const uint64_t tolerance = tolerance_for(size);
    const uint64_t apart = expected > found ? expected - found : found - expected;
    if (apart > tolerance) differences.push_back({std::move(what), expected, found, tolerance});
}

void compare_text(std::string what, std::string expected, std::string found,
                  std::vector<FingerprintDifference>& differences) {
    if (expected != found)
        differences.push_back({std::move(what), std::move(expected), std::move(found), 0});
}

const std::string not_there = "not there";

void compare_settings(const std::vector<FingerprintSetting>& expected,
                      const std::vector<FingerprintSetting>& found,
                      std::vector<FingerprintDifference>& differences) {
    const auto value_in = [](const std::vector<FingerprintSetting>& all, const std::string& name) {
        const auto at = std::ranges::find(all, name, &FingerprintSetting::name);
        return at == all.end() ? not_there : at->value;
    };
    for (const FingerprintSetting& one : expected)
        compare_text(one.name, one.value, value_in(found, one.name), differences);
    for (const FingerprintSetting& one : found)
        if (value_in(expected, one.name) == not_there)
            compare_text(one.name, not_there, one.value, differences);
}

std::string value_text(const FingerprintValue& value) {
    if (const auto* bytes = std::get_if<uint64_t>(&value)) return format_size(*bytes);
    return std::get<std::string>(value);
}

}  // namespace

Result<Fingerprint> read_fingerprint(const Machine& machine, const NodeList& nodes) {
    Fingerprint fingerprint;
    fingerprint.kernel = read_setting(machine, "/proc/sys/kernel/osrelease").value_or("");
    const std::string buddyinfo = machine.read("/proc/buddyinfo").value_or("");
    const uint64_t huge_page_bytes = read_huge_page_bytes(machine);
    Refresh refresh = Refresh::yes;
    for (const uint32_t node : nodes) {
        const auto state = read_node_state(machine, node, refresh);
        if (!state) return std::unexpected(state.error());
        refresh = Refresh::no;  // One refresh is good for all nodes.
        fingerprint.nodes.push_back({.node = node,
                                     .total = state->total,
                                     .free = state->free,
                                     .page_cache = state->page_cache(),
                                     .mapped = state->mapped_page_cache(),
                                     .dirty = state->dirty + state->writeback,
                                     .slab = state->slab_reclaimable + state->slab_unreclaimable,
                                     .anonymous = state->anon_pages,
                                     .shmem = state->shmem,
                                     .free_huge = parse_free_blocks(
                                         buddyinfo, node, machine.page_bytes(), huge_page_bytes)});
    }
    const SwapState swap = read_swap_state(machine).value_or(SwapState{});
    fingerprint.swap_total = swap.total;
    fingerprint.swap_used = swap.total - std::min(swap.free, swap.total);
    fingerprint.settings = read_settings(machine);
    return fingerprint;
}

uint64_t parse_free_blocks(std::string_view buddyinfo, uint32_t node, uint64_t page_bytes,
                           uint64_t block_bytes) {
    // "Node 0, zone   Normal   1  621 ...": blocks of 1, 2, 4, ... pages.
    const std::string wanted = fmt::format("Node {}, zone", node);
    uint64_t bytes = 0;
    while (!buddyinfo.empty()) {
        const size_t end = std::min(buddyinfo.find('\n'), buddyinfo.size());
        std::string_view line = buddyinfo.substr(0, end);
        buddyinfo.remove_prefix(std::min(end + 1, buddyinfo.size()));
        if (!line.starts_with(wanted)) continue;
        line.remove_prefix(wanted.size());
        uint64_t size = 0;  // Of a block; the zone's name comes first.
        while (true) {
            line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
            if (line.empty()) break;
            const std::string_view word = line.substr(0, line.find(' '));
            line.remove_prefix(word.size());
            uint64_t blocks = 0;
            std::from_chars(word.data(), word.data() + word.size(), blocks);
            if (size >= block_bytes) bytes += blocks * size;
            size = size == 0 ? page_bytes : size * 2;
        }
    }
    return bytes;
}

std::vector<FingerprintDifference> compare(const Fingerprint& expected, const Fingerprint& found) {
    std::vector<FingerprintDifference> differences;
    compare_text("kernel", expected.kernel, found.kernel, differences);
    for (const NodeFingerprint& one : expected.nodes) {
        const auto other = std::ranges::find(found.nodes, one.node, &NodeFingerprint::node);
        if (other == found.nodes.end()) {
            compare_text(fmt::format("node {}", one.node), "there", not_there, differences);
            continue;
        }
        for (const FingerprintAmount& amount : fingerprint_amounts())
            compare_bytes(fmt::format("node {} {}", one.node, amount.name), one.*amount.place,
                          (*other).*amount.place, one.total, differences);
    }
    for (const NodeFingerprint& one : found.nodes)
        if (std::ranges::find(expected.nodes, one.node, &NodeFingerprint::node) ==
            expected.nodes.end())
            compare_text(fmt::format("node {}", one.node), not_there, "there", differences);
    compare_bytes("swap", expected.swap_total, found.swap_total, expected.swap_total, differences);
    compare_bytes("swap used", expected.swap_used, found.swap_used, expected.swap_total,
                  differences);
    compare_settings(expected.settings, found.settings, differences);
    return differences;
}

std::string difference_text(const FingerprintDifference& difference) {
    std::string text = fmt::format("{}: expected {}, found {}", difference.what,
                                   value_text(difference.expected), value_text(difference.found));
    if (difference.tolerance > 0)
        text += fmt::format(" (may differ by {})", format_size(difference.tolerance));
    return text;
}

const std::vector<FingerprintAmount>& fingerprint_amounts() {
    static const std::vector<FingerprintAmount> all{
        {"memory", "total_bytes", &NodeFingerprint::total},
        {"free", "free_bytes", &NodeFingerprint::free},
        {"page cache", "page_cache_bytes", &NodeFingerprint::page_cache},
        {"mapped page cache", "mapped_page_cache_bytes", &NodeFingerprint::mapped},
        {"dirty", "dirty_bytes", &NodeFingerprint::dirty},
        {"slab", "slab_bytes", &NodeFingerprint::slab},
        {"anonymous", "anonymous_bytes", &NodeFingerprint::anonymous},
        {"tmpfs and shared memory", "shmem_bytes", &NodeFingerprint::shmem},
        {"free in huge pages", "free_huge_bytes", &NodeFingerprint::free_huge}};
    return all;
}

}  // namespace braidway::memory
