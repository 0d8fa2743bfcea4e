// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/mapped_guard.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "base/limits.h"
#include "memory/reclaim/cached_pages.h"
#include "memory/reclaim/file_walk.h"
#include "memory/reclaim/present_pages.h"
#include "memory/reclaim/process_maps.h"

namespace braidway::memory {
namespace {

bool is_gone(int error) {
    return error == ENOENT || error == ESRCH;
}

}  // namespace

/// One search through all processes.
class GuardSearch {
  public:
    GuardSearch(MappedGuard& guard, GuardScope scope, const Machine* machine)
        : guard_(guard),
          scope_(scope),
          machine_(machine),
          page_bytes_(static_cast<uint64_t>(::sysconf(_SC_PAGESIZE))) {}

    void run() {
        const auto processes = other_processes();
        if (!processes) {
            miss_process(processes.error().code);
            return;
        }
        for (const pid_t process : *processes) {
            if (machine_ && machine_->cancelled()) break;
            if (const int error = look_into(process); error != 0 && !is_gone(error))
                if (!has_little(process)) miss_process(error);
            if (held_ranges_ > limits::guard_ranges_max) lock_found();
        }
        lock_found();
    }

  private:
    /// One way to open a file: as what one process has mapped.
    struct Source {
        pid_t process;
        uint64_t begin;
        uint64_t end;
    };
    struct Found {
        RangeSet pages{};
        std::vector<Source> sources{};
        std::string path{};
        bool skip = false;  ///< Not page cache.
    };

    MappedGuard& guard_;
    GuardScope scope_;
    const Machine* machine_;
    uint64_t page_bytes_;
    std::map<FileKey, Found> found_;
    size_t held_ranges_ = 0;
    PresentPages present_;
    std::string text_;
    std::vector<Mapping> mappings_;
    std::vector<PageRange> ranges_;

    void miss_process(int error) {
        if (guard_.missed_processes_++ == 0) guard_.process_error_ = error;
    }

    /// Too little for a search. How much a process has mapped, anybody may know.
    bool has_little(pid_t process) {
        return read_process_file(ProcessPath(process, "statm").text(), text_) == 0 &&
               parse_statm(text_).shared_pages * page_bytes_ <= limits::guard_large_bytes;
    }

    /// Returns 0 or an errno.
    int look_into(pid_t process) {
        if (scope_ == GuardScope::large_only && has_little(process)) return 0;
        if (const int error = read_process_file(ProcessPath(process, "maps").text(), text_))
            return error;
        if (text_.empty()) return 0;  // A thread of the kernel, or one that is about to end.
        choose_mappings(process);
        ++guard_.processes_;
        if (mappings_.empty()) return 0;
        if (const int error = present_.open(process)) return error;
        for (size_t first = 0, next = 0; first < mappings_.size(); first = next) {
            // A library is some mappings in a row: one call for all of them.
            next = first + 1;
            while (next < mappings_.size() && mappings_[next].begin == mappings_[next - 1].end)
                ++next;
            if (const int error = scan(first, next)) return error;
        }
        return 0;
    }

    /// Those of files that are not known to be guarded in whole already, as libraries soon are.
    void choose_mappings(pid_t process) {
        mappings_.clear();
        std::string_view text = text_;
        Mapping mapping;
        while (next_mapping(text, mapping)) {
            if (!mapping.is_file()) continue;
            Found& found = found_[mapping.file];
            if (found.skip || found.pages.covers(pages_in_file(mapping))) continue;
            if (found.sources.size() < 3 &&
                (found.sources.empty() || found.sources.back().process != process))
                found.sources.push_back({process, mapping.begin, mapping.end});
            if (found.path.empty()) found.path = mapping.path;
            mappings_.push_back(mapping);
        }
    }

    PageRange pages_in_file(const Mapping& mapping) const {
        const uint64_t first = mapping.offset / page_bytes_;
        return {first, first + mapping.bytes() / page_bytes_};
    }

