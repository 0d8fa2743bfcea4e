// SPDX-License-Identifier: Apache-2.0
// Processes that fork, exec, close everything and die: what was found survives, and what the
// program is to others stays.
// case: found_in_child | order | the child of a fork has the inversion, and ends well
// case: found_in_grandchild | order | the child of the child has it
// case: found_in_spawned | order | a program started with posix_spawn has it
// case: found_in_executed | order | the child execs a program that has it
// case: found_by_system | order | system() runs a program that has it
// case: found_then__exit | order | the program ends with _exit | noproof
// case: found_then_quick_exit | order | the program ends with quick_exit | noproof
// case: found_then_exit_in_thread | order | a thread calls exit() | noproof
// case: found_then_main_returns_7 | order | its own status was 7 | exit=7 noproof
// case: found_then_exec | order | the process becomes /bin/true | noproof
// case: found_then_abort | order | the signal stays | signal=6 noproof
// case: found_then_killed | order | kills itself: no exit handler runs | signal=9 noproof
// case: found_then_segv | order | dies of SIGSEGV | signal=11 noproof
// case: found_after_closefrom | order | all descriptors from 3 on are closed before | noproof
// case: found_after_closing_all | order | all descriptors are closed, 0 to 2 as well | noproof
// case: found_as_daemon | order | forks twice, a session of its own, root's folder, nothing open | noproof
// case: found_after_chdir | order | the folder is another one by then | noproof
// case: found_after_clearenv | order | the environment is empty by then | noproof
// case: found_in_both | order | parent and child each have one | noproof
// case: found_and_no_child_seen | order | the program has no child that it did not start: wait() says ECHILD, no SIGCHLD comes | noproof
// case: found_and_descriptors_stay | order | the next descriptor is the one that it would be | noproof
// case: found_and_errno_stays | order | errno is left alone by the calls that found it | noproof
// case: found_in_child_status_stays | order | the child's own status reaches its parent | noproof
// case: found_with_signals_blocked | order | all signals are blocked | noproof
// case: found_under_a_limit_of_files | open | no file can be opened any more: the status can say it, the report can hardly be written
// case: found_in_atexit | order | the inversion is in a function of atexit | noproof
// case: found_in_destructor | order | the inversion is in the destructor of a global object | noproof
// case: found_in_constructor | order | the inversion is in a constructor that runs before main | noproof
// case: atfork_handlers | silent | taken before the fork, given up by both after it
// case: fork_while_another_holds | silent | another thread holds a lock, which the child never uses
// case: child_makes_lock_anew | silent | another thread held it at the fork; the child makes it anew
// case: child_of_holder_unlocks | silent | who forks holds a lock; its child gives its copy up, too
// case: fork_many | silent | fifty children, each locks in order
// case: vfork_exec | silent | vfork and exec
// case: status_stays | silent | exit status 3 | exit=3
// case: status_of_executed_stays | silent | becomes a shell that exits with 9 | exit=9
// case: signal_stays | silent | dies of SIGTERM | signal=15
// case: errno_stays | silent | errno is left alone by calls that work
// case: closed_descriptors_silent | silent | closes everything and goes on | exit=4
// case: order_split_by_fork | open | AB in the parent before, BA in the child after: one program, but no two threads of it
// case: shared_memory_two_processes | open | AB in one process, BA in another, over process-shared mutexes
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <initializer_list>

#include "corpus.h"

extern char** environ;

