// SPDX-License-Identifier: Apache-2.0
// What nobody writes here, where it is allowed after all, and what to write instead.
#include <algorithm>
#include <string>
#include <vector>

#include "tidy/rules.h"
#include "tidy/scan.h"

namespace braidway::tidy {
namespace {

/// How a word must stand in the code to count.
enum class As {
    call,  ///< name(...), also std::name(...), but not object.name(...) or a declaration.
    text,  ///< Anywhere, as whole words.
};

struct Ban {
    As as;
    std::vector<std::string_view> words;
    std::vector<std::string_view> where;    ///< Path prefixes in which it counts.
    std::vector<std::string_view> allowed;  ///< Path prefixes in which it does not, after all.
    std::string_view instead;
};

const std::vector<Ban> bans{
    {As::call,
     {"clock_gettime", "gettimeofday", "time", "clock", "ftime"},
     {"src/", "tests/", "fuzz/", "bench/"},
     // Two programs for lockcheck and its peers, which other compilers build without this project.
     {"src/base/clock.cc", "tests/lockdep/conformance_program.cc", "bench/lockcheck_load.cc"},
     "monotonic_now() of base/clock.h, or better an Instant as a parameter"},
    {As::text,
     {"steady_clock::now", "system_clock::now", "high_resolution_clock::now"},
     {"src/", "tests/", "fuzz/", "bench/"},
     {},
     "monotonic_now() of base/clock.h, or better an Instant as a parameter"},
    {As::call,
     {"monotonic_now"},
     {"src/"},
     // assembly.cc: a control thread waits for the lane, which may be stuck. The two of reclaim: a
     // pause that a signal ends, and the real machine behind memory::Machine.
     {"src/base/clock.", "src/loop/", "src/sync/", "src/apps/", "src/daemon/assembly.cc",
      "src/memory/reclaim/cancel.cc", "src/memory/reclaim/real_machine.cc"},
     "an Instant as a parameter, or loop.now(): deciding code reads no clock"},
    {As::call,
     {"wall_clock_now"},
     {"src/"},
     // sync: a caller's deadline may be on the wall clock.
     {"src/base/clock.", "src/loop/", "src/daemon/", "src/apps/", "src/sync/futex.cc",
      "src/sync/processes.cc"},
     "a time stamp given by daemon/: only what people read has the wall clock's time"},
    {As::call,
     {"rand", "srand", "random", "drand48", "lrand48", "getrandom"},
     {"src/", "tests/", "fuzz/", "bench/"},
     {},
     "Random of base/random.h with a seed that is an argument, so that runs can be repeated"},
    {As::text,
     {"random_device", "mt19937", "mt19937_64", "default_random_engine"},
     {"src/", "tests/", "fuzz/", "bench/"},
     {},
     "Random of base/random.h with a seed that is an argument, so that runs can be repeated"},
    {As::text,
     {"new"},
     {"src/"},
     // heap_operators.cc wraps it for the programs that lockcheck watches; passing.cc looks who
     // calls it.
     {"src/base/", "src/memory/", "src/apps/lockcheck/preload/heap_operators.cc",
      "src/apps/lockcheck/preload/passing.cc"},
     "std::make_unique when a thing is made at start, SlotPool or BufferPool while it runs"},
    {As::call,
     {"malloc", "calloc", "realloc", "free", "posix_memalign", "aligned_alloc", "strdup"},
     {"src/"},
     // monitor and path: one block for O_DIRECT, when a checker is made or a file is opened.
     // fuse_server: the buffer that libfuse hands over; elf_module: that of __cxa_demangle(). The
     // preloaded library wraps them for the programs that it watches.
     {"src/base/", "src/memory/", "src/monitor/monitor.cc", "src/path/open_file.cc",
      "src/apps/free_node_memory/fuse_server.cc", "src/apps/lockcheck/elf_module.cc",
      "src/apps/lockcheck/preload/heap.cc"},
     "std::make_unique when a thing is made at start, SlotPool or BufferPool while it runs"},
    {As::text,
     {"co_await", "co_yield", "co_return"},
     {"src/", "tests/", "fuzz/", "bench/"},
     {},
     "a struct that owns the operation and its next step; g++ 12 destroys temporaries twice"},
    {As::text,
     {"sleep_for", "sleep_until", "usleep", "nanosleep", "clock_nanosleep"},
     {"src/", "fuzz/"},
     // On control threads: for a lane that may be stuck, and for a port of a killed server.
     {"src/daemon/assembly.cc", "src/export/nbd_socket.cc"},
     "a loop::Timer: a lane never sleeps but in its loop"},
    {As::text,
     {"using namespace std;", "std::endl", ".detach()"},
     {"src/", "tests/", "fuzz/", "bench/"},
     // A thread in syncfs() of a dead server cannot be joined before the server is back.
     {"src/memory/reclaim/writeback.cc"},
     "std:: in front of the name, '\\n', or a thread that is joined"},
    {As::text,
     {"printf", "fprintf", "vprintf", "puts", "fputs", "putchar", "perror", "std::cout",
      "std::cerr", "fmt::print"},
     {"src/"},
     // policy.cc: the last line of a process that misused a lock; sync/ has no other way to say it.
     {"src/apps/", "src/base/check.cc", "src/sync/policy.cc", "src/sync/watch_world.cc"},
     "a returned text, an EventRecord or the log of daemon/: only programs print"},
    {As::text,
     {"throw"},
     {"src/"},
     // How an option is refused in CLI11; out of a test's own setup there is no other way.
     {"src/apps/", "src/explore/execution.cc"},
     "return fail(\"...\") for the world's no, CHECK for a bug"},
    {As::call,
     {"strerror", "atoi", "atol", "strtol", "strtoul", "strtoll", "strtoull", "sscanf", "sprintf",
      "strcpy", "strcat", "system", "popen", "assert", "exit"},
     {"src/"},
     {"src/apps/"},
     "errno_text(), std::from_chars or parse_size(), fmt::format, CHECK, or a returned "
     "error"},
};

bool under(std::string_view path, const std::vector<std::string_view>& prefixes) {
    return std::ranges::any_of(prefixes,
                               [&](std::string_view prefix) { return path.starts_with(prefix); });
}

std::string_view word_before(std::string_view code, size_t end) {
    size_t begin = end;
    while (begin > 0 && is_name_letter(code[begin - 1])) --begin;
    return code.substr(begin, end - begin);
}

/// Whether the name at `at` is called, and is the one we mean: not a member, not a declaration,
/// not of another namespace than std.
bool is_call(std::string_view code, size_t at, size_t size) {
    const size_t next = code.find_first_not_of(' ', at + size);
    if (next == std::string_view::npos || code[next] != '(') return false;
    std::string_view before = code.substr(0, at);
    if (before.ends_with("::")) {
        before.remove_suffix(2);
        const std::string_view qualifier = word_before(before, before.size());
        if (!qualifier.empty() && qualifier != "std") return false;
        before.remove_suffix(qualifier.size());
    }
    if (before.ends_with('.') || before.ends_with("->")) return false;
    const size_t last = before.find_last_not_of(" \n");
    if (last == std::string_view::npos) return true;
    const std::string_view previous = word_before(before, last + 1);
    return previous.empty() || previous == "return" || previous == "else" || previous == "do";
}

/// Whether the `new` at `at` makes something in a place that is there already: `::new (place) T`.
bool is_placement(std::string_view code, size_t at) {
    const size_t next = code.find_first_not_of(' ', at + 3);
    return code.substr(0, at).ends_with("::") && next != std::string_view::npos &&
           code[next] == '(';
}

/// A public header is a part of its room: "include/braidway/sync/a.h" counts as "src/sync/a.h".
std::string place_of(std::string_view path) {
    static constexpr std::string_view public_root = "include/braidway/";
    if (!path.starts_with(public_root)) return std::string(path);
    return "src/" + std::string(path.substr(public_root.size()));
}

/// Whether the `new` at `at` goes straight into a unique_ptr: the only way to use a constructor
/// that is private.
bool is_owned_at_once(std::string_view code, size_t at) {
    std::string_view before = trimmed(code.substr(0, at));
    const size_t line = before.find_last_of(";{}");
    if (line != std::string_view::npos) before.remove_prefix(line);
    return before.ends_with('(') && before.find("unique_ptr<") != std::string_view::npos;
}

bool is_whole(std::string_view code, size_t at, std::string_view words) {
    const size_t end = at + words.size();
    const bool begins = !is_name_letter(words.front()) || at == 0 || !is_name_letter(code[at - 1]);
    const bool ends =
        !is_name_letter(words.back()) || end == code.size() || !is_name_letter(code[end]);
    return begins && ends;
}

}  // namespace

Findings banned_calls(const SourceFile& file) {
    Findings findings;
    const SplitText halves = split(file.text);
    const std::string_view code = halves.code;
    const std::string place = place_of(file.path);
    for (const Ban& ban : bans) {
        if (!under(place, ban.where) || under(place, ban.allowed)) continue;
        for (const std::string_view word : ban.words) {
            for (size_t at = code.find(word); at != std::string_view::npos;
                 at = code.find(word, at + 1)) {
                if (!is_whole(code, at, word)) continue;
                if (ban.as == As::call && !is_call(code, at, word.size())) continue;
                if (word == "new" && (is_owned_at_once(code, at) || is_placement(code, at)))
                    continue;
                findings.push_back({file.path, line_at(code, at),
                                    "'" + std::string(word) + "' is not used here; use " +
                                        std::string(ban.instead)});
            }
        }
    }
    return findings;
}

}  // namespace braidway::tidy
