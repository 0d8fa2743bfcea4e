// SPDX-License-Identifier: Apache-2.0
#include "apps/braidway/reloading_target.h"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "apps/braidway/notify.h"

namespace braidway::apps {

ReloadingTarget::ReloadingTarget(daemon::ControlTarget& target, daemon::EventSink& events,
                                 std::string config_file, Read read, Apply apply)
    : target_(target),
      events_(events),
      config_file_(std::move(config_file)),
      read_(std::move(read)),
      apply_(std::move(apply)) {
}

Result<daemon::Snapshot> ReloadingTarget::snapshot() {
    Result<daemon::Snapshot> snapshot = target_.snapshot();
    if (!snapshot) return snapshot;
    const std::lock_guard lock(result_mutex_);
    snapshot->config_file = config_file_;
    snapshot->reloads = reloads_;
    snapshot->last_reload = last_reload_;
    return snapshot;
}

Result<std::string> ReloadingTarget::execute(const daemon::Command& command) {
    return command.kind == daemon::Command::Kind::reload ? reload() : target_.execute(command);
}

Result<std::string> ReloadingTarget::reload() {
    const std::lock_guard reloading(reload_mutex_);
    notify_reloading();
    Result<std::string> result = try_reload();
    notify_ready();
    daemon::EventRecord event;
    event.severity = result ? daemon::Severity::info : daemon::Severity::warning;
    event.kind = result ? "reloaded" : "reload-refused";
    event.reason = result ? *result : result.error().message;
    {
        const std::lock_guard lock(result_mutex_);
        ++reloads_;
        last_reload_ = result ? "ok" : event.reason;
    }
    events_.event(std::move(event));
    return result;
}

Result<std::string> ReloadingTarget::try_reload() {
    if (!read_) return fail("the demo has no configuration file to read again", EINVAL);
    std::expected<daemon::Config, daemon::ConfigProblems> config = read_();
    if (config) return apply_(std::move(*config));
    return fail(fmt::format("nothing changed: {}", daemon::problems_line(config.error())), EINVAL);
}

}  // namespace braidway::apps