namespace {

pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t b = PTHREAD_MUTEX_INITIALIZER;
char self[] = "/proc/self/exe";

void ab() {
    lock(&a);
    meet(0);
    lock(&b);
    unlock(&b);
    unlock(&a);
}
void ba() {
    lock(&b);
    meet(0);
    lock(&a);
    unlock(&a);
    unlock(&b);
}
void inversion() {
    RUN(in_turn, ab, ba);
}

/// Runs in a child, and ends with the status that the child ended with.
int child_status(void (*body)()) {
    const pid_t child = fork();
    if (child == 0) {
        body();
        _exit(0);
    }
    int status = 0;
    check(waitpid(child, &status, 0) == child);
    return status;
}
void in_child(void (*body)()) {
    check(child_status(body) == 0);
}

void found_in_child() {
    in_child(inversion);
}
void found_in_grandchild() {
    in_child([] { in_child(inversion); });
}
// `inversion` is a case of this program, though none of the corpus.
void found_in_spawned() {
    char* arguments[] = {self, const_cast<char*>("inversion"), nullptr};
    pid_t child = 0;
    check(posix_spawn(&child, self, nullptr, nullptr, arguments, environ) == 0);
    check(waitpid(child, nullptr, 0) == child);
}
void found_in_executed() {
    child_status([] {
        execl(self, self, "inversion", nullptr);
        _exit(127);
    });
}
void found_by_system() {
    char path[4000] = "";
    char command[4100];
    check(readlink(self, path, sizeof path - 1) > 0);
    snprintf(command, sizeof command, "'%s' inversion", path);
    (void)!system(command);
}
void found_then__exit() {
    inversion();
    _exit(0);
}
void found_then_quick_exit() {
    inversion();
    quick_exit(0);
}
void found_then_exit_in_thread() {
    RUN(in_threads, [] {
        inversion();
        exit(0);
    });
}
void found_then_main_returns_7() {
    inversion();
    exit(7);
}
void found_then_exec() {
    inversion();
    execl("/bin/true", "true", nullptr);
    _exit(127);
}
void found_then_abort() {
    inversion();
    abort();
}
void found_then_killed() {
    inversion();
    kill(getpid(), SIGKILL);
    for (;;) pause();
}
void found_then_segv() {
    inversion();
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
}
void close_all(int from) {
    for (int each = from; each < 1024; ++each) close(each);
}
void found_after_closefrom() {
    closefrom(3);
    inversion();
}
void found_after_closing_all() {
    close_all(0);
    inversion();
}
void found_as_daemon() {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    in_child([] {
        setsid();
        if (fork() != 0) _exit(0);
        check(chdir("/") == 0);
        umask(077);
        close_all(0);
        open("/dev/null", O_RDWR);
        check(dup(0) == 1 && dup(0) == 2);
        inversion();
        _exit(0);
    });
    while (wait(nullptr) > 0) {}
}
void found_after_chdir() {
    check(chdir("/proc") == 0);
    inversion();
}
void found_after_clearenv() {
    clearenv();
    inversion();
}
void found_in_both() {
    in_child(inversion);
    inversion();
}
volatile sig_atomic_t children_ended;
void found_and_no_child_seen() {
    signal(SIGCHLD, [](int) { children_ended = 1; });
    inversion();
    errno = 0;
    check(wait(nullptr) == -1 && errno == ECHILD);
    check(children_ended == 0);
}
void found_and_descriptors_stay() {
    const int before = open("/dev/null", O_RDONLY);
    close(before);
    inversion();
    check(open("/dev/null", O_RDONLY) == before);
}
void found_and_errno_stays() {
    errno = 77;
    inversion();
    check(errno == 77);
}
void found_in_child_status_stays() {
    const int status = child_status([] {
        inversion();
        _exit(7);
    });
    check(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}
void found_with_signals_blocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    inversion();
}
void found_under_a_limit_of_files() {
    rlimit none = {};
    getrlimit(RLIMIT_NOFILE, &none);
    none.rlim_cur = 3;
    check(setrlimit(RLIMIT_NOFILE, &none) == 0);
    inversion();
}
void found_in_atexit() {
    atexit(inversion);
}

bool in_destructor = false;
struct Global {
    ~Global() {
        if (in_destructor) inversion();
    }
} global;
void found_in_destructor() {
    in_destructor = true;
}
__attribute__((constructor)) void before_main(int argc, char** argv, char**) {
    if (argc > 1 && strcmp(argv[1], "found_in_constructor") == 0) inversion();
}
void found_in_constructor() {
}

void take_both() {
    lock(&a);
    lock(&b);
}
void release_both() {
    unlock(&b);
    unlock(&a);
}
void atfork_handlers() {
    pthread_atfork(take_both, release_both, release_both);
    in_child(ab);
    ab();
}
void hold_b_a_while() {
    lock(&b);
    tell(1);
    hear(2);
    unlock(&b);
}
void use_a() {
    lock(&a);
    unlock(&a);
}
template <void (*Child)()>
void fork_with_b_held() {
    RUN(at_once, hold_b_a_while, [] {
        hear(1);
        in_child(Child);
        tell(2);
    });
}
void fork_while_another_holds() {
    fork_with_b_held<use_a>();
}
void make_b_anew() {
    pthread_mutex_init(&b, nullptr);
    lock(&b);
    unlock(&b);
}
void child_makes_lock_anew() {
    fork_with_b_held<make_b_anew>();
}
void child_of_holder_unlocks() {
    lock(&a);
    in_child([] { unlock(&a); });
    unlock(&a);
}
void fork_many() {
    for (int i = 0; i < 50; ++i) in_child([] { RUN(in_threads, ab); });
}
void vfork_exec() {
    use_a();
    const pid_t child = vfork();
    if (child == 0) {
        execl("/bin/true", "true", nullptr);
        _exit(127);
    }
    int status = 1;
    check(waitpid(child, &status, 0) == child && status == 0);
}
void status_stays() {
    ab();
    exit(3);
}
void status_of_executed_stays() {
    ab();
    execl("/bin/sh", "sh", "-c", "exit 9", nullptr);
}
void signal_stays() {
    ab();
    raise(SIGTERM);
}
void errno_stays() {
    errno = 77;
    ab();
    check(try_lock(&a) == 0);
    unlock(&a);
    check(errno == 77);
}
void closed_descriptors_silent() {
    close_all(0);
    ab();
    exit(4);
}
void order_split_by_fork() {
    ab();
    in_child(ba);
}
pthread_mutex_t* shared;
void shared_memory_two_processes() {
    shared = static_cast<pthread_mutex_t*>(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pthread_mutexattr_t attribute;
    pthread_mutexattr_init(&attribute);
    pthread_mutexattr_setpshared(&attribute, PTHREAD_PROCESS_SHARED);
    for (int i = 0; i < 2; ++i) pthread_mutex_init(&shared[i], &attribute);
    for (const int outer : {0, 1}) {
        const pid_t child = fork();
        if (child != 0) {
            waitpid(child, nullptr, 0);
            continue;
        }
        lock(&shared[outer]);
        lock(&shared[1 - outer]);
        unlock(&shared[1 - outer]);
        unlock(&shared[outer]);
        _exit(0);
    }
}

}  // namespace

MAIN(CASE(inversion), CASE(found_in_child), CASE(found_in_grandchild), CASE(found_in_spawned),
     CASE(found_in_executed), CASE(found_by_system), CASE(found_then__exit),
     CASE(found_then_quick_exit), CASE(found_then_exit_in_thread), CASE(found_then_main_returns_7),
     CASE(found_then_exec), CASE(found_then_abort), CASE(found_then_killed), CASE(found_then_segv),
     CASE(found_after_closefrom), CASE(found_after_closing_all), CASE(found_as_daemon),
     CASE(found_after_chdir), CASE(found_after_clearenv), CASE(found_in_both),
     CASE(found_and_no_child_seen), CASE(found_and_descriptors_stay), CASE(found_and_errno_stays),
     CASE(found_in_child_status_stays), CASE(found_with_signals_blocked),
     CASE(found_under_a_limit_of_files), CASE(found_in_atexit), CASE(found_in_destructor),
     CASE(found_in_constructor), CASE(atfork_handlers), CASE(fork_while_another_holds),
     CASE(child_makes_lock_anew), CASE(child_of_holder_unlocks), CASE(fork_many), CASE(vfork_exec),
     CASE(status_stays), CASE(status_of_executed_stays), CASE(signal_stays), CASE(errno_stays),
     CASE(closed_descriptors_silent), CASE(order_split_by_fork), CASE(shared_memory_two_processes))
