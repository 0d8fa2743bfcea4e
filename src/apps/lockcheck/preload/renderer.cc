// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/renderer.h"

#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cerrno>
#include <string_view>

#include "apps/lockcheck/preload/document_file.h"
#include "apps/lockcheck/preload/raw_calls.h"
#include "apps/lockcheck/preload/settings.h"

namespace braidway::lockcheck {
namespace {

constexpr size_t child_stack_bytes = 65'536;
/// The library's own descriptors are made here, away from those that programs expect.
constexpr int own_descriptors_from = 500;
constexpr int not_started = 127;
constexpr int json_of_renderer = 3;
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

/// Moves a descriptor out of the program's way.
int move_up(int fd) {
    if (fd < 0) return fd;
    const long moved = raw_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, own_descriptors_from);
    if (moved < 0) return fd;
    close_file(fd);
    return static_cast<int>(moved);
}

/// What the child needs; it shares the memory.
struct Start {
    int document = -1;
    int text = -1;
    int json = -1;  ///< The document's file, if it cannot be opened any more.
    const char* arguments[3] = {};
    char** environment = nullptr;
    char* stack = nullptr;  ///< Two: of who becomes the renderer, and of who waits for it.
};

/// Handlers of the program's must not run here, where they would be in its memory twice.
void forget_handlers() {
    struct KernelAction {
        void* handler = nullptr;
        unsigned long flags = 0;
        void* restorer = nullptr;
        uint64_t mask = 0;
    };
    for (int number = 1; number <= 64; ++number) {
        const KernelAction standard{};
        raw_call(SYS_rt_sigaction, number, as_word(&standard), 0, sizeof(uint64_t));
    }
}

/// Waits for a child of the given kind; -1: it is not known how it ended, else its exit status.
int wait_for(int child, long kind) {
    int status = -1;
    long waited = 0;
    do {
        waited = raw_call(SYS_wait4, child, as_word(&status), kind, 0);
    } while (waited == -EINTR);
    constexpr int death_by_signal = 0x7f;
    return waited == child && (status & death_by_signal) == 0 ? (status >> 8) & 0xff : -1;
}

/// Becomes the renderer. Runs on a stack of its own.
int start_renderer(void* argument) {
    const Start& start = *static_cast<const Start*>(argument);
    const uint64_t none = 0;
    raw_call(SYS_rt_sigprocmask, SIG_SETMASK, as_word(&none), 0, sizeof none);
    raw_call(SYS_dup3, start.document, 0, 0);
    if (start.text >= 0) {
        if (start.text != 2) raw_call(SYS_dup3, start.text, 2, 0);
        raw_call(SYS_dup3, 2, 1, 0);
    } else {
        const int nothing = open_file("/dev/null", O_WRONLY);
        for (int fd = 1; fd <= 2; ++fd)
            if (nothing != fd) raw_call(SYS_dup3, nothing, fd, 0);
    }
    if (start.json >= 0) raw_call(SYS_dup3, start.json, json_of_renderer, 0);
    raw_call(SYS_execve, as_word(start.arguments[0]), as_word(start.arguments),
             as_word(start.environment));
    raw_call(SYS_exit_group, not_started);
    return not_started;
}

/// Stands between the program and the renderer: whoever execs is a child like any other afterwards,
/// whose end sends SIGCHLD and answers to wait(). This one never does, and takes that upon itself.
int run_between(void* argument) {
    Start& start = *static_cast<Start*>(argument);
    forget_handlers();
    const int child = clone(start_renderer, start.stack + child_stack_bytes,
                            CLONE_VM | CLONE_VFORK | SIGCHLD, &start);
    const int status = child > 0 ? wait_for(child, 0) : -1;
    raw_call(SYS_exit_group, status < 0 ? not_started : status);
    return not_started;
}

/// Is it for the dynamic linker, or for a sanitizer of the program's?
bool is_for_program(std::string_view entry) {
    const std::string_view name = entry.substr(0, entry.find('='));
    return name.starts_with("LD_") || name.ends_with("SAN_OPTIONS");
}

/// The environment of the start, without what is meant for the program alone.
char** renderer_environment(bool with_json) {
    static char** made = nullptr;
    static char** last = nullptr;
    if (made != nullptr) *last = with_json ? json_variable : nullptr;
    if (made != nullptr || settings.environment == nullptr) return made;
    size_t count = 0;
    while (settings.environment[count] != nullptr) ++count;
    auto** const kept = static_cast<char**>(map_pages((count + 2) * sizeof(char*)));
    if (kept == nullptr) return nullptr;
    char** at = kept;
    for (size_t i = 0; i < count; ++i)
        if (!is_for_program(settings.environment[i])) *at++ = settings.environment[i];
    made = kept;
    last = at;
    *last = with_json ? json_variable : nullptr;
    return made;
}

/// The renderer's exit status; -1: it is not known.
int run_and_wait(Start& start) {
    start.stack = static_cast<char*>(map_pages(2 * child_stack_bytes));
    if (start.stack == nullptr) return -1;
    char* const top = start.stack + 2 * child_stack_bytes;
    // Without a signal at its end; such children are only seen by who asks for them.
    const int child = clone(run_between, top, CLONE_VM | CLONE_VFORK, &start);
    const int status = child > 0 ? wait_for(child, __WCLONE) : -1;
    unmap_pages(start.stack, 2 * child_stack_bytes);
    return status;
}

}  // namespace

void remember_text_target() {
    target.known = raw_call(SYS_fstat, 2, as_word(&target.status)) == 0;
    raw_call(SYS_readlinkat, AT_FDCWD, as_word("/proc/self/fd/2"), as_word(target.path),
             sizeof target.path - 1);
}

Rendered render(std::string_view document) {
    if (settings.renderer == nullptr) return Rendered::failed;
    Start start;
    start.arguments[0] = settings.renderer;
    start.arguments[1] = "--render";
    start.json = kept_document_file();
    start.environment = renderer_environment(start.json >= 0);
    if (start.environment == nullptr) return Rendered::failed;
    constexpr long close_on_exec = 1;  // MFD_CLOEXEC
    start.document =
        move_up(static_cast<int>(raw_call(SYS_memfd_create, as_word("lockcheck"), close_on_exec)));
    if (start.document < 0) return Rendered::failed;
    int status = -1;
    if (write_all(start.document, document.data(), document.size())) {
        raw_call(SYS_lseek, start.document, 0, SEEK_SET);
        bool opened = false;
        start.text = open_target(opened);
        if (opened) start.text = move_up(start.text);
        status = run_and_wait(start);
        if (opened) close_file(start.text);
    }
    close_file(start.document);
    if (status == 0) return Rendered::nothing_left;
    return status == 1 ? Rendered::findings_left : Rendered::failed;
}

void print_to_target(std::string_view text) {
    bool opened = false;
    const int fd = open_target(opened);
    if (fd < 0) return;
    write_all(fd, text.data(), text.size());
    if (opened) close_file(fd);
}

}  // namespace braidway::lockcheck
