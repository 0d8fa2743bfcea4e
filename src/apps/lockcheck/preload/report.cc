// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/report.h"

#include <sys/stat.h>

#include <cstring>

#include "apps/lockcheck/preload/beside.h"
#include "apps/lockcheck/preload/confinement.h"
#include "apps/lockcheck/preload/document_file.h"
#include "apps/lockcheck/preload/document_line.h"
#include "apps/lockcheck/preload/finding_text.h"
#include "apps/lockcheck/preload/own_descriptors.h"
#include "apps/lockcheck/preload/raw_calls.h"
#include "apps/lockcheck/preload/renderer.h"
#include "apps/lockcheck/preload/settings.h"
#include "apps/lockcheck/preload/text.h"
#include "base/clock.h"
#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

/// What the processes of one tree share, in a file that the front end makes.
struct TreeState {
    uint32_t magic;
    uint32_t version;
    std::atomic<uint32_t> findings;
    std::atomic<uint32_t> documents;
    uint32_t rest[12];
};
static_assert(sizeof(TreeState) == 64);
constexpr uint32_t tree_magic = 0x4b434b4c;

/// What was found in this process.
struct Reports {
    OwnLock lock;
    Text findings;  ///< The members of the two lists, with commas between them.
    Text notes;
    Text plain;  ///< Lines for people, when there is no renderer.
    Text document;
    Text rendered;  ///< The line as the renderer left it, once it cannot be asked any more.
    size_t rendered_findings = 0;  ///< So much of `findings` is in it, or in the renderer's file.
    size_t rendered_notes = 0;
    char* fixed_line = nullptr;  ///< The line in memory that is the file.
    size_t fixed_bytes = 0;
    uint32_t count = 0;  ///< Of both.
    uint32_t finding_count = 0;
    bool counted = false;  ///< In the tree's count.
    bool finished = false;
    bool complained = false;
    uint64_t image = 1;  ///< Of this process, unique in the tree.
};
constinit Reports reports;

constinit TreeState private_tree{};
constinit TreeState* tree = &private_tree;

