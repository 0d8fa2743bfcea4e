// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/report.h"

#include <sys/stat.h>

#include <cstring>

#include "apps/lockcheck/preload/document_file.h"
#include "apps/lockcheck/preload/finding_text.h"
#include "apps/lockcheck/preload/raw_calls.h"
#include "apps/lockcheck/preload/renderer.h"
#include "apps/lockcheck/preload/settings.h"
#include "apps/lockcheck/preload/text.h"
#include "base/clock.h"

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

/// More are counted, but neither kept nor shown.
constexpr uint32_t findings_max = 1'000;

/// What was found in this process.
struct Reports {
    OwnLock lock;
    Text findings;  ///< The members of the two lists, with commas between them.
    Text notes;
    Text plain;  ///< Lines for people, when there is no renderer.
    Text document;
    uint32_t count = 0;  ///< Of both.
    uint32_t finding_count = 0;
    bool counted = false;  ///< In the tree's count.
    bool finished = false;
    bool has_first_document = false;
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
    text.add(",\"parent\":").add_number(static_cast<uint64_t>(raw_call(SYS_getppid)));
    text.add(",\"program\":").add_quoted(settings.program).add(",\"arguments\":[");
    for (int i = 0; i < settings.argument_count; ++i) {
        if (i > 0) text.add(",");
        text.add_quoted(settings.arguments[i]);
    }
    text.add("]},\"findings\":[").add(reports.findings.view());
    text.add("],\"notes\":[").add(reports.notes.view()).add("]}\n");
}

void count_in_tree() {
    if (reports.counted) return;
    reports.counted = true;
    tree->findings.fetch_add(1, std::memory_order_relaxed);
}

/// Puts the document into its file without the renderer.
void keep_document() {
    if (settings.json == nullptr || !reports.document.complete()) return;
    Text id;
    add_id(id);
    write_document(settings.json, process_id(), id.view(), reports.document.view());
    id.clear_and_free();
}

/// Shows what is new. Without a renderer that works: in plain words.
void send_out(ProcessEnd end) {
    make_document(end);
    switch (render(reports.document.view())) {
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
            make_document(end);
            keep_document();
            break;
    }
    reports.plain.clear();
    mark_as_printed(reports.findings);
    mark_as_printed(reports.notes);
}

}  // namespace

void start_reports() {
    open_tree();
    number_this_image();
    remember_text_target();
}

void report_finding(const lockdep::Finding& finding) {
    const OwnGuard guard(reports.lock);
    if (reports.finished && finding.kind != lockdep::FindingKind::hang) return;
    if (!finding.note) ++reports.finding_count;
    if (++reports.count > findings_max) return;
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
        if (reports.count > 0 || (is_root && tree_found)) {
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

void keep_reports_writable() {
    const OwnGuard guard(reports.lock);
    if (settings.json == nullptr || reports.finished) return;
    keep_document_file(settings.json, process_id());
    // What the renderer wrote says more than this would.
    if (reports.count > 0) return;
    reports.has_first_document = true;
    make_document(ProcessEnd::running);
    keep_document();
}

bool has_reports() {
    // The front end has written a first document for the process that it became.
    return reports.count > 0 || reports.has_first_document ||
           (settings.root == process_id() && reports.image == 1);
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
    reports.count = reports.finding_count = 0;
    reports.counted = reports.finished = reports.has_first_document = false;
    number_this_image();
}

}  // namespace braidway::lockcheck
