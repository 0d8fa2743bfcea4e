// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/mglru.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "base/limits.h"
#include "memory/reclaim/proportion.h"
#include "memory/reclaim/swap_room.h"

namespace braidway::memory {
namespace {

constexpr const char* commands_path = "/sys/kernel/debug/lru_gen";
constexpr const char* enabled_path = "/sys/kernel/mm/lru_gen/enabled";

uint64_t sum_of(const std::vector<LruGenerations>& lists, Kind kind, bool evictable) {
    uint64_t pages = 0;
    for (const LruGenerations& list : lists)
        pages += evictable ? list.evictable_pages(kind) : list.pages(kind);
    return pages;
}

/// "0x0007": bit 0 is the switch, the others are refinements.
bool is_enabled(std::string_view text) {
    if (text.starts_with("0x")) text.remove_prefix(2);
    unsigned bits = 0;
    std::from_chars(text.data(), text.data() + text.size(), bits, 16);
    return (bits & 1) != 0;
}

}  // namespace

KindSet Mglru::kinds() const {
    return KindSet{}.add(Kind::page_cache).add(Kind::mapped_page_cache).add(Kind::anonymous);
}

Result<void> Mglru::probe() const {
    const auto enabled = machine_.read(enabled_path);
    if (!enabled && enabled.error().code == ENOENT)
        return fail("this kernel is built without MGLRU (CONFIG_LRU_GEN)", ENOENT);
    if (!enabled) return std::unexpected(enabled.error());
    if (!is_enabled(*enabled))
        return fail(fmt::format("MGLRU is switched off; write y to {}", enabled_path), ENODEV);
    const auto writable = machine_.writable(commands_path);
    if (writable) return {};
    const int code = writable.error().code;
    if (code == EACCES || code == EPERM)
        return fail(
            fmt::format("{} takes root, and a kernel that is not locked down", commands_path),
            code);
    if (code != ENOENT) return std::unexpected(writable.error());
    const auto mounted = machine_.list("/sys/kernel/debug");
    if (mounted && !mounted->empty())
        return fail(fmt::format("{} is not there", commands_path), ENOENT);
    return fail("debugfs is not mounted; mount -t debugfs debugfs /sys/kernel/debug", ENOENT);
}

uint64_t Mglru::chunk_bytes_max(Kind kind) const {
    return kind == Kind::anonymous ? limits::reclaim_anon_chunk : limits::reclaim_file_chunk;
}

Answer Mglru::reclaim(const Ask& ask) {
    if (ask.kind == Kind::anonymous)
        if (const auto room = check_swap_room(machine_, ask.bytes); !room)
            return {.error = room.error().code, .exhausted = true, .note = room.error().message};
    uint64_t left = (ask.bytes + machine_.page_bytes() - 1) / machine_.page_bytes();
    auto lists = read_node(ask.node, ask.kind);
    for (unsigned round = 0; lists && round < limits::reclaim_mglru_rounds_max; ++round) {
        if (machine_.cancelled()) return {.error = EINTR};
        // What eviction passed over, dirty or used meanwhile, is young again, too.
        const bool aged = round > 0 || sum_of(*lists, ask.kind, true) < left;
        if (aged) {
            if (const int error = age(*lists, ask.kind); error != 0) return {.error = error};
            lists = read_node(ask.node, ask.kind);
            if (!lists) break;
        }
        const uint64_t before = sum_of(*lists, ask.kind, false);
        if (const int error = evict(*lists, ask.kind, left); error != 0) return {.error = error};
        lists = read_node(ask.node, ask.kind);
        if (!lists) break;
        const uint64_t freed = before - std::min(before, sum_of(*lists, ask.kind, false));
        left -= std::min(left, freed);
        if (left == 0) return {};
        if (freed == 0 && aged) return {.error = EAGAIN, .exhausted = true};
    }
    if (!lists) return {.error = lists.error().code, .note = lists.error().message};
    return {.error = EAGAIN};
}

Result<std::vector<LruGenerations>> Mglru::read_node(uint32_t node, Kind kind) const {
    const auto text = machine_.read(commands_path);
    if (!text) return std::unexpected(text.error());
    auto lists = parse_lru_generations(*text);
    std::erase_if(lists, [&](const LruGenerations& list) {
        return list.node != node || list.pages(kind) == 0;
    });
    return lists;
}

int Mglru::age(const std::vector<LruGenerations>& lists, Kind kind) {
    const bool anonymous = kind == Kind::anonymous;
    // The two youngest generations stay, so two more free all others. Of the four that there can be
    // three more leave everything in one: anonymous memory that is as old as any page cache.
    const unsigned times = anonymous ? 3 : 2;
    // With vm.swappiness 0 the kernel would leave anonymous memory as it is.
    const std::string_view swappiness = anonymous ? " 200" : "";
    for (const LruGenerations& list : lists)
        for (unsigned more = 0; more < times; ++more) {
            const int error = command(fmt::format("+ {} {} {}{}\n", list.cgroup, list.node,
                                                  list.youngest() + more, swappiness));
            if (error != 0) return error;
        }
    return 0;
}

int Mglru::evict(std::vector<LruGenerations> lists, Kind kind, uint64_t pages) {
    // Large ones first: of a small amount the last of many cgroups are not asked at all.
    std::ranges::sort(lists, std::greater{},
                      [kind](const LruGenerations& list) { return list.evictable_pages(kind); });
    const uint64_t all = sum_of(lists, kind, true);
    uint64_t left = pages;
    for (const LruGenerations& list : lists) {
        const uint64_t here = list.evictable_pages(kind);
        const uint64_t share = proportion(pages, here, all);
        const uint64_t take = std::min({share, here, left});
        if (take == 0) continue;
        if (machine_.cancelled()) return EINTR;
        const int error =
            command(fmt::format("- {} {} {} {} {}\n", list.cgroup, list.node, list.youngest() - 2,
                                kind == Kind::anonymous ? 200 : 0, take));
        if (error != 0) return error;
        left -= take;
    }
    return 0;
}

int Mglru::command(const std::string& text) {
    const auto done = machine_.write(commands_path, text);
    if (done) return 0;
    // The cgroup is gone, or the kernel made a generation by itself since it was read.
    const int code = done.error().code;
    return code == EINVAL || code == ERANGE ? 0 : code;
}

}  // namespace braidway::memory
