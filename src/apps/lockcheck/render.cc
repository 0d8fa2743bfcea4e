// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/render.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <set>

#include "apps/lockcheck/annotations.h"
#include "apps/lockcheck/explain.h"
#include "apps/lockcheck/files.h"
#include "apps/lockcheck/json_file.h"
#include "apps/lockcheck/naming.h"
#include "apps/lockcheck/picture.h"
#include "apps/lockcheck/report.h"
#include "apps/lockcheck/suppressions.h"
#include "apps/lockcheck/symbols.h"
#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

/// Where the runtime puts it, and says so with LOCKCHECK_JSON_FD.
constexpr int json_descriptor = 3;

/// A thread that nobody named has its program's name, which tells nothing.
void forget_inherited_names(Document& document) {
    static constexpr size_t name_max = 15;
    const std::string_view inherited = file_name(document.process.program).substr(0, name_max);
    for (auto* findings : {&document.findings, &document.notes})
        for (Finding& finding : *findings)
            for (Chain& chain : finding.chains)
                if (chain.thread_name == inherited) chain.thread_name.reset();
}

void describe_all(Document& document) {
    const auto describe_locks = [](Finding& finding) {
        for (Lock& lock : finding.locks) lock.description = describe(lock);
    };
    for (Finding& finding : document.findings) {
        describe_locks(finding);
        finding.message = explain(finding);
    }
    for (Finding& note : document.notes) {
        describe_locks(note);
        // Without its remark, the sentence would not say why this is only a note.
        if (!note.remark.empty() || note.message.empty()) note.message = explain(note);
    }
}

/// One rendering; collects the text.
class Rendering {
  public:
    Rendering(Document document, const RenderContext& context)
        : document_(std::move(document)), context_(context), settings_(context.settings) {}

    void prepare() {
        Symbols().resolve(document_);
        forget_inherited_names(document_);
        describe_all(document_);
        for (const std::string& file : settings_.suppressions) {
            const auto text = read_file(file, suppressions_bytes_max);
            auto blocks = text ? parse_suppressions(*text, file)
                               : Result<std::vector<Suppression>>(std::unexpected(text.error()));
            if (!blocks) {
                complain(blocks.error().message);
                continue;
            }
            std::ranges::move(*blocks, std::back_inserter(suppressions_));
        }
        suppress(document_, suppressions_);
    }

    void print_new() {
        for (Finding& finding : document_.findings) print_one(finding, false);
        for (Finding& note : document_.notes)
            if (!settings_.quiet) print_one(note, true);
    }

    void save() {
        const Process& process = document_.process;
        if (!settings_.json.empty()) {
            const std::string file = file_of(settings_.json, process.pid);
            if (const auto saved = write_line(file, process.id, document_line(document_),
                                              context_.json_descriptor);
                !saved)
                complain(saved.error().message);
        }
        if (settings_.picture.empty() || !anything_left()) return;
        const bool is_dot = settings_.picture.ends_with(".dot");
        const std::string drawn =
            is_dot ? dot_picture(document_.findings) : svg_picture(document_.findings);
        if (const auto saved = replace_file(file_of(settings_.picture, process.pid), drawn); !saved)
            complain(saved.error().message);
    }

    /// What the other processes found and which suppressions were of no use, when the process that
    /// lockcheck started ends.
    void look_around() {
        if (!is_last()) return;
        std::vector<Document> others;
        if (!settings_.json.empty() && !is_per_process(settings_.json))
            others = read_documents(settings_.json);
        std::erase_if(others, [this](const Document& each) {
            return each.process.id == document_.process.id;
        });
        for (const Document& each : others)
            found_by_others_ += static_cast<size_t>(std::ranges::count_if(
                each.findings, [](const Finding& one) { return !one.suppressed_by; }));
        others.push_back(document_);
        list_unused(others);
    }

    /// The last words.
    void close() {
        if (settings_.quiet || !is_last()) return;
        for (const std::string& each : document_.unused_suppressions)
            text_ += fmt::format("lockcheck: unused suppression: {}\n", each);
        text_ += summary(document_, found_by_others_);
    }

    bool anything_left() const {
        return std::ranges::any_of(document_.findings,
                                   [](const Finding& finding) { return !finding.suppressed_by; });
    }
    const std::string& text() const { return text_; }

  private:
    bool is_last() const {
        return document_.state == "exited" && document_.process.pid == settings_.root;
    }

    void complain(const std::string& message) { text_ += fmt::format("lockcheck: {}\n", message); }

    void print_one(Finding& finding, bool is_note) {
        if (finding.printed || finding.suppressed_by) return;
        finding.printed = true;
        text_ += report(finding, document_.process,
                        {.colours = context_.colours,
                         .is_note = is_note,
                         .suppression = settings_.generate_suppressions && !is_note});
        if (settings_.github) text_ += annotation(finding, is_note, context_.workspace);
    }

    void list_unused(const std::vector<Document>& documents) {
        std::set<std::string> used;
        for (const Document& document : documents)
            for (const auto* findings : {&document.findings, &document.notes})
                for (const Finding& finding : *findings)
                    if (finding.suppressed_by) used.insert(*finding.suppressed_by);
        for (const Suppression& each : suppressions_)
            if (!used.contains(each.name))
                document_.unused_suppressions.push_back(
                    fmt::format("{} ({}:{})", each.name, each.file, each.line));
    }

    Document document_;
    const RenderContext& context_;
    const Settings& settings_;
    std::vector<Suppression> suppressions_;
    size_t found_by_others_ = 0;
    std::string text_;
};

/// A file that is opened must not become this process's stdin, stdout or stderr.
void fill_standard_descriptors() {
    while (true) {
        const int descriptor = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (descriptor < 0) return;
        if (descriptor > STDERR_FILENO) {
            close(descriptor);
            return;
        }
    }
}

}  // namespace

int render(std::string_view raw, const RenderContext& context) {
    auto document = read_document(raw);
    if (!document) {
        context.print(
            fmt::format("lockcheck: cannot say what was found: {}\n", document.error().message));
        return render_failed;
    }
    Rendering rendering(std::move(*document), context);
    rendering.prepare();
    rendering.print_new();
    rendering.look_around();
    rendering.save();
    rendering.close();
    if (!rendering.text().empty()) context.print(rendering.text());
    return rendering.anything_left() ? render_something_left : render_nothing_left;
}

int run_render() {
    fill_standard_descriptors();
    // It runs in the middle of a program whose terminal or limits may be gone.
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGALRM, SIG_DFL);
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &alarms, nullptr);
    alarm(static_cast<unsigned>(limits::lockcheck_render_patience / std::chrono::seconds(1)));
    // Debug information comes from this machine; nothing is fetched.
    unsetenv("DEBUGINFOD_URLS");
    const auto value_of = [](const char* name) -> const char* { return std::getenv(name); };
    const char* workspace = value_of("GITHUB_WORKSPACE");
    const RenderContext context{
        .settings = settings_from(value_of),
        .colours = isatty(STDERR_FILENO) == 1 && value_of("NO_COLOR") == nullptr,
        .workspace = workspace == nullptr ? "" : workspace,
        .json_descriptor = value_of("LOCKCHECK_JSON_FD") == nullptr ? -1 : json_descriptor,
        .print = [](std::string_view text) { (void)write_all(STDERR_FILENO, "stderr", text); }};
    const auto raw = read_all(STDIN_FILENO, "document", document_bytes_max);
    if (!raw) {
        context.print(fmt::format("lockcheck: {}\n", raw.error().message));
        return render_failed;
    }
    return render(*raw, context);
}

}  // namespace braidway::lockcheck
