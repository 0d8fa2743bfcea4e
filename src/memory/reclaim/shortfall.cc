// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/shortfall.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "memory/reclaim/judgement.h"
#include "memory/reclaim/plan.h"
#include "memory/reclaim/proportion.h"

namespace braidway::memory {
namespace {

/// Less than this explains nothing: per-CPU lists, pages in flight.
constexpr uint64_t crumbs = 1u << 20;

/// A part of what is left, and what it is.
struct Left {
    Shortfall why;
    uint64_t bytes;
    std::string text;
};

std::string_view lowers(const Request& request) {
    return request.allow_sysctl ? "" : "; --allow-sysctl lowers it for the moment";
}

bool is_cache(Kind kind) {
    return kind == Kind::page_cache || kind == Kind::mapped_page_cache;
}
bool is_anonymous(Kind kind) {
    return kind == Kind::anonymous;
}

/// Adds what the kernel could give of a kind (`bytes`) but did not, with its reason.
void withhold(std::vector<Left>& left, const Request& request, uint64_t bytes, const Gate& gate,
              const std::vector<Ending>& endings, bool (*of_kind)(Kind)) {
    const auto ended = [&](Shortfall because) {
        return std::ranges::any_of(endings, [&](const Ending& ending) {
            return ending.because == because && of_kind(ending.kind) && !ending.mechanism.empty();
        });
    };
    const std::string size = format_size(bytes);
    if (ended(Shortfall::gate))
        left.push_back(
            {Shortfall::gate, bytes,
             bytes > gate.unmapped_min || of_kind(Kind::anonymous)
                 ? fmt::format("{} is left: the kernel refuses the node while at most {} of "
                               "unmapped page cache is on it (vm.min_unmapped_ratio{})",
                               size, format_size(gate.unmapped_min), lowers(request))
                 : fmt::format("{} is left to the kernel's minimum of unmapped page cache, {} a "
                               "node (vm.min_unmapped_ratio{})",
                               size, format_size(gate.unmapped_min), lowers(request))});
    else if (ended(Shortfall::busy))
        left.push_back(
            {Shortfall::busy, bytes,
             fmt::format("{} could not be asked for: another reclaimer held the node", size)});
    else if (ended(Shortfall::active))
        left.push_back({Shortfall::active, bytes,
                        fmt::format("{} is in use or protected (memory.min, memory.low): the "
                                    "kernel does not give it",
                                    size)});
    else if (ended(Shortfall::refilled))
        left.push_back(
            {Shortfall::refilled, bytes,
             fmt::format("what was freed was filled again meanwhile; {} is there", size)});
}

/// The page cache that is left, by what keeps it there.
std::vector<Left> cache_left(const Request& request, const NodeState& after, const Gate& gate,
                             const std::vector<Ending>& endings) {
    std::vector<Left> left;
    const uint64_t dirty = after.dirty + after.writeback;
    left.push_back({Shortfall::dirty, dirty,
                    fmt::format("{} is dirty{}", format_size(dirty),
                                request.writeback ? "" : " (--writeback writes it back first)")});
    const uint64_t unevictable = less(after.page_cache(), after.file_lru());
    const uint64_t locked = std::min(unevictable, std::max(after.mlocked, after.unevictable));
    left.push_back({Shortfall::mlocked, locked,
                    fmt::format("{} is mlocked by processes", format_size(locked))});
    const uint64_t takeable = takeable_cache(after, request.spares_mapped(), 0);
    if (request.spares_mapped()) {
        const uint64_t mapped = less(less(after.file_lru(), dirty), takeable);
        left.push_back({Shortfall::mapped, mapped,
                        fmt::format("{} is mapped by processes and was not asked for "
                                    "(mapped-page-cache)",
                                    format_size(mapped))});
    }
    withhold(left, request, takeable, gate, endings, is_cache);
    return left;
}

/// Puts in front what did go, but not to where it was to go.
void put_moved(std::vector<Left>& left, const Request& request, const NodeReport& report) {
    const uint64_t freed = report.freed.total(request.kind_set());
    const uint64_t grown = reached(request, report);
    if (request.goal == Goal::until_free && is_done(freed, report.goal))
        left.insert(left.begin(),
                    {Shortfall::refilled, freed,
                     fmt::format("{} was freed, but free memory grew by only {}: others took it "
                                 "meanwhile",
                                 format_size(freed), format_size(grown))});
    if (report.demoted >= crumbs)
        left.insert(left.begin(),
                    {Shortfall::demoted, report.demoted,
                     fmt::format("{} was moved to a slower tier of memory, which is not freeing",
                                 format_size(report.demoted))});
}

std::vector<Left> what_is_left(const Request& request, const NodeReport& report, const Gate& gate,
                               const std::vector<Ending>& endings) {
    const KindSet kinds = request.kind_set();
    const NodeState& after = report.after;
    std::vector<Left> left;
    const bool cache = kinds.has(Kind::page_cache) || kinds.has(Kind::mapped_page_cache);
    if (cache) {
        left = cache_left(request, after, gate, endings);
        left.push_back({Shortfall::shmem, after.shmem,
                        fmt::format("{} is tmpfs or shared memory, which is not page cache",
                                    format_size(after.shmem))});
    }
    if (kinds.has(Kind::anonymous)) {
        const auto no_room = std::ranges::find(endings, Shortfall::no_swap, &Ending::because);
        if (no_room != endings.end())
            left.push_back(
                {Shortfall::no_swap, std::max(after.anon_pages, 2 * crumbs), no_room->text});
        else
            withhold(left, request, after.anon_lru, gate, endings, is_anonymous);
        if (!cache && after.shmem > after.anon_pages)
            left.push_back({Shortfall::shmem, after.shmem,
                            fmt::format("{} is tmpfs or shared memory, which was not asked for",
                                        format_size(after.shmem))});
    }
    std::erase_if(left, [](const Left& part) { return part.bytes < crumbs; });
    std::ranges::stable_sort(left, std::ranges::greater(), &Left::bytes);
    // tmpfs is worth a word, but where anything else is left, that is the reason.
    std::ranges::stable_partition(left,
                                  [](const Left& part) { return part.why != Shortfall::shmem; });
    put_moved(left, request, report);
    return left;
}

/// Endings that say that something was not possible at all.
std::vector<const Ending*> impossibilities(const std::vector<Ending>& endings) {
    std::vector<const Ending*> found;
    for (const Ending& ending : endings) {
        const bool hard = ending.because == Shortfall::privilege ||
                          ending.because == Shortfall::consent ||
                          ending.because == Shortfall::no_mechanism ||
                          ending.because == Shortfall::failed || ending.because == Shortfall::floor;
        if (hard && !ending.text.empty()) found.push_back(&ending);
    }
    return found;
}

/// Whether no mechanism worked at all, so that what is left is not the reason.
bool all_impossible(const std::vector<Ending>& endings) {
    const auto possible = [](const Ending& ending) {
        switch (ending.because) {
            case Shortfall::nothing_left:
            case Shortfall::gate:
            case Shortfall::active:
            case Shortfall::busy:
            case Shortfall::refilled:
            case Shortfall::demoted:
            case Shortfall::no_swap:
            case Shortfall::shmem:
            case Shortfall::mapped:
                return true;
            default:
                return false;
        }
    };
    const auto means = [](const Ending& ending) { return ending.mechanism != "writeback"; };
    return std::ranges::any_of(endings, means) && std::ranges::none_of(endings, possible);
}

void add(std::string& text, std::string_view more) {
    if (text.find(more) != std::string::npos) return;
    text += fmt::format("{}{}", text.empty() ? "" : "; ", more);
}

}  // namespace

uint64_t reached(const Request& request, const NodeReport& report) {
    if (request.goal == Goal::free_more) return report.freed.total(request.kind_set());
    return less(report.after.free, report.before.free);
}

Explanation explain(const Request& request, const NodeReport& report, const Gate& gate,
                    const std::vector<Ending>& endings) {
    if (is_done(reached(request, report), report.goal)) return {};
    Explanation explanation;
    const auto whole = std::ranges::find_if(
        endings, [](const Ending& ending) { return ending.mechanism.empty(); });
    const std::vector<const Ending*> impossible = impossibilities(endings);
    if (whole != endings.end()) {
        explanation = {whole->because, whole->text};
    } else if (!impossible.empty() && all_impossible(endings)) {
        // A privilege that lacks is worth more to know than a mechanism that is not built.
        const auto lacks = std::ranges::find_if(impossible, [](const Ending* ending) {
            return ending->because == Shortfall::privilege;
        });
        const Ending* main = lacks == impossible.end() ? impossible.back() : *lacks;
        explanation.shortfall = main->because;
        add(explanation.text, main->text);
        for (const Ending* ending : impossible) add(explanation.text, ending->text);
        return explanation;
    }
    const std::vector<Left> left = what_is_left(request, report, gate, endings);
    // tmpfs is named because users take it for page cache; it is none of the kinds.
    const bool nothing = left.empty() || left.front().why == Shortfall::shmem;
    if (explanation.shortfall == Shortfall::none && nothing)
        add(explanation.text, fmt::format("nothing more of {} is left on node {}",
                                          format_kinds(request.kind_set()), report.node));
    for (const Left& part : left) {
        if (explanation.shortfall == Shortfall::none) explanation.shortfall = part.why;
        add(explanation.text, part.text);
    }
    if (explanation.shortfall == Shortfall::none) explanation.shortfall = Shortfall::nothing_left;
    // Why the other kinds and mechanisms could not take over, and what writing back said.
    for (const Ending* ending : impossible)
        if (whole == endings.end() || ending->mechanism == "writeback")
            add(explanation.text, ending->text);
    return explanation;
}

}  // namespace braidway::memory
