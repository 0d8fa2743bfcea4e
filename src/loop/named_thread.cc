// SPDX-License-Identifier: Apache-2.0
#include "loop/named_thread.h"

#include <pthread.h>
#include <signal.h>

#include <system_error>
#include <utility>

namespace braidway::loop {

Result<std::thread> start_thread(const char* name, std::function<void()> body) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // The new thread inherits it.
    Result<std::thread> started = std::thread();
    try {
        started = std::thread(std::move(body));
        pthread_setname_np(started->native_handle(), name);
    } catch (const std::system_error& error) {
        const int code = error.code().value();
        started = fail("no thread could be started: " + errno_text(code), code);
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return started;
}

}  // namespace braidway::loop
