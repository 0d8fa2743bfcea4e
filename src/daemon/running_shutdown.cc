// SPDX-License-Identifier: Apache-2.0
// How a running daemon ends: what is held is answered, then each map is flushed.
#include <fmt/format.h>

#include <algorithm>

#include "daemon/running.h"

namespace braidway::daemon {

void Running::shut_down(Duration deadline, std::function<void(Result<void>)> done) {
    CHECK(!shutting_down_, "a daemon shuts down once");
    shutting_down_ = true;
    drained_ = std::move(done);
    drain_deadline_ = loop_.now() + deadline;
    exports_.stop();
    drain_step(loop_.now());
}

/// What waits in the map waits for a path or a resume, not for us: it is answered when the rest is
/// done.
bool Running::idle(const Volume& volume) const {
    return volume.map().counters().in_flight == volume.map().waiting_requests();
}

void Running::drain_step(Instant now) {
    flush_idle();
    const bool flushed =
        flushes_.size() == volumes_.size() &&
        std::ranges::all_of(flushes_, [](const auto& flush) { return flush->done; });
    if (flushed && exports_.quiet()) {
        drained_(unflushed_.empty() ? Result<void>() : fail(unflushed_text(), EIO));
        return;
    }
    if (now >= drain_deadline_) {
        // A client that does not take its replies is no reason to call the storage stuck.
        exports_.abort("the daemon is shutting down");
        const bool given_up = give_up_flushes();
        if (aborted_ || !(flushed || given_up)) {
            drained_(fail(stuck_text(), ETIMEDOUT));
            return;
        }
        aborted_ = true;
        drain_deadline_ = now + limits::shutdown_grace;
    }
    loop_.arm(drain_timer_, now + limits::drain_interval);
}

/// Answers what is held and flushes, once for each map, as soon as nothing else is on it; one map
/// that is stuck keeps no other from its flush.
void Running::flush_idle() {
    for (const auto& volume : volumes_) {
        const bool begun = std::ranges::any_of(
            flushes_, [&](const auto& flush) { return flush->map == volume->name(); });
        if (begun || !idle(*volume)) continue;
        volume->map().shut_down_held();
        // The last flush has to come through a map that somebody has suspended.
        if (volume->map().state() == map::MapDevice::State::suspending) continue;
        CHECK(volume->map().resume().has_value(), "a map that is not being suspended resumes");
        auto& flush = flushes_.emplace_back(std::make_unique<Flush>());
        flush->map = volume->name();
        if (volume->map().geometry().read_only || volume->map().status().valid_paths == 0) {
            flush->done = true;
            continue;
        }
        flush->request.op = IoOp::flush;
        flush->request.push(*flush);
        volume->map().submit(flush->request);
    }
}

/// Those that wait for a path have waited long enough. True when there was one.
bool Running::give_up_flushes() {
    bool given_up = false;
    for (const auto& volume : volumes_) {
        const bool waits = std::ranges::any_of(flushes_, [&](const auto& flush) {
            return flush->map == volume->name() && !flush->done;
        });
        if (!waits || volume->map().waiting_requests() == 0) continue;
        volume->map().shut_down_held();
        unflushed_.push_back(volume->name());
        given_up = true;
    }
    return given_up;
}

std::string Running::unflushed_text() const {
    return fmt::format(
        "no path was left for the last flush of {} {}: what was written and not "
        "flushed by its clients is safe only if the storage kept it",
        unflushed_.size() == 1 ? "map" : "maps", fmt::join(unflushed_, ", "));
}

std::string Running::stuck_text() const {
    std::string text =
        "shutdown timed out with I/O still in the kernel or a client that does not "
        "take its replies:";
    for (const auto& volume : volumes_)
        for (const auto& unit : volume->units()) {
            const path::PathCounters& counters = unit->path().counters();
            if (counters.in_flight + counters.abandoned != 0)
                text += fmt::format(" path {} has {} requests;", unit->name(),
                                    counters.in_flight + counters.abandoned);
        }
    text.back() = '.';
    return text;
}

}  // namespace braidway::daemon