void open_tree() {
    if (settings.state == nullptr) return;
    const int fd = open_file(settings.state, O_RDWR);
    if (fd < 0) return;
    const long at =
        raw_call(SYS_mmap, 0, sizeof(TreeState), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    struct stat status{};
    const bool whole = fstat(fd, &status) == 0 && status.st_size >= long{sizeof(TreeState)};
    close_file(fd);
    if (at < 0 && at > -4096) return;
    auto* const mapped = reinterpret_cast<TreeState*>(at);
    if (whole && mapped->magic == tree_magic)
        tree = mapped;
    else
        unmap_pages(mapped, sizeof(TreeState));
}

void number_this_image() {
    reports.image = tree->documents.fetch_add(1, std::memory_order_relaxed) + 1;
    // Without the front end there is nobody to count; programs that one process becomes must
    // differ.
    if (tree == &private_tree) reports.image = static_cast<uint64_t>(monotonic_now().ns);
}

void add_id(Text& text) {
    text.add_number(static_cast<uint64_t>(process_id())).add("-").add_number(reports.image);
}

const char* word(ProcessEnd end) {
    switch (end) {
        case ProcessEnd::running:
            return "running";
        case ProcessEnd::exited:
            return "exited";
        case ProcessEnd::ended:
            return "ended";
    }
    return "?";
}

void make_document(ProcessEnd end) {
    Text& text = reports.document;
    text.clear();
    text.add("{\"lockcheck\":1,\"state\":\"").add(word(end)).add("\",\"process\":{\"id\":\"");
    add_id(text);
    text.add("\",\"pid\":").add_number(static_cast<uint64_t>(process_id()));
    const long parent = raw_call(SYS_getppid);
    text.add(",\"parent\":").add_number(parent > 0 ? static_cast<uint64_t>(parent) : 0);
    text.add(",\"program\":").add_quoted(settings.program).add(",\"arguments\":[");
    for (int i = 0; i < settings.argument_count; ++i) {
        if (i > 0) text.add(",");
        text.add_quoted(settings.arguments[i]);
    }
    text.add("]},\"findings\":[").add(reports.findings.view());
    text.add("],\"notes\":[").add(reports.notes.view()).add("]}\n");
}

/// What came to a list after the renderer had seen `known` bytes of it.
std::string_view fresh(const Text& list, size_t known) {
    std::string_view rest = list.view().substr(known);
    if (rest.starts_with(',')) rest.remove_prefix(1);
    return rest;
}

/// As make_document(), without the renderer: what it has said stays, with its names.
void make_own_document(ProcessEnd end) {
    if (reports.rendered.size() == 0) return make_document(end);
    reports.document.clear();
    add_updated_line(reports.document, reports.rendered.view(), word(end),
                     fresh(reports.findings, reports.rendered_findings),
                     fresh(reports.notes, reports.rendered_notes));
}

void count_in_tree() {
    if (reports.counted) return;
    reports.counted = true;
    tree->findings.fetch_add(1, std::memory_order_relaxed);
}

bool write_own_document() {
    if (reports.fixed_line != nullptr)
        return fill_line(reports.fixed_line, reports.fixed_bytes, reports.document.view());
    if (!may_write_files()) return false;
    Text id;
    add_id(id);
    const auto write = [&, process = process_id()] {
        return write_document(settings.json, process, id.view(), reports.document.view()) ? 1 : 0;
    };
    // Beside, there are free descriptors, and the limits are higher.
    const bool written = write() == 1 || (may_start_programs() && run_beside(write) == 1);
    id.clear_and_free();
    return written;
}

/// Puts the document into its file without the renderer.
void keep_document() {
    if (settings.json == nullptr || !reports.document.complete()) return;
    if (write_own_document() || reports.complained) return;
    reports.complained = true;
    Text line;
    line.add("lockcheck: ").add(settings.json).add(": the document of process ");
    line.add_number(static_cast<uint64_t>(process_id())).add(" cannot be written\n");
    print_to_target(line.view());
    line.clear_and_free();
}

/// Fetches what the renderer wrote, if it wrote something: it will not do so again.
void fetch_rendered() {
    if (settings.json == nullptr || reports.rendered.size() > 0 ||
        reports.rendered_findings + reports.rendered_notes == 0)
        return;
    Text id;
    add_id(id);
    if (!read_line(settings.json, process_id(), id.view(), reports.rendered))
        reports.rendered.clear();
    id.clear_and_free();
}

/// Maps the process's line, if that has not been done.
void fix_own_line() {
    if (settings.json == nullptr || reports.fixed_line != nullptr) return;
    fetch_rendered();
    make_own_document(ProcessEnd::running);
    Text id;
    add_id(id);
    reports.fixed_bytes = 2 * reports.document.size() + limits::lockcheck_document_spare_bytes;
    reports.fixed_line = fix_line(settings.json, process_id(), id.view(), reports.document.view(),
                                  reports.fixed_bytes);
    id.clear_and_free();
}

/// Puts down that the process runs: it may end without a word.
void begin_reports() {
    // The front end has done it for the process that it became.
    if (settings.json == nullptr || !may_write_files() ||
        (settings.root == process_id() && reports.image == 1))
        return;
    make_document(ProcessEnd::running);
    Text id;
    add_id(id);
    begin_document(settings.json, process_id(), id.view(), reports.document.view());
    id.clear_and_free();
}

/// Shows what is new. Without a renderer that works: in plain words.
void send_out(ProcessEnd end) {
    make_document(end);
    const bool has_own_line = reports.fixed_line != nullptr;
    switch (render(reports.document.view(), !has_own_line)) {
        case Rendered::nothing_left:
            break;
        case Rendered::findings_left:
            count_in_tree();
            break;
        case Rendered::failed:
            if (reports.finding_count > 0) count_in_tree();
            print_to_target(reports.plain.view());
            mark_as_printed(reports.findings);
            mark_as_printed(reports.notes);
            fetch_rendered();
            make_own_document(end);
            keep_document();
            reports.plain.clear();
            return;
    }
    reports.plain.clear();
    mark_as_printed(reports.findings);
    mark_as_printed(reports.notes);
    if (has_own_line) {
        make_own_document(end);
        keep_document();
        return;
    }
    reports.rendered_findings = reports.findings.size();
    reports.rendered_notes = reports.notes.size();
    reports.rendered.clear();
}

}  // namespace

