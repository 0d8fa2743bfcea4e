// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/process_pageout.h"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "memory/reclaim/file_walk.h"
#include "memory/reclaim/numa_text.h"

namespace braidway::memory {
namespace {

constexpr int advice_pageout = 21;  ///< MADV_PAGEOUT, kernel 5.4.
constexpr unsigned capability_nice = 23;
/// So much is looked at, and noted, at once: 1 GiB with pages of 4 KiB.
constexpr uint64_t window_pages = 256u << 10;
/// In one system call, which cannot be cancelled: 8 MiB.
constexpr uint64_t call_pages_max = 2048;
constexpr size_t call_ranges_max = 64;
constexpr uint64_t folio_pages_max = 512;

}  // namespace

ProcessPageout::ProcessPageout(const Machine& machine, Processes processes)
    : machine_(machine), processes_(std::move(processes)), page_bytes_(machine.page_bytes()) {
}

ProcessPageout::~ProcessPageout() {
    close_process(anonymous_);
    close_process(mapped_);
}

Result<void> ProcessPageout::probe() const {
    if (::syscall(SYS_process_madvise, -1, nullptr, 0, advice_pageout, 0) != 0 && errno == ENOSYS)
        return fail("process-pageout: needs process_madvise (kernel 5.10)", ENOSYS);
    const auto status = machine_.read("/proc/self/status");
    if (!status) return std::unexpected(status.error());
    if (!has_capability(*status, capability_nice))
        return fail("process-pageout: to page out memory of other processes needs CAP_SYS_NICE",
                    EPERM);
    return {};
}

Answer ProcessPageout::reclaim(const Ask& ask) {
    Work& work = ask.kind == Kind::anonymous ? anonymous_ : mapped_;
    if (ask.kind == Kind::anonymous) {
        const auto swap = read_swap_state(machine_);
        if (!swap || swap->free == 0)
            return {ENOSPC, true, "anonymous memory has no swap space to go to"};
    }
    if (!work.started) start(work, ask.kind);
    const uint64_t wanted = (ask.bytes + page_bytes_ - 1) / page_bytes_;
    uint64_t advised = 0;
    while (advised < wanted) {
        if (machine_.cancelled()) return {EINTR, false, note()};
        if (!work.ranges.empty())
            advised += advise(work, std::min(wanted - advised, call_pages_max));
        else if (!work.areas.empty())
            next_area(work, ask);
        else if (!next_process(work, ask))
            return {EAGAIN, true, note()};
    }
    return {0, false, note()};
}

/// Sorts the processes by what they have of the kind, on whatever node.
void ProcessPageout::start(Work& work, Kind kind) {
    work.started = true;
    const auto nodes = nodes_with_memory(machine_);
    one_node_ = !nodes || nodes->size() <= 1;
    const auto processes = processes_();
    if (!processes) return;
    std::vector<std::pair<uint64_t, pid_t>> sizes;
    for (const pid_t process : *processes) {
        if (read_process_file(ProcessPath(process, "statm").text(), text_) != 0) continue;
        const ProcessSize size = parse_statm(text_);
        const uint64_t pages =
            kind == Kind::anonymous
                ? size.resident_pages - std::min(size.resident_pages, size.shared_pages)
                : size.shared_pages;
        if (pages > 0) sizes.emplace_back(pages, process);
    }
    std::ranges::sort(sizes);
    for (const auto& [pages, process] : sizes) work.processes.push_back(process);
}

/// False: that was the last one.
bool ProcessPageout::next_process(Work& work, const Ask& ask) {
    close_process(work);
    if (work.processes.empty()) return false;
    work.process = work.processes.back();
    work.processes.pop_back();
    work.descriptor = static_cast<int>(::syscall(SYS_pidfd_open, work.process, 0));
    if (work.descriptor < 0) return true;  // It ended meanwhile.
    if (const int error = work.present.open(work.process))
        refuse(work, error);
    else
        find_areas(work, ask);
    return true;
}

void ProcessPageout::find_areas(Work& work, const Ask& ask) {
    std::map<uint64_t, bool> on_node;  // By address: whether all of it is.
    std::string numa_maps;
    if (!one_node_) {
        if (const int error =
                read_process_file(ProcessPath(work.process, "numa_maps").text(), numa_maps))
            return refuse(work, error);
        for (const NumaMapping& mapping : parse_numa_maps(numa_maps))
            if (mapping.nodes.contains(ask.node))
                on_node[mapping.begin] = mapping.nodes.size() == 1;
    }
    if (const int error = read_process_file(ProcessPath(work.process, "maps").text(), text_))
        return refuse(work, error);
    std::string_view rest = text_;
    Mapping mapping;
    while (next_mapping(rest, mapping)) {
        if (!is_wanted(work.process, mapping, ask.kind)) continue;
        const auto found = on_node.find(mapping.begin);
        if (!one_node_ && found == on_node.end()) continue;
        const uint64_t end = mapping.end / page_bytes_;
        for (uint64_t begin = mapping.begin / page_bytes_; begin < end; begin += window_pages)
            work.areas.push_back(
                {{begin, std::min(end, begin + window_pages)}, one_node_ || found->second});
    }
    std::ranges::reverse(work.areas);
}

bool ProcessPageout::is_wanted(pid_t process, const Mapping& mapping, Kind kind) {
    if (mapping.path.starts_with("[v")) return false;  // Pages of the kernel: [vdso], [vvar].
    if (kind == Kind::anonymous) return !mapping.shared && !mapping.is_file();
    // Private writable ones hold changed copies, which are anonymous memory.
    if (!mapping.is_file() || (mapping.writable && !mapping.shared)) return false;
    const std::pair device{mapping.file.device_major, mapping.file.device_minor};
    const auto known = page_cache_devices_.find(device);
    if (known != page_cache_devices_.end()) return known->second;
    const ProcessPath path(process, fmt::format("map_files/{:x}-{:x}", mapping.begin, mapping.end));
    const int file = open_quietly(path.text());
    if (file < 0) return false;
    const bool wanted = is_page_cache(file);
    ::close(file);
    return page_cache_devices_[device] = wanted;
}

void ProcessPageout::next_area(Work& work, const Ask& ask) {
    const Area area = work.areas.back();
    work.areas.pop_back();
    std::vector<PageRange> found;
    const Backing backing = ask.kind == Kind::anonymous ? Backing::anonymous : Backing::file;
    if (const int error = work.present.find(area.pages, backing, found)) return refuse(work, error);
    if (!area.all_on_node) {
        std::vector<PageRange> chosen;
        for (const PageRange& range : found) {
            std::vector<void*> pages;
            for (uint64_t page = range.begin; page < range.end; ++page)
                pages.push_back(reinterpret_cast<void*>(page * page_bytes_));
            std::vector<int> nodes(pages.size(), -ENOENT);
            if (::syscall(SYS_move_pages, work.process, pages.size(), pages.data(), nullptr,
                          nodes.data(), 0) != 0)
                return refuse(work, errno);
            choose_on_node(range, nodes, ask.node, chosen);
        }
        found = std::move(chosen);
    }
    std::ranges::reverse(found);
    work.ranges = std::move(found);
}

/// One system call for at most that many pages; returns how many were done with.
uint64_t ProcessPageout::advise(Work& work, uint64_t pages) {
    iovec ranges[call_ranges_max];
    size_t count = 0;
    uint64_t room = pages;
    for (auto range = work.ranges.rbegin();
         range != work.ranges.rend() && count < call_ranges_max && room > 0; ++range) {
        uint64_t length = std::min(range->pages(), room);
        // A large folio that is cut is not taken; it is aligned, as its size is at most this.
        const uint64_t aligned_end = (range->begin + length) / folio_pages_max * folio_pages_max;
        if (length < range->pages() && aligned_end > range->begin)
            length = aligned_end - range->begin;
        ranges[count++] = {reinterpret_cast<void*>(range->begin * page_bytes_),
                           length * page_bytes_};
        room -= length;
    }
    const long answer =
        ::syscall(SYS_process_madvise, work.descriptor, ranges, count, advice_pageout, 0);
    if (answer < 0 && errno == EINTR) return 0;
    if (answer < 0 && (errno == EPERM || errno == EACCES || errno == ESRCH)) {
        refuse(work, errno);
        return 0;
    }
    // Locked memory, or addresses that changed meanwhile: the rest of that range is passed over.
    if (answer <= 0) {
        work.ranges.pop_back();
        return 0;
    }
    uint64_t done = static_cast<uint64_t>(answer) / page_bytes_;
    const uint64_t advised = done;
    while (done > 0 && !work.ranges.empty()) {
        PageRange& range = work.ranges.back();
        const uint64_t part = std::min(done, range.pages());
        range.begin += part;
        done -= part;
        if (range.begin == range.end) work.ranges.pop_back();
    }
    return advised;
}

/// Leaves the process; one that ended is nobody's fault.
void ProcessPageout::refuse(Work& work, int error) {
    if (error != ESRCH && error != ENOENT && refused_++ == 0) refused_error_ = error;
    close_process(work);
}

void ProcessPageout::close_process(Work& work) {
    if (work.descriptor >= 0) ::close(work.descriptor);
    work.descriptor = -1;
    work.areas.clear();
    work.ranges.clear();
}

std::string ProcessPageout::note() const {
    if (refused_ == 0) return "";
    return fmt::format("processes that could not be looked into: {} ({})", refused_,
                       errno_text(refused_error_));
}

void choose_on_node(PageRange range, const std::vector<int>& nodes, uint32_t node,
                    std::vector<PageRange>& chosen) {
    for (uint64_t i = 0; i < range.pages() && i < nodes.size(); ++i) {
        if (nodes[i] < 0 || static_cast<uint32_t>(nodes[i]) != node) continue;
        const uint64_t page = range.begin + i;
        if (!chosen.empty() && chosen.back().end == page)
            ++chosen.back().end;
        else
            chosen.push_back({page, page + 1});
    }
}

bool has_capability(std::string_view status, unsigned capability) {
    constexpr std::string_view name = "CapEff:\t";
    const size_t at = status.find(name);
    if (at == std::string_view::npos) return false;
    status.remove_prefix(at + name.size());
    uint64_t bits = 0;
    const auto [stop, error] =
        std::from_chars(status.data(), status.data() + status.size(), bits, 16);
    return error == std::errc() && ((bits >> capability) & 1u) != 0;
}

}  // namespace braidway::memory
