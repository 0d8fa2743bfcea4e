// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <iostream>

#include "apps/free_node_memory/own_pages.h"
#include "apps/free_node_memory/program.h"
#include "memory/reclaim/real_machine.h"

namespace {

/// Longer than any one call that can be interrupted; then the process ends as it is.
constexpr unsigned patience_seconds = 2;

braidway::memory::Cancel* cancelled_by_signal = nullptr;

void on_signal(int) {
    // Only the first: signals that come again and again must not put the end off.
    if (!cancelled_by_signal->cancelled()) alarm(patience_seconds);
    cancelled_by_signal->cancel();
}

void handle(int signal) {
    struct sigaction action{};
    action.sa_handler = on_signal;
    // No SA_RESTART: a call that waits returns.
    sigaction(signal, &action, nullptr);
}

}  // namespace

int main(int argc, char** argv) {
    namespace memory = braidway::memory;
    // Else this program's own pages are among those that go, to be read again at once. Only what is
    // in memory is locked, and what comes later; without the right to do it, it works as well.
    (void)mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
    memory::Cancel cancel;
    cancelled_by_signal = &cancel;
    handle(SIGINT);
    handle(SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    const int code = braidway::apps::run_free_node_memory(
        {argv + 1, argv + argc},
        {.out = std::cout,
         .error = std::cerr,
         .cancel = cancel,
         .progress_bar = isatty(STDERR_FILENO) == 1,
         .machine = [&cancel](const std::string& root) -> std::unique_ptr<memory::Machine> {
             return std::make_unique<memory::RealMachine>(cancel, root);
         }});
    // The answer is out by now. Pages that are locked cannot be marked as used.
    (void)munlockall();
    braidway::apps::keep_own_pages();
    return code;
}