void start_reports() {
    open_tree();
    number_this_image();
    remember_text_target();
    begin_reports();
}

void report_finding(const lockdep::Finding& finding) {
    const OwnGuard guard(reports.lock);
    if (reports.finished && finding.kind != lockdep::FindingKind::hang) return;
    if (!finding.note) ++reports.finding_count;
    if (++reports.count > limits::lockcheck_findings_max) return;
    Text& list = finding.note ? reports.notes : reports.findings;
    if (list.size() > 0) list.add(",");
    add_finding(list, finding, reports.count);
    add_plain_line(reports.plain, finding);
    send_out(ProcessEnd::running);
}

bool finish_reports(ProcessEnd end) {
    const OwnGuard guard(reports.lock);
    if (!reports.finished) {
        reports.finished = end == ProcessEnd::exited;
        const bool is_root = settings.root == process_id();
        const bool tree_found = tree->findings.load(std::memory_order_relaxed) > 0;
        // Suppressions that were of no use are for the renderer to name.
        const bool has_words = is_root && end == ProcessEnd::exited && settings.has_suppressions;
        const bool is_heard = !settings.quiet || settings.json != nullptr;
        if (reports.count > 0 || (is_root && tree_found) || (has_words && is_heard)) {
            send_out(end);
        } else {
            make_document(end);
            keep_document();
            if (is_root && end == ProcessEnd::exited && !settings.quiet)
                print_to_target("lockcheck: nothing found\n");
        }
    }
    return tree->findings.load(std::memory_order_relaxed) > 0;
}

void program_goes() {
    if (reports.count > 0 || (settings.root == process_id() && reports.image == 1)) {
        finish_reports(ProcessEnd::ended);
        return;
    }
    if (settings.json == nullptr || !may_write_files()) return;
    const OwnGuard guard(reports.lock);
    Text id;
    add_id(id);
    write_document(settings.json, process_id(), id.view(), "");
    id.clear_and_free();
}

void program_stays() {
    const OwnGuard guard(reports.lock);
    if (reports.count == 0) begin_reports();
}

void keep_reports_writable() {
    const OwnGuard guard(reports.lock);
    if (reports.finished || !may_write_files()) return;
    keep_root();
    if (settings.json != nullptr) keep_document_file(settings.json, process_id());
}

void fix_reports() {
    const OwnGuard guard(reports.lock);
    if (!reports.finished && may_write_files()) fix_own_line();
}

void confine_reports(bool files_stay) {
    const OwnGuard guard(reports.lock);
    if (reports.finished || !may_write_files()) return;
    fetch_rendered();
    if (!files_stay) fix_own_line();
    if (settings.quiet) return;
    Text line;
    line.add("lockcheck: process ").add_number(static_cast<uint64_t>(process_id()));
    line.add(" confines itself by seccomp: its findings are told in one line each from now on\n");
    print_to_target(line.view());
    line.clear_and_free();
}

void lock_reports() {
    reports.lock.lock();
}

void unlock_reports() {
    reports.lock.unlock();
}

void reports_in_child() {
    reports.lock.forget_holder();
    reports.findings.clear();
    reports.notes.clear();
    reports.plain.clear();
    reports.rendered.clear();
    reports.rendered_findings = reports.rendered_notes = 0;
    // That is the parent's line.
    reports.fixed_line = nullptr;
    reports.count = reports.finding_count = 0;
    reports.counted = reports.finished = reports.complained = false;
    number_this_image();
    begin_reports();
}

}  // namespace braidway::lockcheck