    int scan(size_t first, size_t end) {
        const PageRange within{mappings_[first].begin / page_bytes_,
                               mappings_[end - 1].end / page_bytes_};
        if (const int error = present_.find(within, Backing::file, ranges_)) return error;
        for (size_t i = first; i < end && !ranges_.empty(); ++i) {
            const Mapping& mapping = mappings_[i];
            const uint64_t begin = mapping.begin / page_bytes_;
            const uint64_t stop = mapping.end / page_bytes_;
            const uint64_t offset = mapping.offset / page_bytes_;
            RangeSet& pages = found_[mapping.file].pages;
            const size_t before = pages.size();
            auto range = std::ranges::upper_bound(ranges_, begin, {}, &PageRange::end);
            for (; range != ranges_.end() && range->begin < stop; ++range)
                pages.add({std::max(range->begin, begin) - begin + offset,
                           std::min(range->end, stop) - begin + offset});
            held_ranges_ += pages.size() - std::min(pages.size(), before);
        }
        return 0;
    }

    void lock_found() {
        for (auto& [key, found] : found_) {
            if (found.pages.empty()) continue;
            const int error = lock_one(key, found);
            if (error != 0 && guard_.missed_files_++ == 0) guard_.file_error_ = error;
            found.pages = {};
        }
        held_ranges_ = 0;
    }

    int lock_one(const FileKey& key, Found& found) {
        int error = 0;
        const int file = open_found(key, found, error);
        if (file < 0) return error;
        struct stat status{};
        if (!is_page_cache(file) || ::fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
            found.skip = true;
        } else {
            found.pages.clip((static_cast<uint64_t>(status.st_size) + page_bytes_ - 1) /
                             page_bytes_);
            error = guard_.lock_.lock(file, found.pages.ranges());
        }
        ::close(file);
        return error;
    }

    /// Through a process that has it mapped: that also finds files of other mount namespaces and
    /// deleted ones. By its path where that is not allowed, if it still is the same file.
    int open_found(const FileKey& key, const Found& found, int& error) {
        for (const Source& source : found.sources) {
            const ProcessPath path(source.process,
                                   fmt::format("map_files/{:x}-{:x}", source.begin, source.end));
            const int file = open_quietly(path.text());
            if (file >= 0) return file;
            error = errno;
            if (error == EPERM || error == EACCES) break;
        }
        const int file = open_quietly(found.path.c_str());
        if (file < 0) {
            // With the last process that had it, its pages ceased to be mapped.
            error = is_gone(errno) && is_gone(error) ? 0 : errno;
            return -1;
        }
        struct stat status{};
        if (::fstat(file, &status) == 0 && status.st_ino == key.inode) return file;
        ::close(file);
        error = ESTALE;
        return -1;
    }
};

MappedGuard MappedGuard::hold(GuardScope scope, const Machine* machine) {
    MappedGuard guard;
    if (scope != GuardScope::none) GuardSearch(guard, scope, machine).run();
    return guard;
}

void MappedGuard::hold_files(const std::vector<std::string>& paths, const Machine* machine) {
    CachedPages cached;
    FileWalk walk(paths);
    std::vector<PageRange> ranges;
    while (const auto entry = walk.next()) {
        if (machine && machine->cancelled()) return;
        int error = cached.find(entry->file, ranges);
        if (error == 0) error = lock_.lock(entry->file, ranges);
        if (error != 0 && missed_files_++ == 0) file_error_ = error;
    }
    if (walk.missed() > 0) {
        if (missed_files_ == 0) file_error_ = walk.missed_error();
        missed_files_ += walk.missed();
    }
}

std::string MappedGuard::missed_why() const {
    std::string text;
    const auto add = [&](uint64_t count, std::string_view what, int error, std::string_view help) {
        if (count == 0) return;
        fmt::format_to(std::back_inserter(text), "{}{} {}{} could not be guarded ({}{})",
                       text.empty() ? "" : "; ", count, what, count == 1 ? "" : "s",
                       errno_text(error), help);
    };
    const bool denied = process_error_ == EACCES || process_error_ == EPERM;
    add(missed_processes_, "process", process_error_,
        denied ? ": looking into other users' processes needs CAP_SYS_PTRACE" : "");
    const bool limited = file_error_ == ENOMEM || file_error_ == EPERM;
    add(missed_files_, "file", file_error_,
        limited ? ": see the limit on locked memory, ulimit -l" : "");
    return text;
}

}  // namespace braidway::memory
