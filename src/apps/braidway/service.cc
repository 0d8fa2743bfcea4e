// SPDX-License-Identifier: Apache-2.0
#include "apps/braidway/service.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <memory>
#include <thread>

#include "apps/braidway/notify.h"
#include "apps/braidway/reloading_target.h"
#include "base/clock.h"
#include "daemon/api_server.h"
#include "daemon/log.h"
#include "daemon/version.h"

namespace braidway::apps {
namespace {

using daemon::RunningDaemon;
using daemon::Severity;

/// The signals that a daemon waits for instead of being interrupted by them.
sigset_t service_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int each : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, each);
    return set;
}

int next_signal() {
    const sigset_t set = service_signals();
    int signal = 0;
    while (sigwait(&set, &signal) != 0) {}
    return signal;
}

/// Ends the process when one more SIGINT or SIGTERM comes while it drains.
class ImpatientUser {
  public:
    ImpatientUser() : watcher_([this] { watch(); }) {}
    ~ImpatientUser() {
        done_ = true;
        // Any of the signals wakes it; it looks at done_ first.
        ::pthread_kill(watcher_.native_handle(), SIGHUP);
        watcher_.join();
    }

  private:
    void watch() {
        while (true) {
            const int signal = next_signal();
            if (done_) return;
            if (signal == SIGHUP) continue;
            constexpr std::string_view line =
                "braidway: a second signal: ended at once, without draining\n";
            [[maybe_unused]] const ssize_t written =
                ::write(STDERR_FILENO, line.data(), line.size());
            ::_exit(exit_failed);
        }
    }

    std::atomic<bool> done_ = false;
    std::thread watcher_;
};

void announce(daemon::EventRing& ring, Severity severity, std::string kind, std::string reason) {
    daemon::EventRecord event;
    event.severity = severity;
    event.kind = std::move(kind);
    event.reason = std::move(reason);
    ring.event(std::move(event));
}

std::string start_error(const Error& error, const ServiceOptions& options) {
    if (error.code != EADDRINUSE || options.address_hint.empty()) return error.message;
    if (error.message.find(options.address_hint) != std::string::npos) return error.message;
    return fmt::format("{} ({})", error.message, options.address_hint);
}

std::string describe(const daemon::Config& config) {
    return fmt::format("version {}, {} maps, {} paths, {} exports, api {}", daemon::version(),
                       config.maps.size(), config.paths.size(), config.exports.size(),
                       config.api.socket);
}

/// From the first signal to the end.
Result<void> drain(RunningDaemon& running, daemon::ApiServer& api, daemon::EventRing& ring,
                   Duration timeout) {
    const ImpatientUser impatient;
    notify_stopping();
    announce(ring, Severity::info, "stopping", "draining; another signal ends at once");
    api.stop();
    Result<void> down = running.shut_down(timeout);
    announce(ring, down ? Severity::info : Severity::critical, "stopped",
             down ? "drained and flushed" : down.error().message);
    return down;
}

/// Everything between a started daemon and its end.
int serve_until_signalled(const Program& program, ServiceOptions& options, RunningDaemon& running,
                          daemon::ApiServer& api, daemon::EventRing& ring, daemon::EventLog& log) {
    std::atomic<int64_t> shutdown_timeout_ns = options.config.daemon.shutdown_timeout.count();
    const auto apply = [&](daemon::Config config) -> Result<std::string> {
        const Severity level = config.daemon.log_level;
        const Duration timeout = config.daemon.shutdown_timeout;
        Result<std::string> changed = running.reload(std::move(config));
        if (!changed) return changed;
        log.set_level(level);
        shutdown_timeout_ns = timeout.count();
        return changed;
    };
    ReloadingTarget target(running, ring, options.config.file, options.reload, apply);
    api.serve(target);
    announce(ring, Severity::info, "started", describe(options.config));
    if (options.started) options.started();
    notify_ready();
    while (next_signal() == SIGHUP) {
        // What was wrong is an event already.
        [[maybe_unused]] const Result<std::string> reloaded = target.reload();
    }
    const Result<void> down = drain(running, api, ring, Duration(shutdown_timeout_ns.load()));
    if (!down) return complain(program, down.error().message, exit_failed);
    return exit_ok;
}

}  // namespace

int run_service(const Program& program, ServiceOptions options) {
    // Before any thread is made, so that all of them leave these signals to the main thread.
    const sigset_t set = service_signals();
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    daemon::EventRing ring(wall_clock_now);
    const auto api = daemon::ApiServer::open(options.config.api, ring);
    if (!api) return complain(program, api.error().message, exit_failed);
    int code = exit_failed;
    std::string problem;
    {
        daemon::EventLog log(ring, options.config.daemon.log_level,
                             options.config.daemon.log_format);
        Result<std::unique_ptr<RunningDaemon>> running = program.start(options.config, ring);
        if (running)
            code = serve_until_signalled(program, options, **running, **api, ring, log);
        else
            problem = start_error(running.error(), options);
        // No event comes after this; the log writes what is left and ends.
        if (running) running->reset();
        ring.close();
    }
    return problem.empty() ? code : complain(program, problem, exit_failed);
}

}  // namespace braidway::apps
