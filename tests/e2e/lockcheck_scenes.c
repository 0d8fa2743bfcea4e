// SPDX-License-Identifier: Apache-2.0
// The program that tests/e2e/lockcheck.py builds and runs under lockcheck; the scene is its first
// argument. The story looks for the lines that are marked.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t accounts = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t journal = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;

static __attribute__((noinline)) void book(void) {
    pthread_mutex_lock(&accounts);
    pthread_mutex_lock(&journal);  // line of book
    pthread_mutex_unlock(&journal);
    pthread_mutex_unlock(&accounts);
}
static __attribute__((noinline)) void audit(void) {
    pthread_mutex_lock(&journal);
    pthread_mutex_lock(&accounts);  // line of audit
    pthread_mutex_unlock(&accounts);
    pthread_mutex_unlock(&journal);
}
/// A wrapper, used here and there.
static __attribute__((noinline)) void take(pthread_mutex_t* lock) {
    if (pthread_mutex_lock(lock) != 0) abort();
}
static __attribute__((noinline)) void give(pthread_mutex_t* lock) {
    if (pthread_mutex_unlock(lock) != 0) abort();
}
static __attribute__((noinline)) void begin_day(void) {
    take(&accounts);
    give(&accounts);
    take(&journal);
    give(&journal);
}
static __attribute__((noinline)) void book_wrapped(void) {
    take(&accounts);
    take(&journal);
    give(&journal);
    give(&accounts);
}
static __attribute__((noinline)) void audit_wrapped(void) {
    take(&journal);
    take(&accounts);
    give(&accounts);
    give(&journal);
}
/// Two locks that no call initialises, and further locks held in each way.
static void heap_locks(void) {
    struct account {
        long balance;
        pthread_mutex_t lock;
    }* accounts_made[2];
    pthread_mutex_t* const besides[2] = {&accounts, &journal};
    for (int i = 0; i < 2; ++i) {
        accounts_made[i] = malloc(sizeof(struct account));  // line of heap_locks
        accounts_made[i]->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    }
    for (int i = 0; i < 2; ++i) {
        pthread_mutex_lock(besides[i]);
        pthread_mutex_lock(&accounts_made[i]->lock);
        pthread_mutex_lock(&accounts_made[1 - i]->lock);
        pthread_mutex_unlock(&accounts_made[1 - i]->lock);
        pthread_mutex_unlock(&accounts_made[i]->lock);
        pthread_mutex_unlock(besides[i]);
    }
    for (int i = 0; i < 2; ++i) free(accounts_made[i]);
}
static void inversion(void) {
    book();
    audit();
}

static void* first_of_hang(void* nothing) {
    pthread_mutex_lock(&accounts);
    pthread_barrier_wait(&both);
    pthread_mutex_lock(&journal);
    return nothing;
}
static void hang(void) {
    pthread_t thread;
    pthread_barrier_init(&both, NULL, 2);
    pthread_create(&thread, NULL, first_of_hang, NULL);
    pthread_mutex_lock(&journal);
    pthread_barrier_wait(&both);
    pthread_mutex_lock(&accounts);
}

static void* small_run(void* nothing) {
    inversion();
    return nothing;
}
static void small_stacks(void) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (pthread_attr_setstacksize(&attributes, 16384) != 0) exit(3);
    for (int i = 0; i < 8; ++i) {  // One after the other: they would hang.
        pthread_t thread;
        if (pthread_create(&thread, &attributes, small_run, NULL) != 0) exit(3);
        pthread_join(thread, NULL);
    }
}

static void family(void) {
    for (int i = 0; i < 3; ++i) {
        if (fork() == 0) {
            if (i == 1) inversion();
            exit(i);
        }
    }
    for (int i = 0; i < 3; ++i) {
        int status = 0;
        wait(&status);
        if (!WIFEXITED(status) || WEXITSTATUS(status) > 2) exit(3);
    }
}

static void echo(void) {
    char line[256];
    while (fgets(line, sizeof line, stdin)) fputs(line, stdout);
}

__attribute__((constructor)) static void make(void) {
    pthread_mutex_lock(&journal);
    pthread_mutex_unlock(&journal);
}
static int destroys;  // The journal, as the process ends.
__attribute__((destructor)) static void clean_up(void) {
    if (destroys) pthread_mutex_destroy(&journal);
}

int main(int argc, char** argv) {
    const char* const scene = argc > 1 ? argv[1] : "";
    if (strcmp(scene, "inversion") == 0) {
        inversion();
        return argc > 2 ? atoi(argv[2]) : 0;
    }
    if (strcmp(scene, "killed") == 0) {
        inversion();
        kill(getpid(), SIGKILL);
    }
    if (strcmp(scene, "closes") == 0) {
        closefrom(0);
        inversion();
        return 0;
    }
    if (strcmp(scene, "becomes") == 0) {
        inversion();
        execl(argv[2], argv[2], (char*)NULL);
        return 3;
    }
    if (strcmp(scene, "exit_holding") == 0 || strcmp(scene, "return_holding") == 0) {
        pthread_mutex_lock(&journal);
        destroys = 1;
        if (scene[0] == 'e') exit(0);
        return 0;
    }
    if (strcmp(scene, "drops") == 0) {
        // As a server's workers do: one with a finding, one without.
        for (int i = 0; i < 2; ++i)
            if (fork() == 0) {
                if (setuid(65534) != 0) exit(3);
                if (i == 0) inversion();
                exit(0);
            }
        for (int i = 0; i < 2; ++i) wait(NULL);
    }
    if (strcmp(scene, "hang") == 0) hang();
    if (strcmp(scene, "heap_locks") == 0) heap_locks();
    if (strcmp(scene, "wrapped") == 0) {
        begin_day();
        book_wrapped();
        audit_wrapped();
    }
    if (strcmp(scene, "closed_by_exec") == 0) {
        for (int fd = 0; fd < 3; ++fd) fcntl(fd, F_SETFD, FD_CLOEXEC);
        inversion();
    }
    if (strcmp(scene, "small_stacks") == 0) small_stacks();
    if (strcmp(scene, "family") == 0) family();
    if (strcmp(scene, "echo") == 0) echo();
    return strcmp(scene, "quiet") == 0 ? 5 : 0;
}
