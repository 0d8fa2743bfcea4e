// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/renderer.h"

#include <signal.h>
#include <sys/stat.h>

#include <cerrno>
#include <string_view>

#include "apps/lockcheck/preload/beside.h"
#include "apps/lockcheck/preload/confinement.h"
#include "apps/lockcheck/preload/own_descriptors.h"
#include "apps/lockcheck/preload/raw_calls.h"
#include "apps/lockcheck/preload/settings.h"

namespace braidway::lockcheck {
namespace {

constexpr int json_of_renderer = 3;
constexpr int render_died = 126;
char json_variable[] = "LOCKCHECK_JSON_FD=3";

/// What standard error was at start.
struct TextTarget {
    bool known = false;
    struct stat status{};
    char path[4096] = {};
};
constinit TextTarget target;

/// Standard error, if it is still what it was; else its file anew; else -1. `opened` says that it
/// must be closed.
int open_target(bool& opened) {
    opened = false;
    if (!target.known) return -1;
    struct stat now{};
    if (raw_call(SYS_fstat, 2, as_word(&now)) == 0 && now.st_dev == target.status.st_dev &&
        now.st_ino == target.status.st_ino) {
        return 2;
    }
    if (target.path[0] != '/') return -1;
    const int fd = open_file(target.path, O_WRONLY | O_APPEND | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) return -1;
    struct stat reopened{};
    opened = true;
    if (raw_call(SYS_fstat, fd, as_word(&reopened)) == 0 &&
        reopened.st_dev == target.status.st_dev && reopened.st_ino == target.status.st_ino) {
        return fd;
    }
    close_file(fd);
    return -1;
}

/// Keeps what writing to a closed pipe, or above a limit, would do to the program away from it.
/// While it lives all signals are blocked (see print_to_target()).
class SignalsOfWriting {
  public:
    SignalsOfWriting() : before_(pending()) {}
    ~SignalsOfWriting() {
        const uint64_t ours = pending() & ~before_;
        const timespec at_once{};
        if (ours != 0)
            raw_call(SYS_rt_sigtimedwait, as_word(&ours), 0, as_word(&at_once), sizeof ours);
    }
    SignalsOfWriting(const SignalsOfWriting&) = delete;
    SignalsOfWriting& operator=(const SignalsOfWriting&) = delete;

  private:
    static uint64_t pending() {
        constexpr uint64_t of_writing = uint64_t{1} << (SIGPIPE - 1) | uint64_t{1} << (SIGXFSZ - 1);
        uint64_t set = 0;
        raw_call(SYS_rt_sigpending, as_word(&set), sizeof set);
        return set & of_writing;
    }

    uint64_t before_;
};

/// Is it for the dynamic linker, or for a sanitizer of the program's?
bool is_for_program(std::string_view entry) {
    const std::string_view name = entry.substr(0, entry.find('='));
    return name.starts_with("LD_") || name.ends_with("SAN_OPTIONS");
}

/// The environment of the start, without what is meant for the program alone, and with where the
/// document goes, by name and perhaps by descriptor, as its last entries.
char** renderer_environment(bool with_json, bool with_descriptor) {
    static char** made = nullptr;
    static char** last = nullptr;
    static char* json = nullptr;
    if (settings.environment == nullptr) return nullptr;
    if (made == nullptr) {
        size_t count = 0;
        while (settings.environment[count] != nullptr) ++count;
        made = static_cast<char**>(map_pages((count + 3) * sizeof(char*)));
        if (made == nullptr) return nullptr;
        last = made;
        for (size_t i = 0; i < count; ++i) {
            char* const entry = settings.environment[i];
            if (std::string_view(entry).starts_with("LOCKCHECK_JSON="))
                json = entry;
            else if (!is_for_program(entry))
                *last++ = entry;
        }
    }
    char** at = last;
    if (with_json && json != nullptr) {
        *at++ = json;
        if (with_descriptor) *at++ = json_variable;
    }
    *at = nullptr;
    return made;
}

/// Standard output and error of the process beside, which the renderer will have.
void direct_text() {
    bool opened = false;
    int text = open_target(opened);
    if (text < 0) text = open_file("/dev/null", O_WRONLY);
    if (text < 0) {
        close_file(2);
        close_file(1);
        return;
    }
    // A program may have marked its own standard error to be closed by an exec (Node.js does).
    raw_call(SYS_dup3, text, 1, 0);
    raw_call(SYS_dup3, 1, 2, 0);
    if (text > 2) close_file(text);
}

/// A file in memory; below 0: there is none.
int memory_file() {
    constexpr long close_on_exec = 1;  // MFD_CLOEXEC
    return static_cast<int>(raw_call(SYS_memfd_create, as_word("lockcheck"), close_on_exec));
}

/// Reads all that is in the file, from its beginning.
void read_into(Text& text, int file) {
    char piece[1024];
    raw_call(SYS_lseek, file, 0, SEEK_SET);
    for (;;) {
        const long got = raw_call(SYS_read, file, as_word(piece), sizeof piece);
        if (got == -EINTR) continue;
        if (got <= 0) return;
        text.add({piece, static_cast<size_t>(got)});
    }
}

}  // namespace

void remember_text_target() {
    target.known = raw_call(SYS_fstat, 2, as_word(&target.status)) == 0;
    raw_call(SYS_readlinkat, AT_FDCWD, as_word("/proc/self/fd/2"), as_word(target.path),
             sizeof target.path - 1);
}

Rendered render(std::string_view document, bool keeps_document) {
    if (settings.renderer == nullptr || !may_start_programs()) return Rendered::failed;
    char render_option[] = "--render";
    char* const arguments[] = {const_cast<char*>(settings.renderer), render_option, nullptr};
    const int json = kept_descriptor(OwnDescriptor::document);
    char** const environment = renderer_environment(keeps_document, json >= 0);
    if (environment == nullptr) return Rendered::failed;
    const int status = run_beside([&] {
        direct_text();
        // Whatever else was open goes with the exec.
        if (json >= 0) raw_call(SYS_dup3, json, json_of_renderer, 0);
        const int answer = run_program({arguments, environment}, document.data(), document.size());
        return answer < 0 ? render_died : answer;
    });
    if (status == 0) return Rendered::nothing_left;
    return status == 1 ? Rendered::findings_left : Rendered::failed;
}

bool ask(const char* mode, std::string_view question, Text& answer) {
    if (settings.renderer == nullptr || !may_start_programs()) return false;
    char* const arguments[] = {const_cast<char*>(settings.renderer), const_cast<char*>(mode),
                               nullptr};
    char** const environment = renderer_environment(false, false);
    if (environment == nullptr) return false;
    const int status = run_beside([&] {
        direct_text();
        const int file = memory_file();
        if (file < 0) return render_died;
        raw_call(SYS_dup3, file, 1, 0);
        const int ended = run_program({arguments, environment}, question.data(), question.size());
        if (ended == 0) read_into(answer, file);
        return ended < 0 ? render_died : ended;
    });
    return status == 0 && answer.complete();
}

void print_to_target(std::string_view text) {
    if (text.empty()) return;
    const SignalsOfWriting kept_away;
    bool opened = false;
    int fd = open_target(opened);
    if (fd < 0) fd = kept_descriptor(OwnDescriptor::text);
    if (fd < 0) return;
    write_all(fd, text.data(), text.size());
    if (opened) close_file(fd);
}

void keep_text_target() {
    bool opened = false;
    const int fd = open_target(opened);
    if (fd < 0) return;
    keep_descriptor(OwnDescriptor::text, fd);
    if (opened) close_file(fd);
}

}  // namespace braidway::lockcheck
